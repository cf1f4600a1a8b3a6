"""The framing of SIP on a stream (RFC 3261 §7.5, §18.3): bytes in, messages and keep-alives out.

A stream has one reading here, or none. Stacks differ in where they end a line or the header, and in what they take for
a Content-Length. Some read one in a folded line, some stop at a NUL, some end the header at a line of blanks. A peer
who knows this hides a message in what a filter takes for a body. `StreamReader` refuses such a stream and says why. It
does so at the first octet that makes the stream ambiguous, if the header has not ended there.

No sockets and no clock: whoever has the stream calls `StreamReader.feed`. The events do not depend on how the stream is
cut. The time is linear in the octets, however few of them come at once.
"""

import re
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from sbc_filter.errors import MessageError
from sbc_filter.sip import grammar
from sbc_filter.sip.header import KNOWN, canonical
from sbc_filter.sip.lenient.repair_fields import repaired_name

MAX_HEAD = 65_536
"""Octets of the start line and the header, as in the largest datagram."""
MAX_BODY = 65_536
"""Octets of the body."""
MAX_SIZE = MAX_HEAD + MAX_BODY
"""Octets of a message."""

_LENGTH = b"content-length"
_NAMES = (_LENGTH, b"l")
_NUMBER = re.compile(rb"[ \t]*+([0-9]{1,10})[ \t]*+")
_LINE_ENDS = re.compile(rb"(?>(?:\r\n)*)")
_ODD_OCTET = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
# What some stack takes for a Content-Length where no header field begins. Kamailio reads it after the blanks of a
# folded line and at the start of the message, and with an underscore; others end a line at a control character.
_LIKE_LENGTH = re.compile(rb"[\0-\x09\x0b\x0c\x0e-\x20\x7f-\xff]*+(?i:content[-_]length|l)[ \t]*+:")
# eXosip reads the number behind the next colon, whatever stands in between; behind a keep-alive also in a start line.
_LENGTH_AND_MORE = re.compile(rb"(?i:content[-_]length|l)[^A-Za-z0-9.!%*_+`'~:-]")
_BLANK = bytes(range(0x21))  # JAIN SIP ends the header at a line that has nothing else


class FramingFault(StrEnum):
    """Why a stream cannot be framed. The messages after that point have no certain beginning."""

    LINE_ENDS = "line-ends"
    """A CR or LF stands alone, outside a body. Stacks differ in which of them end a line, or the header."""
    NUL = "nul"
    """A NUL outside a body. Some stacks read no further."""
    BLANK_LINE = "blank-line"
    """A line of nothing but blanks. For some stacks it ends the header."""
    HEAD_TOO_LARGE = "head-too-large"
    """The header has not ended after `MAX_HEAD` octets."""
    BODY_TOO_LARGE = "body-too-large"
    """Content-Length is more than `MAX_BODY` octets."""
    MESSAGE_TOO_LARGE = "message-too-large"
    """Header and body are more than the reader takes. To some stacks the next message begins where theirs is full."""
    NO_LENGTH = "no-content-length"
    """There is no Content-Length, which a stream requires (RFC 3261 §18.3, §20.14)."""
    LENGTHS_DIFFER = "content-lengths-differ"
    """Two Content-Length fields have different values."""
    LENGTH_FORM = "content-length-form"
    """A Content-Length is not one number on one line after a plain name: a sign, a fold, a list, too many digits, a tab
    in front of the colon."""
    LENGTH_HIDDEN = "content-length-hidden"
    """Some stack reads a Content-Length where there is no field: in a folded line, in the start line, or after a
    control character."""


class Message(NamedTuple):
    """A whole message: its start line, header and body, as received."""

    data: bytes


class KeepAlive(NamedTuple):
    """A CRLF between messages (RFC 3261 §7.5). `ping`: it is the second of a pair, which asks for a CRLF in return (RFC
    5626 §3.5.1, §4.4.1)."""

    ping: bool


class Unframed(NamedTuple):
    """The stream cannot be framed from here on. It is the last event of a stream.

    `data` is what was read of the message with the fault, up to the fault or to the end of its header. What follows is
    in `StreamReader.rest`.
    """

    fault: FramingFault
    data: bytes


Event: TypeAlias = Message | KeepAlive | Unframed


class _Fault(Exception):
    def __init__(self, fault: FramingFault, size: int) -> None:
        super().__init__(fault)
        self.fault = fault
        self.size = size


