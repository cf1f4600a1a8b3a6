"""An INVITE that continues: where the mark goes, and which headers are stripped (S-111 to S-113, S-123)."""

import pytest
from support.calls import CARRIER, NOW, VERIFY, added, arriving, identity, invite, make_engine, result
from support.verifying import BAD, GOOD, RPH

from sbc_filter.engine.verdict import Verdict

TRUSTED = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n'


@pytest.mark.parametrize(
    ("headers", "old", "new"),
    [
        # S-111: inside the user part of a SIP URI, at the end of a tel URI
        (
            ["P-Asserted-Identity: <sip:+12155550100@foo.com;user=phone>"],
            "0100@foo",
            "0100;verstat=TN-Validation-Passed@foo",
        ),
        (['P-Asserted-Identity: "a, <b>@c" <tel:+12155550100>'], "0100>", "0100;verstat=TN-Validation-Passed>"),
        (["P-Asserted-Identity: <tel:+12155550100;npdi>"], "npdi>", "npdi;verstat=TN-Validation-Passed>"),
        (["P-Asserted-Identity: sip:+12155550100@foo.com"], "0100@foo", "0100;verstat=TN-Validation-Passed@foo"),
        (["P-Asserted-Identity: <sip:+12155550100:secret@foo.com>"], "0100:s", "0100;verstat=TN-Validation-Passed:s"),
        (["p-asserted-identity :\r\n <sips:+12155550100;npdi@foo.com>"], "npdi@", "npdi;verstat=TN-Validation-Passed@"),
        # S-112: of two, the one that named the caller
        (
            ["P-Asserted-Identity: <sip:+12155550100@h>", "P-Asserted-Identity: <tel:+12155550100>"],
            "0100@h",
            "0100;verstat=TN-Validation-Passed@h",
        ),
        # a mark of the peer's own making gives way to ours, wherever it stood
        (
            ["P-Asserted-Identity: <sip:+12155550100;verstat=No-TN-Validation@h>"],
            ";verstat=No-TN-Validation@h",
            ";verstat=TN-Validation-Passed@h",
        ),
        (
            ["P-Asserted-Identity: <sip:+12155550100@h;verstat=x;user=phone>"],
            "@h;verstat=x;",
            ";verstat=TN-Validation-Passed@h;",
        ),
        (["P-Asserted-Identity: <tel:+12155550100;VerStat=x>"], ";VerStat=x>", ";verstat=TN-Validation-Passed>"),
    ],
)
def test_s111_s112_where_the_mark_goes(headers: list[str], old: str, new: str) -> None:
    message = invite(GOOD, *headers)
    assert message.count(old.encode()) == 1
    assert result(make_engine(TRUSTED + VERIFY), arriving(message))[1] == message.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        (
            '"Bob ;verstat=x" <sip:+12155550100;tgrp=a@carrier.example;user=phone>',
            "sip:+12155550100;tgrp=a;verstat=TN-Validation-Passed@carrier.example;user=phone",
        ),
        ("<tel:+12155550100>", "tel:+12155550100;verstat=TN-Validation-Passed"),
        ("sip:+12155550100@carrier.example", "sip:+12155550100;verstat=TN-Validation-Passed@carrier.example"),
    ],
)
def test_s113_a_new_pai_is_made_and_from_is_never_touched(sender: str, expected: str) -> None:
    rules = TRUSTED + VERIFY
    message = invite(GOOD).replace(b"<sip:+12155550100@carrier.example>;tag", f"{sender};tag".encode())
    out = result(make_engine(rules), arriving(message))[1]
    assert out == added(message, f"P-Asserted-Identity: <{expected}>")


def test_verstat_can_be_off_and_then_nothing_changes() -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\nverstat = false\n")
    raw_packet = arriving(invite(GOOD))
    verdict = engine.process(raw_packet, NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.kind, verdict.payload) == ("accept", None)
    assert verdict.record is not None
    assert (verdict.record.outcome, verdict.record.verstat) == ("passed", None)


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ([GOOD], []),
        ([identity(name="y"), "X: 1", RPH], ["X: 1"]),  # S-031: the compact form too
        ([BAD], [BAD]),  # only after success
        ([RPH], [RPH]),
        (["X: 1"], ["X: 1"]),
    ],
)
def test_s123_identity_stripped_after_success(headers: list[str], kept: list[str]) -> None:
    engine = make_engine(f'{VERIFY}[rule.verify]\nidentity = "strip"\nverstat = false\n')
    assert result(engine, arriving(invite(*headers)))[1] == invite(*kept)
