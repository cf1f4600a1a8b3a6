"""Watches how full the kernel's queues are.

The kernel does not count the packets that pass unfiltered when a queue is full, so a queue is reported before.
"""

from collections.abc import Iterable, Iterator
from typing import TypedDict

from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.netlink import queue_statistics

_FULL = 0.8  # share of a queue above which it is reported, before packets pass unfiltered or are lost


class QueueState(TypedDict):
    """Packets that wait, the capacity of the queue, and packets lost because queue or socket were full."""

    waiting: int
    length: int
    dropped: int


class QueueWatch:
    """The fill level of these queues."""

    def __init__(self, queues: Iterable[QueueSettings]) -> None:
        self._queues = sorted(set(queues), key=lambda queue: queue.number)
        self._crowded: set[int] = set()

    def states(self) -> dict[int, QueueState]:
        """The state of each queue that is bound, by number."""
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
        """One sentence for each queue that has become almost full since the last call."""
        for number, queue in self.states().items():
            if queue["waiting"] < queue["length"] * _FULL:
                self._crowded.discard(number)
            elif number not in self._crowded:
                self._crowded.add(number)
                yield f"queue {number}: {queue['waiting']} of at most {queue['length']} packets wait: overload"
