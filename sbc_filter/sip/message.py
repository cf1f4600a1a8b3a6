"""A SIP message: one immutable buffer, spans for the header fields, and a list of edits.

Without edits, `to_bytes()` returns the same object. With edits, every byte outside them stays identical. Reading is
tolerant (bare LF, folding, any case, white space before the colon: S-148), since the SBC might still act on a message
that this program refused to read. Writing only adds values of `sip.field`.
"""

import re
from collections.abc import Callable, KeysView, Mapping, Sequence
from typing import TypeAlias, final

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail
from sbc_filter.sip import grammar
from sbc_filter.sip.address import Address, parse_addresses
from sbc_filter.sip.field import FieldText, HeaderField
from sbc_filter.sip.header import split_header

_MANDATORY = frozenset((b"via", b"from", b"to", b"call-id", b"cseq"))  # RFC 3261 §8.1.1
AT_MOST_ONCE = (b"from", b"to", b"call-id", b"cseq", b"content-length", b"max-forwards")
_ROUTING = frozenset((b"via", b"route", b"record-route"))

# Where one header field is: (start, value, end). `buffer[start:end]` are its lines, `buffer[value:end]` its value. A
# plain tuple, since several are made for every INVITE.
Header: TypeAlias = tuple[int, int, int]
# The octets between two offsets are replaced by others.
Edit: TypeAlias = tuple[int, int, bytes]
# The digits of a number, the start and end of its URI, and the header parameters after it.
Plain: TypeAlias = tuple[bytes, int, int, bytes]
_NOTHING: Mapping[bytes, int] = {}


