"""What arrived lately with which Identity, by what tells the leg that leaves to be of the same call (`preserve`)."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sbc_filter.generational_cache import GenerationalCache

LIFETIME = 300.0  # seconds since a call arrived: an INVITE that still seeks its way is older than Timer C (> 3 min)
CAPACITY = 64 << 20  # bytes
MOST = 4  # arrivals with different tokens that are kept apart under one key: two are a doubt already
_OVERHEAD = 512  # bytes of objects around each

Key = tuple[str, bytes]


class Arrival(NamedTuple):
    """A call that arrived: `call` (peer, Call-ID) tells it from others, `tokens` are the values of its Identity fields
    as they came. None of them: a crowd, several calls that are not kept apart any more."""

    call: tuple[str, bytes]
    arrived: float
    tokens: tuple[bytes, ...] | None
    date: bytes | None


class Arrivals(Protocol):
    """Remembers arrivals by keys; the same for all that filter the same calls."""

    def add(self, key: Key, arrival: Arrival) -> None:
        """Join an arrival to those of this key (see `joined`). From the return on everybody finds it. Atomic."""

    def get(self, key: Key, now: float) -> tuple[Arrival, ...]:
        """What arrived under this key in the last `LIFETIME` seconds, unless too much arrived since then."""


class LocalArrivals:
    """For one process: a replay, a test, a filter alone."""

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
    """Those that are not forgotten; what is long to come arrived before the clock was set back."""
    return tuple(each for each in arrivals if -LIFETIME < now - each.arrived < LIFETIME)


def joined(known: tuple[Arrival, ...], arrival: Arrival) -> tuple[Arrival, ...]:
    """`known`, from the oldest to the newest, and one more. A call that is asked again (after 401, say) brings its new
    tokens; the same tokens, in forks or on another route, count once. Beyond `MOST` the oldest become a crowd, and no
    number of further calls makes one of them seem the only one."""
    others = [each for each in known if each.call != arrival.call and each.tokens != arrival.tokens]
    if len(others) >= MOST:
        others[:2] = [crowd(others[:2])]
    return (*others, arrival)


def crowd(arrivals: Sequence[Arrival]) -> Arrival:
    """Several arrivals as one that is like no other."""
    return Arrival(("", b""), max(each.arrived for each in arrivals), None, None)


def expiry(arrivals: Sequence[Arrival]) -> float:
    """When the last of them is forgotten: not the one that came last, if that had to wait for its certificate."""
    return max(each.arrived for each in arrivals) + LIFETIME


def _weight(arrival: Arrival) -> int:
    return _OVERHEAD + len(arrival.call[1]) + sum(map(len, arrival.tokens or ())) + len(arrival.date or b"")
