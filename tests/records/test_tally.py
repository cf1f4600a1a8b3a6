"""What a person is told of many records."""

import json
from collections import Counter
from io import StringIO

import pytest

from sbc_filter.engine.record import Record
from sbc_filter.processes.messages import Heartbeat
from sbc_filter.records.journal import LONGEST
from sbc_filter.records.tally import Kind, Tally, findings, to_lines
from sbc_filter.records.totals import Totals


@pytest.mark.parametrize(
    ("counters", "line"),
    [
        ({}, ""),
        ({"retransmission": 3, "reason-added": 2}, ""),
        ({"deviation.no-date": 1}, "tolerated: no-date 1"),
        (
            {"deviation.quoted-parameter": 3, "retransmission": 9, "deviation.no-date": 12},
            "tolerated: no-date 12, quoted-parameter 3",
        ),
        (
            {"rcd-usable": 1, "deviation.no-date": 1, "rph-verified": 2, "retransmission": 3},
            "tolerated: no-date 1\nfound beside: rph-verified 2, rcd-usable 1",
        ),
        ({"deviation.padding": 2, "deviation.no-date": 2}, "tolerated: no-date 2, padding 2"),
    ],
)
def test_what_was_tolerated(counters: dict[str, int], line: str) -> None:
    assert "\n".join(findings(Counter(counters))) == line


def test_observed_calls_have_a_mode_of_their_own() -> None:
    """Also those of no rule; what a rule in monitor mode would have done is counted as ever."""
    tally = Tally()
    for mode, would in ((None, None), (None, "accept"), ("enforce", None), ("enforce", "reject"), ("monitor", "drop")):
        tally(Record(0.0, "a", "b", "udp", mode=mode, would=would))
    assert Counter(kind.mode for kind in tally.kinds.elements()) == {"-": 1, "observe": 2, "enforce": 1, "monitor": 1}
    assert tally.total == 4


def test_records_of_responses_are_no_invites() -> None:
    tally = Tally()
    for detail in ("no-rule", "reason-removed", "no-rule"):
        tally(Record(0.0, "a", "b", "udp", detail=detail))
    assert (tally.total, sum(tally.kinds.values())) == (2, 3)


def test_acks_and_cancels_are_counted_apart() -> None:
    tally = Tally()
    for method, mode in (("INVITE", None), ("ACK", None), ("CANCEL", None), ("CANCEL", "monitor"), (None, None)):
        tally(Record(0.0, "a", "b", "udp", method=method, mode=mode))
    assert (tally.total, tally.others) == (4, 2)


def test_a_line_of_a_replay_is_as_long_as_that_of_a_live_filter_at_most() -> None:
    """A Call-ID of 64 KiB, of which each octet is six of JSON."""
    out = StringIO()
    to_lines(out)(Record(0.0, "a", "b", "udp", call_id="\x1b" * 65536, origid="x"))
    assert out.getvalue().count("\n") == 1
    assert len(out.getvalue()) <= LONGEST
    found = json.loads(out.getvalue())
    assert found["call_id"].startswith("\x1b" * 64)
    assert found["call_id"].endswith("…")
    assert found["origid"] == "x"


def test_a_program_is_told_of_many_records_in_their_own_types() -> None:
    totals = Totals()
    passed = ["-", "enforce", "not-examined", "no-rule", "continue", "-"]
    stale = ["v", "enforce", "stale", "-", "reject", "403"]
    totals.take(1, Heartbeat({}, [(passed, 1), (stale, 2)]))
    assert [list(each.values()) for each in totals.fates()] == [
        ["v", "enforce", "stale", None, "reject", 403, 2],
        [None, "enforce", "not-examined", "no-rule", "continue", None, 1],
    ]
    assert list(totals.fates()[0]) == [*Kind._fields, "calls"]
