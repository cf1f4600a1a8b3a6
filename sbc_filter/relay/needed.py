"""What the shell of the relay is given: the engine, and who takes records."""

from collections.abc import Callable
from typing import Protocol

from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Need, Verdict
from sbc_filter.holding.holding import Resumable
from sbc_filter.relay.direction import Passage

Handled = Callable[[Record, Passage, Verdict], None]
"""Takes the record of a message, the message, and its verdict. Raises as a sink of records does."""


class Core(Resumable, Protocol):
    """The engine, as the relay sees it."""

    def decide(self, message: bytes, flow: Flow, now: float, /) -> Verdict | Need:
        """Decide about a SIP message."""

    def place(self, flow: Flow, /) -> Position:
        """What a flow says about each of its messages."""
