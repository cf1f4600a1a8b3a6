"""A SIP message: one immutable buffer, spans for the headers, a list of edits.

No edit: `to_bytes()` is the same object. An edit: every byte outside it stays identical.
Reading is tolerant (bare LF, folding, any case, white space before the colon: S-148), since
what we refuse to read the SBC might still obey; writing adds CRLF lines and nothing else.
"""

from collections.abc import KeysView, Sequence
from itertools import accumulate
from typing import TypeAlias

from sbc_filter.errors import Detail, MessageError
from sbc_filter.sip import grammar
from sbc_filter.sip.address import Address, parse_addresses
from sbc_filter.sip.names import KNOWN, canonical

_MANDATORY = frozenset((b"via", b"from", b"to", b"call-id", b"cseq"))  # RFC 3261 §8.1.1
_AT_MOST_ONCE = (b"from", b"to", b"call-id", b"cseq", b"content-length", b"max-forwards")
_ROUTING = frozenset((b"via", b"route", b"record-route"))

# Where one header field stands: (start, value, end); `buffer[start:end]` are its lines,
# `buffer[value:end]` its value. A plain tuple: one is made for every line of every INVITE.
Header: TypeAlias = tuple[int, int, int]


class SipMessage:
    """A parsed message. `parse` raises `MessageError`; nothing else does on account of the bytes.

    The passes over the header lines are left to C (`split`, `map`, `zip`): a Python loop over
    the lines of an INVITE would cost more than all that is done with them afterwards.
    """

    __slots__ = ("_addresses", "_edits", "_first", "_keys", "_lengths", "_starts", "body", "buffer", "method", "uri")

    def __init__(self, buffer: bytes, start: int, lines: list[bytes], body: int, method: str, uri: bytes) -> None:
        self.buffer = buffer
        self.method = method  # in upper case: "invite" is no INVITE (RFC 3261 §7.1), but some SBCs take it for one
        self.uri = uri
        self.body = body
        names = [line.partition(b":")[0] for line in lines]
        keys: list[bytes] = list(map(KNOWN.get, names))  # type: ignore[arg-type]
        if None in keys:
            lines = _unfold(lines)
            names = [line.partition(b":")[0] for line in lines]
            keys = list(map(canonical, names))
        self._keys = keys
        self._lengths = list(map(len, names))
        self._starts = list(accumulate(map(len, lines), initial=start))  # line ends not counted: see _header
        self._first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        self._addresses: dict[bytes, list[Address]] = {}
        self._edits: list[tuple[int, int, bytes]] = []

    @classmethod
    def parse(cls, buffer: bytes) -> "SipMessage":
        """Parse a request. The body is opaque; its bytes are never looked at."""
        leading = len(buffer) - len(buffer.lstrip(b" \t\r\n"))  # line ends before it are legal (RFC 3261 §7.5)
        request = grammar.REQUEST_LINE.match(buffer, leading)
        if request is None:
            raise MessageError(Detail.START_LINE)
        start = request.end()
        lines, body = _header_lines(buffer, start)
        message = cls(buffer, start, lines, body, request[1].decode("ascii").upper(), request[2])
        if b"" in message._first:
            raise MessageError(Detail.HEADER_SYNTAX)
        return message

    @property
    def headers_end(self) -> int:
        """Where the empty line begins."""
        return self._starts[-1] + len(self._keys)

    def check(self) -> None:
        """Raise `MessageError` unless what every request must carry is there, once and well-formed."""
        if not _MANDATORY <= self._first.keys():
            raise MessageError(Detail.HEADER_MISSING)
        if len(self._first) < len(self._keys):
            for name in _AT_MOST_ONCE:
                if self._keys.count(name) > 1:
                    raise MessageError(Detail.HEADER_REPEATED, name.decode())
        cseq = grammar.CSEQ.fullmatch(self.first(b"cseq") or b"")
        if cseq is None or cseq[2].decode("ascii").upper() != self.method or int(cseq[1]) > 0xFFFFFFFF:
            raise MessageError(Detail.CSEQ)
        length = self.first(b"content-length")
        if length is not None and not (length.isdigit() and int(length[:11]) <= len(self.buffer) - self.body):
            raise MessageError(Detail.CONTENT_LENGTH)

    @property
    def in_dialog(self) -> bool:
        """Whether To carries a tag: the request belongs to a dialog (S-147). `MessageError` for a broken To."""
        to = self.addresses(b"to")
        if len(to) != 1:
            raise MessageError(Detail.ADDRESS_SYNTAX, "to")
        return to[0].has_tag()

    def addresses(self, name: bytes) -> Sequence[Address]:
        """All addresses in the header fields of this name, in order; `MessageError` when one is broken."""
        found = self._addresses.get(name)
        if found is None:
            found = [
                address
                for _, value, end in self.headers(name)
                for address in parse_addresses(self.buffer, value, end)
            ]
            self._addresses[name] = found
        return found

    def headers(self, name: bytes) -> Sequence[Header]:
        """All header fields of this canonical name, in order."""
        first = self._first.get(name)
        if first is None:
            return ()
        keys = self._keys
        if len(keys) == len(self._first):
            return (self._header(first),)
        return [self._header(at) for at in range(first, len(keys)) if keys[at] == name]

    def require(self, name: bytes) -> Sequence[Header]:
        """Like `headers`, but none is a `MessageError`."""
        found = self.headers(name)
        if not found:
            raise MessageError(Detail.HEADER_MISSING, name.decode())
        return found

    def names(self) -> KeysView[bytes]:
        """The canonical names that occur."""
        return self._first.keys()

    def value(self, header: Header) -> bytes:
        """The value of one header field: unfolded to one space (RFC 3261 §7.3.1), white space around it cut."""
        _, value, end = header
        text = self.buffer[value:end].strip()
        return grammar.FOLD.sub(b" ", text) if b"\n" in text else text

    def first(self, name: bytes) -> bytes | None:
        """The value of the first header field of this name, or None."""
        at = self._first.get(name)
        return None if at is None else self.value(self._header(at))

    def _header(self, at: int) -> Header:
        start = self._starts[at] + at
        return start, start + self._lengths[at] + 1, self._starts[at + 1] + at + 1

    def replace(self, start: int, end: int, data: bytes) -> None:
        """Edit: `data` in place of `buffer[start:end]`; `start == end` inserts."""
        self._edits.append((start, end, data))

    def remove(self, header: Header) -> None:
        """Edit: take out one header field with all its lines."""
        self._edits.append((header[0], header[2], b""))

    def add_header(self, line: bytes) -> None:
        """Edit: add one header line (with its CRLF) behind the last Via, Route or Record-Route (S-156)."""
        last = max((at for at, key in enumerate(self._keys) if key in _ROUTING), default=-1)
        position = self._starts[last + 1] + last + 1
        self._edits.append((position, position, line))

    @property
    def edited(self) -> bool:
        """Whether there is any edit."""
        return bool(self._edits)

    def to_bytes(self) -> bytes:
        """The message with all edits applied, in buffer order, insertions at one place in the order made.

        An edit inside a removed header is moot: the removal stands.
        """
        if not self._edits:
            return self.buffer
        parts: list[bytes] = []
        position = 0
        for start, end, data in sorted(self._edits, key=_by_place):
            if start < position:
                continue
            parts += (self.buffer[position:start], data)
            position = end
        parts.append(self.buffer[position:])
        return b"".join(parts)


def _by_place(edit: tuple[int, int, bytes]) -> tuple[int, int, int]:
    start, end, _ = edit
    return start, end > start, -end  # at one start: insertions first, then the longest removal


def _header_lines(buffer: bytes, start: int) -> tuple[list[bytes], int]:
    """The lines up to the first empty one, without their LF, and where the body begins."""
    lines = buffer[start:].split(b"\n")
    count = len(lines) - 1
    if b"\r" in lines:
        count = lines.index(b"\r")
    if b"" in lines:
        count = min(count, lines.index(b""))
    elif count == len(lines) - 1:
        raise MessageError(Detail.NO_BLANK_LINE)
    head = lines[:count]
    end = start + sum(map(len, head)) + count
    return head, min(end + len(lines[count]) + 1, len(buffer))


def _unfold(lines: list[bytes]) -> list[bytes]:
    """Lines of a folded field put together again (RFC 3261 §7.3.1), so that each is one field."""
    fields: list[bytes] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            fields.append(line)
        elif fields:
            fields[-1] += b"\n" + line
        else:
            raise MessageError(Detail.HEADER_SYNTAX, "the first header line is a continuation")
    return fields
