"""S-114: what an untrusted peer may not claim is removed, whether a rule matches or not."""

import pytest
from support.calls import CARRIER, NOW, SBC, VERIFY, arriving, invite, make_engine, result

from sbc_filter.engine.verdict import Verdict

SPOOFED = [
    # S-114: the headers that assert attestation
    (["P-Attestation-Indicator: A"], []),
    (["p-origination-id : 1\r\n 2", "Attestation-Info: A", "ORIGINATION-ID: x", "X: 1"], ["X: 1"]),
    # verstat in PAI, PPI, Contact, History-Info, Diversion, Remote-Party-ID; any case, any place
    (
        ["P-Asserted-Identity: <sip:+12155550177;verstat=TN-Validation-Passed@h>"],
        ["P-Asserted-Identity: <sip:+12155550177@h>"],
    ),
    (
        ["P-Asserted-Identity: <sip:+12155550177@h;VERSTAT=TN-Validation-Passed>"],
        ["P-Asserted-Identity: <sip:+12155550177@h>"],
    ),
    (
        ["P-Asserted-Identity: <sip:+12155550177@h>;verstat=TN-Validation-Passed;a=b"],
        ["P-Asserted-Identity: <sip:+12155550177@h>;a=b"],
    ),
    (
        ["P-Asserted-Identity: <tel:+12155550177;verstat=TN-Validation-Passed-A>"],
        ["P-Asserted-Identity: <tel:+12155550177>"],
    ),
    (["P-Asserted-Identity: <tel:+12155550177;verstat;npdi>"], ["P-Asserted-Identity: <tel:+12155550177;npdi>"]),
    (
        ["P-Asserted-Identity: <tel:+1>,\r\n <sip:+1;verstat=a;verstat=b@h>"],
        ["P-Asserted-Identity: <tel:+1>, <sip:+1@h>"],
    ),
    (["P-Preferred-Identity: <tel:+1;verstat=x>"], ["P-Preferred-Identity: <tel:+1>"]),
    (["Diversion: <tel:+1;verstat=x>;reason=unknown"], ["Diversion: <tel:+1>;reason=unknown"]),
    (["History-Info: <sip:+1;verstat=x@h>;index=1"], ["History-Info: <sip:+1@h>;index=1"]),
    (["Remote-Party-ID: <sip:+1;verstat=x@h>;screen=yes"], ["Remote-Party-ID: <sip:+1@h>;screen=yes"]),
    # what only looks like it
    (
        ["P-Asserted-Identity: <tel:+1;verstatus=x>", "Subject: ;verstat=x"],
        ["P-Asserted-Identity: <tel:+1;verstatus=x>", "Subject: ;verstat=x"],
    ),
]
STILL_SPOOFED = [
    pytest.param(["P-Asserted-Identity: <tel:+1>;verstat", "X: 1"], ["P-Asserted-Identity: <tel:+1>", "X: 1"]),
    pytest.param(["P-Asserted-Identity: <tel:+1>;verstat \t", "X: 1"], ["P-Asserted-Identity: <tel:+1> \t", "X: 1"]),
    pytest.param(
        ['P-Asserted-Identity: <tel:+1>;verstat="TN-Validation-Passed";a=b'], ["P-Asserted-Identity: <tel:+1>;a=b"]
    ),
    pytest.param(
        ["P-Asserted-Identity: <tel:+1>;verstat = TN-Validation-Passed;a=b"], ["P-Asserted-Identity: <tel:+1>;a=b"]
    ),
    pytest.param(
        ["P-Asserted-Identity: <sip:+1;%76erstat=TN-Validation-Passed@h>"], ["P-Asserted-Identity: <sip:+1@h>"]
    ),
    pytest.param(["P-Asserted-Identity: <tel:+1;%56ERST%41T=TN-Validation-Passed>"], ["P-Asserted-Identity: <tel:+1>"]),
]
PASS = '[[rule]]\nname = "pass"\naction = "pass"\n'


@pytest.mark.parametrize("rules", ["", PASS], ids=["no rule", "pass"])
@pytest.mark.parametrize("to_tag", ["", ";tag=t"], ids=["new", "in-dialog"])
@pytest.mark.parametrize(("headers", "kept"), [*SPOOFED, *STILL_SPOOFED])
def test_s114_what_a_stranger_may_not_claim_is_removed(
    rules: str, to_tag: str, headers: list[str], kept: list[str]
) -> None:
    """S-114, S-147: whether a rule matches or not, in a dialog and out of it."""
    message, expected = invite(*headers, to_tag=to_tag), invite(*kept, to_tag=to_tag)
    action, out, record = result(make_engine(rules), arriving(message))
    assert out == expected
    assert (action, record["outcome"]) == ("accept" if expected == message else "modify", "not-examined")
    assert record["detail"] == ("in-dialog" if to_tag else "pass-rule" if rules else "no-rule")


def test_s114_in_from_contact_and_request_uri() -> None:
    message = invite()
    spoofed = (
        message.replace(b"INVITE sip:+12155550199@", b"INVITE sip:+12155550199;verstat=TN-Validation-Passed@")
        .replace(b"From: <sip:+12155550100@", b"f: <sip:+12155550100;verstat=TN-Validation-Passed@")
        .replace(b"Contact: <sip:+12155550100@", b"m: <sip:+12155550100;verstat=TN-Validation-Passed@")
    )
    expected = message.replace(b"From:", b"f:").replace(b"Contact:", b"m:")
    assert result(make_engine(""), arriving(spoofed))[1] == expected


def test_s114_a_claim_without_identity_leaves_as_not_validated() -> None:
    """The **R** of S-114."""
    message = invite("P-Asserted-Identity: <sip:+12155550100;verstat=TN-Validation-Passed@h>")
    expected = message.replace(b"TN-Validation-Passed", b"No-TN-Validation")
    assert result(make_engine(VERIFY), arriving(message))[1] == expected


@pytest.mark.parametrize(
    ("rules", "src", "dst"),
    [
        (f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n', CARRIER, SBC),  # a trusted trunk
        ("", SBC, CARRIER),  # leaving
    ],
)
def test_s114_what_the_trusted_claim_is_left_alone(rules: str, src: str, dst: str) -> None:
    message = invite("P-Attestation-Indicator: A", "P-Asserted-Identity: <tel:+1;verstat=TN-Validation-Passed>")
    verdict = make_engine(rules).process(arriving(message, src, dst), NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.kind, verdict.payload) == ("accept", None)


def test_s114_no_room_for_the_mark_is_no_way_around_the_scrub() -> None:
    """The largest datagram there is: our new PAI does not fit into it, the removal does."""
    spoofed = "Contact: <sip:+12155550100;verstat=TN-Validation-Passed@h>"
    padding = 65507 - len(invite(spoofed, body="x" * 60000)) + 60000
    message = invite(spoofed, body="x" * padding)
    assert len(message) == 65507
    expected = message.replace(b";verstat=TN-Validation-Passed", b"")
    assert result(make_engine(VERIFY), arriving(message))[1] == expected


def test_s114_where_neither_end_is_the_sbc_the_sender_is_not_trusted() -> None:
    message = invite("P-Attestation-Indicator: A", "P-Asserted-Identity: <tel:+1;verstat=TN-Validation-Passed>")
    out = result(make_engine(""), arriving(message, CARRIER, "203.0.113.9"))[1]
    assert out == invite("P-Asserted-Identity: <tel:+1>")
