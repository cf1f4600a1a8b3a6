"""`in_dialog = "verify"`: an INVITE with a To tag is judged like a new call (S-147)."""

import pytest
from support.calls import NOW, VERIFY, added, arriving, identity, invite, leaving, make_engine, pai, result

from sbc_filter.engine.verdict import Need, Verdict

GOOD = identity()
REFUSING = VERIFY + '[rule.verify]\nin_dialog = "verify"\n[rule.on]\nno-identity = "reject"\ninvalid = "reject"\n'
ELSE = '[[rule]]\nname = "else"\naction = "reject"\n'
DIALOG = invite(to_tag=";tag=t")


def test_it_is_verified_and_marked() -> None:
    message = invite(GOOD, to_tag=";tag=t")
    action, out, record = result(make_engine(REFUSING), arriving(message))
    assert (action, out) == ("modify", added(message, pai("TN-Validation-Passed")))
    assert (record["outcome"], record["rule"]) == ("passed", "verify")


def test_it_is_refused_with_its_own_tag() -> None:
    action, answer, record = result(make_engine(REFUSING), arriving(DIALOG))
    assert (action, record["outcome"]) == ("reject", "no-identity")
    assert b"\r\nTo: <sip:+12155550199@sbc.example>;tag=t\r\n" in answer


@pytest.mark.parametrize("rules", [VERIFY, VERIFY + '[rule.verify]\nin_dialog = "pass"\n', ELSE, ELSE + VERIFY])
def test_by_default_it_passes(rules: str) -> None:
    action, out, record = result(make_engine(rules + "[rule.on]\n" * ("else" not in rules)), arriving(DIALOG))
    assert (action, out, record["detail"], record["rule"]) == ("accept", DIALOG, "in-dialog", None)


@pytest.mark.parametrize("packet", [arriving(DIALOG, "192.0.2.8"), leaving(DIALOG)])
def test_no_other_rule_sees_it(packet: bytes) -> None:
    """Rules in front and behind are for new calls; where the one rule does not match, it passes."""
    rules = (
        ELSE + REFUSING.replace('"inbound"\n', '"inbound"\ncaller = "13125550123"\n') + ELSE.replace('"else"', '"last"')
    )
    action, _, record = result(make_engine(rules), packet)
    assert (action, record["outcome"], record["detail"]) == ("accept", "not-examined", "in-dialog")


def test_it_may_wait_for_a_certificate() -> None:
    engine = make_engine(REFUSING, known=False)
    assert isinstance(engine.process(arriving(invite(GOOD, to_tag=";tag=t")), NOW), Need)


def test_one_that_cannot_be_read_is_refused_too() -> None:
    broken = DIALOG.replace(b"Content-Length: 0", b"Content-Length: 9")
    for rules, action in ((REFUSING, "reject"), (VERIFY + '[rule.on]\ninvalid = "reject"\n', "accept")):
        verdict = make_engine(rules).process(arriving(broken), NOW)
        assert isinstance(verdict, Verdict)
        assert verdict.kind == action
