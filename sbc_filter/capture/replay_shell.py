"""The replay shell: feeds the frames of a capture to the engine, and returns frames with its verdicts applied.

The same engine and the same stages as live: what the kernel does there is done here, fragments put
together in front, cut again behind. What is not modified leaves as it was captured, in its order.
"""

from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from sbc_filter.capture.encapsulation.carriers import Carrier
from sbc_filter.capture.encapsulation.dissector import MAX_TUNNELS, may_be_tunnel, open_frame, open_tunnel
from sbc_filter.capture.frame import Frame
from sbc_filter.capture.link_types import locate_ip
from sbc_filter.capture.slots import Lay, Slot
from sbc_filter.capture.survey import Survey
from sbc_filter.capture.unseen import Unseen
from sbc_filter.engine.call.network import Arrival, Interfaces
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import AnyAnswer, Need, Verdict, VerdictKind
from sbc_filter.packet.fragments import is_fragment
from sbc_filter.packet.ip import UDP, is_truncated
from sbc_filter.packet.reassembly import Reassembler
from sbc_filter.packet.udp import datagram_to_ip

_MAX_WAITING = 16 << 20  # bytes of the frames after an incomplete datagram, until the oldest of these is given up
_JUMP = 30.0  # seconds between two frames of a clock after which one of them may have a wrong time
_MAX_CLOCKS = 1024  # interfaces; a hostile capture could have millions
_OVERHEAD = 512  # bytes of memory that a waiting frame costs in addition to its own


_Clock = tuple[str, int]  # of an interface of a file: those of two may differ


class FrameCount(StrEnum):
    """What is counted besides the actions of verdicts."""

    FRAMES = "frames"
    REASSEMBLED = "reassembled"  # datagrams
    INCOMPLETE = "incomplete"  # frames that wait in vain for other fragments
    EMITTED = "emitted"  # answers
    UNWRITTEN = "unwritten"  # verdicts that the output does not show: the frames cannot be written correctly


_ACCEPT = VerdictKind.ACCEPT  # named once: looking up a member of an Enum is slow


class Core(Protocol):
    """What this shell needs of the engine."""

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None, /) -> Verdict | Need:
        """Decide on an IP packet."""

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
        """Decide with the answer to a need."""


class Streams(Protocol):
    """What this shell needs of `tcp_replay.TcpReplay`."""

    def feed(self, raw: bytes, frame: Frame, /) -> None:
        """Look at an IP packet that is not UDP. It leaves as it was."""

    def finish(self) -> None:
        """End the capture."""


class Listener(Protocol):
    """What hears of every packet that the engine got, and its verdict."""

    def packet(self, raw: bytes, frame: Frame, now: float, verdict: Verdict, /) -> None:
        """An IP packet, captured in `frame` or completed by it; `now` is the time that the engine was told."""


