"""How often something may happen: buckets of tokens, one for each key."""

from cachetools import LRUCache

from sbc_filter.pki.x5u import host_of

# What registries put between the country and the name they sell. The Public Suffix List knows hundreds more; a name
# that is sold under one of those shares its limits with its neighbours there, and nobody gains by it.
_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "ltd", "ne", "net", "nom", "or", "org", "plc"}
)


def domain_of(url: str) -> str:
    """The registered domain of the host of a URL, or its address; of what is no URL, the empty string."""
    return registered((host_of(url) or "").rstrip("."))


def registered(host: str) -> str:
    """`example.com` of `a.b.example.com`, `example.co.uk` of `a.example.co.uk`."""
    labels = host.lower().split(".")
    if labels[-1].isdigit() or ":" in host:
        return host  # an address
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3:] if country else labels[-2:])


_KEYS = 10_000  # of which a bucket is remembered; a forgotten one is full again


class Buckets:
    """`rate` a second for each key, and `rate * burst` at once after a while without any (a token bucket).

    Not for several threads at once. Of most keys nothing is remembered, so that a flood of keys costs no memory: who
    is limited by key has to be limited as a whole as well.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._size = max(rate * burst, 1.0)
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(_KEYS)  # tokens, and when they were counted

    def has(self, key: str, now: float) -> bool:
        """Whether there is one left for this key; `now` in seconds, of a clock that nobody sets."""
        return self._left(key, now) >= 1.0

    def take(self, key: str, now: float) -> None:
        """Take one, which is there."""
        self._buckets[key] = self._left(key, now) - 1.0, now

    def _left(self, key: str, now: float) -> float:
        tokens, since = self._buckets.get(key, (self._size, now))
        return min(tokens + max(now - since, 0.0) * self._rate, self._size)
