"""Call rates by key: a bucket of `over` calls that refills evenly in `seconds`.

A bucket is stored as one number, the time at which it will be full again, in POSIX nanoseconds so that rounding does
not lose parts of a call (the generic cell rate algorithm, ITU-T I.371 Annex A). A bucket that is full now needs no
entry.
"""

from typing import Protocol

from cachetools import LRUCache

from sbc_filter.rules.model import RateLimit

# keys (peers, callers …) that one rate can count separately; an attacker chooses callers, so it is bounded
MAX_KEYS = 100_000  # keys in one process; the table of all workers has 131072 (`shared_memory.shared_rates`)


class Rates(Protocol):
    """Counts the calls of rules with a rate; shared by all processes that filter the same calls."""

    def exceeds(self, rule: str, limit: RateLimit, key: str, now: float) -> bool:
        """Count a call of `key` at `now` (POSIX seconds); True, without counting it, if it exceeds the rate. Atomic.

        The count belongs to the rule's name and limit, so that it continues after a reload.
        """


class LocalRates:
    """Rates of a single process: a replay, a test, or a filter on its own."""

    def __init__(self, maximum: int = MAX_KEYS) -> None:
        self._maximum = maximum
        self._buckets: dict[tuple[str, RateLimit], LRUCache[str, int]] = {}

    def exceeds(self, rule: str, limit: RateLimit, key: str, now: float) -> bool:
        """See `Rates`."""
        buckets = self._buckets.get((rule, limit))
        if buckets is None:
            buckets = self._buckets[rule, limit] = LRUCache(self._maximum)
        exceeded, buckets[key] = spend(limit, buckets.get(key, 0), nanoseconds(now))
        return exceeded


def nanoseconds(now: float) -> int:
    """POSIX seconds as nanoseconds, the unit of buckets."""
    return round(now * 1e9)


def span(limit: RateLimit) -> int:
    """The nanoseconds in which an empty bucket fills."""
    return round(limit.over * _each(limit))


def spend(limit: RateLimit, full: int, now: int) -> tuple[bool, int]:
    """(whether the call exceeds the rate, the new time of being full) for a bucket that is full at `full`.

    A clock that is set back does not refill a bucket by itself, and never makes it emptier than empty.
    """
    each, whole = _each(limit), span(limit)
    full = min(max(full, now), now + whole)
    if full - now > whole - each:
        return True, full
    return False, full + each


def _each(limit: RateLimit) -> int:
    """The nanoseconds in which a bucket gains one call."""
    return round(limit.seconds * 1e9 / limit.over)
