"""IP fragments: put a datagram together again, and cut one (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722).

Strict where a receiver may be fooled: two fragments that overlap spoil their datagram, because
whoever looks at it later might choose the other bytes than we did.
"""

import zlib
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from sbc_filter.errors import Detail, PacketError
from sbc_filter.packet import ip

T = TypeVar("T")

_LARGEST = 0xFFFF  # bytes
_OVERHEAD = 256  # bytes that a kept fragment costs beside its own: objects, and its tag
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION = 0, 43, 44, 60
_BEFORE_FRAGMENT = frozenset((_HOP_BY_HOP, _ROUTING, _DESTINATION))
_MAX_EXTENSIONS = 8
_MORE_V4, _COPIED, _END_OF_OPTIONS, _NO_OPERATION = 0x2000, 0x80, 0, 1


class Whole(NamedTuple, Generic[T]):
    """A datagram put together."""

    raw: bytes  # one IP packet, as if never cut
    tags: list[T]  # of its fragments, in order of arrival, duplicates included
    largest: int  # bytes of the largest IP packet among its fragments


class _Piece(NamedTuple):
    key: bytes
    offset: int  # bytes
    last: bool
    header: bytes  # what the whole packet begins with, if this piece has offset 0
    payload: bytes
    size: int  # bytes of the fragment, its header included


class _Datagram(Generic[T]):
    """The pieces of one datagram: no two overlap, none lies behind the last."""

    __slots__ = (
        "cost", "header", "largest", "offsets", "payloads", "received", "spoiled", "started", "tags", "total",
    )  # fmt: skip

    def __init__(self, started: float) -> None:
        self.started = started
        self.offsets: list[int] = []
        self.payloads: list[bytes] = []
        self.tags: list[T] = []
        self.header = b""
        self.total = -1  # bytes of payload, once the last piece has come
        self.received = self.largest = self.cost = 0
        self.spoiled = False

    def accept(self, piece: _Piece) -> bool:
        """Take a piece in; false when it contradicts those before it."""
        offset, end = piece.offset, piece.offset + len(piece.payload)
        self.largest = max(self.largest, piece.size)
        at = bisect_left(self.offsets, offset)
        if at < len(self.offsets) and self.offsets[at] == offset:  # the same again?
            return self.payloads[at] == piece.payload and piece.last == (self.total == end)
        if at and self.offsets[at - 1] + len(self.payloads[at - 1]) > offset:
            return False
        if at < len(self.offsets) and (piece.last or end > self.offsets[at]):
            return False
        if end > _LARGEST or (self.total >= 0 and end > self.total):
            return False
        if piece.last:
            self.total = end
        if not offset:
            self.header = piece.header
        self.offsets.insert(at, offset)
        self.payloads.insert(at, piece.payload)
        self.received += len(piece.payload)
        return True


