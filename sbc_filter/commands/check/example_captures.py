"""The captures of `[[rule.example]]`: their frames, and an engine whose verdicts on them are looked at."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.merge import Captures, Source
from sbc_filter.commands.check.example_calls import ExampleFault
from sbc_filter.commands.replay.frames import with_progress
from sbc_filter.engine.call.network import Arrival, Flow
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import AnyAnswer, Need, Verdict
from sbc_filter.packet.udp import parse

MOST_FRAMES = 200_000
LARGEST = 64 << 20
"""Bytes of a capture. It may be compressed, so that the frames are limited, too."""
_NO_FRAME = Frame(0, 0.0, 0, 0, 0, b"", 0)
Watch = Callable[[Verdict, bytes, bytes, Frame, float], None]
"""Gets a verdict, the message as it came and as it goes on or is answered, its frame and time (POSIX seconds)."""


class NotingEngine:
    """To a replay it is `engine`. Each verdict with a record is given to `watch`; `time_of` is to be given to it."""

    def __init__(self, engine: Engine, watch: Watch) -> None:
        self._engine = engine
        self._watch = watch
        self._frame = _NO_FRAME
        self._judged = b"", False  # the packet or message that waits, and whether it is a packet
        self.at = 0.0

    def time_of(self, frame: Frame) -> float:
        """The time of a frame, which the next message comes from."""
        self._frame, self.at = frame, frame.time
        return frame.time

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None, /) -> Verdict | Need:
        """Decide on an IP packet."""
        self._judged = raw, True
        return self._noted(self._engine.process(raw, now, arrival))

    def decide(self, message: bytes, flow: Flow, now: float, /) -> Verdict | Need:
        """Decide on a SIP message."""
        self._judged = message, False
        return self._noted(self._engine.decide(message, flow, now))

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
        """Decide with the answer to a need."""
        return self._noted(self._engine.resume(need_id, answer, now))

    def _noted(self, decision: Verdict | Need) -> Verdict | Need:
        if isinstance(decision, Verdict) and decision.record is not None:
            judged, is_packet = self._judged
            before = parse(judged).payload if is_packet else judged
            after = before
            if decision.emit:
                after = decision.emit[0].payload
            elif decision.payload is not None:
                after = parse(decision.payload).payload if is_packet else decision.payload
            self._watch(decision, before, after, self._frame, self.at)
        return decision


def frames_of(path: Path) -> Iterator[Frame]:
    """The frames of the capture of an example; `ExampleFault` and `CaptureError`."""
    if not path.is_file():
        raise ExampleFault(f"{path} is not there, or is not a file")
    if path.stat().st_size > LARGEST:
        raise ExampleFault(f"{path} is larger than {LARGEST >> 20} MiB: an example needs a few calls")
    with Captures([Source(str(path))], several=False) as captures:
        for count, frame in enumerate(with_progress(captures, path.name)):
            if count == MOST_FRAMES:
                raise ExampleFault(f"{path} has more than {MOST_FRAMES} packets: an example needs a few calls")
            yield frame
        if captures.faults:
            raise ExampleFault(captures.faults[0])
