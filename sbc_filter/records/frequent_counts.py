"""Counts of what occurs often, in bounded memory: a hostile capture may name millions of things once."""

from collections import Counter
from typing import Generic, TypeVar

K = TypeVar("K", str, tuple[str, str])


class FrequentCounts(Generic[K]):
    """Counts of at most `most` keys. Whenever twice as many are known, the rarest half is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[K] = Counter()
        self.total = 0
        """All that was counted, what is forgotten included."""

    def add(self, key: K) -> None:
        """Count one more of `key`."""
        self.total += 1
        self._counts[key] += 1
        if len(self._counts) > 2 * self._most:
            self._counts = Counter(dict(self._counts.most_common(self._most)))

    def ordered(self) -> list[tuple[K, int]]:
        """The keys with their counts, the most frequent first, then in their order."""
        return sorted(self._counts.items(), key=lambda each: (-each[1], each[0]))[: self._most]
