"""How often something may happen: buckets of tokens, one for each key."""

from cachetools import LRUCache

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
