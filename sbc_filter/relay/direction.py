"""One direction of a relayed connection: octets in, the octets that go on out. No sockets and no clock.

Every message is decided as soon as it is complete. What goes on is written in the order of arrival within a call: what
follows an INVITE that waits, and has its Call-ID, waits too. Other calls overtake it. Responses of the filter go back
at once, so that the CANCEL of an INVITE that waits is answered at once.
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.errors import MessageError
from sbc_filter.relay.limits import Limits
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.one_message import ends_for_all, is_framed
from sbc_filter.sip.stream import MAX_SIZE, Event, FramingFault, KeepAlive, Message, StreamReader

_OVERHEAD = 512  # octets of the objects around a message that waits
_CRLF = b"\r\n"
_GOES_ON = (VerdictKind.ACCEPT, VerdictKind.MODIFY)
_TLS, _WEB_SOCKET = b"\x16\x03", b"GET "
_HTTP, _SIP = b"HTTP/", b"SIP/"
_OTHERS = (b"HEP3", b"MSRP", b"PROXY")


class StreamFault(StrEnum):
    """Why a stream cannot be read, next to `FramingFault`."""

    TLS = "tls"
    """It begins as TLS does (RFC 8446 §5.1)."""
    WEB_SOCKET = "websocket"
    """A message of it is HTTP, as a WebSocket handshake is (RFC 6455 §1.3, RFC 7118): frames may follow."""
    OTHER = "other-protocol"
    """A message of it begins as one of MSRP (RFC 4975) or HEP, or as the header of the PROXY protocol. A stack that
    reads these finds another end, and SIP behind it."""
    SLOW = "slow"
    """A message was not complete in time."""
    INCOMPLETE = "incomplete"
    """It ended in the middle of a message."""


AnyFault = FramingFault | StreamFault


class Link(Protocol):
    """What a direction does to its connection."""

    def onward(self, octets: bytes, /) -> None:
        """Write to the peer to whom this direction leads."""

    def back(self, octets: bytes, /) -> None:
        """Write to the peer from whom this direction comes."""

    def end(self) -> None:
        """Nothing more goes on: tell the peer to whom this direction leads."""

    def reset(self) -> None:
        """Reset the connection on both sides."""

    def progressed(self) -> None:
        """What waited has gone on."""

    def may_pass(self, fault: AnyFault, /) -> bool:
        """Whether a stream with this fault passes unread. Counts it."""

    def may_expose(self) -> bool:
        """Whether a message goes on whose body, or rest, some stack reads as the next messages. Counts it."""

    def observed(self) -> bool:
        """Whether streams are only observed, so that those that cannot be read pass."""


class Passage:
    """A message on its way: it waits until it is settled."""

    __slots__ = ("_direction", "call", "message", "octets", "settled")

    def __init__(self, direction: "Direction", message: bytes) -> None:
        self._direction = direction
        self.message = message
        """The message as it came."""
        self.call: bytes | None = None  # its Call-ID, while it waits
        self.settled = False
        self.octets = b""  # what goes on, once it is settled

    @property
    def flow(self) -> Flow:
        """Where it comes from and goes to."""
        return self._direction.flow

    def settle(self, verdict: Verdict) -> None:
        """Send the responses of the verdict; pass on or drop the message, if that was not done before."""
        for answer in verdict.emit:
            self._direction.answer(answer.payload)
        if self.settled:
            return
        octets = self.message if verdict.payload is None else verdict.payload
        self._direction.settled(self, octets if verdict.kind in _GOES_ON else b"")

    def give_up(self, *, passes: bool) -> None:
        """After an internal error: pass the message on as it came, or reset the connection."""
        if self.settled:
            return
        if passes:
            self._direction.settled(self, self.message)
        else:
            self._direction.reset()


class Direction:
    """See the module. `judge` decides about each message: it settles it, now or later."""

    def __init__(
        self,
        flow: Flow,
        link: Link,
        judge: Callable[[Passage], None],
        reader: StreamReader | None = None,
        max_held: int = Limits().held_octets,
        max_size: int | None = MAX_SIZE,
    ) -> None:
        """`max_size` is that of a message which goes on to the SBC, in octets: edits may have made it larger than it
        came. It is None for what leaves the SBC: how others find the end of that is not guarded."""
        self.flow = flow
        self._link = link
        self._judge = judge
        self._reader = StreamReader() if reader is None else reader
        self._max_held = max_held
        self._max_size = max_size
        self._queues: dict[bytes, deque[Passage]] = {}  # of each call with a message that waits
        self._tail = bytearray()  # what is not read, and goes on when nothing waits any more
        self._together: bytearray | None = None  # what goes on while octets are read, in one piece: CRLFs are cheap
        self._held = 0
        self._first = True
        self.messages = 0
        """How many there were."""
        self._fault: AnyFault | None = None  # for which its octets pass unread
        self.ended = False
        """Whether its peer sends nothing more."""
        self.finished = False
        """Whether everything was written, after its end."""
        self.closed = False

    @property
    def unread(self) -> bool:
        """Whether its octets pass without being read."""
        return self._fault is not None

    @property
    def full(self) -> bool:
        """Whether too much waits for more to be read."""
        return self._held + len(self._tail) > self._max_held

    @property
    def size(self) -> int:
        """Octets in memory."""
        return self._reader.size + self._held + len(self._tail)

    @property
    def incomplete(self) -> bool:
        """Whether a message has begun and is not complete."""
        return not self.unread and self._reader.size > 0

    @property
    def waits(self) -> bool:
        """Whether a message waits for its verdict, or behind one that does."""
        return bool(self._queues)

    def feed(self, data: bytes) -> None:
        """Read these octets."""
        if self.closed:
            return
        if self._fault is not None:
            if self._link.observed():
                self._pass(data)
            else:  # the observation is over, and no message has a certain beginning
                self._refuse(self._fault, data)
            return
        self._together = bytearray()
        self._read(data)
        self._flush()

    def _read(self, data: bytes) -> None:
        events = self._reader.feed(data)
        for at, event in enumerate(events):
            if self.closed:
                return
            if isinstance(event, KeepAlive):
                self._onward(_CRLF)
            elif isinstance(event, Message):
                other = _other_protocol(event.data)
                if other is not None:
                    self._refuse(other, b"".join(map(_octets, events[at:])) + self._reader.take())
                    return
                self._message(event.data)
            else:
                self._refuse(_named(event.fault, event.data, self._first), event.data + self._reader.rest())

    def end(self) -> None:
        """The peer sends nothing more: pass that on when everything else was passed on."""
        self.ended = True
        if self.incomplete:
            self._refuse(StreamFault.INCOMPLETE, self._reader.take())
        self._finish()

    def too_slow(self) -> None:
        """A message was not complete in time."""
        if self.incomplete:
            self._refuse(StreamFault.SLOW, self._reader.take())

    def close(self) -> None:
        """The connection is gone: nothing is written any more."""
        self.closed = True
        self._queues.clear()
        self._tail.clear()
        self._held = 0

    def reset(self) -> None:
        """Reset the connection."""
        if not self.closed:
            self._link.reset()

    def answer(self, response: bytes) -> None:
        """Send a response of the filter to the peer from whom this direction comes."""
        if not is_framed(response):  # it repeats what the peer wrote
            self.reset()
        elif not self.closed:
            self._link.back(response)

    def settled(self, passage: Passage, octets: bytes) -> None:
        """Let a message go on as these octets; none if it does not go on."""
        if octets and octets is not passage.message and not is_framed(octets):
            self._flush()
            self.reset()  # the peer would read another message than the filter
        elif octets and not self.closed and not self._ends_for_all(octets) and not self._link.may_expose():
            octets = b""
        passage.settled = True
        if self.closed:
            return
        queue = self._queues.get(passage.call) if passage.call is not None else None
        if queue is None or passage.call is None:
            if octets:
                self._onward(octets)
            return
        passage.octets = octets
        while queue and queue[0].settled:
            first = queue.popleft()
            self._held -= len(first.message) + _OVERHEAD
            if first.octets:
                self._onward(first.octets)
        if not queue:
            del self._queues[passage.call]
            self._finish()
            self._link.progressed()

    def _ends_for_all(self, message: bytes) -> bool:
        """Whether a message ends for every reader where it ends here, also for one with a buffer of `max_size`."""
        return self._max_size is None or (len(message) <= self._max_size and ends_for_all(message))

    def _onward(self, octets: bytes) -> None:
        if self._together is None:
            self._link.onward(octets)
        else:
            self._together += octets

    def _flush(self) -> None:
        together, self._together = self._together, None
        if together and not self.closed:
            self._link.onward(bytes(together))

    def _message(self, message: bytes) -> None:
        self._first = False
        self.messages += 1
        passage = Passage(self, message)
        if self._queues:
            self._wait_behind(passage)
        self._judge(passage)
        if not passage.settled and passage.call is None and not self.closed:
            call = call_id(message) or b""
            self._wait(passage, call)

    def _wait_behind(self, passage: Passage) -> None:
        """Have a message wait if its call waits."""
        call = call_id(passage.message)
        if call is not None and call in self._queues:
            self._wait(passage, call)

    def _wait(self, passage: Passage, call: bytes) -> None:
        passage.call = call
        self._queues.setdefault(call, deque()).append(passage)
        self._held += len(passage.message) + _OVERHEAD

    def _refuse(self, fault: AnyFault, data: bytes) -> None:
        """Handle a stream that cannot be read: it passes unread from `data` on, or is reset."""
        if self._link.may_pass(fault):
            self._fault = fault
            self._pass(data)
        else:
            self._flush()
            self._link.reset()

    def _pass(self, data: bytes) -> None:
        if self._queues:
            self._tail += data
        elif data:
            self._onward(data)

    def _finish(self) -> None:
        """Nothing waits: write the rest, and pass on the end if it has come."""
        if self.closed or self._queues:
            return
        if self._tail:
            self._onward(bytes(self._tail))
            self._tail.clear()
        if self.ended and not self.finished:
            self.finished = True
            self._link.end()


def call_id(message: bytes) -> bytes | None:
    """The Call-ID; None if the message, or its Call-ID, cannot be read."""
    try:
        return SipMessage.parse(message).first(b"call-id")
    except MessageError:
        return None


def _octets(event: Event) -> bytes:
    """What was read of the stream for it."""
    return _CRLF if isinstance(event, KeepAlive) else event.data


def _other_protocol(message: bytes) -> StreamFault | None:
    """What a message is instead of SIP, if some stack reads that on a SIP port.

    Kamailio skips blanks in front of the first word, and takes what begins with a known version for that version.
    """
    line = message[: message.find(b"\r\n")].replace(b"\t", b" ")
    words = line.strip(b" ").split(b" ")
    first = words[0].upper()
    if first.startswith(_OTHERS):
        return StreamFault.OTHER
    if first.startswith(_HTTP) or (words[-1].upper().startswith(_HTTP) and not first.startswith(_SIP)):
        return StreamFault.WEB_SOCKET
    return None


def _named(fault: FramingFault, data: bytes, first: bool) -> AnyFault:
    """The fault, or what the stream is instead, if the fault is in its first message."""
    if first and data.startswith(_TLS):
        return StreamFault.TLS
    if first and data.startswith(_WEB_SOCKET):
        return StreamFault.WEB_SOCKET
    return fault
