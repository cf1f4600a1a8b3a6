"""What a rule does with a result: `on`, `when`, codes and phrases (S-065, S-170, V22)."""

import pytest
from support.calls import NOW, VERIFY, added, arriving, invite, make_engine, pai, result, status
from support.verifying import BAD, FAILED, GOOD, RPH, V438

from sbc_filter.engine.verdict import Verdict


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ('[rule.on]\ninvalid = "reject"\n', V438),
        ('[rule.on]\n"invalid.bad-signature" = "reject"\n', V438),
        ('[rule.on]\n"invalid.dest-mismatch" = "reject"\n', None),
        # the detail before the outcome
        ('[rule.on]\ninvalid = "reject"\n"invalid.bad-signature" = "continue"\n', None),
        (
            '[rule.on]\ninvalid = "continue"\n"invalid.bad-signature" = { action = "reject", code = 603 }\n',
            "603 Decline",
        ),
        # code and phrase: each its own default
        ('[rule.on]\ninvalid = { action = "reject", code = 403 }\n', "403 Forbidden"),
        ('[rule.on]\ninvalid = { action = "reject", phrase = "Invalid PASSporT" }\n', "438 Invalid PASSporT"),
        (
            '[rule.on]\ninvalid = { action = "reject", code = 603, phrase = "Network Blocked" }\n',
            "603 Network Blocked",
        ),  # V22
        ('[rule.on]\ninvalid = { action = "reject", code = 499 }\n', "499 Rejected"),
        # when before on; the first that holds
        (
            '[[rule.when]]\noutcome = "invalid"\naction = "reject"\ncode = 607\n[rule.on]\ninvalid = "continue"\n',
            "607 Unwanted",
        ),
        ('[[rule.when]]\noutcome = ["stale"]\naction = "reject"\ncode = 607\n[rule.on]\ninvalid = "reject"\n', V438),
        ('[[rule.when]]\noutcome = ["invalid"]\naction = "continue"\n[rule.on]\ninvalid = "reject"\n', None),
        (
            '[[rule.when]]\ndetail = ["bad-signature"]\naction = "reject"\ncode = 608\n'
            '[[rule.when]]\naction = "continue"\n',
            "608 Rejected",
        ),
        # no attestation of a token that failed is believed, but it can be asked for
        ('[[rule.when]]\noutcome = ["passed"]\nattest = ["A"]\naction = "reject"\n', None),
    ],
)
def test_treatments_of_a_bad_signature(tables: str, expected: str | None) -> None:
    action, out, record = result(make_engine(VERIFY + tables), arriving(invite(BAD)))
    if expected is None:
        assert (action, out) == ("modify", added(invite(BAD), pai(FAILED)))
    else:
        assert (action, status(out), record["code"]) == ("reject", expected, int(expected[:3]))


@pytest.mark.parametrize("code", ["", ", code = 428"])
def test_s065_a_code_that_is_the_usual_one_keeps_the_phrase_of_the_detail(code: str) -> None:
    engine = make_engine(f'{VERIFY}[rule.on]\nno-identity = {{ action = "reject"{code} }}\n')
    assert status(result(engine, arriving(invite(RPH)))[1]) == "428 Use Supported PASSporT Format"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('outcome = ["passed", "stale"]', True),
        ('outcome = ["no-identity"]', False),
        ('attest = ["A"]', True),
        ('attest = ["B", "C"]', False),
        ('spc = ["1234"]', True),
        ('spc = ["5678"]', False),
        ('spc = ["@spcs"]', True),
        ('not_spc = ["1234"]', False),
        ('not_spc = ["5678"]', True),
        ('issuer = ["CN=Laboratory Issuing CA,O=Laboratory,C=US"]', True),
        ('issuer = ["CN=Laboratory Root,O=Laboratory,C=US"]', False),
        ('x5u_host = ["certificates.example.org"]', True),
        ('x5u_host = ["example.org"]', False),
        ('outcome = ["passed"]\nattest = ["A"]\nspc = ["5678"]', False),  # all of them
    ],
)
def test_when(condition: str, holds: bool) -> None:
    rules = f'{VERIFY}[[rule.when]]\n{condition}\naction = "reject"\n'
    action, out, _ = result(make_engine(rules, lists={"spcs": "# ours\n1234\n"}), arriving(invite(GOOD)))
    assert action == ("reject" if holds else "modify")
    assert out.startswith(b"SIP/2.0 403 Forbidden\r\n" if holds else b"INVITE ")


def test_drop_leaves_nothing_behind_but_a_record() -> None:
    engine = make_engine(f'{VERIFY}[rule.on]\ninvalid = "drop"\n')
    verdict = engine.process(arriving(invite(BAD)), NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.kind, verdict.payload, verdict.emit) == ("drop", None, ())
    assert verdict.record is not None
    assert (verdict.record.verdict, verdict.record.code, verdict.record.outcome) == ("drop", None, "invalid")


PLUS = 'SIP;cause=603;text="v=analytics1;url=https://redress.example/";location=RLN'
BLOCKED = f"code = 603, phrase = \"Network Blocked\", reason = '{PLUS}'"


@pytest.mark.parametrize(
    "rules",
    [
        f'[[rule]]\nname = "r"\naction = "reject"\nanswer = {{ {BLOCKED} }}\n',
        f'{VERIFY}[rule.on]\npassed = {{ action = "reject", {BLOCKED} }}\n',
    ],
    ids=["answer", "on"],
)
def test_v22_s170_603_plus(rules: str) -> None:
    """Phrase and Reason together are what tells it from a plain 603."""
    _, answer, record = result(make_engine(rules), arriving(invite(GOOD)))
    assert answer.startswith(b"SIP/2.0 603 Network Blocked\r\n")
    assert f"\r\nCSeq: 1 INVITE\r\nReason: {PLUS}\r\nContent-Length: 0\r\n\r\n".encode() in answer
    assert record["code"] == 603
