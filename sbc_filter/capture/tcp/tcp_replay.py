"""The SIP messages of a capture that came over TCP, judged by the engine that judges its datagrams.

No frame is changed here, and none is added: what a message becomes may need more segments than it came in. What cannot
be judged is counted in `Unseen`.

Live, the filter looks at TCP only if it is relayed. If not, what the engine says changes nothing, and the records say
`"unfiltered":"tcp"`.

The memory is bounded. If there are too many connections, or too many octets wait, the connection that was idle longest
is forgotten. What was incomplete in it is counted.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.tcp.tcp_direction import Piece, TcpDirection
from sbc_filter.capture.tcp.tcp_messages import Lost, MessageStream
from sbc_filter.capture.tcp.tcp_segment import Segment, parse_segment, ports_of
from sbc_filter.capture.unseen import Reason, Unseen
from sbc_filter.engine.call.network import Flow, Interfaces, Observation
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import AnyAnswer, Need, Verdict, VerdictKind
from sbc_filter.packet.ip import address_text
from sbc_filter.sip.lenient.request_start import method_of

TRANSPORT = "tcp"
_NO_INTERFACE = Interfaces("", "")  # the relay does not know it
MAX_DIRECTIONS = 8_192
"""Directions of connections that are known at one time; each costs less than a kilobyte, and its octets."""
MAX_OCTETS = 8 << 20
"""Octets of all directions."""


class Judge(Protocol):
    """What this shell needs of the engine."""

    def decide(self, message: bytes, flow: Flow, now: float, /) -> Verdict | Need:
        """Decide on a SIP message."""

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
        """Decide with the answer to a need."""


class Listener(Protocol):
    """What hears of every message, and its verdict."""

    def message(self, data: bytes, flow: Flow, frame: Frame, now: float, verdict: Verdict, relayed: bool, /) -> None:
        """A message that `frame` completed; `now` is the time that the engine was told. If it is not `relayed`, it
        passes live, whatever the verdict says."""


class _Direction:
    """One direction of a connection: its octets, and the messages in them."""

    __slots__ = ("ends", "interface", "messages", "octets", "port")

    def __init__(self, ends: bytes, port: int, interface: str) -> None:
        self.ends = ends
        self.port = port
        self.interface = interface
        self.octets = TcpDirection()
        self.messages = MessageStream()

    @property
    def size(self) -> int:
        return self.octets.size + self.messages.size

    def flow(self) -> Flow:
        """Where its messages come from and go to. Made for each message: most directions are idle."""
        half = (len(self.ends) - 4) // 2
        source, target = address_text(self.ends[:half]), address_text(self.ends[half:-4])
        interfaces = Interfaces(self.interface, self.interface) if self.interface else None
        sport, dport = ports_of(self.ends)
        return Flow(source, sport, target, dport, TRANSPORT, interfaces)


class TcpReplay:
    """Call `feed` with each IP packet that is not UDP, and `finish` at the end.

    `ask`, `sink`, `time_of` and `interfaces` are as in `replay_shell.Replay`. `ports` are the SIP ports, and
    `relayed` those whose connections are relayed live. The engine has to observe TCP but for those, so that it does not
    remember as done what is not done. `listener` hears of each decision until it is set to None.
    """

    def __init__(
        self,
        engine: Judge,
        ask: Callable[[Need], AnyAnswer],
        sink: Callable[[Record], None],
        time_of: Callable[[Frame], float],
        ports: Collection[int],
        unseen: Unseen,
        interfaces: bool = False,
        max_directions: int = MAX_DIRECTIONS,
        max_octets: int = MAX_OCTETS,
        listener: Listener | None = None,
        relayed: Collection[int] = (),
    ) -> None:
        self._engine = engine
        self._ask = ask
        self._sink = sink
        self._time_of = time_of
        self._ports = frozenset(ports)
        self._passing = Observation(tcp_but=frozenset(relayed))
        self._unseen = unseen
        self._interfaces = interfaces
        self._max_directions = max_directions
        self._max_octets = max_octets
        self._directions: OrderedDict[bytes, _Direction] = OrderedDict()  # the longest idle first
        self.octets = 0
        """Octets in memory."""
        self.verdicts: Counter[VerdictKind] = Counter()
        """Of the messages that are relayed live."""
        self.answers = 0
        """Of the filter, to those."""
        self._last: Frame | None = None
        self.listener = listener
        self._time = 0.0  # of the last segment that has one

    def feed(self, raw: bytes, frame: Frame) -> None:
        """Judge the messages that this IP packet completes; `frame` is where it was captured."""
        segment = parse_segment(raw)
        if segment is None or self._ports.isdisjoint(segment.ports):
            return
        self._last = frame
        self._time = frame.time or self._time
        direction = self._directions.get(segment.ends)
        if direction is None:
            direction = self._directions[segment.ends] = self._new(segment, frame)
            self.octets += direction.size
        self._directions.move_to_end(segment.ends)
        before, conflicts = direction.size, direction.octets.conflicts
        self._judge(direction, direction.octets.feed(segment, self._time), frame)
        self.octets += direction.size - before
        if direction.octets.conflicts > conflicts:
            self._unseen.add(Reason.TCP_CONFLICT, str(direction.port))
        other = self._directions.get(segment.reverse_ends)
        if other is not None and segment.acknowledged >= 0:
            other.octets.acknowledge(segment.acknowledged, self._time)
        while len(self._directions) > self._max_directions or self.octets > self._max_octets:
            self._forget(next(iter(self._directions)), frame)

    def finish(self) -> None:
        """Judge what is complete although segments before it are missing, and count what stays incomplete."""
        while self._directions and self._last is not None:
            self._forget(next(iter(self._directions)), self._last)

    def _new(self, segment: Segment, frame: Frame) -> _Direction:
        sport, dport = segment.ports
        name = frame.interface_name if self._interfaces else ""
        return _Direction(segment.ends, dport if dport in self._ports else sport, name)

    def _forget(self, ends: bytes, frame: Frame) -> None:
        direction = self._directions.pop(ends)
        self.octets -= direction.size
        self._judge(direction, direction.octets.finish(), frame)

    def _judge(self, direction: _Direction, pieces: Iterable[Piece], frame: Frame) -> None:
        for piece in pieces:
            for found in direction.messages.feed(piece):
                if isinstance(found, Lost):
                    self._unseen.add(found.reason, found.where, found.invites)
                else:
                    self._decide(found.data, direction, frame)

    def _decide(self, message: bytes, direction: _Direction, frame: Frame) -> None:
        now, flow = self._time_of(frame), direction.flow()
        relayed = not self._passing.passes_tcp(flow)
        if relayed:
            flow = flow._replace(interfaces=_NO_INTERFACE)
        decision = self._engine.decide(message, flow, now)
        while isinstance(decision, Need):
            decision = self._engine.resume(decision.id, self._ask(decision), now)
        if relayed:
            self.verdicts[decision.kind] += 1
            self.answers += len(decision.emit)
        elif method_of(message) == b"INVITE":
            self._unseen.add(Reason.LIVE_TCP, str(direction.port), 1)
        for record in (*decision.monitored, decision.record):
            if record is not None:
                self._sink(record.of_packet(frame.number, frame.file or None, None if relayed else TRANSPORT))
        if self.listener is not None:
            self.listener.message(message, flow, frame, now, decision, relayed)
