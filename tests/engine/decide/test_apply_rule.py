"""Which rule applies to a call, and what a rule does without verification: monitor mode, shares, rates (DESIGN §5)."""

import pytest
from support.calls import LAB, NOW, VERIFY, added, arriving, invite, make_engine, pai, result
from support.verifying import BAD, FAILED, GOOD

from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.packet.udp import parse


@pytest.mark.parametrize(
    ("rule", "verdict", "detail", "treatment", "expected"),
    [
        ('action = "pass"', "accept", "pass-rule", "continue", invite(GOOD)),
        ('action = "drop"', "drop", "drop-rule", "drop", invite(GOOD)),
        ('action = "reject"', "reject", "reject-rule", "reject", b"SIP/2.0 403 Forbidden\r\n"),
        (
            'action = "reject"\nanswer = { code = 603, phrase = "Network Blocked" }',
            "reject",
            "reject-rule",
            "reject",
            b"SIP/2.0 603 Network Blocked\r\n",
        ),  # V22
        ('action = "strip"', "modify", "strip-rule", "continue", invite()),
        ('action = "strip"\n[rule.strip]\nheaders = ["X-A", "y"]', "modify", "strip-rule", "continue", invite()),
        ('action = "strip"\n[rule.strip]\nheaders = ["X-A"]', "accept", "strip-rule", "continue", invite(GOOD)),
    ],
)
def test_rules_that_need_no_verification(rule: str, verdict: str, detail: str, treatment: str, expected: bytes) -> None:
    taken, out, record = result(make_engine(f'[[rule]]\nname = "r"\n{rule}\n'), arriving(invite(GOOD)))
    assert (taken, record["verdict"]) == (verdict, verdict)
    assert (record["outcome"], record["detail"], record["treatment"]) == ("not-examined", detail, treatment)
    assert out.startswith(expected)


MONITOR = (
    '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "verify"\n[rule.on]\ninvalid = "reject"\n'
    '[[rule]]\nname = "watch too"\nmode = "monitor"\naction = "drop"\n'
)


def test_monitor_mode_changes_nothing_and_shadows_nothing() -> None:
    """DESIGN §5: it decides and records, and matching goes on."""
    for rules, action, name in ((MONITOR, "accept", None), (MONITOR + VERIFY, "modify", "verify")):
        verdict = make_engine(rules).process(arriving(invite(BAD)), NOW)
        assert isinstance(verdict, Verdict)
        assert (verdict.kind, verdict.emit) == (action, ())
        assert verdict.record is not None
        assert (verdict.record.rule, verdict.record.outcome) == (name, "invalid" if name else "not-examined")
        watched = [
            (record.rule, record.mode, record.verdict, record.treatment, record.code, record.outcome)
            for record in verdict.monitored
        ]
        assert watched == [
            ("watch", "monitor", "reject", "reject", 438, "invalid"),
            ("watch too", "monitor", "drop", "drop", None, "not-examined"),
        ]
        if name:
            assert verdict.payload is not None
            assert parse(verdict.payload).payload == added(invite(BAD), pai(FAILED))
        else:
            assert verdict.payload is None


@pytest.mark.parametrize(("percent", "enforced"), [(0, 0), (25, 50), (50, 100), (100, 200)])
def test_enforce_percent_by_call_id(percent: int, enforced: int) -> None:
    """The share of calls; the others are watched. A call draws the same in every worker: they have one secret."""
    rules = f'[[rule]]\nname = "r"\nenforce_percent = {percent}\naction = "drop"\n'
    dropped = []
    for number in range(200):
        verdict = make_engine(rules).process(arriving(invite(number=number)), NOW)
        assert isinstance(verdict, Verdict)
        assert len(verdict.monitored) == (verdict.kind == "accept")
        dropped.append(verdict.kind == "drop")
    assert sum(dropped) == enforced


def test_a_call_that_was_held_counts_once() -> None:
    """DESIGN §5 `rate`: matches what exceeds it, and one call does not exceed one a second."""
    rate = '[[rule]]\nname = "rate"\naction = "reject"\nrate = { over = 1, per = "1s", by = "peer" }\n'
    engine = make_engine(rate + VERIFY, known=False)
    need = engine.process(arriving(invite(GOOD)), NOW)
    assert isinstance(need, Need)
    verdict = engine.resume(need.id, Answer(LAB.chain, None, NOW + 60), NOW + 0.1)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert verdict.record.rule == "verify"
