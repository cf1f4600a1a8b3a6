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
_VERSTAT = re.compile(rb";[ \t\r\n]*+verstat[ \t\r\n]*+(?:=[^;@>,\s\"?:]*)?(?![A-Za-z0-9_-])", re.IGNORECASE)


def scrub(message: SipMessage) -> None:
    """Edit: remove every verstat parameter and attestation header of a peer that is not trusted (S-114)."""
    for name in _ASSERTIONS.intersection(message.names()):
        for header in message.headers(name):
            message.remove(header)
    if b"verstat" not in message.buffer[: message.headers_end].lower():
        return
    start = message.buffer.index(message.uri)
    _cut(message, start, start + len(message.uri))
    for name in _MARKED:
        for _, value, end in message.headers(name):
            _cut(message, value, end)


def mark(message: SipMessage, party: Party, caller_from: Party | None, verstat: str) -> None:
    """Edit: write the result into the P-Asserted-Identity that named the caller (S-111, S-112).

    Without such a PAI a new one is made of From. From itself is never touched: it comes back in
    every response and later request, where the mark would leak (S-113).
    """
    address = party.address
    if party.source == "pai" and address is not None:
        if b"verstat" in address.uri.lower():
            _cut(message, address.start, address.end)
        position = _position(message.buffer, address.start, address.end)
        message.replace(position, position, b";verstat=" + verstat.encode())
    elif caller_from is not None and caller_from.address is not None:
        uri = marked_uri(caller_from.address.uri, verstat)
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
