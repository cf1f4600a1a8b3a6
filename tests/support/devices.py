"""INVITEs in the forms that devices and services send, made from their public documentation.

Numbers are 555-01xx, addresses and names are for documentation. Each calls +12155550199 at 192.0.2.1. `PLAIN` are
correct or close enough that nothing has to change: request line and header fields are in tests/devices, one file each.
`SLOPPY` bend the grammar in ways that honest devices are known for.
"""

from pathlib import Path

_SDP = (
    "v=0\no=- 1 1 IN IP4 192.0.2.7\ns=-\nc=IN IP4 192.0.2.7\nt=0 0\nm=audio 20000 RTP/AVP 8 0 101\n"
    "a=rtpmap:101 telephone-event/8000\n"
)


def _read(path: Path) -> bytes:
    """A message from request line and header lines; `{length}` is the length of the body, which is SDP."""
    text = path.read_text(encoding="utf-8")
    content = _SDP.replace("\n", "\r\n") if "{length}" in text else ""
    return (text.replace("{length}", str(len(content))).replace("\n", "\r\n") + "\r\n" + content).encode()


PLAIN = {path.stem: _read(path) for path in sorted((Path(__file__).parents[1] / "devices").glob("*.txt"))}
_CHAN_SIP = PLAIN["asterisk-chan-sip"]


def _but(old: str, new: str, message: bytes = _CHAN_SIP) -> bytes:
    changed = message.replace(old.replace("\n", "\r\n").encode(), new.replace("\n", "\r\n").encode(), 1)
    if changed == message:
        raise ValueError(old)
    return changed


def _lf(message: bytes) -> bytes:
    head, end, body = message.partition(b"\r\n\r\n")
    return (head + end).replace(b"\r\n", b"\n") + body


_LENGTH = len(_SDP.replace("\n", "\r\n"))
SLOPPY = {
    "name without quotes, with a comma": _but('From: "Alice" <', "From: Smith, Alice <"),
    "name without quotes, with parentheses and a dot": _but('From: "Alice" <', "From: Alice (Sales) Inc. <"),
    "name without quotes in UTF-8": _but('From: "Alice" <', "From: J\u00fcrgen <"),
    "name without quotes, with an apostrophe": _but('From: "Alice" <', "From: O'Neil's <"),
    "name between escaped quotes": _but('From: "Alice" <', 'From: \\"Alice\\" <'),
    "two Max-Forwards": _but("Max-Forwards: 70\n", "Max-Forwards: 70\nMax-Forwards: 70\n"),
    "Content-Length two too small": _but(f"Content-Length: {_LENGTH}", f"Content-Length: {_LENGTH - 2}"),
    "Content-Length two too large": _but(f"Content-Length: {_LENGTH}", f"Content-Length: {_LENGTH + 2}"),
    "Content-Length one too large": _but(f"Content-Length: {_LENGTH}", f"Content-Length: {_LENGTH + 1}"),
    "blanks in Via": _but("Via: SIP/2.0/UDP 192.0.2.7:5060;branch", "Via: SIP / 2.0 / UDP  192.0.2.7 : 5060 ; branch"),
    "Contact on several lines": _but("Contact: <sip:+12155550100@192.0.2.7:5060>",
    "Contact:\n  <sip:+12155550100@192.0.2.7:5060>\n\t;expires=60"),
    "From on two lines": _but("<sip:+12155550100@192.0.2.7>;tag=as1d2c3b4a",
    "<sip:+12155550100@192.0.2.7>\n ;tag=as1d2c3b4a"),
    "blank behind the semicolon of the From tag": _but(">;tag=as1d2c3b4a", ">; tag=as1d2c3b4a"),
    "blank in front of the colon": _but("Call-ID: ", "Call-ID : "),
    "blanks at the end of lines": _but("CSeq: 102 INVITE\n", "CSeq: 102 INVITE  \n"),
    "line ends of header fields are LF": _lf(_CHAN_SIP),
    "line ends in front": b"\r\n\r\n" + _CHAN_SIP,
    "line ends behind": PLAIN["no-body"] + b"\r\n\r\n",
    "NUL behind": PLAIN["no-body"] + b"\0",
    "no Content-Length": _but(f"Content-Length: {_LENGTH}\n", ""),
    "no Max-Forwards": _but("Max-Forwards: 70\n", ""),
    "empty header fields": _but("Supported: replaces, timer", "Supported:\nSubject: \nOrganization:"),
    "Call-ID with brackets and blanks": _but("Call-ID: 6f7e8d9c0b1a2f3e4d5c6b7a8f9e0d1c@192.0.2.7:5060",
    "Call-ID: {6F7E8D9C-0B1A}@[192.0.2.7]"),
    "two blanks in CSeq": _but("CSeq: 102 INVITE", "CSeq: 102  INVITE"),
    "tab behind the colon": _but("CSeq: 102 INVITE", "CSeq:\t102 INVITE"),
    "P-Asserted-Identity without brackets": _but("Remote-Party-ID:",
    "P-Asserted-Identity: tel:+12155550100\nRemote-Party-ID:"),
    "semicolon at the end of From": _but(";tag=as1d2c3b4a", ";tag=as1d2c3b4a;"),
    "underscore in a host name": _but("To: <sip:+12155550199@192.0.2.1>", "To: <sip:+12155550199@sbc_1.example>"),
    "brackets around the Request-URI's parameter": _but("INVITE sip:+12155550199@192.0.2.1 ",
    "INVITE sip:+12155550199@192.0.2.1;a=[b] "),
    "two Content-Type that agree": _but("Content-Type: application/sdp\n",
    "Content-Type: application/sdp\nContent-Type: application/sdp\n"),
    "two Content-Length that agree": _but(f"Content-Length: {_LENGTH}\n",
    f"Content-Length: {_LENGTH}\nContent-Length: {_LENGTH}\n"),
    "date without a zone": _but(" 08:00:00 GMT", " 08:00:00"),
}  # fmt: skip
