"""Looks after the connections of a relay: closes those that take too long, or too much memory.

A few connections are looked at in a row. Then messages are handled before the next ones, so that thousands of idle
connections delay no call.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from sbc_filter.counters import CounterName
from sbc_filter.relay.connection import Connection
from sbc_filter.relay.limits import Limits, RankedSender, to_reset

AT_ONCE = 64
"""Connections in a row: about 0.3 ms."""
_LIMITS = {"idle": CounterName.RELAY_LIMIT_IDLE, "message": CounterName.RELAY_LIMIT_MESSAGE}


class Upkeep:
    """See the module. `connections` are those that are open at the time; it counts in `count`."""

    def __init__(
        self, connections: set[Connection], limits: Limits, monotonic: Callable[[], float], count: Counter[str]
    ) -> None:
        self._connections = connections
        self._limits = limits
        self._monotonic = monotonic
        self._count = count

    async def look(self) -> None:
        """Look at all connections once."""
        sizes: dict[Connection, tuple[RankedSender, int]] = {}
        found = list(self._connections)
        for start in range(0, len(found), AT_ONCE):
            self._check(found[start : start + AT_ONCE], sizes)
            await asyncio.sleep(0)
        for connection in self._still_there(to_reset(sizes, self._limits.octets)):
            self._count[CounterName.RELAY_LIMIT_MEMORY] += 1
            connection.reset()

    def _check(self, connections: Sequence[Connection], sizes: dict[Connection, tuple[RankedSender, int]]) -> None:
        now = self._monotonic()
        for connection in self._still_there(connections):
            limit = connection.check(now)
            if limit:
                self._count[_LIMITS[limit]] += 1
            size = connection.size
            if size:
                sizes[connection] = (bool(connection.party.group), connection.party.sender), size

    def _still_there(self, connections: Iterable[Connection]) -> Iterator[Connection]:
        """Without those that were closed meanwhile."""
        return (each for each in connections if each in self._connections)