class StreamReader:
    """Reads one direction of one connection, from its first octet on."""

    __slots__ = ("_buffer", "_line_ends", "_max_body", "_max_head", "_max_size", "_searched", "_size", "fault")

    def __init__(self, max_head: int = MAX_HEAD, max_body: int = MAX_BODY, max_size: int = MAX_SIZE) -> None:
        self._max_head = min(max_head, max_size)
        self._max_size = max_size
        self._max_body = max_body
        self._buffer = bytearray()  # from the first octet of a message on
        self._searched = 0  # octets of the head that are known to be plain
        self._size = 0  # octets of the message, once its header is complete
        self._line_ends = 0  # since the last message
        self.fault: FramingFault | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that these octets complete. After `Unframed`, octets are ignored."""
        events: list[Event] = []
        if self.fault is not None:
            return events
        self._buffer += data
        try:
            while self._next(events):
                pass
        except _Fault as found:
            self.fault = found.fault
            events.append(Unframed(found.fault, bytes(self._buffer[: found.size])))
            del self._buffer[: found.size]
        return events

    @property
    def pending(self) -> bytes:
        """What was read of a message that is not complete; empty between two messages."""
        return b"" if self.fault is not None else bytes(self._buffer)

    def take(self) -> bytes:
        """What was fed and is in no event, once: the stream is not read any more."""
        taken = bytes(self._buffer)
        self._buffer.clear()
        self._searched = self._size = 0
        return taken

    @property
    def size(self) -> int:
        """The octets in memory."""
        return len(self._buffer)

    def rest(self) -> bytes:
        """What was fed and lies after the data of `Unframed`, once."""
        if self.fault is None:
            return b""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _next(self, events: list[Event]) -> bool:
        """Take one message, with the line ends in front of it; false if more octets are needed."""
        if not self._size:
            if not self._searched:
                self._skip_line_ends(events)
            self._size = self._whole_size()
        if not self._size or len(self._buffer) < self._size:
            return False
        events.append(Message(bytes(self._buffer[: self._size])))
        del self._buffer[: self._size]
        self._searched = self._size = self._line_ends = 0
        return True

    def _skip_line_ends(self, events: list[Event]) -> None:
        found = _LINE_ENDS.match(self._buffer)
        size = found.end() if found is not None else 0
        del found  # a match keeps the buffer from being cut
        for _ in range(size // 2):
            self._line_ends += 1
            events.append(KeepAlive(ping=self._line_ends % 2 == 0))
        del self._buffer[:size]

    def _whole_size(self) -> int:
        """The octets of the message; 0 if its header is not complete."""
        buffer, limit = self._buffer, min(len(self._buffer), self._max_head)
        end = buffer.find(b"\r\n\r\n", max(self._searched - 3, 0), limit)
        stop = end + 4 if end >= 0 else limit
        if end < 0 and buffer[limit - 1 : limit] == b"\r":
            stop -= 1  # its LF may follow
        odd = _odd_octet(buffer, self._searched, stop)
        if odd >= 0:
            fault = FramingFault.LINE_ENDS if buffer[odd] else FramingFault.NUL
            raise _Fault(fault, odd + 1)
        if end >= 0:
            return stop + self._body_size(stop)
        if limit == self._max_head:
            raise _Fault(FramingFault.HEAD_TOO_LARGE, limit)
        self._searched = stop
        return 0

    def _body_size(self, head: int) -> int:
        length = content_length(bytes(self._buffer[: head - 4]))
        if isinstance(length, FramingFault):
            raise _Fault(length, head)
        if length > self._max_body:
            raise _Fault(FramingFault.BODY_TOO_LARGE, head)
        if head + length > self._max_size:
            raise _Fault(FramingFault.MESSAGE_TOO_LARGE, head)
        return length


def _odd_octet(buffer: bytearray, start: int, stop: int) -> int:
    """The offset of the first NUL, or CR or LF alone, from `start` to `stop`; -1 if there is none."""
    pairs = buffer.count(b"\r\n", start, stop)
    if pairs == buffer.count(b"\r", start, stop) == buffer.count(b"\n", start, stop):
        return buffer.find(b"\0", start, stop)
    found = _ODD_OCTET.search(buffer, start, stop)
    return -1 if found is None else found.start()


def content_length(head: bytes) -> int | FramingFault:
    """The octets of the body (RFC 3261 §20.14) of a message with this head, which is without its empty line; or why
    stacks may differ about it."""
    lines = head.split(b"\r\n")
    if not all(line.strip(_BLANK) for line in lines):
        return FramingFault.BLANK_LINE
    if _LIKE_LENGTH.match(lines[0]) or _LENGTH_AND_MORE.match(lines[0]) or _after_control(head):
        return FramingFault.LENGTH_HIDDEN
    length = -1
    after_length = False
    for line in lines[1:]:
        if line.startswith((b" ", b"\t")):
            if after_length:
                return FramingFault.LENGTH_FORM
            if _LIKE_LENGTH.match(line) is not None:
                return FramingFault.LENGTH_HIDDEN
            continue
        name, _, value = line.partition(b":")
        after_length = _is_length(name)
        if after_length:
            number = _NUMBER.fullmatch(value)
            if number is None or name.rstrip(b" ").lower() not in _NAMES:  # eXosip sees no length where a tab follows
                return FramingFault.LENGTH_FORM
            if length not in (-1, int(number[1])):
                return FramingFault.LENGTHS_DIFFER
            length = int(number[1])
        elif _LENGTH_AND_MORE.match(line) is not None:
            return FramingFault.LENGTH_FORM
    return FramingFault.NO_LENGTH if length < 0 else length


def _is_length(name: bytes) -> bool:
    """Whether some stack takes a field with this name for a Content-Length."""
    known = KNOWN.get(name)
    if known is not None:
        return known == _LENGTH
    try:
        return canonical(repaired_name(name)) == _LENGTH
    except MessageError:  # an escape of an escape
        return True


def _after_control(head: bytes) -> bool:
    """Whether a Content-Length seems to follow a control character, which ends a line for some stacks."""
    if len(head.translate(None, grammar.CONTROLS)) + head.count(b"\r\n") == len(head):
        return False
    return any(_LIKE_LENGTH.match(part) for part in grammar.UNCLEAN.split(head)[1:])
