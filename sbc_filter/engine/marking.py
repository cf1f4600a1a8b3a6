"""The trust boundary: what untrusted peers claim is removed, what we found is written (S-110 to S-115)."""

import re

from sbc_filter.engine.parties import Party
from sbc_filter.sip.message import SipMessage

# Where a peer could plant a verstat that the SBC would believe, and the headers that assert attestation.
_MARKED = (
    b"p-asserted-identity",
    b"p-preferred-identity",
    b"from",
    b"contact",
    b"history-info",
    b"diversion",
    b"remote-party-id",
)
_ASSERTIONS = frozenset((b"p-attestation-indicator", b"p-origination-id", b"attestation-info", b"origination-id"))
# The parameter with whatever value, spelt with escapes or not: %76 is v (RFC 3261 §19.1.4).
_NAME = "".join(f"(?:{letter}|%{ord(letter):02x}|%{ord(letter.upper()):02x})" for letter in "verstat").encode()
_LWS = rb"(?:[ \t]|\r?\n[ \t])*+"
_ASSERTION_LINES = re.compile(rb"(?im)^(?:" + b"|".join(sorted(_ASSERTIONS)) + rb")[ \t]*:.*\n(?:[ \t].*\n)*")
_VERSTAT = re.compile(
    rb";"
    + _LWS
    + _NAME
    + rb"(?:"
    + _LWS
    + rb"="
    + _LWS
    + rb'(?:"[^"\\]*(?:\\.[^"\\]*)*"|[^;@>,\s"?:]*+)|(?![A-Za-z0-9_.!%*+`\'~-]))',
    re.IGNORECASE,
)


def scrub(message: SipMessage) -> None:
    """Edit: remove every verstat parameter and attestation header of a peer that is not trusted (S-114)."""
    for name in _ASSERTIONS:
        for header in message.headers(name):
            message.remove(header)
    buffer = message.buffer
    if b"%" not in buffer and b"verstat" not in buffer.lower():
        return
    start = buffer.index(message.uri)
    _cut(message, start, start + len(message.uri))
    for name in _MARKED:
        for _, value, end in message.headers(name):
            _cut(message, value, end)


def scrub_unreadable(buffer: bytes) -> bytes:
    """The same for a message that cannot be parsed: what refuses it here may be read by a more lenient SBC."""
    head, blank, body = buffer.partition(b"\r\n\r\n" if b"\r\n\r\n" in buffer else b"\n\n")
    return _ASSERTION_LINES.sub(b"", _VERSTAT.sub(b"", head + blank[:2])) + blank[2:] + body


def mark(message: SipMessage, party: Party, caller_from: Party | None, verstat: str) -> None:
    """Edit: write the result into the P-Asserted-Identity that named the caller (S-111, S-112).

    Without such a PAI a new one is made of From. From itself is never touched: it comes back in
    every response and later request, where the mark would leak (S-113).
    """
    buffer = message.buffer
    if party.source == "pai":
        if b"%" in buffer[party.start : party.end] or b"verstat" in buffer[party.start : party.end].lower():
            _cut(message, party.start, party.end)
        position = _position(buffer, party.start, party.end)
        message.replace(position, position, b";verstat=" + verstat.encode())
    elif caller_from is not None:
        uri = marked_uri(buffer[caller_from.start : caller_from.end], verstat)
        message.add_header(b"P-Asserted-Identity: <%s>\r\n" % uri)


def marked_uri(uri: bytes, verstat: str) -> bytes:
    """A URI that carries this result and no other."""
    uri = _VERSTAT.sub(b"", uri)
    at = _position(uri, 0, len(uri))
    return b"%s;verstat=%s%s" % (uri[:at], verstat.encode(), uri[at:])


def _cut(message: SipMessage, start: int, end: int) -> None:
    for found in _VERSTAT.finditer(message.buffer, start, end):
        message.replace(*found.span(), b"")


def _position(buffer: bytes, start: int, end: int) -> int:
    """Where a parameter of the telephone number goes: inside the user part of a SIP URI, else at the end."""
    at = buffer.find(b"@", start, end)
    if at < 0:
        return end
    colon = buffer.find(b":", start, at)
    password = buffer.find(b":", colon + 1, at)
    return password if password >= 0 else at