class Reassembler(Generic[T]):
    """Datagrams in the making; what they cost in memory is bounded.

    `T` is what the caller wants to find its packets by. Every tag given to `add` comes back once: with
    its `Whole`, or from `expire` or `flush` (call one of them now and then: what is given up waits there).
    """

    def __init__(self, timeout: float = 30.0, max_datagrams: int = 1024, max_bytes: int = 64 << 20) -> None:
        """`timeout` in seconds from the first fragment; beyond a maximum the oldest datagram is given up."""
        self._timeout = timeout
        self._max_datagrams = max_datagrams
        self._max_bytes = max_bytes
        self._datagrams: OrderedDict[bytes, _Datagram[T]] = OrderedDict()  # oldest first
        self._bytes = 0
        self._given_up: list[list[T]] = []

    def add(self, raw: bytes, now: float, tag: T) -> Whole[T] | None:
        """Take a packet that `is_fragment`; the datagram if it is the one that completes it."""
        self._age(now)
        piece = _piece(raw)
        if piece is None:  # malformed: it cannot be said whose it is
            self._given_up.append([tag])
            return None
        if not piece.offset and piece.last:  # never waits for others, nor disturbs them (RFC 6946)
            return Whole(ip.rewrite_v6(piece.header, piece.payload), [tag], piece.size)
        datagram = self._datagrams.get(piece.key)
        if datagram is not None and self._stale(datagram, now):
            self._give_up(piece.key)
            datagram = None
        if datagram is None:
            datagram = self._datagrams[piece.key] = _Datagram(now)
        datagram.tags.append(tag)
        datagram.cost += len(raw) + _OVERHEAD
        self._bytes += len(raw) + _OVERHEAD
        if datagram.spoiled or not datagram.accept(piece):
            self._spoil(datagram)
        elif datagram.received == datagram.total:
            return self._finish(piece.key, datagram)
        while len(self._datagrams) > self._max_datagrams or self._bytes > self._max_bytes:
            self._give_up(next(iter(self._datagrams)))
        return None

    def expire(self, now: float) -> list[list[T]]:
        """The tags of each datagram given up: too old, too much, contradictory, malformed."""
        self._age(now)
        given_up, self._given_up = self._given_up, []
        return given_up

    def flush(self) -> list[list[T]]:
        """Give up everything."""
        while self._datagrams:
            self._give_up(next(iter(self._datagrams)))
        given_up, self._given_up = self._given_up, []
        return given_up

    def _finish(self, key: bytes, datagram: _Datagram[T]) -> Whole[T] | None:
        payload = b"".join(datagram.payloads)
        try:
            raw = (ip.rewrite_v6 if len(key) > 16 else _rewrite_v4)(datagram.header, payload)
        except PacketError:  # with its header it exceeds 65535 bytes
            self._spoil(datagram)
            return None
        del self._datagrams[key]
        self._bytes -= datagram.cost
        return Whole(raw, datagram.tags, datagram.largest)

    def _spoil(self, datagram: _Datagram[T]) -> None:
        """Discard it, and what is still to come of it (RFC 5722 §4): it stays as a mark until the timeout."""
        self._given_up.append(datagram.tags)
        self._bytes -= datagram.cost
        datagram.tags, datagram.cost, datagram.spoiled = [], 0, True
        datagram.payloads.clear()
        datagram.offsets.clear()

    def _give_up(self, key: bytes) -> None:
        datagram = self._datagrams.pop(key)
        self._bytes -= datagram.cost
        if datagram.tags:
            self._given_up.append(datagram.tags)

    def _stale(self, datagram: _Datagram[T], now: float) -> bool:
        return abs(now - datagram.started) >= self._timeout  # abs: the clock of a capture may jump back

    def _age(self, now: float) -> None:
        while self._datagrams and self._stale(next(iter(self._datagrams.values())), now):
            self._give_up(next(iter(self._datagrams)))


def is_fragment(raw: bytes) -> bool:
    """True for an IP packet that is a part of a datagram, or bears a fragment header all the same."""
    if len(raw) < 20:
        return False
    version = raw[0] >> 4
    if version == 4:
        return bool(raw[6] & 0x3F or raw[7])
    return version == 6 and _fragment_header(raw) is not None


def fragment(raw: bytes, size: int) -> list[bytes]:
    """`raw` as fragments of at most `size` bytes each, IP header included; `[raw]` if it fits.

    IPv4: DF is cleared, an ID of 0 replaced by one derived from the payload. IPv6: a fragment header
    goes in behind the headers that routers read. Raises `PacketError`: NO_ROOM when `size` does not
    hold the header and 8 bytes, PACKET_FRAGMENT for what is a fragment, PACKET_SYNTAX, PACKET_TRUNCATED.
    """
    version = raw[0] >> 4 if raw else 0
    if version not in (4, 6):
        raise PacketError(Detail.PACKET_SYNTAX)
    if len(raw) < (20 if version == 4 else 40):
        raise PacketError(Detail.PACKET_TRUNCATED)
    start = (raw[0] & 15) * 4 if version == 4 else 40
    end = int.from_bytes(raw[2:4], "big") if version == 4 else 40 + int.from_bytes(raw[4:6], "big")
    if start < 20 or end < start:
        raise PacketError(Detail.PACKET_SYNTAX)
    if end > len(raw):
        raise PacketError(Detail.PACKET_TRUNCATED)
    if end <= size:
        return [raw]
    if is_fragment(raw):
        raise PacketError(Detail.PACKET_FRAGMENT)
    return list((_cut_v4 if version == 4 else _cut_v6)(raw[:end], size))


