"""How records and calls come from the workers to the process that keeps them: no worker ever waits for it.

Each worker has a pair of sockets that is made before the first fork. It outlives both processes, so either of them may
be replaced. What does not fit is lost and counted, in memory that both share. That memory also says what is wanted: a
worker makes nothing for a process that nothing would be done with. The memory is a file without a name, so that a
program of its own can map it, too.
"""

import contextlib
import mmap
import os
import socket
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple, Protocol

from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Verdict

_SNDBUFFORCE = 32  # SO_SNDBUFFORCE of <asm-generic/socket.h>: beyond net.core.wmem_max
_BUFFER = 4 << 20  # octets that may wait for a reader: about 1000 calls, or 30 of 60 kB
_LARGEST = 1 << 19  # octets of one handed over call: over TCP, two messages of 128 KiB, what was added, and a record
_HEAD = Struct("=dIIIB")  # delay, octets of the record, of the packet received and of what was sent, whether a packet
_FOLLOWED, _KEPT = 1, 2  # in the first cell
_CELLS = 2  # of each worker: records and calls that were lost
SHARED = "sbc-filter-recent"
"""The name of the memory among the open files of a process."""


class Handed(NamedTuple):
    """A record, and for a call that is to be kept the packet and what was sent.

    `line` is the record as JSON with its line feed; `delay` are the seconds from its arrival to its verdict. `received`
    is an IP packet, empty for a record alone. `sent` is an IP packet if `sent_packet`, else a SIP response; empty if
    nothing was sent. Over TCP, SIP messages take the place of packets.
    """

    line: bytes
    delay: float
    received: bytes = b""
    sent: bytes = b""
    sent_packet: bool = False


class Sender(Protocol):
    """What a worker needs to hand over records and calls."""

    @property
    def wants_records(self) -> bool:
        """Whether records are followed."""

    def record(self, line: bytes, delay: float, /) -> None:
        """Hand over a record, if records are followed."""

    def call(self, line: bytes, delay: float, record: Record, raw: bytes, verdict: Verdict, /) -> None:
        """Hand over a record and, if it was refused or changed, its INVITE: a packet, or over TCP the message."""


class Reading:
    """What the process that reads has: one end for each worker, and the shared memory."""

    def __init__(self, shared: int, ends: Sequence[socket.socket]) -> None:
        """`shared` is the descriptor of the memory."""
        self._shared = shared
        self._memory = mmap.mmap(shared, 0)
        self._cells = memoryview(self._memory).cast("Q")
        self._buffer = memoryview(bytearray(_LARGEST))
        self.ends = ends
        """The ends to watch for reading."""
        for end in ends:
            end.setblocking(False)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a program needs to read: the memory, then each end."""
        return (self._shared, *(end.fileno() for end in self.ends))

    def wanted(self, *, followed: bool, kept: bool) -> None:
        """Say what the workers are to hand over: all records, and the calls that were refused or changed."""
        self._cells[0] = _FOLLOWED * followed | _KEPT * kept

    @property
    def lost(self) -> tuple[int, int]:
        """The records and the calls that did not fit since the start, of all workers."""
        return sum(self._cells[1::_CELLS]), sum(self._cells[2::_CELLS])

    def receive(self, end: socket.socket, most: int) -> Iterator[Handed]:
        """What waits at this end, at most so many."""
        for _ in range(most):
            try:
                octets = end.recv_into(self._buffer)
            except OSError:
                return
            if not octets:
                return  # worker and supervisor are gone: the channel says so, too
            yield _read(bytes(self._buffer[:octets]))


class Handover(Reading):
    """The sockets and the shared memory of all workers. Make it before the first fork."""

    def __init__(self, workers: int) -> None:
        """Raises `OSError` when the system has no sockets left."""
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(workers)]
        self._sending = [sending for sending, _ in pairs]
        for end in self._sending:
            end.setblocking(False)
            _enlarge(end)
        shared = os.memfd_create(SHARED)
        os.ftruncate(shared, 8 * (1 + _CELLS * workers))
        super().__init__(shared, [receiving for _, receiving in pairs])

    def sender(self, worker: int) -> "WorkerEnd":
        """The end of a worker, counted from 0."""
        return WorkerEnd(self._sending[worker], self._cells, worker)

    def keep_for(self, worker: int) -> None:
        """Close the ends of all others, in the process of a worker."""
        for end in (*self.ends, *self._sending[:worker], *self._sending[worker + 1 :]):
            end.close()

    def close(self) -> None:
        """Close all ends and the memory, in a process that does not use them; no `sender` may be used after this."""
        for end in (*self.ends, *self._sending):
            end.close()
        self._cells.release()
        self._memory.close()
        with contextlib.suppress(OSError):
            os.close(self._shared)


class WorkerEnd:
    """The end of one worker. Nothing here raises or waits."""

    def __init__(self, end: socket.socket, cells: memoryview, worker: int) -> None:
        self._end = end
        self._cells = cells
        self._lost = 1 + _CELLS * worker  # the cell of lost records; that of lost calls follows

    @property
    def wants_records(self) -> bool:
        """Whether records are followed."""
        return bool(self._cells[0] & _FOLLOWED)

    def record(self, line: bytes, delay: float) -> None:
        """Hand over a record, if records are followed."""
        if self._cells[0] & _FOLLOWED and not self._send(_HEAD.pack(delay, len(line), 0, 0, False), line):
            self._cells[self._lost] += 1

    def call(self, line: bytes, delay: float, record: Record, raw: bytes, verdict: Verdict) -> None:
        """Hand over a record, with packet and result if it was refused or changed."""
        wanted = self._cells[0]
        if not wanted:
            return
        if not (wanted & _KEPT and record.verdict != "accept" and record.method == "INVITE"):
            self.record(line, delay)
            return
        packet = record.would is None and verdict.payload is not None  # `would`: it could not be sent
        sent = b""
        if packet:
            sent = verdict.payload or b""
        elif verdict.emit:
            sent = verdict.emit[0].payload
        if not self._send(_HEAD.pack(delay, len(line), len(raw), len(sent), packet), line, raw, sent):
            self._cells[self._lost + 1] += 1
            self._cells[self._lost] += bool(wanted & _FOLLOWED)

    def _send(self, *parts: bytes) -> bool:
        try:
            self._end.sendmsg(parts)
        except OSError:
            return False
        return True


def _read(data: bytes) -> Handed:
    delay, record, received, sent, packet = _HEAD.unpack_from(data)
    at = _HEAD.size + record
    return Handed(data[_HEAD.size : at], delay, data[at : at + received], data[at + received :][:sent], packet)


def _enlarge(end: socket.socket) -> None:
    try:
        end.setsockopt(socket.SOL_SOCKET, _SNDBUFFORCE, _BUFFER)
    except OSError:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
