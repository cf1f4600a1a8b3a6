"""The trust boundary: what an untrusted peer may not claim is removed from its messages (S-114, S-115)."""

import re
from functools import lru_cache

from sbc_filter.sip.grammar import BLANK_LINE, LEAD, TO_BLANKS, TOKEN, cleaned
from sbc_filter.sip.marks import HEADERS, Marks
from sbc_filter.sip.message import SipMessage

# Header fields with the address of a party, in which an SBC could look for a mark. Route and Record-Route name proxies,
# and what stands there is the business of the proxy that wrote it.
ADDRESSES = frozenset((
    b"from", b"to", b"contact", b"reply-to", b"p-asserted-identity", b"p-preferred-identity", b"remote-party-id",
    b"diversion", b"history-info", b"referred-by", b"refer-to", b"p-served-user", b"p-charge-info",
    b"p-called-party-id", b"p-associated-uri",
))  # fmt: skip
_ASSERTIONS = Marks(HEADERS)
# What other parsers may skip before and after a name (see `grammar.INVISIBLE`); behind it, some also skip line ends.
_LINE = re.compile(rb"(?m)^[^!-~\r\n]*+(" + TOKEN + rb")[^!-~]*+:")
_LONG = 16_384  # octets; longer INVITEs that cannot be read are not from real devices, and must not cost more
_REST_OF_LINE = re.compile(rb".*(?:\n[ \t].*)*(?:\n|\Z)")


def scrub(message: SipMessage, marks: Marks) -> None:
    """Edit: remove every mark from the header fields, the addresses and the Request-URI of an untrusted peer's
    message."""
    buffer = message.buffer
    if not marks.may_be_in(buffer):
        return
    _remove(message, marks)
    start = buffer.index(message.uri)
    _cut(message, marks, start, start + len(message.uri))
    for name in message.names():
        if name in ADDRESSES:
            for _, value, end in message.headers(name):
                _cut(message, marks, value, end)


def remove_assertions(message: SipMessage) -> None:
    """Edit: remove every header field that asserts an attestation or a result: they are valid only within one
    operator's networks (S-115, A11)."""
    for name in _assertions(tuple(message.keys)):
        for header in message.headers(name):
            message.remove(header)


@lru_cache(maxsize=256)
def _assertions(names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Those of these names that assert something, each once. The messages of a peer have the same names, hence the
    cache."""
    return tuple(name for name in dict.fromkeys(names) if _ASSERTIONS.has(name))


def scrub_unreadable(buffer: bytes, marks: Marks) -> bytes:
    """The same as `scrub` for a message that cannot be parsed here, but that a more lenient SBC may accept. Control
    characters of the header become spaces. Marks are removed from the body as well, since stacks differ in which empty
    line ends the header of such a message. In a long message their names are only made unrecognisable."""
    if len(buffer) > _LONG:
        return marks.blunted(buffer.translate(TO_BLANKS))
    end = _head_end(buffer)
    text = cleaned(buffer[:end]) + buffer[end:]
    return marks.removed(_without_lines(text, marks)) if marks.may_be_in(text) else text


def _without_lines(text: bytes, marks: Marks) -> bytes:
    """The text without the fields of these names, folded lines included."""
    parts, position = [], 0
    for line in _LINE.finditer(text):
        if line.start() < position or not marks.has(line[1]):
            continue
        parts.append(text[position : line.start()])
        rest = _REST_OF_LINE.match(text, line.end())
        position = rest.end() if rest is not None else len(text)
    return b"".join((*parts, text[position:]))


def _remove(message: SipMessage, marks: Marks) -> None:
    for name in message.names():
        if marks.has(name):
            for header in message.headers(name):
                message.remove(header)


def _cut(message: SipMessage, marks: Marks, start: int, end: int) -> None:
    for cut_start, cut_end, instead in marks.find(message.buffer, start, end):
        message.replace(cut_start, cut_end, instead)


def _head_end(buffer: bytes) -> int:
    lead = LEAD.match(buffer)
    blank = BLANK_LINE.search(buffer, lead.end() if lead else 0)
    return blank.end() if blank else len(buffer)