def _cut_v4(raw: bytes, size: int) -> Iterator[bytes]:
    start = (raw[0] & 15) * 4
    options, payload = raw[20:start], raw[start:]
    copied = _copied_options(options)
    identification = int.from_bytes(raw[4:6], "big") or zlib.crc32(payload) & 0xFFFF or 1
    common = raw[1:4] + identification.to_bytes(2, "big")
    for begin, end in _spans(len(payload), size - start, size - 20 - len(copied)):
        bits = (raw[6] & 0x80) << 8 | (_MORE_V4 if end < len(payload) else 0) | begin // 8
        first, own = (0x45 + len(copied) // 4, copied) if begin else (raw[0], options)
        header = bytes((first,)) + common + bits.to_bytes(2, "big") + raw[8:20] + own
        yield ip.rewrite_v4(header, payload[begin:end])


def _cut_v6(raw: bytes, size: int) -> Iterator[bytes]:
    link, start = _per_fragment_headers(raw)
    payload = raw[start:]
    identification = zlib.crc32(payload).to_bytes(4, "big")
    header = raw[:link] + bytes((_FRAGMENT,)) + raw[link + 1 : start]
    for begin, end in _spans(len(payload), size - start - 8, size - start - 8):
        bits = (begin | (end < len(payload))).to_bytes(2, "big")
        extension = bytes((raw[link], 0)) + bits + identification
        yield ip.rewrite_v6(header, extension + payload[begin:end])


def _spans(length: int, first: int, later: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of the pieces of `length` bytes; the fragments have room for `first`, then for `later`."""
    if first < 8:
        raise PacketError(Detail.NO_ROOM, "the fragments are too small for the headers")
    begin, room = 0, first
    while length - begin > room:
        yield begin, begin + room // 8 * 8
        begin, room = begin + room // 8 * 8, later
    yield begin, length


def _copied_options(options: bytes) -> bytes:
    """The IPv4 options that every fragment repeats (RFC 791 §3.1), padded; a malformed one ends them."""
    kept, at = b"", 0
    while at < len(options) and options[at] != _END_OF_OPTIONS:
        length = 1 if options[at] == _NO_OPERATION else options[at + 1] if at + 1 < len(options) else 0
        if not length or at + length > len(options) or (length == 1 and options[at] != _NO_OPERATION):
            break
        if options[at] & _COPIED:
            kept += options[at : at + length]
        at += length
    return kept + bytes(-len(kept) % 4)


def _extensions(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, link, start) of each IPv6 header after the first; `link` is the byte that names it.

    Ends behind the first one that may not precede a fragment header, and before one that is cut off.
    """
    link, start = 6, 40
    end = min(len(raw), 40 + int.from_bytes(raw[4:6], "big"))
    for _ in range(_MAX_EXTENSIONS):
        if start + 8 > end:
            return
        yield raw[link], link, start
        if raw[link] not in _BEFORE_FRAGMENT:
            return
        link, start = start, start + (raw[start + 1] + 1) * 8


def _fragment_header(raw: bytes) -> tuple[int, int] | None:
    """(link, start) of the IPv6 fragment header."""
    if len(raw) < 48 or (raw[6] != _FRAGMENT and raw[6] not in _BEFORE_FRAGMENT):
        return None  # nearly every packet
    return next(((link, start) for kind, link, start in _extensions(raw) if kind == _FRAGMENT), None)


def _per_fragment_headers(raw: bytes) -> tuple[int, int]:
    """(link, start) of the header behind those that every IPv6 fragment repeats (RFC 8200 §4.5)."""
    link, start = 6, 40
    for kind, _, at in _extensions(raw):
        after = at + (raw[at + 1] + 1) * 8
        if after <= len(raw) and (kind == _ROUTING or (kind == _HOP_BY_HOP and at == 40)):
            link, start = at, after
    return link, start


def _piece(raw: bytes) -> _Piece | None:
    """The parts of a fragment; None when it is malformed or cut short."""
    piece = _piece_v4(raw) if len(raw) >= 20 and raw[0] >> 4 == 4 else _piece_v6(raw)
    if piece is None or not piece.payload or (len(piece.payload) % 8 and not piece.last):
        return None
    return piece


def _piece_v4(raw: bytes) -> _Piece | None:
    start, end = (raw[0] & 15) * 4, int.from_bytes(raw[2:4], "big")
    bits = int.from_bytes(raw[6:8], "big")
    if not 20 <= start <= end <= len(raw) or not bits & 0x3FFF:
        return None
    header = raw[:6] + bytes((raw[6] & 0xC0, 0)) + raw[8:start]
    key = raw[12:20] + raw[9:10] + raw[4:6]
    return _Piece(key, (bits & 0x1FFF) * 8, not bits & _MORE_V4, header, raw[start:end], end)


def _piece_v6(raw: bytes) -> _Piece | None:
    found = _fragment_header(raw) if raw and raw[0] >> 4 == 6 else None
    end = 40 + int.from_bytes(raw[4:6], "big")
    if found is None or end > len(raw):
        return None
    link, start = found
    bits = int.from_bytes(raw[start + 2 : start + 4], "big")
    header = raw[:link] + raw[start : start + 1] + raw[link + 1 : start]
    key = raw[8:40] + raw[start + 4 : start + 8]
    return _Piece(key, bits & 0xFFF8, not bits & 1, header, raw[start + 8 : end], end)


def _rewrite_v4(header: bytes, payload: bytes) -> bytes:
    return ip.rewrite_v4(header, payload)
