"""Counts by key: the largest is known at once."""

import random
from collections import Counter

from sbc_filter.ranked_counts import RankedCounts


def test_the_largest_count_is_always_known() -> None:
    """Against a Counter, under 4,000 random steps."""
    chance, counts, model = random.Random(18), RankedCounts[str](), Counter[str]()
    for _ in range(4000):
        key = chance.choice("abcdefgh")
        if model[key] and chance.random() < 0.5:
            counts.remove(key)
            model[key] -= 1
        else:
            counts.add(key)
            model[key] += 1
        largest = counts.largest()
        assert (largest is None) is (model.total() == 0)
        assert largest is None or model[largest] == max(model.values())
        assert all(counts[each] == model[each] for each in "abcdefgh")
