"""Reassembly of fragmented datagrams (RFC 791 §3.2, RFC 8200 §4.5, RFC 5722).

Overlapping fragments spoil their datagram: the receiver might choose other bytes than this program did, and so see
another message.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from sbc_filter.errors import PacketError
from sbc_filter.packet import ip
from sbc_filter.packet.fragments import MORE_V4, fragment_header

T = TypeVar("T")

_LARGEST = 0xFFFF  # bytes of a datagram: the largest value of the IP length field
_KEY_V4 = 11  # bytes: addresses, protocol and ID; those of IPv6 are more
_OVERHEAD = 256  # bytes of memory that a kept fragment costs in addition to its own: objects, and its tag


class Whole(NamedTuple, Generic[T]):
    """A reassembled datagram."""

    raw: bytes  # one IP packet, as if it had never been fragmented
    tags: list[T]  # of its fragments, in order of arrival, duplicates included
    largest: int  # bytes of the largest IP packet among its fragments


class _Piece(NamedTuple):
    key: bytes
    offset: int  # in the datagram's payload, in bytes
    last: bool
    header: bytes  # the header of the whole packet, if this piece has offset 0
    payload: bytes
    size: int  # bytes of the fragment, header included


class _Datagram(Generic[T]):
    """The pieces of one datagram. Invariant: `offsets` is sorted, no two pieces overlap, and none lies after the last
    one."""

    __slots__ = (
        "clock", "cost", "header", "largest", "offsets", "payloads", "received", "spoiled", "started", "tags",
        "timeout", "total",
    )  # fmt: skip

    def __init__(self, started: float, clock: Hashable, timeout: float) -> None:
        self.started = started
        self.clock = clock
        self.timeout = timeout
        self.offsets: list[int] = []
        self.payloads: list[bytes] = []
        self.tags: list[T] = []
        self.header = b""
        self.total = -1  # bytes of payload; unknown until the last piece has arrived
        self.received = self.largest = self.cost = 0
        self.spoiled = False

    def accept(self, piece: _Piece) -> bool:
        """Add a piece; False if it contradicts earlier ones."""
        offset, end = piece.offset, piece.offset + len(piece.payload)
        self.largest = max(self.largest, piece.size)
        at = bisect_left(self.offsets, offset)
        if at < len(self.offsets) and self.offsets[at] == offset:  # a duplicate?
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
    """Datagrams of which fragments are still missing, within a limit on memory.

    `T` is whatever the caller identifies its packets by. Every tag given to `add` is returned exactly once: with its
    `Whole`, or from `expire` or `flush`. Call one of these regularly, since the tags of abandoned datagrams wait there.

    Times are compared only if they are of the same `clock`, such as that of one interface of a capture.
    """

    def __init__(
        self, timeout: float = 30.0, timeout_v6: float = 60.0, max_datagrams: int = 1024, max_bytes: int = 4 << 20
    ) -> None:
        """`timeout`, `timeout_v6`: seconds since the first fragment. Beyond either maximum the oldest datagram is
        abandoned.

        Defaults: 30 s, 60 s and 4 MiB are Linux's `ipfrag_time`, `ip6frag_time` (RFC 8200 §4.5) and
        `ipfrag_high_thresh`; 1024 datagrams bound what a flood of small fragments can occupy.
        """
        self._timeout = timeout
        self._timeout_v6 = timeout_v6
        self._max_datagrams = max_datagrams
        self._max_bytes = max_bytes
        self._datagrams: OrderedDict[bytes, _Datagram[T]] = OrderedDict()  # oldest first
        self._bytes = 0
        self._given_up: list[list[T]] = []

    def add(self, raw: bytes, now: float, tag: T, clock: Hashable = None) -> Whole[T] | None:
        """Add a packet for which `is_fragment` is true; returns the datagram if this fragment completes it.

        Its time abandons no other datagram: it may be wrong.
        """
        piece = _piece(raw)
        if piece is None:  # malformed: its datagram is unknown
            self._given_up.append([tag])
            return None
        if not piece.offset and piece.last:  # an atomic fragment is handled alone and does not affect others (RFC 6946)
            return Whole(ip.rewrite_v6(piece.header, piece.payload), [tag], piece.size)
        datagram = self._datagrams.get(piece.key)
        if datagram is not None and _stale(datagram, now, clock):
            self._give_up(piece.key)
            datagram = None
        if datagram is None:
            datagram = self._datagrams[piece.key] = _Datagram(
                now, clock, self._timeout_v6 if len(piece.key) > _KEY_V4 else self._timeout
            )
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

    @property
    def is_busy(self) -> bool:
        """Whether any datagram is incomplete, or tags wait for `expire`."""
        return bool(self._datagrams or self._given_up)

    def expire(self, now: float | None, clock: Hashable = None) -> list[list[T]]:
        """The tags of each abandoned datagram: expired, over a limit, contradictory or malformed.

        Expired are the oldest ones, up to one of another clock or version that is not. Without a time, none are.
        """
        while now is not None and self._datagrams:
            key, oldest = next(iter(self._datagrams.items()))
            if not _stale(oldest, now, clock):
                break
            self._give_up(key)
        given_up, self._given_up = self._given_up, []
        return given_up

    def give_up_oldest(self) -> bool:
        """Abandon the oldest datagram, whose tags `expire` returns; False if there is none."""
        if self._datagrams:
            self._give_up(next(iter(self._datagrams)))
            return True
        return False

    def flush(self) -> list[list[T]]:
        """Abandon every datagram and return the tags of each."""
        while self._datagrams:
            self._give_up(next(iter(self._datagrams)))
        given_up, self._given_up = self._given_up, []
        return given_up

    def _finish(self, key: bytes, datagram: _Datagram[T]) -> Whole[T] | None:
        payload = b"".join(datagram.payloads)
        try:
            raw = (ip.rewrite_v6 if len(key) > _KEY_V4 else ip.rewrite_v4)(datagram.header, payload)
        except PacketError:  # with its header it exceeds 65535 bytes
            self._spoil(datagram)
            return None
        del self._datagrams[key]
        self._bytes -= datagram.cost
        return Whole(raw, datagram.tags, datagram.largest)

    def _spoil(self, datagram: _Datagram[T]) -> None:
        """Discard the datagram and its future fragments (RFC 5722 §4); the entry stays as a marker until it expires."""
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


def _stale(datagram: _Datagram[T], now: float, clock: Hashable) -> bool:
    age = abs(now - datagram.started)  # the clock of a capture file may jump back
    return age >= datagram.timeout and datagram.clock == clock


def _piece(raw: bytes) -> _Piece | None:
    """The parts of a fragment; None if it is malformed or truncated."""
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
