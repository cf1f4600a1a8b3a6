"""Counts by key of which the largest is known at once, so that a flood can be found among others in constant time."""

from typing import Generic, TypeVar

K = TypeVar("K")


class RankedCounts(Generic[K]):
    """Counts by key that change by one. The key that has most is known at once, however many keys there are."""

    def __init__(self) -> None:
        self._counts: dict[K, int] = {}
        self._keys: dict[int, dict[K, None]] = {}  # by count; never empty
        self._highest = 0

    def __getitem__(self, key: K) -> int:
        return self._counts.get(key, 0)

    def add(self, key: K) -> None:
        """Count one more of `key`."""
        count = self._move(key, 1)
        self._highest = max(self._highest, count)

    def remove(self, key: K) -> None:
        """Count one less of `key`, which has at least one."""
        count = self._move(key, -1)
        if self._highest not in self._keys:
            self._highest = count

    def largest(self) -> K | None:
        """A key that has most; None if there is no key."""
        return next(iter(self._keys[self._highest])) if self._highest else None

    def _move(self, key: K, step: int) -> int:
        before = self._counts.pop(key, 0)
        if before:
            keys = self._keys[before]
            del keys[key]
            if not keys:
                del self._keys[before]
        count = before + step
        if count:
            self._counts[key] = count
            self._keys.setdefault(count, {})[key] = None
        return count
