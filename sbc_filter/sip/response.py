"""Responses of a stateless UAS (RFC 3261 §8.2.6, §8.2.7, §18.2; RFC 3581): S-140 to S-145."""

import hmac
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail
from sbc_filter.sip import field, grammar
from sbc_filter.sip.address import parse_address
from sbc_filter.sip.field import HeaderField, StatusLine
from sbc_filter.sip.message import SipMessage, apply_edits

_DEFAULT_PORT = 5060
# Names of header fields, full and compact (RFC 3261 §20).
_VIA, _FROM, _TO, _CALL_ID, _CSEQ = (b"Via", b"v"), (b"From", b"f"), (b"To", b"t"), (b"Call-ID", b"i"), (b"CSeq",) * 2
_NO_BODY = b"Content-Length: 0\r\n"
_MAX_PARAMETERS = 64  # of one Via; devices write up to five, and each further one costs time
# Name in lower case, value, and the start and end of both in the buffer.
ViaParameter: TypeAlias = tuple[bytes, bytes | None, int, int]


class Via(NamedTuple):
    """The first value of the top Via; `end` is its end in the buffer, parameters included."""

    transport: str
    host: str
    port: int
    branch: bytes
    parameters: tuple[ViaParameter, ...]
    end: int


def top_via(message: SipMessage) -> Via:
    """The Via of the previous hop; `MessageError` when it cannot be parsed."""
    _, value, end = message.require(b"via")[0]
    # Exclude the line end: a parameter with "=" but no value would match across it.
    end = value + len(message.buffer[value:end].rstrip())
    match = grammar.VIA.match(message.buffer, value, end)
    if match is None:
        raise MessageError(Detail.HEADER_SYNTAX, "via")
    parameters = tuple(_parameters(message.buffer, *match.span(4)))
    branch = next((text or b"" for name, text, _, _ in parameters if name == b"branch"), b"")
    port = int(match[3]) if match[3] else _DEFAULT_PORT
    if not 0 < port < 65536:
        raise MessageError(Detail.HEADER_SYNTAX, "via")
    stop = parameters[-1][3] if parameters else match.start(4)
    return Via(match[1].decode().upper(), match[2].decode(), port, branch, parameters, stop)


def _parameters(buffer: bytes, start: int, end: int) -> Iterator[ViaParameter]:
    for _ in range(_MAX_PARAMETERS):
        found = grammar.PARAMETER.match(buffer, start, end)
        if found is None:
            return
        yield found[1].lower(), found[2], *found.span()
        start = found.end()
    raise MessageError(Detail.HEADER_SYNTAX, "via")


TAG_LENGTH = 24
"""Characters of the To tags that this program generates."""


def to_tag(secret: bytes, message: SipMessage, via: Via) -> str:
    """The To tag for a call: an HMAC over what an INVITE, its retransmissions, its ACK and its CANCEL share (S-140).

    A retransmission therefore gets the same response, and an ACK for this program is recognised, without a table.
    """
    return hmac.digest(secret, b"\0".join(transaction(message, via)), "sha256")[: TAG_LENGTH // 2].hex()


def transaction(message: SipMessage, via: Via) -> tuple[bytes, bytes, bytes, bytes]:
    """(Call-ID, From tag, CSeq number, top branch): shared by INVITE, ACK and CANCEL (RFC 3261 §17.2.3)."""
    _, value, end = message.require(b"from")[0]
    number = (message.first(b"cseq") or b"").split(maxsplit=1)[:1]
    try:
        tag = parse_address(message.buffer, value, end).parameter(b"tag") or b""
    except MessageError:  # of an INVITE that cannot be read
        tag = b""
    return message.first(b"call-id") or b"", tag, b"".join(number), via.branch


def build_response(
    message: SipMessage,
    via: Via,
    status: StatusLine,
    tag: str | None,
    source: tuple[str, int],
    headers: Sequence[HeaderField] = (),
    room: int | None = None,
) -> tuple[bytes, int] | None:
    """(response, destination port) for a request that came from `source` (address, port); None if it does not fit.

    All Via, From, To (+ `tag`), Call-ID and CSeq are copied as received (S-141); `received` and `rport` are filled in
    (S-142). The response always goes to the source address: with maddr anyone could direct responses to a third party
    (S-143).

    If the response would exceed `room` bytes, compact names are used and Content-Length, which is optional over UDP
    (S-149), is left out; then `headers` are left out too; then there is no response.
    """
    address, source_port = source
    _, value, end = message.require(b"via")[0]
    top = _received(message.buffer[value:end], value, via, address, source_port)
    copied = [
        (_VIA, top),
        *((_VIA, message.value(header)) for header in message.headers(b"via")[1:]),
        (_FROM, message.value(message.require(b"from")[0])),
        (_TO, _tagged(message, tag)),
        (_CALL_ID, message.first(b"call-id") or b""),
        (_CSEQ, message.first(b"cseq") or b""),
    ]
    more = b"".join(header.line for header in headers)
    for compact, rest in ((False, more + _NO_BODY), (True, more), (True, b"")):
        lines = b"".join(b"%s: %s\r\n" % (names[compact], text) for names, text in copied)
        response = b"%s%s%s\r\n" % (status.line, lines, rest)
        if room is None or len(response) <= room:
            rport = any(name == b"rport" for name, *_ in via.parameters)
            return response, source_port if rport else via.port
    return None


def _received(text: bytes, offset: int, via: Via, address: str, port: int) -> bytes:
    """The top Via value with `rport` filled in, and `received` added where RFC 3261 §18.2.1 or RFC 3581 §4 requires
    it."""
    rport = next((parameter for parameter in via.parameters if parameter[0] == b"rport"), None)
    spoofed = [parameter for parameter in via.parameters if parameter[0] == b"received"]
    edits = [(via.end, via.end, b";received=" + address.encode())] if rport or via.host.strip("[]") != address else []
    if rport:
        edits.append((rport[2], rport[3], b";rport=%d" % port))
    edits += ((start, end, b"") for _, _, start, end in spoofed if edits)
    within = [(start - offset, end - offset, data) for start, end, data in edits]
    return grammar.FOLD.sub(b" ", apply_edits(text, within).strip())


def _tagged(message: SipMessage, tag: str | None) -> bytes:
    _, value, end = message.require(b"to")[0]
    text = message.value((value, value, end))
    if tag is None:
        return text
    try:
        tagged = parse_address(message.buffer, value, end).has_tag()
    except MessageError:  # of an INVITE that cannot be read
        tagged = b";tag=" in text.lower()
    return text if tagged else text + field.tag(tag).text
