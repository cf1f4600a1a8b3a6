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
        self._passed = {queue.number: 0 for queue in queues if queue.fail_open}
        self._statistics = statistics

    def passed(self, overruns: int, verdicts: Mapping[int, Mapping[str, int]]) -> Mapping[int, int]:
        """The packets so far by queue, of those that accept. `verdicts` are counted by queue.

        Without `overruns` there are none.
        """
        if self._passed and overruns:
            # In this order: what arrives in between waits in the second.
            first, second = self._statistics(), self._statistics()
            for number in self._passed.keys() & first.keys() & second.keys():
                gone = sum(verdicts[number].get(name, 0) for name in _VERDICTS)
                gone += second[number].waiting + second[number].socket_dropped
                passed = (first[number].entered - gone) % _WRAP
                if passed < _WRAP // 2:  # otherwise a negative number: packets arrived in between
                    self._passed[number] = max(self._passed[number], passed)
        return self._passed
