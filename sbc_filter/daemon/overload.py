"""The beginning and the end of an overload, and what it cost."""

from collections import Counter
from collections.abc import Iterator, Mapping

from sbc_filter.records.tally import numbered

_QUIET = 3  # looks, a second apart, without a sign of overload: then it has ended


class Overload:
    """Begins when a queue is nearly full, or when packets pass or are dropped because it is; ends when it is quiet."""

    def __init__(self) -> None:
        self._passed: Mapping[str, int] = {}  # at the last look
        self._dropped = 0
        self._sum_passed: Counter[str] = Counter()  # of this overload
        self._sum_dropped = 0
        self._quiet = 0
        self.is_on = False

    def begin(self) -> None:
        """A queue is nearly full."""
        if not self.is_on:
            self.is_on = True
            self._sum_passed.clear()
            self._sum_dropped = 0
        self._quiet = 0

    def look(self, passed: Mapping[str, int], dropped: int, *, crowded: bool) -> bool:
        """Take the numbers of packets so far. True if an overload began that no look at the queues has seen.

        `passed` unfiltered, by direction, which is empty where the directions share a queue. `dropped` by the queues,
        a number that falls when a queue is bound again. `crowded`: a queue is nearly full.
        """
        more_passed = Counter({way: count - self._passed.get(way, 0) for way, count in passed.items()})
        self._passed = dict(passed)
        more_dropped, self._dropped = max(0, dropped - self._dropped), dropped
        unseen = False
        if more_passed.total() or more_dropped or crowded:
            unseen = not self.is_on
            self.begin()
        else:
            self._quiet += 1
        self._sum_passed.update(more_passed)  # keeps zeros
        self._sum_dropped += more_dropped
        return unseen

    def ended(self, *, counted: bool) -> Iterator[str]:
        """The sentence of the end, if the overload has ended. `counted`: whether unfiltered packets are."""
        if self._quiet >= _QUIET:
            yield from self.end(counted=counted)

    def end(self, *, counted: bool) -> Iterator[str]:
        """The sentence of the end, of an overload that goes on, too."""
        if not self.is_on:
            return
        self.is_on = False
        passed = f"{numbered(self._sum_passed.total(), 'packet')} passed unfiltered"
        ways = ", ".join(f"{count} {way}" for way, count in sorted(self._sum_passed.items()) if way)
        if ways:
            passed += f" ({ways})"
        if not counted:
            passed = (
                "packets that passed unfiltered are not counted, because no counters of our firewall rules were found"
            )
        yield f"the overload has ended: {passed}, {self._sum_dropped} were dropped"
