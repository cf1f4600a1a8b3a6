"""Counts the packets that passed unfiltered: those that the firewall rules handed over, less those that were queued.

The kernel counts both, but not at the same moment, so each look has two bounds. The queues are read before and after
the counters of the rules. Less what was queued *after*, the counters are too low by what came in between; less what was
queued *before*, too high. The number that had passed when the count began is at most every upper bound, and the number
now is at least every lower bound. So the count is never too high, and it is exact as soon as there was one look without
traffic, or with little, at either end.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sbc_filter.counters import CounterName
from sbc_filter.firewall.interception import Unrelayed, unrelayed

_WRAP = 1 << 32  # the kernel counts queued packets in 32 bits
_NAMES: Mapping[Unrelayed, CounterName] = {
    Unrelayed.ENCRYPTED: CounterName.UNRELAYED_ENCRYPTED,
    Unrelayed.NEW: CounterName.UNRELAYED_NEW,
    Unrelayed.OLDER: CounterName.UNRELAYED_OLDER,
    Unrelayed.ELSEWHERE: CounterName.UNRELAYED_ELSEWHERE,
}


class Queued(NamedTuple):
    """The packets that have not passed unfiltered.

    `entered` are the packets that came into each queue of a worker since it was bound. `waiting` are those that the
    dispatcher has not yet handed on. `listeners` are the sockets that have bound the queues, 0 where there is none:
    those of the workers in the order of `entered`, then others and whatever else changes with a process.
    """

    listeners: tuple[int, ...]
    entered: tuple[int, ...]
    waiting: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.entered) + self.waiting


class Look(NamedTuple):
    """One reading: packets that the rules have handed over, and those queued just before and just after."""

    handed_over: int
    before: Queued
    after: Queued


class UnfilteredCount:
    """The packets of one queue that passed unfiltered since the first look.

    When a process is replaced, the packets in its queue vanish with their number. What passed between the looks before
    and after is then not known, only its limit: it is not added to `total`, but kept for `missed`.
    """

    def __init__(self) -> None:
        self.total = 0
        self._last: Look | None = None
        self._counted_before = 0  # by earlier listeners and rules
        self._begin = 0  # at most so many had passed at the first look
        self._missed = 0

    def take(self, look: Look) -> None:
        """Count up to this look. Rules that were applied again begin at zero: the count goes on from there."""
        if look.before.listeners != look.after.listeners:
            return  # the next look has new listeners only
        last, self._last = self._last, look
        lowest, highest = look.handed_over - look.after.total, look.handed_over - look.before.total
        if last is None or not _continues(last, look):
            if last is not None:
                self._join(last, look)
            self._counted_before = self.total
            self._begin = highest
        self._begin = min(self._begin, highest)
        self.total = max(self.total, self._counted_before + lowest - self._begin)

    def forget(self) -> None:
        """The rules are gone: count again from the next look on."""
        self._last = None

    def missed(self) -> int:
        """The most that can have passed uncounted since the last call, around processes that were replaced."""
        missed, self._missed = self._missed, 0
        return missed

    def _join(self, last: Look, look: Look) -> None:
        if look.handed_over < last.handed_over:
            # Since the rules were applied again. Before that, what they counted is lost.
            if look.after.listeners == last.after.listeners:
                self.total += max(0, look.handed_over - (look.after.total - last.before.total))
            return
        stayed = [at for at in range(len(look.after.entered)) if look.after.listeners[at] == last.after.listeners[at]]
        queued = sum(look.before.entered) - sum(last.after.entered[at] for at in stayed)
        queued += look.before.waiting - last.after.waiting
        self._missed += max(0, look.handed_over - last.handed_over - max(0, queued))


class EnteredSinceBound:
    """Goes on counting where the kernel's counters of a queue wrap around."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, int, int]] = {}

    def __call__(self, queue: int, listener: int, entered: int) -> int:
        """The packets that came into the queue since this listener has bound it."""
        known, last, wraps = self._last.get(queue, (0, 0, 0))
        wraps = wraps + (entered < last) if listener == known else 0
        self._last[queue] = listener, entered, wraps
        return entered + wraps * _WRAP


class UnrelayedCount:
    """The TCP that passes the relay, as the rules count it.

    Rules that were there before the first look have counted for another filter: their count then is left out.

    Rules that were applied again begin at zero. What they had counted since the last look is lost.
    """

    def __init__(self) -> None:
        self._last: Counter[Unrelayed] | None = None

    def take(self, listings: Iterable[str]) -> Mapping[CounterName, int]:
        """How much more there is than at the last look; `listings` are those of the rules."""
        now = unrelayed(listings)
        last, self._last = now if self._last is None else self._last, now
        more = {what: now[what] - (last[what] if last[what] <= now[what] else 0) for what in Unrelayed}
        return {_NAMES[what]: count for what, count in more.items() if count}


def _continues(last: Look, look: Look) -> bool:
    """Whether all processes and rules are those of the last look."""
    return look.after.listeners == last.after.listeners and look.handed_over >= last.handed_over
