"""Recent arrivals with their Identity, by the keys that a leaving leg of the same call shares (`preserve`).

Invariants of the arrivals under one key (see `joined`):

- They are in order of being added; no two have the same call or the same tokens, apart from crowds.
- There are at most `MOST`. Only the first can be a crowd (`tokens` is None), a doubt that no later call removes.
- The entry lives as long as the arrival that expires last.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sbc_filter.generational_cache import GenerationalCache

# Seconds since a call arrived: longer than Timer C (over 3 minutes), so that no pending INVITE is older
LIFETIME = 300.0
CAPACITY = 64 << 20  # bytes
MOST = 4  # arrivals with different tokens kept apart under one key; two are already ambiguous
_OVERHEAD = 512  # bytes of objects around each

Key = tuple[str, bytes]


class Arrival(NamedTuple):
    """A call that arrived.

    `call` (peer, Call-ID) distinguishes it from others. `tokens` are the values of its Identity fields as received;
    None for a crowd, several calls that are no longer kept apart.
    """

    call: tuple[str, bytes]
    arrived: float
    tokens: tuple[bytes, ...] | None
    date: bytes | None


class Arrivals(Protocol):
    """Arrivals by key; shared by all processes that filter the same calls."""

    def add(self, key: Key, arrival: Arrival) -> None:
        """Add an arrival to those of this key (see `joined`). After the return every process finds it. Atomic."""

    def get(self, key: Key, now: float) -> tuple[Arrival, ...]:
        """The arrivals under this key in the last `LIFETIME` seconds, unless too many others arrived since."""


class LocalArrivals:
    """Arrivals of a single process: a replay, a test, or a filter on its own."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._known: GenerationalCache[Key, tuple[Arrival, ...]] = GenerationalCache(capacity, LIFETIME)

    def add(self, key: Key, arrival: Arrival) -> None:
        """See `Arrivals`."""
        now = arrival.arrived
        kept = joined(self.get(key, now), arrival)
        self._known.put(key, kept, expiry(kept), now, len(key[1]) + sum(map(_weight, kept)))

    def get(self, key: Key, now: float) -> tuple[Arrival, ...]:
        """See `Arrivals`."""
        return alive(self._known.get(key, now) or (), now)


def alive(arrivals: tuple[Arrival, ...], now: float) -> tuple[Arrival, ...]:
    """The arrivals that have not expired. One far in the future was stored before the clock was set back, and is
    dropped."""
    return tuple(each for each in arrivals if -LIFETIME < now - each.arrived < LIFETIME)


def joined(known: tuple[Arrival, ...], arrival: Arrival) -> tuple[Arrival, ...]:
    """`known`, from oldest to newest, with one more arrival.

    A call that is sent again (after a 401, say) replaces its tokens. The same tokens, in forks or on another route,
    count once. Beyond `MOST` the two oldest become a crowd, so that no number of further calls makes one of them seem
    unique.
    """
    others = [each for each in known if each.call != arrival.call and each.tokens != arrival.tokens]
    if len(others) >= MOST:
        others[:2] = [crowd(others[:2])]
    return (*others, arrival)


def crowd(arrivals: Sequence[Arrival]) -> Arrival:
    """Several arrivals merged into one that equals no other."""
    return Arrival(("", b""), max(each.arrived for each in arrivals), None, None)


def expiry(arrivals: Sequence[Arrival]) -> float:
    """When the last of them expires. That is not always the one added last, which may have waited for a certificate."""
    return max(each.arrived for each in arrivals) + LIFETIME


def _weight(arrival: Arrival) -> int:
    return _OVERHEAD + len(arrival.call[1]) + sum(map(len, arrival.tokens or ())) + len(arrival.date or b"")
