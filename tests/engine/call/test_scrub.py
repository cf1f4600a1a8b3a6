"""What marks does not survive, wherever and however an untrusted peer writes it (S-114, S-115)."""

import pytest
from support.calls import CALLER, CARRIER, NOW, VERIFY, arriving, invite, leaving, make_engine, result

from sbc_filter.engine.verdict import ACCEPT, Verdict
from sbc_filter.packet.udp import parse

CLAIM = "verstat=TN-Validation-Passed"
TRUSTED = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n'


def unreadable(message: bytes) -> bytes:
    """The same message with a Content-Length that is too large."""
    return message.replace(b"Content-Length: 0", b"Content-Length: 9")


@pytest.mark.parametrize(
    ("written", "left"),
    [
        # As a parameter, with escapes undone once or not at all.
        ("<sip:+1{};P-Attestation-Indicator=A@h>", "<sip:+1{}@h>"),
        ("<sip:+1{}@h;attestation-info=A>", "<sip:+1{}@h>"),
        ("<sip:+1{}@h>;P-Origination-ID=x;a=b", "<sip:+1{}@h>;a=b"),
        ("<sip:+1{}%3bP%2dAttestation%2DIndicator%3dA@h>", "<sip:+1{}@h>"),
        ("<sip:+1{};X-Acme-VerStat=TN-Validation-Passed@h>", "<sip:+1{}@h>"),
        ("<sip:+1{};x-acme-%73tir-score=9@h>", "<sip:+1{}@h>"),
        ("<sip:+1{};%u0076erstat=x%u003bverstat%u003dy@h>", "<sip:+1{}@h>"),
        # In the headers of a URI.
        (f"<sip:+1{{}}@h?{CLAIM}>", "<sip:+1{}@h?x=TN-Validation-Passed>"),
        ("<sip:+1{}@h?P-Attestation-Indicator=A>", "<sip:+1{}@h?x=A>"),
        ("<sip:+1{}@h?Subject=a&P%2DAttestation-Indicator=A>", "<sip:+1{}@h?Subject=a&x=A>"),
        ("<sip:+1{}@h?Subject=a%26Attestation-Info%3dA>", "<sip:+1{}@h?Subject=a%26x%3dA>"),
        # In a display name, quoted or not.
        (f'"{CLAIM}" <sip:+1{{}}@h>', '"x=TN-Validation-Passed" <sip:+1{}@h>'),
        (f'"a;{CLAIM}" <sip:+1{{}}@h>', '"a;x" <sip:+1{}@h>'),
        (f'"a\\" {CLAIM} b" <sip:+1{{}}@h>', '"a\\" x=TN-Validation-Passed b" <sip:+1{}@h>'),
        ("a %76erstat%3dTN-Validation-Passed <sip:+1{}@h>", "a x%3dTN-Validation-Passed <sip:+1{}@h>"),
        # Other names.
        ("<sip:+1{};xverstat=a;verstatus=b;attestation=c@h>", "<sip:+1{};xverstat=a;verstatus=b;attestation=c@h>"),
        ("<sip:+1{};x-verstatus=a;x-acme-stirs=b@h>", "<sip:+1{};x-verstatus=a;x-acme-stirs=b@h>"),
        ('"verstat" <sip:verstat@h>', '"verstat" <sip:verstat@h>'),
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Diversion", "History-Info", "Reply-To",
        "Referred-By", "b", "Refer-To", "P-Served-User", "P-Charge-Info", "P-Called-Party-ID", "Contact",
    ],
)  # fmt: skip
def test_marks_in_every_address(name: str, written: str, left: str) -> None:
    written, left = written.replace("{}", CALLER), left.replace("{}", CALLER)
    message, expected = invite(f"{name}: {written}"), invite(f"{name}: {left}")
    assert result(make_engine(""), arriving(message))[1] == expected
    broken = result(make_engine(""), arriving(unreadable(message)))[1]
    assert broken == unreadable(expected)


@pytest.mark.parametrize(
    ("old", "planted"), [("@sbc.example>", f";{CLAIM}@sbc.example>"), ("To: <", f'To: "{CLAIM}" <')]
)
def test_marks_in_to(old: str, planted: str) -> None:
    message = invite().replace(old.encode(), planted.encode(), 1)
    out = result(make_engine(""), arriving(message))[1]
    assert b"verstat" not in out


