"""Oddities of the start of a message: what is in front of the method, behind it, and in the rest of the start line."""

from support.calls import CALLED, SBC
from support.odd_base import Change, Changes

BYTES = [bytes([value]) for value in range(256)]
INVISIBLE = [byte for byte in BYTES if not 0x21 <= byte[0] <= 0x7E]
URI = f"sip:+{CALLED}@{SBC}".encode()
_GAPS = (
    b"\r\n ", b"\n ", b"\r ", b"\r\n\t", b"\n\t", b"\r\n  ", b"\r\n", b"  ", b" \t", b"\t ", b"\t\t", b" \0", b"\0 ",
    b" \r\n ", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xc2\x85", b"%20", b"%09", b"", b" \r\n", b"\r\n\r\n ", b"  \r\n\t ",
    b"+",
)  # fmt: skip
_FRONT = (
    b"\r\n\0", b"\0\r\n", b"\0\0\0\0", b"\r\n\r\n", b"\n\n", b"\r\r", b"\r\n \r\n", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\r\n\x01", b"\r\n\x0b", b"\r\n\x1b", b"\r\n\x7f", b"\r\n\x80", b"\r\n\xff", b"\n\0", b"\r\0", b" \0", b"\0 ",
    b"\t\t", b"  ", b"\r\n  ", b"\r\n\t", b"\xc2\xa0", b"\xe2\x80\x8b", b"x ", b"- ", b"\r\nx", b"%20", b"%0d%0a",
    b"SIP/2.0 ", b"\0" * 64, b" " * 64, b"\r\n" * 32, b"\0\x01\0\x08" + b"\x21\x12\xa4\x42" + b"\0" * 12,
    b"\x80\xc8" * 8,
)  # fmt: skip
_METHODS = (
    b"invite", b"Invite", b"iNVITE", b"INVITe", b"%49NVITE", b"INVIT%45", b"%49%4e%56%49%54%45", b"%69nvite",
    b"%2549NVITE", b'"INVITE"', b"<INVITE>", b"INVITE;", b"INVITE:", b"INVITE,", b"INVITEX", b"XINVITE", b"INVITE\0X",
    b"IN\0VITE", b"IN\r\n VITE", b"INV\xc4\xb0TE", b"\xc4\xb0NVITE", b"INVITE.", b"INVITE/", b"INVITE?", b"INVITE\\",
    b"INVITE\r", b"I", b"INV", b"INVITE-", b"INVITE!", b"INVITE%00", b"INVITE%20", b"INVITE INVITE", b"ACK INVITE",
)  # fmt: skip
_VERSIONS = (
    b"sip/2.0", b"Sip/2.0", b"SIP/2.00", b"SIP/02.0", b"SIP/2.0.0", b"SIP/2.1", b"SIP/1.0", b"SIP/3.0", b"SIP/2",
    b"SIP",
    b"SIP/2.", b"SIP/", b"SIP /2.0", b"SIP/ 2.0", b"SIP / 2.0", b"SIP/2 .0", b"SIP/2.0 ", b"SIP/2.0\t", b"SIP/2.0  ",
    b"SIP/2.0;a", b"SIP/2.0 SIP/2.0", b"SIP/2.0x", b"SIP/2.0\0", b"SIP/2.0\r", b"SIP/2,0", b"SIPS/2.0", b"HTTP/1.1",
    b"SIP/2.0\r\n ", b"SIP/2.0\r\n\t", b"SIP%2f2.0", b"S%49P/2.0", b"SIP/7.0", b"SIP/2.\xb2", b"", b"SIP/-2.0",
    b"SIP2.0",
)  # fmt: skip
_LINE_ENDS = (
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r",
    b"\r\n\r",
    b"\r\n\0",
    b"\0\r\n",
    b" \r\n",
    b"\t\r\n",
    b"\x0b\r\n",
    b"\r\n \r\n",
)
_URIS = (
    b"<%b>", b"< %b>", b"<%b >", b"<%b", b"%b>", b'"%b"', b"%b;a=b", b"%b;a=%%20", b"%b?a=b", b"%b ;a", b"%b:5060",
    b"%b:99999", b"%b:", b"%b;", b"%b;;", b"%b#f", b"x %b", b"%b x", b"%b\0", b"%b\x01", b"%b\xff", b"%b\\", b"%b,%b",
)  # fmt: skip
_OTHER_URIS = (
    b"SIP:+12155550199@192.0.2.1", b"sips:+12155550199@192.0.2.1", b"tel:+12155550199", b"TEL:+1-215-555-0199", b"sip:",
    b"urn:service:counseling", b"sip:+12155550199", b"sip:192.0.2.1", b"sip:@192.0.2.1", b"sip:+12155550199@", b"*",
    b"+12155550199", b"sip:+12155550199@[::1]", b"sip:+12155550199@::1", b"sip:+12155550199@192.0.2.1@x", b"http://x/",
    b"sip://+12155550199@192.0.2.1", b"sip :+12155550199@192.0.2.1", b"s%69p:+12155550199@192.0.2.1", b"sipx:+1@h",
    b"sip:+12155550199%00@192.0.2.1", b"sip:+12155550199:pw@192.0.2.1", b"sip:%2b12155550199@192.0.2.1", b"pres:+1@h",
    b"im:+12155550199@h", b"/", b"sip:a b@192.0.2.1", b"sip:" + b"a" * 300 + b"@192.0.2.1",
)  # fmt: skip


def in_front(new: bytes) -> Change:
    return lambda message: new + message


def method(new: bytes) -> Change:
    return lambda message: new + message[6:]


def gap(new: bytes) -> Change:
    """Instead of the space behind the method."""
    return lambda message: message[:6] + new + message[7:]


def second_gap(new: bytes) -> Change:
    return lambda message: message.replace(b" SIP/2.0\r\n", new + b"SIP/2.0\r\n", 1)


def line_end(new: bytes) -> Change:
    return lambda message: message.replace(b"SIP/2.0\r\n", b"SIP/2.0" + new, 1)


def version(new: bytes) -> Change:
    return lambda message: message.replace(b"SIP/2.0", new, 1)


def uri(new: bytes) -> Change:
    return lambda message: message.replace(URI, new, 1)


def before() -> Changes:
    yield from ((repr(new), in_front(new)) for new in (*BYTES, *_FRONT))


def after() -> Changes:
    yield from ((repr(new), gap(new)) for new in (*BYTES, *_GAPS))
    yield from ((f"{new!r} and a space", gap(new + b" ")) for new in INVISIBLE)


def methods() -> Changes:
    yield from ((repr(new), method(new)) for new in _METHODS)


def behind_uri() -> Changes:
    yield from ((repr(new), second_gap(new)) for new in (*BYTES, *_GAPS))


def versions() -> Changes:
    yield from ((repr(new), version(new)) for new in _VERSIONS)
    yield from ((f"ends with {new!r}", line_end(new)) for new in (*_LINE_ENDS, *INVISIBLE))


def uris() -> Changes:
    yield from ((repr(form), uri(form.replace(b"%b", URI).replace(b"%%", b"%"))) for form in _URIS)
    yield from ((repr(new), uri(new)) for new in _OTHER_URIS)
