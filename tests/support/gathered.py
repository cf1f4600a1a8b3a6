"""The calls of packets that are replayed through an engine."""

from collections.abc import Iterable
from typing import NamedTuple

from sbc_filter.calls.calls import Calls
from sbc_filter.calls.listener import MessageListener
from sbc_filter.capture.frame import Frame
from sbc_filter.capture.replay_shell import Core, Replay
from sbc_filter.engine.verdict import Answer
from sbc_filter.outcomes import Detail
from support.calls import CARRIER, NOW, SBC, arriving, make_engine


class Packet(NamedTuple):
    """A packet, and how many seconds after `NOW` it was captured."""

    raw: bytes
    after: float = 0.0


def gathered(packets: Iterable[Packet | bytes], calls: Calls | None = None, engine: Core | None = None) -> Calls:
    """The calls of these packets; a second passes before each that does not have a time."""
    calls = Calls() if calls is None else calls
    run = Replay(
        make_engine() if engine is None else engine,
        lambda need: Answer(None, Detail.FETCH_REFUSED, NOW),
        lambda record: None,
        leaves=False,
        listener=MessageListener(calls.add, [5060]),
    )
    for number, each in enumerate(packets, 1):
        data, after = each if isinstance(each, Packet) else (each, float(number))
        time = NOW + after
        run.feed(Frame(number, time, round(time * 1e9), 101, 0, data, len(data)))
    run.finish()
    return calls


def sent(message: bytes, src: str = CARRIER, dst: str = SBC, after: float = 0.0) -> Packet:
    """A message on its way."""
    return Packet(arriving(message, src, dst), after)