@pytest.mark.parametrize(
    "line",
    [
        "P-Attestation-Indicator: A", "P-Attestation-Info: A", "Priority-Verstat: x", "priority-VERSTAT : x",
        "X-VerStat: x", "X-Acme-VerStat: x", "x-a-b-verstat: x", "X-Stir-Result: x", "X-Acme-Stir-Score: 9",
        "P%2DAttestation-Indicator: A", "P-Attestation-Indicator%20: A", "%09X-Stir-a: 1",
        "X-Acme-%56erStat: x", "X-Acme-VerStat\t:\r\n x\r\n y", "X-Score: 9",
        "Acme-1-x: 1", "X_Acme_VerStat: x", "X_Score: 9", "P_Attestation_Indicator: A",
    ],
)  # fmt: skip
def test_header_fields_that_mark(line: str) -> None:
    """Those that are always removed, and those of `untrusted_headers`."""
    engine = make_engine("", untrusted_headers=["X-Score", "Acme-*-X"])
    message = invite(line, "X-Other: 1")
    assert result(engine, arriving(message))[1] == invite("X-Other: 1")
    assert result(engine, arriving(unreadable(message)))[1] == unreadable(invite("X-Other: 1"))


@pytest.mark.parametrize(
    "line", ["\x01X-Acme-VerStat: x", "X-Acme-VerStat\x02: x", " X-Score: 9", "\xa0X-Stir-a\xa0 : x"]
)
def test_names_with_octets_that_other_parsers_skip(line: str) -> None:
    message = invite("Subject: a", line)
    out = result(make_engine("", untrusted_headers=["X-Score"]), arriving(unreadable(message)))[1]
    assert out == unreadable(invite("Subject: a"))


@pytest.mark.parametrize("line", ["X-Scores: 9", "Acme-X: 1", "X-VerStatus: x", "X-AcmeStir: 1", "Subject: X-Score: 9"])
def test_header_fields_that_do_not(line: str) -> None:
    engine = make_engine("", untrusted_headers=["X-Score", "Acme-*-X"])
    assert result(engine, arriving(invite(line, "X-%41: 1")))[1] == invite(
        line, "X-A: 1"
    )  # see tests/sip/lenient/test_repair.py
    message = unreadable(invite(line, "X-%41: 1"))
    assert result(engine, arriving(message))[1] == message


def test_route_is_the_business_of_proxies() -> None:
    message = invite(f"Route: <sip:192.0.2.1;lr;{CLAIM}>")
    assert result(make_engine(""), arriving(message))[1] == message


@pytest.mark.parametrize("octet", ["\r", "\0", "\r\r", "\0\r"])
def test_an_unreadable_message_has_no_lines_that_end_early(octet: str) -> None:
    """pjsip and sofia-sip end a header line at a bare CR, and would see an attestation."""
    written = "Subject: a{}P-Attestation-Indicator: A{}b"
    message = invite(written.replace("{}", octet), "X: 1")
    out = result(make_engine(""), arriving(unreadable(message)))[1]
    assert out == unreadable(invite(written.replace("{}", " " * len(octet)), "X: 1"))


UPDATE = invite(f"P-Asserted-Identity: <sip:+1;{CLAIM}@h>", "X-Stir-a: 1", to_tag=";tag=t").replace(
    b"INVITE", b"UPDATE"
)
PLAIN_UPDATE = invite("P-Asserted-Identity: <sip:+1@h>", to_tag=";tag=t").replace(b"INVITE", b"UPDATE")


@pytest.mark.parametrize(
    ("request_in", "request_out"),
    [
        (UPDATE, PLAIN_UPDATE),
        (b"\r\n\0" + UPDATE, PLAIN_UPDATE),
        (UPDATE.replace(b"UPDATE", b"REFER"), PLAIN_UPDATE.replace(b"UPDATE", b"REFER")),
        (unreadable(UPDATE), unreadable(PLAIN_UPDATE)),
    ],
)
def test_other_requests_that_the_operator_names(request_in: bytes, request_out: bytes) -> None:
    engine = make_engine(VERIFY, scrub_methods=["UPDATE", "REFER"])
    verdict = engine.process(arriving(request_in), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.payload is not None
    assert verdict.record is None
    assert parse(verdict.payload).payload == request_out


def test_other_requests_stay_as_they_are() -> None:
    """Without the setting, of another method, of a trusted peer, of the SBC, and without marks."""
    named = make_engine(VERIFY, scrub_methods=["UPDATE"])
    trusted = make_engine(TRUSTED + VERIFY, scrub_methods=["UPDATE"])
    refer = UPDATE.replace(b"UPDATE", b"REFER")
    for engine, packet in (
        (make_engine(VERIFY), arriving(UPDATE)),
        (named, arriving(refer)),
        (named, arriving(PLAIN_UPDATE)),
        (named, leaving(UPDATE)),
        (named, arriving(b"UPDATES" + UPDATE)),
        (trusted, arriving(UPDATE)),
    ):
        assert engine.process(packet, NOW) == ACCEPT
