"""Which calls are shown in full."""

from support.reports import line

from sbc_filter.outcomes import VERIFICATION_OUTCOMES, Outcome
from sbc_filter.report.selection import fails, select


def test_failing_calls_come_first_then_changed_ones_then_samples() -> None:
    lines = [
        line(1, outcome="not-examined", detail="no-rule", changed=False),
        line(2, outcome="passed", detail=""),
        line(3),
        line(4, outcome="no-identity", detail="absent", changed=False),
    ]
    assert select(lines, range(4)) == [2, 1, 0, 3]


def test_a_frequent_kind_does_not_displace_the_others() -> None:
    lines = [line(n) for n in range(5)] + [line(5, outcome="stale", detail="stale-date")]
    assert select(lines, range(6), most=3) == [0, 5, 1]
    assert select(lines, {1, 4}, most=3) == [1, 4]


def test_of_each_other_kind_there_are_samples() -> None:
    lines = [line(n, outcome="passed", detail="", changed=False, rule="ab"[n % 2]) for n in range(20)]
    assert select(lines, range(20), samples=2) == [0, 2, 1, 3]


def test_what_fails() -> None:
    good = {Outcome.PASSED, Outcome.NO_IDENTITY, Outcome.ANONYMOUS}
    assert {each for each in VERIFICATION_OUTCOMES if not fails(each)} == good
    assert fails("unsigned")
    assert fails("unparseable")
    assert not fails("signed")
    assert not fails("not-examined")
    assert not fails("")
