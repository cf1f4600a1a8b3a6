"""Counts of calls, and calls over time."""

from support.calls import NOW
from support.reports import line

from sbc_filter.outcomes import Outcome
from sbc_filter.report.charts import HEIGHT, chart, clock, duration
from sbc_filter.report.figures import SHOWN, Group, Share, breakdowns, causes, group_of, over_time


def test_calls_are_counted_by_what_they_have_in_common() -> None:
    lines = [line(1), line(2), line(3, outcome="passed", detail="", peer="", attestation="B"), line(4, outcome="")]
    found = {each.title: each.shares for each in breakdowns(lines)}
    assert list(found) == ["Result", "Attestation", "Peer", "Signer", "Treatment", "Rule"]
    assert found["Result"][0] == Share("invalid.orig-mismatch", "invalid.orig-mismatch", 2, 50.0, Group.FAILED)
    assert found["Attestation"] == [Share("A", "A", 3, 75.0), Share("B", "B", 1, 25.0)]
    assert found["Peer"] == [Share("acme", "acme", 3, 75.0), Share("none", "", 1, 25.0)]


def test_a_breakdown_that_says_nothing_is_left_out() -> None:
    lines = [line(1, peer="", signer="", attestation="", rule="")]
    assert [each.title for each in breakdowns(lines)] == ["Result", "Treatment"]


def test_many_values_are_one() -> None:
    shares = next(each for each in breakdowns([line(n, peer=f"t{n:02}") for n in range(20)]) if each.title == "Peer")
    assert len(shares.shares) == SHOWN + 1
    assert shares.shares[-1] == Share("8 others", None, 8, 40.0)


def test_every_outcome_has_a_group() -> None:
    assert {group_of(each) for each in Outcome} == set(Group)
    assert group_of("") is Group.OTHER


def test_spans_cover_all_calls() -> None:
    for seconds in (0.0, 0.4, 59.0, 3600.0, 86_400.0, 40e6, 4e9):
        data = over_time([line(1, NOW), line(2, NOW + seconds / 3), line(3, NOW + seconds)])
        assert 1 <= len(data.buckets) <= 60
        assert sum(bucket.calls.total() for bucket in data.buckets) == 3
        assert data.buckets[0].start <= NOW < data.buckets[0].start + data.width
        assert data.buckets[0].start % data.width == 0
    assert over_time([]).buckets == []


def test_calls_may_be_out_of_order() -> None:
    data = over_time([line(1, NOW + 9), line(2, NOW), line(3, NOW - 5)])
    assert [bucket.calls.total() for bucket in data.buckets if bucket.calls] == [1, 1, 1]


def test_why_calls_fail() -> None:
    lines = [line(n) for n in range(1, 6)] + [line(6, outcome="passed", detail="")]
    lines.append(line(7, outcome="unsigned", detail="crypto"))
    found = causes(lines)
    assert [(each.result, each.calls, each.examples) for each in found] == [
        ("invalid.orig-mismatch", 5, [1, 2, 3]),
        ("unsigned.crypto", 1, [7]),
    ]
    assert found[0].explanation.happened == "The caller of the call is not that of the token."


def test_calls_that_fail_are_in_front_of_those_that_could_not_be_judged_and_those_without_a_token() -> None:
    """However many these are. A chain that leads nowhere is a failure, unless for want of an anchor alone."""
    kinds = [
        ("no-identity", "absent", False, 4),
        ("unfetchable", "fetch-refused", False, 3),
        ("stale", "date", False, 1),
    ]
    kinds += [("untrusted", "untrusted-chain", True, 2), ("not-examined", "no-rule", False, 9), ("", "", False, 9)]
    lines = [
        line(1, outcome=outcome, detail=detail, only_anchor_missing=lacking)
        for outcome, detail, lacking, count in kinds
        for _ in range(count)
    ]
    assert [(each.result, each.calls, each.fails) for each in causes(lines)] == [
        ("stale.date", 1, True),
        ("unfetchable.fetch-refused", 3, True),
        ("untrusted.untrusted-chain", 2, True),
        ("no-identity.absent", 4, False),
    ]
    lines.append(line(1, outcome="untrusted", detail="untrusted-chain"))
    assert [each.result for each in causes(lines)][:2] == ["untrusted.untrusted-chain", "stale.date"]


def test_the_bars_of_a_chart() -> None:
    lines = [line(1), line(2), line(3, outcome="passed", detail=""), line(4, NOW + 1)]
    drawn = chart(over_time(lines))
    assert [tick.text for tick in drawn.counts] == ["4", "2"]
    assert drawn.span == "1 second"
    first, second = drawn.bars
    assert first.label == "08:00:00: 3 calls (2 fails, 1 verified or signed)"
    assert [(part.group, part.y, part.height) for part in first.parts] == [
        (Group.FAILED, HEIGHT / 2, HEIGHT / 2),
        (Group.GOOD, HEIGHT / 4, HEIGHT / 4),
    ]
    assert (first.x, first.width, second.x) == (4.5, 41.0, 54.5)


def test_no_bar_is_too_small_to_be_seen_or_taller_than_the_chart() -> None:
    lines = [line(n, outcome="passed", detail="") for n in range(100_000)] + [line(1)]
    drawn = chart(over_time(lines)).bars[0]
    assert all(part.height >= 2 and part.y >= 0 for part in drawn.parts)


def test_times_are_as_exact_as_needed() -> None:
    assert [clock(NOW, width) for width in (1, 60, 86_400)] == ["08:00:00", "08:00", "2027-01-15"]
    assert clock(NOW, 60, days=True) == "01-15 08:00"
    assert clock(1e15, 60) == "1000000000000000"
    assert [duration(each) for each in (1, 90, 60, 7200, 604_800)] == [
        "1 second", "90 seconds", "1 minute", "2 hours", "7 days",
    ]  # fmt: skip
