"""What waits in the kernel's queues: what it lets pass when one is full is counted by nobody, so it is said before."""

from collections.abc import Iterable, Iterator
from typing import TypedDict

from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.netlink import queue_statistics

_FULL = 0.8  # of a queue, from which on it is said


class QueueState(TypedDict):
    """Packets that wait, at most so many, and lost because queue or socket were full."""

    waiting: int
    length: int
    dropped: int


class QueueWatch:
    """Looks after these queues."""

    def __init__(self, queues: Iterable[QueueSettings]) -> None:
        self._queues = sorted(set(queues), key=lambda queue: queue.number)
        self._crowded: set[int] = set()

    def states(self) -> dict[int, QueueState]:
        """By number, of those that are bound."""
        found = queue_statistics()
        return {
            queue.number: {
                "waiting": found[queue.number].waiting,
                "length": queue.max_length,
                "dropped": found[queue.number].queue_dropped + found[queue.number].socket_dropped,
            }
            for queue in self._queues
            if queue.number in found
        }

    def crowding(self) -> Iterator[str]:
        """A sentence for each that has become almost full since the last look."""
        for number, queue in self.states().items():
            if queue["waiting"] < queue["length"] * _FULL:
                self._crowded.discard(number)
            elif number not in self._crowded:
                self._crowded.add(number)
                yield f"queue {number}: {queue['waiting']} packets wait of at most {queue['length']}: overload"