class SipMessage:
    """A parsed request or response. Parsing raises `MessageError` and, whatever the bytes, nothing else.

    `keys` are the canonical names of the header fields in order. `first` gives the first position of each name.
    `span(groups[at])` is the (start, end) of the value of header field `at`, line end included. `match`, from
    `sip.learned_layout`, has already found the addresses in `learnt`.

    `original` is what arrived. It differs from `buffer` if `sip.lenient.repair` changed the message before it was
    parsed.
    """

    __slots__ = (
        "_addresses", "_edits", "_first", "_groups", "_keys", "_learnt", "_match", "_plain", "_span", "_start",
        "_unique", "body", "buffer", "method", "original", "uri",
    )  # fmt: skip

    def __init__(
        self,
        buffer: bytes,
        method: str,
        uri: bytes,
        start: int,
        body: int,
        keys: Sequence[bytes],
        first: dict[bytes, int],
        span: Callable[[int], tuple[int, int]],
        groups: Sequence[int],
        match: "re.Match[bytes] | None" = None,
        learnt: Mapping[bytes, int] = _NOTHING,
    ) -> None:
        self.buffer = self.original = buffer
        self.method = method  # in upper case: "invite" is not INVITE (RFC 3261 §7.1), but some SBCs accept it
        self.uri = uri
        self.body = body  # offset of the body
        self._start = start  # offset of the first header line
        self._keys = keys
        self._unique = len(keys) == len(first)
        self._first = first
        self._span = span
        self._groups = groups
        self._match = match
        self._learnt = learnt
        self._addresses: dict[bytes, list[Address]] | None = None
        self._plain: dict[bytes, Plain | None] = {}
        self._edits: list[Edit] = []

    @classmethod
    def parse(cls, buffer: bytes) -> "SipMessage":
        """Parse a request. The body is opaque: its bytes are never read.

        A request line that is not plain is read as lenient SIP stacks do (`grammar.SLOPPY_REQUEST_LINE`), and line ends
        before it are even legal (RFC 3261 §7.5). `sip.lenient.repair` makes it plain.
        """
        request = grammar.REQUEST_LINE.match(buffer) or grammar.SLOPPY_REQUEST_LINE.match(buffer)
        if request is None:
            raise MessageError(Detail.START_LINE)
        return cls._read(buffer, request[1].decode("ascii").upper(), request[2], request.end())

    @classmethod
    def parse_fields(cls, method: str, uri: bytes, lines: bytes) -> "SipMessage":
        """A request of these complete header lines alone, for what can be read of one that is broken."""
        return cls._read(lines + b"\r\n", method, uri, 0)

    @classmethod
    def parse_response(cls, buffer: bytes) -> "tuple[int, bytes, SipMessage]":
        """(status code, reason phrase, message) of a response. Its `method` is that of the request, taken from CSeq; it
        has no URI. `MessageError` when it is malformed."""
        status = grammar.STATUS_LINE.match(buffer)
        if status is None:
            raise MessageError(Detail.START_LINE)
        message = cls._read(buffer, "", b"", status.end())
        cseq = grammar.CSEQ.fullmatch(message.first(b"cseq") or b"")
        if cseq is None:
            raise MessageError(Detail.CSEQ)
        message.method = cseq[2].decode("ascii").upper()
        return int(status[1]), status[2], message

    @classmethod
    def _read(cls, buffer: bytes, method: str, uri: bytes, start: int) -> "SipMessage":
        """The message whose header fields begin at offset `start`."""
        keys, spans, body = split_header(buffer, start)
        first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        return cls(buffer, method, uri, start, body, keys, first, spans.__getitem__, range(len(keys)))

    @property
    def headers_end(self) -> int:
        """Offset of the empty line."""
        return self._line_start(len(self._keys))

    def check(self) -> None:
        """Raise `MessageError` unless every mandatory header field is present, unique and well-formed."""
        if not self._first.keys() >= _MANDATORY:
            raise MessageError(Detail.HEADER_MISSING)
        if not self._unique:
            for name in AT_MOST_ONCE:
                if self._keys.count(name) > 1:
                    raise MessageError(Detail.HEADER_REPEATED, name.decode())
        cseq = grammar.CSEQ.fullmatch(self.first(b"cseq") or b"")
        if cseq is None or cseq[2].decode("ascii").upper() != self.method or int(cseq[1]) > 0xFFFFFFFF:
            raise MessageError(Detail.CSEQ)
        length = self.first(b"content-length")  # S-149
        if length is not None and not (length.isdigit() and int(length[:11]) <= len(self.buffer) - self.body):
            raise MessageError(Detail.CONTENT_LENGTH)

    @property
    def in_dialog(self) -> bool:
        """Whether To has a tag, so that the request belongs to a dialog (S-147). `MessageError` for a malformed To."""
        plain = self.plain(b"to")
        if plain is not None:
            parameters = plain[3]
            if not parameters:
                return False
            if parameters.find(b'"') < 0:
                return parameters.find(b";tag=") >= 0
        to = self.addresses(b"to")
        if len(to) != 1:
            raise MessageError(Detail.ADDRESS_SYNTAX, "to")
        return to[0].has_tag()

    def plain(self, name: bytes) -> Plain | None:
        """The number in the only header field of this name, if it has the plain form of `grammar.PLAIN_ADDRESS`; else
        None.

        Nearly every From, To and P-Asserted-Identity has this form; all others go through `addresses`.
        """
        known = self._plain
        if name in known:
            return known[name]
        plain = None
        group = self._learnt.get(name)
        if group is not None and self._match is not None:
            plain = _plain(self._match, group)
        elif self.count(name) == 1:
            value, end = self._span(self._groups[self._first[name]])
            match = grammar.PLAIN_ADDRESS.match(self.buffer, value)
            if match is not None and match.end() == end:
                plain = _plain(match, 0)
        known[name] = plain
        return plain

    def has_address(self, name: bytes) -> bool:
        """Whether the header fields of this name contain exactly one address; `MessageError` when one is malformed."""
        return name in self._learnt or self.plain(name) is not None or len(self.addresses(name)) == 1

    def addresses(self, name: bytes) -> Sequence[Address]:
        """All addresses in the header fields of this name, in order; `MessageError` when one is malformed."""
        if self._addresses is None:
            self._addresses = {}
        found = self._addresses.get(name)
        if found is None:
            found = [
                address for _, value, end in self.headers(name) for address in parse_addresses(self.buffer, value, end)
            ]
            self._addresses[name] = found
        return found

    def headers(self, name: bytes) -> Sequence[Header]:
        """All header fields of this canonical name, in order."""
        first = self._first.get(name)
        if first is None:
            return ()
        keys = self._keys
        if self._unique:
            return ((self._line_start(first), *self._span(self._groups[first])),)
        return [
            (self._line_start(at), *self._span(self._groups[at])) for at in range(first, len(keys)) if keys[at] == name
        ]

    def require(self, name: bytes) -> Sequence[Header]:
        """Like `headers`, but raises `MessageError` if there is none."""
        found = self.headers(name)
        if not found:
            raise MessageError(Detail.HEADER_MISSING, name.decode())
        return found

    def count(self, name: bytes) -> int:
        """The number of header fields with this name."""
        if self._unique:
            return 1 if name in self._first else 0
        return self._keys.count(name)

    def values(self, name: bytes) -> list[bytes]:
        """The values of all header fields of this name, in order (see `value`)."""
        if self._unique:
            value = self.first(name)
            return [] if value is None else [value]
        return [self.value(header) for header in self.headers(name)]

    def names(self) -> KeysView[bytes]:
        """The canonical names that are present."""
        return self._first.keys()

    @property
    def keys(self) -> Sequence[bytes]:
        """The canonical names of all header fields, in order."""
        return self._keys

    @property
    def places(self) -> dict[bytes, int]:
        """The position in `keys` at which each name first occurs."""
        return self._first

    def names_as_written(self) -> list[bytes]:
        """The names of all header fields, in order, as written before the colon."""
        return [
            self.buffer[self._line_start(at) : self._span(self._groups[at])[0] - 1] for at in range(len(self._keys))
        ]

    def value(self, header: Header) -> bytes:
        """The value of one header field: folds become one space (RFC 3261 §7.3.1), surrounding white space is
        removed."""
        return _unfolded(self.buffer[header[1] : header[2]])

    def first(self, name: bytes) -> bytes | None:
        """The value of the first header field of this name, or None."""
        at = self._first.get(name)
        if at is None:
            return None
        start, end = self._span(self._groups[at])
        return _unfolded(self.buffer[start:end])

    def head_without(self, name: bytes) -> bytes:
        """The request line and the header, without the value of the first header field of this name."""
        at = self._first.get(name)
        if at is None:
            return self.buffer[: self.body]
        start, end = self._span(self._groups[at])
        return self.buffer[:start] + self.buffer[end : self.body]

    def _line_start(self, at: int) -> int:
        return self._span(self._groups[at - 1])[1] if at else self._start

    def replace(self, start: int, end: int, text: FieldText) -> None:
        """Edit: put `text` in place of `buffer[start:end]`; `start == end` inserts."""
        self._edits.append((start, end, text.text))

    def cut(self, start: int, end: int) -> None:
        """Edit: remove `buffer[start:end]`."""
        self._edits.append((start, end, b""))

    def remove(self, header: Header) -> None:
        """Edit: remove one header field with all its lines."""
        self._edits.append((header[0], header[2], b""))

    def add_header(self, field: HeaderField, before: Header | None = None) -> None:
        """Edit: add one header field `before` another, or else after the last Via, Route or Record-Route (S-156)."""
        if before is None:
            behind = len(self._keys)
            while behind and self._keys[behind - 1] not in _ROUTING:
                behind -= 1
            position = self._line_start(behind)
        else:
            position = before[0]
        self._edits.append((position, position, field.line))

    @property
    def edited(self) -> int:
        """The number of edits."""
        return len(self._edits)

    def undo(self, edits: int) -> None:
        """Drop all edits after the first `edits`."""
        del self._edits[edits:]

    def edits(self) -> "Edits":
        """All edits, to be applied to another copy of the same message."""
        return Edits(self)

    def changed(self) -> bytes | None:
        """The message with all edits applied; None if it is as it arrived."""
        if self._edits:
            return apply_edits(self.buffer, self._edits)
        return None if self.buffer is self.original else self.buffer

    def to_bytes(self) -> bytes:
        """The message with all edits applied; the buffer itself if there are none."""
        return apply_edits(self.buffer, self._edits) if self._edits else self.buffer