class Replay:
    """Feeds frames to `engine`; `ask(need)` answers what it needs, `time_of(frame)` is the time it is told.

    With `interfaces` it is told the one of the frame, if the capture names it: as that by which the packet came,
    and that by which it leaves. `survey` is shown every packet, and which of them the engine did not get. With
    `leaves` false the frames that leave are not wanted: none is kept, and none is returned. `streams` gets all but UDP.
    `listener` hears of each decision until it is set to None.
    """

    def __init__(
        self,
        engine: Core,
        ask: Callable[[Need], AnyAnswer],
        sink: Callable[[Record], None],
        time_of: Callable[[Frame], float] = lambda frame: frame.time,
        survey: Survey | None = None,
        interfaces: bool = False,
        leaves: bool = True,
        streams: Streams | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._count: Counter[FrameCount | VerdictKind] = Counter()
        self._frames = self._accepted = 0  # as of `counters`; integers, since they count nearly every packet
        self._engine = engine
        self._ask = ask
        self._sink = sink
        self._time_of = time_of
        self._survey = survey or Survey((), Unseen())
        self._interfaces = interfaces
        self._leaves = leaves
        self._streams = streams
        self.listener = listener
        self._slots: deque[Slot] = deque()
        self._waiting = 0  # bytes of the slots
        self._begin = 0.0  # the first time stamp of the capture
        self._now = 0.0  # seconds since then
        self._clocks: dict[_Clock, float] = {}  # the last time of each, while datagrams are incomplete
        self._reassembler: Reassembler[Lay] = Reassembler()
        self._in_tunnels: Reassembler[Lay] = Reassembler()  # so that no fragment there spoils one that is seen live

    @property
    def counters(self) -> Counter[FrameCount | VerdictKind]:
        """What happened so far."""
        return +Counter({**self._count, FrameCount.FRAMES: self._frames, _ACCEPT: self._accepted})

    def feed(self, frame: Frame) -> list[Frame]:
        """Process one frame; returns the frames of the output that are known by now, in order."""
        self._frames += 1
        if frame.time:  # where there are no time stamps, nothing ages
            self._begin = self._begin or frame.time
            self._now = frame.time - self._begin
        span = locate_ip(frame.linktype, frame.data)
        if span is not None:
            self._packet(frame, span)
        else:
            carrier = open_frame(frame.linktype, frame.data)
            if carrier is not None:
                self._packet(frame, (0, 0), carrier)
            else:
                self._survey.frame(frame.linktype, frame.data, frame.original_length > len(frame.data))
                self._keep(Slot(frame, (0, 0), known=True))
        if not (self._reassembler.is_busy or self._in_tunnels.is_busy):
            return self._leave()
        self._expire(frame, self._time_to_expire(frame))
        left = self._leave()
        while self._waiting > _MAX_WAITING and (
            self._reassembler.give_up_oldest() or self._in_tunnels.give_up_oldest()
        ):
            self._expire(frame, None)
            left += self._leave()
        return left

    def finish(self) -> list[Frame]:
        """End the capture: returns the frames that wait for missing fragments, unchanged."""
        for lays in (*self._reassembler.flush(), *self._in_tunnels.flush()):
            self._give_up(lays)
        if self._streams is not None:
            self._streams.finish()
        self._survey.finish()
        return self._leave()

    def _packet(self, frame: Frame, span: tuple[int, int], carrier: Carrier | None = None) -> None:
        raw = frame.data[span[0] : span[1]] if carrier is None else carrier.raw
        cut = is_truncated(raw)
        if not cut and (may_be_tunnel(raw) or is_fragment(raw)):
            slot = Slot(frame, span, known=False, carrier=carrier)
            self._keep(slot)
            self._follow(Lay(raw, (slot,) if self._leaves else ()), frame)
            return
        if cut:
            self._survey.cut(raw, len(frame.data), frame.original_length)
        else:
            self._survey.packet(raw)
        verdict = self._decide(raw, frame)
        if self._leaves:
            slot = Slot(frame, span, known=True, carrier=carrier)
            self._keep(slot)
            if verdict.kind is not _ACCEPT or verdict.emit:
                self._settle(Lay(raw, (slot,)), verdict)

    def _follow(self, lay: Lay, frame: Frame, depth: int = 0) -> None:
        """Process a packet that may be a fragment or a tunnel; `depth` counts the tunnels that it is in."""
        cut = is_truncated(lay.raw)
        if not cut and is_fragment(lay.raw):
            reassembler = self._in_tunnels if depth else self._reassembler
            whole = reassembler.add(lay.raw, self._now, lay, _clock_of(frame))
            if whole is None:
                return
            self._count[FrameCount.REASSEMBLED] += 1
            lay = lay.whole(whole.raw, whole.tags, whole.largest)
        inside = open_tunnel(lay.raw) if not cut and depth < MAX_TUNNELS and may_be_tunnel(lay.raw) else None
        if inside is not None:
            self._follow(lay.within(inside, self._leaves), frame, depth + 1)
            return
        if cut:
            self._survey.cut(lay.raw, len(frame.data), frame.original_length)
        else:
            self._survey.packet(lay.raw)
        verdict = self._decide(lay.raw, frame)
        if lay.tunnel and (verdict.record is not None or verdict.monitored):
            self._survey.in_tunnel(lay.tunnel)
        if self._leaves:
            self._settle(lay, verdict)

    def _time_to_expire(self, frame: Frame) -> float | None:
        """The time, for datagrams that are incomplete; None if it is not sure.

        A single frame with a wrong time gives up nothing. After a jump, the next frame of the clock shows
        which of the two is right.
        """
        if not frame.time:
            return None
        if len(self._clocks) > _MAX_CLOCKS:
            self._clocks.clear()
        clock, now = _clock_of(frame), self._now
        before = self._clocks.get(clock, now)
        self._clocks[clock] = now
        return now if abs(now - before) < _JUMP else None

    def _expire(self, frame: Frame, now: float | None) -> None:
        clock = _clock_of(frame)
        for lays in (*self._reassembler.expire(now, clock), *self._in_tunnels.expire(now, clock)):
            self._give_up(lays)

    def _keep(self, slot: Slot) -> None:
        if self._leaves:
            self._slots.append(slot)
            self._waiting += len(slot.frame.data) + _OVERHEAD

    def _decide(self, raw: bytes, frame: Frame) -> Verdict:
        if self._streams is not None and (raw[9] if raw[0] < 0x50 else raw[6]) != UDP:
            self._streams.feed(raw, frame)
        now = self._time_of(frame)
        name = frame.interface_name if self._interfaces else ""
        decision = self._engine.process(raw, now, Arrival(interfaces=Interfaces(name, name)) if name else None)
        while isinstance(decision, Need):
            decision = self._engine.resume(decision.id, self._ask(decision), now)
        file = frame.file or None
        for record in decision.monitored:
            self._sink(record.of_packet(frame.number, file))
        if decision.record is not None:
            self._sink(decision.record.of_packet(frame.number, file))
        if decision.kind is _ACCEPT:
            self._accepted += 1
        else:
            self._count[decision.kind] += 1
        if decision.emit:
            self._count[FrameCount.EMITTED] += len(decision.emit)
        if self.listener is not None:
            self.listener.packet(raw, frame, now, decision)
        return decision

    def _settle(self, lay: Lay, verdict: Verdict) -> None:
        """Replace the frames of one packet; the new frames take the place of the last one."""
        leaving: list[Frame] | None = []
        if verdict.kind is VerdictKind.MODIFY and verdict.payload is not None:
            leaving = lay.replaced(verdict.payload)
        answers = [lay.answered(datagram_to_ip(datagram)) for datagram in verdict.emit]
        written = leaving is not None and None not in answers
        if not written:
            self._count[FrameCount.UNWRITTEN] += 1
        as_captured = verdict.kind is _ACCEPT or not written
        for slot in lay.slots:
            slot.settle([slot.frame] if as_captured else [])
        if written and leaving:
            lay.last.settle(leaving)
        if written:
            lay.last.leaving += [answer for answer in answers if answer is not None]

    def _give_up(self, lays: list[Lay]) -> None:
        self._count[FrameCount.INCOMPLETE] += len(lays)
        self._survey.incomplete([lay.raw for lay in lays])
        for lay in lays:
            for slot in lay.slots:
                slot.settle([slot.frame])

    def _leave(self) -> list[Frame]:
        left: list[Frame] = []
        while self._slots and self._slots[0].known:
            slot = self._slots.popleft()
            self._waiting -= len(slot.frame.data) + _OVERHEAD
            left += slot.leaving
        return left


def _clock_of(frame: Frame) -> _Clock:
    return frame.file, frame.interface
