"""A bounded cache with two generations.

Every call uses it, so it has to be fast: a lookup is two dictionary accesses, and eviction drops a whole dictionary. An
entry that is used moves to the young generation. A flood of new entries therefore cannot push out those in use (as with
cachetools' LRU, at a tenth of its cost).

Invariants:

- A key is in at most one generation. Only `put` may leave an older value in the old one; `get` no longer sees it.
- `_weight` is at least the weight of the young generation (a replaced value still counts).
- The generations are swapped, and the old one is dropped, by the first `put` or `get` that takes `_weight` over half
  the capacity, or the first `put` at or after `_next_swap`. So neither generation exceeds half the capacity by more
  than one entry.
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class GenerationalCache(Generic[K, V]):
    """Values kept until they expire, within a total weight of `capacity`. Times are POSIX seconds."""

    __slots__ = ("_half", "_lifetime", "_next_swap", "_old", "_weight", "_young")

    def __init__(self, capacity: int, lifetime: float) -> None:
        """`lifetime`: the longest time, in seconds, for which any entry is kept; after that its memory is released."""
        self._half = capacity // 2
        self._lifetime = lifetime
        self._young: dict[K, tuple[float, V, int]] = {}
        self._old: dict[K, tuple[float, V, int]] = {}
        self._weight = 0
        self._next_swap = 0.0

    def get(self, key: K, now: float) -> V | None:
        """The value of `key`; None if there is none or it has expired."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.pop(key, None)
            if entry is None or now >= entry[0]:
                return None
            self._weight += entry[2]
            if self._weight > self._half:
                self._old, self._young = self._young, {}
                self._weight = entry[2]
            self._young[key] = entry
        return entry[1] if now < entry[0] else None

    def put(self, key: K, value: V, expires: float, now: float, weight: int = 1) -> None:
        """Keep `value` until `expires`; `weight` counts towards `capacity`."""
        self._weight += weight
        if self._weight > self._half or now >= self._next_swap:
            self._old, self._young = self._young, {}
            self._weight = weight
            self._next_swap = now + self._lifetime
        self._young[key] = (expires, value, weight)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
