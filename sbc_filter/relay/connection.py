"""A relayed connection: two sides, what is read from each goes through a `Direction` to the other.

No more is read from a peer while the other does not take what there is: what waits in memory is bounded. An end of
writing is passed on as one, and a reset as a reset. If this process is killed, the kernel resets both sides.
"""

import asyncio
import contextlib
import socket
import struct
from typing import Protocol, cast

from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.verdict import Party
from sbc_filter.relay.direction import AnyFault, Direction, Passage
from sbc_filter.relay.limits import Limits
from sbc_filter.relay.read_buffer import ReadBuffer, Share
from sbc_filter.sip.stream import StreamReader

_PROBES = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 3))  # seconds, and how many
_RESET, _LINGER = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)  # struct linger: whether, and for how many seconds


class Owner(Protocol):
    """What a connection needs of the relay."""

    limits: Limits

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def read(self, now: float, /) -> None:
        """A connection is about to be read, at this time."""

    def judge(self, passage: Passage, /) -> None:
        """Decide about a message: settle it, now or later."""

    def may_pass(self, flow: Flow, fault: AnyFault, /) -> bool:
        """Whether a stream with this fault passes unread. Counts it."""

    def may_expose(self, flow: Flow, /) -> bool:
        """Whether a message goes on whose body some stack reads as the next messages. Counts it."""

    def place(self, flow: Flow, /) -> Position:
        """What a flow says about each of its messages."""

    def gone(self, connection: "Connection", /) -> None:
        """Both sockets are closed."""


class Connection:
    """Two sides; `near` is the peer that opened the connection."""

    def __init__(self, flow: Flow, party: Party, owner: Owner, buffer: ReadBuffer, share: Share) -> None:
        """`flow` leads from the near peer to the far one. `buffer` is shared between connections, and `share` between
        those of a peer."""
        self.flow = flow
        self.party = party
        """The end that is not the SBC's: what it uses is limited."""
        self.share = share
        self.owner = owner
        back = flow._replace(src=flow.dst, sport=flow.dport, dst=flow.src, dport=flow.sport)
        self.near, self.far = Side(self, flow, buffer), Side(self, back, buffer)
        self.near.other, self.far.other = self.far, self.near
        self.sides = (self.near, self.far)
        self.touched = owner.monotonic()
        """When the last octet came, or the connection was closed."""
        self.closed = False
        self.was_reset = False
        """Whether it was reset, by a peer or by the relay."""
        self._draining = False

    @property
    def is_quiet(self) -> bool:
        """Whether no message has begun, and none waits."""
        return not any(side.reading or side.direction.incomplete or side.direction.waits for side in self.sides)

    @property
    def size(self) -> int:
        """Octets in memory."""
        return sum(side.direction.size + side.unwritten for side in self.sides)

    def regulate(self) -> None:
        """Read from each side, or do not, as there is room."""
        if self.closed:
            return
        for side in self.sides:
            side.read(side.has_room())
        if (self._draining and self.is_quiet) or all(side.direction.finished for side in self.sides):
            self.finish()

    def check(self, now: float) -> str:
        """Look at the time; returns the limit that was passed: `idle`, `message`, or ""."""
        limits = self.owner.limits
        if now - self.touched > (limits.close_seconds if self.closed else limits.idle_seconds):
            self.reset()
            return "idle"
        for side in self.sides:
            if side.is_late(now, limits.message_seconds):
                side.direction.too_slow()
                return "message"
        return ""

    def drain(self) -> None:
        """Close as soon as no message has begun and none waits."""
        self._draining = True
        self.regulate()

    def finish(self) -> None:
        """Close both sides when the kernel has sent what was written."""
        self._close(reset=False)

    def reset(self) -> None:
        """Reset both sides. What was not sent is lost."""
        self._close(reset=True)

    def _close(self, *, reset: bool) -> None:
        if self.closed and (self.was_reset or not reset):
            return
        self.closed, self.was_reset, self.touched = True, reset, self.owner.monotonic()
        for side in self.sides:
            side.direction.close()
            side.close(reset=reset)

    def lost(self) -> None:
        """The socket of a side is closed."""
        if not self.closed:
            self.reset()
        if all(side.lost for side in self.sides):
            self.owner.gone(self)
            for side in self.sides:
                side.forget()


