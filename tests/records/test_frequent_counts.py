"""Counts in bounded memory: what is frequent stays, whatever floods them."""

from sbc_filter.records.frequent_counts import FrequentCounts


def test_transcript() -> None:
    counts: FrequentCounts[str] = FrequentCounts(2)
    for key in "bbacca":
        counts.add(key)
    assert counts.ordered() == [("a", 2), ("b", 2)]  # `c` is one too many
    for key in "ccde":  # with `e` there are five: only two stay
        counts.add(key)
    assert (counts.ordered(), counts.total) == ([("c", 4), ("b", 2)], 10)


def test_a_flood_of_names_hides_none_that_is_frequent() -> None:
    counts: FrequentCounts[str] = FrequentCounts(10)
    for number in range(1000):
        counts.add(str(number))
        counts.add("often")
        counts.add(f"sometimes {number % 4}")
        assert len(counts._counts) <= 20
    assert counts.ordered()[:5] == [("often", 1000), *((f"sometimes {n}", 250) for n in range(4))]
    assert (len(counts.ordered()), counts.total) == (10, 3000)
