"""How many calls a key had lately: a bucket of `over` calls that refills evenly in `seconds` (DESIGN §5).

Such a bucket is one number: when it will be full again, in POSIX nanoseconds, so that no part of a call is lost by
rounding (the generic cell rate algorithm, ITU-T I.371 Annex A). One that is full now is like one that never was.
"""

from typing import Protocol

from cachetools import LRUCache

from sbc_filter.rules.model import RateLimit

MAX_KEYS = 100_000  # peers, callers … that one rate tells apart


class Rates(Protocol):
    """Counts the calls of rules with a rate; the same for all that filter the same calls."""

    def exceeds(self, rule: str, limit: RateLimit, key: str, now: float) -> bool:
        """Count a call of `key` at `now` (POSIX seconds); true, and not counted, when it is one too many. Atomic.

        A rule is known by its name and its limit: after a reload it goes on from where it was.
        """


class LocalRates:
    """For one process: a replay, a test, a filter alone."""

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
    """POSIX seconds in the unit of buckets."""
    return round(now * 1e9)


def span(limit: RateLimit) -> int:
    """The nanoseconds in which an empty bucket fills."""
    return round(limit.over * _each(limit))


def spend(limit: RateLimit, full: int, now: int) -> tuple[bool, int]:
    """(whether a call is one too many, when the bucket is full after it) of a bucket that is full at `full`.

    A clock that was set back refills nothing by itself, and empties no bucket further than it can be.
    """
    each, whole = _each(limit), span(limit)
    full = min(max(full, now), now + whole)
    if full - now > whole - each:
        return True, full
    return False, full + each


def _each(limit: RateLimit) -> int:
    """The nanoseconds in which a bucket gains one call."""
    return round(limit.seconds * 1e9 / limit.over)
