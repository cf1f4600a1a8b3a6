"""Counts the packets that passed because the socket of a queue was full, although the queue was not."""

from collections.abc import Callable, Mapping, Sequence

from sbc_filter.counters import CounterName
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.netlink import QueueStatistics, queue_statistics

_WRAP = 1 << 32  # the kernel counts in 32 bits
_VERDICTS = (CounterName.ACCEPTED, CounterName.MODIFIED, CounterName.DROPPED)


class FullSocket:
    """Counts for the process that has bound these queues, between two of its verdicts.

    The kernel numbers a packet before it finds that the socket has no room. So these packets have entered the queue,
    but do not wait, have no verdict and, with `on_overload = "accept"`, were not dropped.
    """

    def __init__(
        self,
        queues: Sequence[QueueSettings],
        statistics: Callable[[], Mapping[int, QueueStatistics]] = queue_statistics,
    ) -> None:
        self._numbers = [queue.number for queue in queues]
        self._accepts = any(queue.fail_open for queue in queues)
        self._statistics = statistics
        self._passed = 0

    def passed(self, counters: Mapping[str, int]) -> int:
        """The packets so far. `counters` are those of the shell. Without `overruns` there are none."""
        if self._accepts and counters.get(CounterName.OVERRUNS):
            # In this order: what arrives in between waits in the second.
            first, second = self._statistics(), self._statistics()
            gone = sum(counters.get(name, 0) for name in _VERDICTS)
            for number in self._numbers:
                if number not in first or number not in second:
                    return self._passed
                gone += second[number].waiting + second[number].socket_dropped - first[number].entered
            passed = -gone % _WRAP
            if passed < _WRAP // 2:  # otherwise a negative number: packets arrived in between
                self._passed = max(self._passed, passed)
        return self._passed
