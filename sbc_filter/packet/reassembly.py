"""Put the fragments of a datagram together again (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722).

Strict where a receiver may be fooled: two fragments that overlap spoil their datagram, because
whoever looks at it later might choose the other bytes than we did.
"""

from bisect import bisect_left
from collections import OrderedDict
from typing import Generic, NamedTuple, TypeVar

from sbc_filter.errors import PacketError
from sbc_filter.packet import ip
from sbc_filter.packet.fragments import MORE_V4, fragment_header

T = TypeVar("T")

_LARGEST = 0xFFFF  # bytes
_OVERHEAD = 256  # bytes that a kept fragment costs beside its own: objects, and its tag


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
            raw = (ip.rewrite_v6 if len(key) > 16 else ip.rewrite_v4)(datagram.header, payload)
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
    return _Piece(key, (bits & 0x1FFF) * 8, not bits & MORE_V4, header, raw[start:end], end)


def _piece_v6(raw: bytes) -> _Piece | None:
    found = fragment_header(raw) if raw and raw[0] >> 4 == 6 else None
    end = 40 + int.from_bytes(raw[4:6], "big")
    if found is None or end > len(raw):
        return None
    link, start = found
    bits = int.from_bytes(raw[start + 2 : start + 4], "big")
    header = raw[:link] + raw[start : start + 1] + raw[link + 1 : start]
    key = raw[8:40] + raw[start + 4 : start + 8]
    return _Piece(key, bits & 0xFFF8, not bits & 1, header, raw[start + 8 : end], end)
