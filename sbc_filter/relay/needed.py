"""What the shell of the relay is given: the engine, where certificates come from, and who takes records."""

from collections.abc import Callable
from typing import Protocol

from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import AnyAnswer, Need, Verdict
from sbc_filter.relay.direction import Passage

Handled = Callable[[Record, Passage, Verdict], None]
"""Takes the record of a message, the message, and its verdict. Raises as a sink of records does."""


class Core(Protocol):
    """The engine, as the relay sees it."""

    def decide(self, message: bytes, flow: Flow, now: float, /) -> Verdict | Need:
        """Decide about a SIP message."""

    def place(self, flow: Flow, /) -> Position:
        """What a flow says about each of its messages."""

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
        """Decide with what was needed."""

    def add_late(self, need: Need, answer: AnyAnswer, now: float, /) -> None:
        """Store an answer that came too late for its message."""

    def release(self, now: float, /) -> list[tuple[int, Verdict]]:
        """Give up all needs that are pending."""


class Source(Protocol):
    """Where certificates and signatures come from; `done` is called once, from any thread."""

    def satisfy(self, need: Need, done: Callable[[AnyAnswer], None], /) -> None:
        """Begin to get what is needed; returns at once."""
