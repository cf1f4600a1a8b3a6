"""Two engines that see each packet of a replay: one with the rules of now, one with those to compare."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.replay_shell import Core
from sbc_filter.capture.tcp.tcp_replay import Judge
from sbc_filter.engine.call.network import Arrival, Flow
from sbc_filter.engine.verdict import AnyAnswer, Need, Verdict, VerdictKind
from sbc_filter.errors import PacketError
from sbc_filter.packet.udp import parse

_ACCEPT = VerdictKind.ACCEPT
_NO_FRAME = Frame(0, 0.0, 0, 0, 0, b"", 0)


class Compared(NamedTuple):
    """One message of which at least one engine says more than that it passes."""

    frame: Frame
    time: float  # POSIX seconds
    message: bytes  # as captured
    now: Verdict
    then: Verdict
    of_packets: bool  # whether the verdicts have whole packets, and not messages

    def sent(self, verdict: Verdict) -> bytes:
        """The message that goes on, or the first answer; empty if there is neither."""
        if verdict.emit:
            return verdict.emit[0].payload
        if verdict.kind is _ACCEPT:
            return self.message
        if verdict.payload is None:
            return b""
        return parse(verdict.payload).payload if self.of_packets else verdict.payload


class Deciding(Core, Judge, Protocol):
    """What is needed of each engine."""


class TwoEngines:
    """To a replay it is the engine `now`. Each engine has a state of its own; `compare` gets the verdicts of both.

    `ask` gets what either of them needs, so that no need is left to the replay. `time_of` is to be given to it.
    """

    def __init__(
        self,
        now: Deciding,
        then: Deciding,
        ask: Callable[[Need], AnyAnswer],
        time_of: Callable[[Frame], float],
        compare: Callable[[Compared], None],
    ) -> None:
        self._now = now
        self._then = then
        self._ask = ask
        self._time_of = time_of
        self._compare = compare
        self._frame = _NO_FRAME

    def time_of(self, frame: Frame) -> float:
        """The time of a frame, which the next message comes from."""
        self._frame = frame
        return self._time_of(frame)

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None, /) -> Verdict:
        """Decide on an IP packet, twice."""
        first = self._settled(self._now, self._now.process(raw, now, arrival), now)
        second = self._settled(self._then, self._then.process(raw, now, arrival), now)
        if _says_more(first) or _says_more(second):
            self._note(_payload(raw), first, second, now, of_packets=True)
        return first

    def decide(self, message: bytes, flow: Flow, now: float, /) -> Verdict:
        """Decide on a SIP message, twice."""
        first = self._settled(self._now, self._now.decide(message, flow, now), now)
        second = self._settled(self._then, self._then.decide(message, flow, now), now)
        if _says_more(first) or _says_more(second):
            self._note(message, first, second, now, of_packets=False)
        return first

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict:
        """Never called: no need is left."""
        raise LookupError(f"need {need_id} is not open")

    def _settled(self, engine: Deciding, decision: Verdict | Need, now: float) -> Verdict:
        while isinstance(decision, Need):
            decision = engine.resume(decision.id, self._ask(decision), now)
        return decision

    def _note(self, message: bytes, now: Verdict, then: Verdict, time: float, *, of_packets: bool) -> None:
        self._compare(Compared(self._frame, time, message, now, then, of_packets))


def _says_more(verdict: Verdict) -> bool:
    return verdict.kind is not _ACCEPT or verdict.record is not None  # rules in monitor mode leave a record, too


def _payload(raw: bytes) -> bytes:
    try:
        return parse(raw).payload
    except PacketError:
        return b""  # such a packet passes both engines unread
