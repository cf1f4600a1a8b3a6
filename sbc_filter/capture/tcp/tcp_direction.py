"""One direction of a TCP connection: its octets in order, from segments in any order (RFC 9293 §3.10.7.4).

Where segments overlap, the octets are those that Linux delivers. What it has delivered stays. Of segments that wait for
an earlier one, the one that begins first counts, and the longer one of two that begin together. Other hosts may choose
differently, so segments that repeat octets with another content are counted.

What the capture lacks is a gap: once the receiver has acknowledged it, or too much waits for it. The connection does
not end at a SYN or RST that Linux would ignore. An attacker who sends one must not make us look elsewhere.
"""

from bisect import bisect_right
from enum import Enum
from typing import NamedTuple, TypeAlias

from sbc_filter.capture.tcp.tcp_segment import Segment

MAX_WAITING = 256 << 10
"""Octets that may wait for an earlier segment."""
MAX_SEGMENTS = 1024
"""Segments that may wait for an earlier one."""
_PATIENCE = 1.0  # seconds of the capture that an acknowledged segment may come late, as it does from several mirrors
_TAIL = 4096  # octets that were delivered and are kept, for comparison with segments that repeat them
_NEAR = 0xFFFF  # a new connection begins further away from the last octet of the old one (Linux: TIME-WAIT)
_FAR = 1 << 24  # octets between two segments that cannot be of one connection: more than a window of SIP


class Mark(Enum):
    """What happens between octets."""

    START = "start"  # a connection begins
    MIDDLE = "middle"  # a connection began before; the next octet may be within a message
    GAP = "gap"  # octets are missing
    END = "end"  # the connection has ended


class Early(NamedTuple):
    """Octets from before the point where the capture joined the connection."""

    data: bytes


Piece: TypeAlias = bytes | Mark | Early


