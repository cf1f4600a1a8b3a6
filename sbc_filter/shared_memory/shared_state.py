"""What engines remember across calls, shared by all workers.

What an engine remembers of a single call is not shared: all messages of a call pass the same engine.
"""

from dataclasses import dataclass
from pathlib import Path

from sbc_filter.engine.memory.arrivals import Arrivals, LocalArrivals
from sbc_filter.engine.memory.replays import LocalSeen, Seen
from sbc_filter.rules.rate_limits import LocalRates, Rates
from sbc_filter.shared_memory.shared_arrivals import SharedArrivals
from sbc_filter.shared_memory.shared_rates import SharedRates
from sbc_filter.shared_memory.shared_replays import SharedSeen


@dataclass(frozen=True, slots=True)
class SharedState:
    """The tokens that were seen (S-057), the counts of rates, and what `preserve` keeps."""

    seen: Seen
    rates: Rates
    arrivals: Arrivals

    @classmethod
    def local(cls) -> "SharedState":
        """For the engines of a single process."""
        return cls(LocalSeen(), LocalRates(), LocalArrivals())

    @classmethod
    def shared(cls, folder: Path | None, queue: int) -> "SharedState":
        """For this process and those forked from it; `EnvironmentFault` when there is no shared memory.

        The tokens are in a file of `folder`, named after the queue, so that they survive a restart. Without a folder
        they are in memory, like the rest.
        """
        return cls(SharedSeen(folder / f"seen-{queue}" if folder else None), SharedRates(), SharedArrivals())

    def close(self) -> None:
        """Release the shared tables in this process; others keep them."""
        for each in (self.seen, self.rates, self.arrivals):
            if isinstance(each, SharedSeen | SharedRates | SharedArrivals):
                each.close()