class Side(asyncio.BufferedProtocol):
    """One end of a connection, and the direction of what is read there."""

    other: "Side"

    def __init__(self, connection: Connection, flow: Flow, buffer: ReadBuffer) -> None:
        self._connection = connection
        self._owner = connection.owner
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._writable = True
        self.begun: float | None = None
        """When the message began that is not complete."""
        self._counted = 0  # messages, when the last octets came
        self._round = 0  # of the peer's `Share`, in which this side was read last
        self.reading = False
        """Whether octets are being read: more messages may follow at once."""
        self.lost = False
        """Whether the socket is closed."""
        limits = self._owner.limits
        leaves = self._owner.place(flow).direction == "outbound"
        self.direction = Direction(
            flow,
            self,
            self._owner.judge,
            StreamReader(max_size=limits.message_octets),
            limits.held_octets,
            None if leaves else limits.message_octets,
        )

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is watched; it is read when there is an other side to write to (`Connection.regulate`)."""
        self._transport = cast("asyncio.Transport", transport)
        opened: socket.socket = transport.get_extra_info("socket")
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sets it for sockets that name TCP alone
        self._transport.set_write_buffer_limits(high=self._owner.limits.unwritten_octets)
        # Not now: Python 3.11 begins to read behind this call, also if it was told not to.
        asyncio.get_running_loop().call_soon(self._transport.pause_reading)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to."""
        share = self._connection.share
        self._round = share.turn(self._round)
        return self._buffer.portion(share.left)

    def buffer_updated(self, nbytes: int) -> None:
        """Octets came."""
        self._connection.touched = now = self._owner.monotonic()
        self._connection.share.take(nbytes)
        self._owner.read(now)
        self.reading = True
        self.direction.feed(self._buffer.received(nbytes))
        self.reading = False
        self._note_begin()
        self._connection.regulate()

    def eof_received(self) -> bool:
        """The peer sends nothing more; what it waits for is still written."""
        self._connection.touched = self._owner.monotonic()
        self.direction.end()
        self._connection.regulate()
        return True

    def pause_writing(self) -> None:
        """The peer takes too little."""
        self._writable = False
        self._connection.regulate()

    def resume_writing(self) -> None:
        """The peer has taken what waited."""
        self._writable = True
        self._connection.regulate()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: by an error, a reset, or ourselves."""
        self.lost = True
        self._connection.lost()

    # What the direction that is read here does (`direction.Link`).

    def onward(self, octets: bytes) -> None:
        """Write to the other peer."""
        self.other.write(octets)

    def back(self, octets: bytes) -> None:
        """Write to this peer."""
        self.write(octets)

    def end(self) -> None:
        """Nothing more goes on to the other peer."""
        self.other.end_writing()

    def reset(self) -> None:
        """Reset both sides."""
        self._connection.reset()

    def progressed(self) -> None:
        """What waited has gone on."""
        self._connection.regulate()

    def may_pass(self, fault: AnyFault) -> bool:
        """Whether a stream with this fault passes unread."""
        return self._owner.may_pass(self.direction.flow, fault)

    def may_expose(self) -> bool:
        """Whether a message goes on whose body some stack reads as the next messages."""
        return self._owner.may_expose(self.direction.flow)

    def observed(self) -> bool:
        """Whether streams are only observed."""
        return self._owner.place(self.direction.flow).observed

    # What the connection does.

    @property
    def unwritten(self) -> int:
        """Octets that the peer, or its socket, has not taken."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def write(self, octets: bytes) -> None:
        """Write to this peer, unless it was told that nothing more comes, or was found to be gone."""
        if self._transport is None or self._connection.closed or self.other.direction.finished:
            return
        if not self._transport.is_closing():  # asyncio would write a line to the log for each
            self._transport.write(octets)

    def end_writing(self) -> None:
        """Tell this peer that nothing more comes, after what is written."""
        if self._transport is not None and not self._connection.closed:
            with contextlib.suppress(OSError):  # its reset has come, and was not seen yet
                self._transport.write_eof()

    def has_room(self) -> bool:
        """Whether more may be read here."""
        answers = self.unwritten > self._owner.limits.answer_octets
        return self.other._writable and not self.direction.full and not answers

    def read(self, reads: bool) -> None:
        """Read from this peer, or do not."""
        transport = self._transport
        if transport is None or transport.is_closing() or self.direction.ended:
            return
        if reads and not transport.is_reading():
            self.begun = None  # the time for which nothing was read is not the peer's
            transport.resume_reading()
            self._note_begin()
        elif not reads and transport.is_reading():
            transport.pause_reading()

    def is_late(self, now: float, patience: float) -> bool:
        """Whether a message is incomplete for longer than so many seconds while it is read."""
        reading = self._transport is not None and self._transport.is_reading()
        return reading and self.direction.incomplete and self.begun is not None and now - self.begun > patience

    def close(self, *, reset: bool) -> None:
        """Close the socket: at once, or when what was written is sent."""
        transport = self._transport
        if transport is None:
            return
        if reset:
            transport.abort()
            return
        with contextlib.suppress(OSError):
            opened: socket.socket = transport.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        transport.close()

    def forget(self) -> None:
        """Both sockets are closed: leave no cycle of references, which only a garbage collection would free."""
        del self._connection, self.other, self.direction

    def _note_begin(self) -> None:
        """Note when a message begins that is not complete."""
        if not self.direction.incomplete:
            self.begun = None
        elif self.begun is None or self._counted != self.direction.messages:
            self.begun = self._owner.monotonic()
        self._counted = self.direction.messages


def reset_when_closed(opened: socket.socket) -> None:
    """Have the kernel reset a connection that is closed without more ado, also because the process was killed."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def probe_when_idle(opened: socket.socket) -> None:
    """Have the kernel notice within two minutes that a silent peer is gone. The probes that the peers send by
    themselves end at the relay, so neither would notice that the other is gone."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _PROBES:
        opened.setsockopt(socket.IPPROTO_TCP, option, value)