@final
class Edits:
    """The edits of a message, kept for its retransmissions: they take less memory than a copy of the message.

    `whole` is the copy, if the message was changed in another way than by edits.
    """

    __slots__ = ("_edits", "_whole")

    def __init__(self, message: SipMessage | None, whole: bytes | None = None) -> None:
        if message is not None and message.buffer is not message.original:
            whole = message.changed()
        self._whole = whole
        self._edits = tuple(message._edits) if message is not None and whole is None else ()

    @property
    def size(self) -> int:
        """Octets that the edits add, or those of the copy."""
        size = len(self._whole) if self._whole is not None else 0
        for _, _, data in self._edits:
            size += len(data)
        return size

    def applied(self, buffer: bytes) -> bytes | None:
        """A copy of the message with the edits applied; None if there are none."""
        if self._whole is not None:
            return self._whole
        return apply_edits(buffer, self._edits) if self._edits else None


def _unfolded(value: bytes) -> bytes:
    text = value.strip()
    # `find`, not `in`: for bytes, `in` first tries its operand as a number, and catches the error.
    return text if text.find(b"\n") < 0 else grammar.FOLD.sub(b" ", text)


def _plain(match: "re.Match[bytes]", group: int) -> Plain:
    number = match[group + 2] or match[group + 3]
    return number, *match.span(group + 1), match[group + 4]


def apply_edits(buffer: bytes, edits: Sequence[Edit]) -> bytes:
    """The buffer with all edits applied in buffer order; insertions at the same offset keep the order in which they
    were made.

    An edit inside a removed header field has no effect: the removal wins.
    """
    if len(edits) == 1:
        ((start, end, data),) = edits
        return b"%b%b%b" % (buffer[:start], data, buffer[end:])
    parts: list[bytes] = []
    position = 0
    for start, end, data in sorted(edits, key=_by_place):
        if start < position:
            continue
        parts += (buffer[position:start], data)
        position = end
    parts.append(buffer[position:])
    return b"".join(parts)


def _by_place(edit: Edit) -> tuple[int, int, int]:
    start, end, _ = edit
    return start, end > start, -end  # at the same start: insertions first, then the longest removal
