"""A SIP message: one immutable buffer, spans for the headers, a list of edits.

No edit: `to_bytes()` is the same object. An edit: every byte outside it stays identical.
Reading is tolerant (bare LF, folding, any case, white space before the colon: S-148), since
what we refuse to read the SBC might still obey; writing adds CRLF lines and nothing else.
"""

from collections.abc import KeysView, Sequence
from typing import TypeAlias

from sbc_filter.errors import Detail, MessageError
from sbc_filter.sip import grammar
from sbc_filter.sip.address import Address, parse_addresses
from sbc_filter.sip.names import KNOWN, canonical

_ONCE = (b"from", b"to", b"call-id", b"cseq")  # exactly one of each (RFC 3261 §8.1.1)
_AT_MOST_ONCE = (b"content-length", b"max-forwards")


# Where one header field stands: (start, value, end); `buffer[start:end]` are its lines,
# `buffer[value:end]` its value. A plain tuple: one is made for every line of every INVITE.
Header: TypeAlias = tuple[int, int, int]


class SipMessage:
    """A parsed message. `parse` raises `MessageError`; nothing else does on account of the bytes."""

    __slots__ = ("_addresses", "_edits", "_index", "body", "buffer", "headers_end", "method", "uri")

    def __init__(
        self, buffer: bytes, method: str, uri: bytes, index: dict[bytes, list[Header]], headers_end: int, body: int
    ) -> None:
        self.buffer = buffer
        self.method = method  # as written: methods are case-sensitive (RFC 3261 §7.1)
        self.uri = uri
        self.headers_end = headers_end  # where the empty line begins
        self.body = body
        self._index = index
        self._addresses: dict[bytes, list[Address]] = {}
        self._edits: list[tuple[int, int, bytes]] = []

    @classmethod
    def parse(cls, buffer: bytes) -> "SipMessage":
        """Parse a request. The body is opaque; its bytes are never looked at."""
        leading = len(buffer) - len(buffer.lstrip(b"\r\n"))  # line ends before it are legal (RFC 3261 §7.5)
        line = grammar.REQUEST_LINE.match(buffer, leading)
        if line is None:
            raise MessageError(Detail.START_LINE)
        start = line.end()
        headers_end, body = _blank_line(buffer, start)
        index = _index(buffer, start, headers_end)
        return cls(buffer, line[1].decode("ascii"), line[2], index, headers_end, body)

    def check(self) -> None:
        """Raise `MessageError` unless what every request must carry is there, once and well-formed."""
        index = self._index
        for name in _ONCE:
            if len(self.require(name)) > 1:
                raise MessageError(Detail.HEADER_REPEATED, name.decode())
        for name in _AT_MOST_ONCE:
            if len(index.get(name, ())) > 1:
                raise MessageError(Detail.HEADER_REPEATED, name.decode())
        self.require(b"via")
        cseq = grammar.CSEQ.fullmatch(self.value(index[b"cseq"][0]))
        if cseq is None or cseq[2].decode("ascii") != self.method or int(cseq[1]) > 0xFFFFFFFF:
            raise MessageError(Detail.CSEQ)
        length = index.get(b"content-length")
        if length:
            value = grammar.CONTENT_LENGTH.fullmatch(self.value(length[0]))
            if value is None or int(value[1]) > len(self.buffer) - self.body:
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
                for _, value, end in self._index.get(name, ())
                for address in parse_addresses(self.buffer, value, end)
            ]
            self._addresses[name] = found
        return found

    def headers(self, name: bytes) -> Sequence[Header]:
        """All header fields of this canonical name, in order."""
        return self._index.get(name, ())

    def require(self, name: bytes) -> Sequence[Header]:
        """Like `headers`, but none is a `MessageError`."""
        found = self._index.get(name)
        if not found:
            raise MessageError(Detail.HEADER_MISSING, name.decode())
        return found

    def names(self) -> KeysView[bytes]:
        """The canonical names that occur."""
        return self._index.keys()

    def value(self, header: Header) -> bytes:
        """The value of one header field: unfolded to one space (RFC 3261 §7.3.1), white space around it cut."""
        _, value, end = header
        text = self.buffer[value:end].strip()
        return grammar.FOLD.sub(b" ", text) if b"\n" in text else text

    def first(self, name: bytes) -> bytes | None:
        """The value of the first header field of this name, or None."""
        found = self._index.get(name)
        return self.value(found[0]) if found else None

    def replace(self, start: int, end: int, data: bytes) -> None:
        """Edit: `data` in place of `buffer[start:end]`; `start == end` inserts."""
        self._edits.append((start, end, data))

    def remove(self, header: Header) -> None:
        """Edit: take out one header field with all its lines."""
        self._edits.append((header[0], header[2], b""))

    def add_header(self, line: bytes) -> None:
        """Edit: add one header line (with its CRLF) behind the last Via, Route or Record-Route (S-156)."""
        position = max(
            (self._index[name][-1][2] for name in (b"via", b"route", b"record-route") if name in self._index),
            default=self.headers_end,
        )
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


def _blank_line(buffer: bytes, start: int) -> tuple[int, int]:
    """(where the first empty line begins, where the body begins); the line may end with a bare LF."""
    crlf = buffer.find(b"\n\r\n", start - 1)
    lf = buffer.find(b"\n\n", start - 1, crlf if crlf >= 0 else len(buffer))
    if lf >= 0:
        return lf + 1, lf + 2
    if crlf >= 0:
        return crlf + 1, crlf + 3
    if buffer.endswith(b"\n"):
        return len(buffer), len(buffer)
    raise MessageError(Detail.NO_BLANK_LINE)


def _by_place(edit: tuple[int, int, bytes]) -> tuple[int, int, int]:
    start, end, _ = edit
    return start, end > start, -end  # at one start: insertions first, then the longest removal


def _index(buffer: bytes, start: int, end: int) -> dict[bytes, list[Header]]:
    """Canonical name -> header fields in order. One pass over the lines."""
    index: dict[bytes, list[Header]] = {}
    section = buffer[start:end]
    if b"\n " in section or b"\n\t" in section or section.startswith((b" ", b"\t")):
        # Folded lines keep their place in the buffer but lose their line ends for this pass.
        section = grammar.FOLD.sub(lambda fold: b" " * len(fold[0]), section)
        if section.startswith((b" ", b"\t")):
            raise MessageError(Detail.HEADER_SYNTAX, "the first header line is a continuation")
    position = start
    for line in section.split(b"\n")[:-1]:
        name, colon, _ = line.partition(b":")
        key = KNOWN.get(name) or canonical(name)
        if not (colon and key):
            raise MessageError(Detail.HEADER_SYNTAX)
        following = position + len(line) + 1
        field = (position, position + len(name) + 1, following)
        if key in index:
            index[key].append(field)
        else:
            index[key] = [field]
        position = following
    return index
