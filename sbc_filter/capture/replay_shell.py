"""The replay shell: feeds the frames of a capture to the engine, and returns frames with its verdicts applied.

The same engine and the same stages as live: what the kernel does there is done here, fragments put
together in front, cut again behind. What is not modified leaves as it was captured, in its order.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Protocol

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.link_types import answer_frame, locate_ip, replace_ip
from sbc_filter.engine.call.network import Arrival, Interfaces
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import AnyAnswer, Need, Verdict, VerdictKind
from sbc_filter.errors import PacketError
from sbc_filter.packet.fragments import fragment, is_fragment
from sbc_filter.packet.reassembly import Reassembler
from sbc_filter.packet.udp import datagram_to_ip

_MAX_WAITING = 4096  # frames after an incomplete datagram, until that is given up
_REASSEMBLY = 5.0  # seconds of the capture for the reassembly of a datagram; its fragments are sent in one burst


class FrameCount(StrEnum):
    """What is counted besides the actions of verdicts."""

    FRAMES = "frames"
    REASSEMBLED = "reassembled"  # datagrams
    INCOMPLETE = "incomplete"  # frames that wait in vain for other fragments
    EMITTED = "emitted"  # answers


class Core(Protocol):
    """What this shell needs of the engine."""

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None, /) -> Verdict | Need:
        """Decide on an IP packet."""

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
        """Decide with the answer to a need."""


class _Slot:
    """A place in the output: the original frame, until its replacement is known."""

    __slots__ = ("frame", "known", "leaving", "span")

    def __init__(self, frame: Frame, span: tuple[int, int], known: bool) -> None:
        self.frame = frame
        self.span = span
        self.known = known
        self.leaving: list[Frame] = [frame] if known else []

    def settle(self, leaving: list[Frame]) -> None:
        self.known, self.leaving = True, leaving

    def with_packet(self, raw: bytes) -> Frame:
        """The frame with a new IP packet."""
        data = replace_ip(self.frame.data, *self.span, raw)
        return self.frame._replace(data=data, original_length=len(data))


class Replay:
    """Feeds frames to `engine`; `ask(url)` answers what it needs, `time_of(frame)` is the time it is told.

    With `interfaces` it is told the one of the frame, if the capture names it: as that by which the packet came,
    and that by which it leaves.
    """

    def __init__(
        self,
        engine: Core,
        ask: Callable[[Need], AnyAnswer],
        sink: Callable[[Record], None],
        time_of: Callable[[Frame], float] = lambda frame: frame.time,
        look: Callable[[bytes], None] = lambda raw: None,
        interfaces: bool = False,
    ) -> None:
        self.counters: Counter[FrameCount | VerdictKind] = Counter()
        self._engine = engine
        self._ask = ask
        self._sink = sink
        self._time_of = time_of
        self._look = look  # called with each IP packet as captured
        self._interfaces = interfaces
        self._slots: deque[_Slot] = deque()
        self._reassembler: Reassembler[_Slot] = Reassembler(timeout=_REASSEMBLY)

    def feed(self, frame: Frame) -> Iterator[Frame]:
        """Process one frame; yields the frames of the output that are known by now, in order."""
        self.counters[FrameCount.FRAMES] += 1
        span = locate_ip(frame.linktype, frame.data)
        if span is None:
            self._slots.append(_Slot(frame, (0, 0), known=True))
        else:
            self._packet(_Slot(frame, span, known=False))
        for slots in self._reassembler.expire(frame.time):
            self._give_up(slots)
        if len(self._slots) > _MAX_WAITING:
            yield from self.finish()
        yield from self._leave()

    def finish(self) -> Iterator[Frame]:
        """End the capture: frames that wait for missing fragments are yielded unchanged."""
        for slots in self._reassembler.flush():
            self._give_up(slots)
        yield from self._leave()

    def _packet(self, slot: _Slot) -> None:
        start, end = slot.span
        raw = slot.frame.data[start:end]
        self._look(raw)
        self._slots.append(slot)
        if not is_fragment(raw):
            self._settle([slot], len(raw), self._decide(raw, slot.frame))
            return
        whole = self._reassembler.add(raw, slot.frame.time, slot)
        if whole is not None:
            self.counters[FrameCount.REASSEMBLED] += 1
            self._settle([*whole.tags], whole.largest, self._decide(whole.raw, slot.frame), slot)

    def _decide(self, raw: bytes, frame: Frame) -> Verdict:
        now = self._time_of(frame)
        name = frame.interface_name if self._interfaces else ""
        decision = self._engine.process(raw, now, Arrival(interfaces=Interfaces(name, name)) if name else None)
        while isinstance(decision, Need):
            decision = self._engine.resume(decision.id, self._ask(decision), now)
        for record in (*decision.monitored, *((decision.record,) if decision.record else ())):
            self._sink(record.of_packet(frame.number, frame.file or None))
        self.counters[decision.kind] += 1
        return decision

    def _settle(self, slots: list[_Slot], size: int, verdict: Verdict, last: _Slot | None = None) -> None:
        """Replace the frames of one datagram; the new frames take the place of the `last` one."""
        last = last or slots[-1]
        for slot in slots:
            slot.settle([slot.frame] if verdict.kind is VerdictKind.ACCEPT else [])
        if verdict.kind is VerdictKind.MODIFY and verdict.payload is not None:
            last.settle([last.with_packet(packet) for packet in _cut(verdict.payload, size, len(slots))])
        for datagram in verdict.emit:
            self.counters[FrameCount.EMITTED] += 1
            last.leaving.append(self._answer(last, datagram_to_ip(datagram)))

    def _answer(self, slot: _Slot, raw: bytes) -> Frame:
        data = answer_frame(slot.frame.linktype, slot.frame.data, slot.span[0], raw)
        return slot.frame._replace(data=data, original_length=len(data))

    def _give_up(self, slots: list[_Slot]) -> None:
        self.counters[FrameCount.INCOMPLETE] += len(slots)
        for slot in slots:
            slot.settle([slot.frame])

    def _leave(self) -> Iterator[Frame]:
        while self._slots and self._slots[0].known:
            yield from self._slots.popleft().leaving


def _cut(raw: bytes, size: int, pieces: int) -> list[bytes]:
    """Fragment a packet again that was fragmented. A whole packet that grew stays whole in a capture."""
    if pieces == 1:
        return [raw]
    try:
        return fragment(raw, size)
    except PacketError:  # the fragments were too small
        return [raw]
