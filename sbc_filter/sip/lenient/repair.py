"""Repair of sloppy requests: a message that SIP stacks read differently becomes one that they all read alike.

Stacks differ in what they skip, where they end a line, a name or the header, and how they find a tag. A peer who knows
this writes a message in which a filter sees something else than what stands behind it. The repaired message, in the
form of `sip.lenient.plain_form`, is the one that is judged and the one that goes on. Everything else keeps its bytes.

What cannot be repaired is unreadable: `MessageError`. All of this takes linear time.
"""

import re
from urllib.parse import unquote_to_bytes

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail, Repair
from sbc_filter.sip import grammar
from sbc_filter.sip.header import canonical, check_lines, check_size
from sbc_filter.sip.lenient.plain_form import is_plain
from sbc_filter.sip.lenient.repair_fields import (
    quoted_name,
    repaired_address,
    repaired_cseq,
    repaired_length,
    repaired_name,
)
from sbc_filter.sip.lenient.request_start import plain_request_line
from sbc_filter.sip.message import AT_MOST_ONCE, SipMessage

MAX_SIZE = 65_000  # octets of a message that grew; more might not fit into a datagram
_IGNORED = frozenset((b"max-forwards",))  # what a second field of this name says does not matter


class _Field:
    """A header field: its canonical name, and both parts as they will be written."""

    __slots__ = ("key", "name", "value")

    def __init__(self, key: bytes, name: bytes, value: bytes) -> None:
        self.key = key
        self.name = name
        self.value = value


def one_reading(
    buffer: bytes, starts: "re.Pattern[bytes]" = grammar.OURS, room: int = MAX_SIZE
) -> tuple[SipMessage, tuple[Repair, ...]]:
    """The checked message that every SIP stack reads in these bytes once they are repaired, and what was repaired.

    `starts` matches the start of the requests that are repaired (see `grammar.request_start`). A plain message is
    parsed and nothing else. `MessageError` if no repair leaves exactly one reading, or if the message
    grows to more than `room` octets.
    """
    try:  # the fault is not kept in a variable: with its traceback it would be a reference cycle
        message = _checked(buffer)
    except MessageError:
        repaired, changed = repair(buffer, starts, room)
        if not changed:
            raise
    else:
        if is_plain(message):
            return message, ()
        repaired, changed = repair(buffer, starts, room)
        if not changed:
            raise MessageError(Detail.HEADER_SYNTAX)
    message = _checked(repaired)
    if not is_plain(message):
        raise MessageError(Detail.HEADER_SYNTAX)
    message.original = buffer
    return message, changed


def _checked(buffer: bytes) -> SipMessage:
    message = SipMessage.parse(buffer)
    message.check()
    return message


def repair(
    buffer: bytes, starts: "re.Pattern[bytes]" = grammar.OURS, room: int = MAX_SIZE
) -> tuple[bytes, tuple[Repair, ...]]:
    """The repaired bytes of a request, and what was repaired: nothing if there was nothing to do.

    `MessageError` for what cannot be repaired. The result is not checked: see `one_reading`.
    """
    start = starts.match(buffer)
    if start is None:
        raise MessageError(Detail.START_LINE)
    changed: dict[Repair, None] = {}  # in order
    if start.start(1):
        changed[Repair.LEADING_BYTES] = None
    head, body = _divided(buffer, start.start(1), changed)
    first, *lines = _unfolded(head, changed)
    method = unquote_to_bytes(start[1]).upper()
    request = plain_request_line(first, len(start[1]), method)
    if request != first:
        changed[Repair.REQUEST_LINE] = None
    fields = _fields(lines, method, changed)
    body = _cut(fields, body, changed)
    if not changed:
        return buffer, ()
    out = b"\r\n".join((request, *(b"%b:%b" % (each.name, each.value) for each in fields), b"", body))
    if len(out) > max(len(buffer), min(room, MAX_SIZE)):
        raise MessageError(Detail.HEADER_SYNTAX, "too large to be repaired")
    return out, tuple(changed)


def _divided(buffer: bytes, start: int, changed: dict[Repair, None]) -> tuple[list[bytes], bytes]:
    """The lines of the header without their ends, and the body."""
    blank = grammar.BLANK_LINE.search(buffer, start)
    if blank is not None:
        end, body = blank.start() + 1, buffer[blank.end() :]
    elif buffer.endswith(b"\n"):
        end, body = len(buffer), b""
    else:
        raise MessageError(Detail.NO_BLANK_LINE)
    head = buffer[start:end]
    check_lines(head, 0)
    check_size(head.split(b"\n")[:-1], len(head))
    clean = grammar.cleaned(head)
    if clean != head:
        changed[Repair.CONTROL_BYTES] = None
    if blank is None or blank[0] == b"\n\n" or clean.count(b"\r\n") != clean.count(b"\n"):
        changed[Repair.LINE_ENDS] = None
    return [line.removesuffix(b"\r") for line in clean.split(b"\n")[:-1]], body


def _unfolded(lines: list[bytes], changed: dict[Repair, None]) -> list[bytes]:
    """The request line and the header fields, each on one line (RFC 3261 §7.3.1)."""
    whole: list[list[bytes]] = []
    for line in lines:
        if whole and line.startswith((b" ", b"\t")):
            changed[Repair.FOLDED_LINES] = None
            whole[-1].append(line.strip(b" \t"))
        else:
            whole.append([line])
    return [
        parts[0] if len(parts) == 1 else b" ".join((parts[0].rstrip(b" \t"), *filter(None, parts[1:])))
        for parts in whole
    ]


def _fields(lines: list[bytes], method: bytes, changed: dict[Repair, None]) -> list[_Field]:
    """The header fields, repaired, and without those that repeat another."""
    fields: list[_Field] = []
    seen: dict[bytes, list[bytes]] = {}
    for line in lines:
        written, colon, value = line.partition(b":")
        name = repaired_name(written)
        key = canonical(name)
        if not (colon and key):
            raise MessageError(Detail.HEADER_SYNTAX)
        if name != written:
            changed[Repair.HEADER_NAMES] = None
        if key in AT_MOST_ONCE:
            words = value.split()
            if key in seen:
                if seen[key] != words and key not in _IGNORED:
                    raise MessageError(Detail.HEADER_REPEATED, key.decode())
                changed[Repair.REPEATED_FIELDS] = None
                continue
            seen[key] = words
        if key in (b"from", b"to"):
            value = _noted(value, quoted_name(value), Repair.DISPLAY_NAMES, changed)
            value = _noted(value, repaired_address(key, value), Repair.TAGS, changed)
        elif key == b"cseq":
            value = _noted(value, repaired_cseq(value, method), Repair.REQUEST_LINE, changed)
        fields.append(_Field(key, name, value))
    return fields


def _cut(fields: list[_Field], body: bytes, changed: dict[Repair, None]) -> bytes:
    """The body as long as Content-Length says (RFC 3261 §18.3), which is corrected if only line ends are missing."""
    for each in fields:
        if each.key == b"content-length":
            value, size = repaired_length(each.value, body)
            each.value = _noted(each.value, value, Repair.CONTENT_LENGTH, changed)
            if size < len(body):
                changed[Repair.TRAILING_BYTES] = None
            return body[:size]
    return body


def _noted(old: bytes, new: bytes, what: Repair, changed: dict[Repair, None]) -> bytes:
    if new != old:
        changed[what] = None
    return new
