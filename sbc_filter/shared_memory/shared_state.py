"""What engines remember across calls: the same for all processes that filter the same calls.

What an engine remembers of one call it has for itself: all messages of a call pass the same engine.
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
    """Which tokens were seen (S-057), how many calls the keys of rates had, and what `preserve` keeps."""

    seen: Seen
    rates: Rates
    arrivals: Arrivals

    @classmethod
    def local(cls) -> "SharedState":
        """For one engine, or those that follow one another in a process."""
        return cls(LocalSeen(), LocalRates(), LocalArrivals())

    @classmethod
    def shared(cls, folder: Path | None, queue: int) -> "SharedState":
        """For this process and those that are forked from it; `EnvironmentFault` when there is no such memory.

        The tokens are in a file of this folder, named by the queue, where a restart finds them again; without a
        folder, in memory as the others, where no other filter of this host meets them by accident.
        """
        return cls(SharedSeen(folder / f"seen-{queue}" if folder else None), SharedRates(), SharedArrivals())

    def close(self) -> None:
        """Let go of what is shared; the others keep it."""
        for each in (self.seen, self.rates, self.arrivals):
            if isinstance(each, SharedSeen | SharedRates | SharedArrivals):
                each.close()