class TcpDirection:
    """Call `feed` with each segment of this direction, and `acknowledge` with what the other end acknowledges."""

    __slots__ = (
        "_acknowledged", "_ended", "_fin", "_first", "_missed_at", "_next", "_reopening", "_tail", "_waiting",
        "conflicts", "size",
    )  # fmt: skip

    def __init__(self) -> None:
        self._first = self._next = -1  # sequence numbers, without their wrap at 2**32; -1 before the first segment
        self._waiting: list[tuple[int, bytes, int]] = []  # in order: where the data begins, data, octets cut after it
        self._tail = bytearray()  # the last octets that were delivered
        self._fin = -1  # where the data ends
        self._ended = False
        self._reopening = -1  # the first octet of a connection for which a SYN asks
        self._acknowledged = -1
        self._missed_at: float | None = None  # the time at which more was acknowledged than is here
        self.conflicts = 0
        """Segments that repeat octets with another content."""
        self.size = 0
        """Octets in memory."""

    def feed(self, segment: Segment, now: float) -> list[Piece]:
        """The octets that this segment makes available, with marks; `now` is the time of the capture."""
        pieces: list[Piece] = []
        if not self._is_open(segment, pieces):
            return pieces
        at = self._absolute(segment.sequence + segment.syn)
        if segment.rst:
            if at == self._next:  # RFC 5961 §3: any other is not believed
                self._end(pieces)
            return pieces
        if segment.fin:
            self._fin = at + len(segment.data) + segment.missing
        if at < self._first and segment.data:
            pieces.append(Early(segment.data[: self._first - at]))
        if segment.data or segment.missing:
            self._add(at, segment.data, segment.missing, pieces)
        self._give_up_what_is_missing(now, pieces)
        if self._next == self._fin:
            self._end(pieces)
        return pieces

    def acknowledge(self, sequence: int, now: float) -> None:
        """Note that the other end has everything before this sequence number."""
        at = self._absolute(sequence)
        if self._next >= 0 and not self._ended and self._next < at <= self._next + _FAR:
            self._acknowledged = max(self._acknowledged, at)
            if self._missed_at is None:
                self._missed_at = now

    def finish(self) -> list[Piece]:
        """What remains at the end of the capture."""
        pieces: list[Piece] = []
        while self._waiting:
            self._skip(pieces)
        if self._next >= 0 and not self._ended:
            self._end(pieces)
        return pieces

    def _absolute(self, sequence: int) -> int:
        """A sequence number without its wrap: the nearest to the octet that is expected."""
        return self._next + ((sequence - self._next + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    def _is_open(self, segment: Segment, pieces: list[Piece]) -> bool:
        """Whether the segment belongs to a connection that has not ended; it may begin one."""
        sequence, has_data = segment.sequence + segment.syn, bool(segment.data or segment.missing)
        at = self._absolute(sequence)
        if self._next < 0:
            if segment.syn or has_data:
                self._begin(sequence, Mark.START if segment.syn else Mark.MIDDLE, pieces)
        elif segment.syn and at != self._first:
            if not has_data and self._next != self._first:
                # Linux may ignore it. If not, the client goes on from there.
                if self._ended or abs(at - self._next) > _NEAR:
                    self._reopening = sequence & 0xFFFFFFFF
                return False
            self._begin(sequence, Mark.START, pieces)
        elif not segment.syn and sequence == self._reopening:
            self._begin(sequence, Mark.START, pieces)
        elif has_data and (abs(at - self._next) > _FAR or (self._ended and at >= self._next)):
            self._begin(sequence, Mark.MIDDLE, pieces)
        return self._next >= 0 and not self._ended

    def _begin(self, sequence: int, mark: Mark, pieces: list[Piece]) -> None:
        if self._next >= 0:
            pieces += self.finish()
        self._first = self._next = (sequence & 0xFFFFFFFF) + (1 << 32)  # never negative
        self._fin = self._reopening = self._acknowledged = -1
        self._missed_at = None
        self._ended = False
        pieces.append(mark)

    def _end(self, pieces: list[Piece]) -> None:
        self._ended = True
        self._waiting.clear()
        self._tail.clear()
        self.size = 0
        pieces.append(Mark.END)

    def _add(self, at: int, data: bytes, missing: int, pieces: list[Piece]) -> None:
        if at > self._next:
            self._wait(at, data, missing)
            while self.size - len(self._tail) > MAX_WAITING or len(self._waiting) > MAX_SEGMENTS:
                self._skip(pieces)
            return
        self._deliver(at, data, missing, pieces)
        self._deliver_waiting(pieces)

    def _wait(self, at: int, data: bytes, missing: int) -> None:
        index = bisect_right(self._waiting, at, key=lambda each: each[0])
        if index:
            begin, known, cut = self._waiting[index - 1]
            covered = at + len(data) + missing <= begin + len(known) + cut
            if covered or at == begin:  # one of the two is dropped; other overlaps are compared when they are delivered
                shared = known[at - begin : at - begin + len(data)]
                self.conflicts += shared != data[: len(shared)]
            if covered:
                return
            if at == begin:
                index -= 1
                self.size -= len(self._waiting.pop(index)[1])
        self._waiting.insert(index, (at, data, missing))
        self.size += len(data)

    def _deliver_waiting(self, pieces: list[Piece]) -> None:
        index = 0
        while index < len(self._waiting) and self._waiting[index][0] <= self._next:
            self.size -= len(self._waiting[index][1])
            self._deliver(*self._waiting[index], pieces)
            index += 1
        del self._waiting[:index]
        if self._next >= self._acknowledged:
            self._missed_at = None

    def _deliver(self, at: int, data: bytes, missing: int, pieces: list[Piece]) -> None:
        if at < self._next:
            self._compare(at, data)
        fresh = data[self._next - at :]
        if fresh:
            pieces.append(fresh)
            self._next += len(fresh)
            self.size -= len(self._tail)
            self._tail += fresh
            del self._tail[:-_TAIL]
            self.size += len(self._tail)
        end = at + len(data) + missing
        if missing and end > self._next:
            pieces.append(Mark.GAP)
            self._next = end
            self.size -= len(self._tail)
            self._tail.clear()

    def _compare(self, at: int, data: bytes) -> None:
        """Count a segment that has other octets than those delivered, as far as these are kept."""
        if len(data) == 1 and at == self._next - 1:
            return  # a probe of an idle connection, with any octet (RFC 9293 §3.8.4)
        kept = self._next - len(self._tail)
        begin, end = max(at, kept), min(at + len(data), self._next)
        if begin < end and data[begin - at : end - at] != self._tail[begin - kept : end - kept]:
            self.conflicts += 1

    def _give_up_what_is_missing(self, now: float, pieces: list[Piece]) -> None:
        while (
            self._waiting
            and self._missed_at is not None
            and self._waiting[0][0] <= self._acknowledged
            and abs(now - self._missed_at) >= _PATIENCE  # abs: the clock of a capture may jump back
        ):
            self._skip(pieces)

    def _skip(self, pieces: list[Piece]) -> None:
        """Go on behind a gap."""
        pieces.append(Mark.GAP)
        self._next = self._waiting[0][0]
        self.size -= len(self._tail)
        self._tail.clear()
        self._deliver_waiting(pieces)
