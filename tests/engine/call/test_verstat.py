"""What the SBC is told of a call that arrives, and in whose words (S-110 to S-115, V18, V19)."""

import pytest
from support.calls import (
    CALLER,
    CARRIER,
    LAB,
    NOW,
    ORIGID,
    SIGN,
    VERIFY,
    added,
    arriving,
    claims,
    identity,
    invite,
    make_engine,
    pai,
    result,
)

from sbc_filter.engine.call.verstat import DIALECTS
from sbc_filter.rules import model

GRADES = {grade: invite(identity(claims(attest=grade))) for grade in "ABC"}
PASSED, FAILED = "TN-Validation-Passed", "TN-Validation-Failed"
ATIS = (f"P-Origination-ID: {ORIGID}",)
TRUSTED = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n'


def told(tables: str, message: bytes) -> tuple[bytes, str | None]:
    """What goes on, and the verstat of the record."""
    _, out, record = result(make_engine(VERIFY + tables), arriving(message))
    assert record["outcome"] == "passed"
    return out, record["verstat"]


def test_the_dialects_of_the_rules_are_those_of_the_engine() -> None:
    assert tuple(DIALECTS) == model.DIALECTS


@pytest.mark.parametrize(
    ("options", "grade", "lines"),
    [
        # V18, V19: by default attestation A needs no more words
        ("", "A", [pai(PASSED)]),
        ("", "B", [pai(PASSED), "P-Attestation-Indicator: B", *ATIS]),
        ("", "C", [pai(PASSED), "P-Attestation-Indicator: C", *ATIS]),
        ('attestation = "always"', "A", [pai(PASSED), "P-Attestation-Indicator: A", *ATIS]),
        ('attestation = "never"', "C", [pai(PASSED)]),
        ('attestation = "always"\nverstat = false', "A", ["P-Attestation-Indicator: A", *ATIS]),
        # S-115: the names of TS 24.229 §7.2.18
        ('dialect = "3gpp"', "B", [pai(PASSED), "Attestation-Info: B", f"Origination-Id: {ORIGID}"]),
        # S-110: vendors
        ('dialect = "graded"\nattestation = "never"', "A", [pai(f"{PASSED}-A")]),
        ('dialect = "graded"\nattestation = "never"', "C", [pai(f"{PASSED}-C")]),
        (
            'dialect = "telnyx"\nattestation = "never"',
            "A",
            [f"P-Asserted-Identity: <sip:+{CALLER}@carrier.example;verstat={PASSED}>"],
        ),
        (
            'dialect = "telnyx"\nattestation = "never"',
            "B",
            [f"P-Asserted-Identity: <sip:+{CALLER}@carrier.example;verstat={PASSED}-B>"],
        ),
    ],
)
def test_v18_v19_by_dialect(options: str, grade: str, lines: list[str]) -> None:
    out, verstat = told(f"[rule.verify]\n{options}\n", GRADES[grade])
    assert out == added(GRADES[grade], *lines)
    marks = [line.partition("verstat=")[2].partition("@")[0].rstrip(">") for line in lines if "verstat=" in line]
    assert verstat == (marks[0] if marks else None)


@pytest.mark.parametrize(
    ("pai_in", "pai_out"),
    [
        ("<sip:+12155550100@h;user=phone>", "<sip:+12155550100@h;user=phone;verstat=TN-Validation-Passed>"),
        ("<sip:+12155550100@h?a=b>", "<sip:+12155550100@h;verstat=TN-Validation-Passed?a=b>"),
        ("<tel:+12155550100>", "<tel:+12155550100;verstat=TN-Validation-Passed>"),
    ],
)
def test_s111_behind_the_host(pai_in: str, pai_out: str) -> None:
    message = invite(identity(), f"P-Asserted-Identity: {pai_in}")
    out, _ = told(f'[rule.verify]\ndialect = "telnyx"\n{TRUSTED}', message)
    assert out == message.replace(pai_in.encode(), pai_out.encode())


@pytest.mark.parametrize(
    ("tables", "lines"),
    [
        # V19: attest C's verstat and indicator as the operator says
        (
            '[[rule.when]]\nattest = ["C"]\naction = "continue"\nverstat = "No-TN-Validation"\n',
            [pai("No-TN-Validation"), "P-Attestation-Indicator: C", *ATIS],
        ),
        (
            '[[rule.when]]\nattest = ["C"]\naction = "continue"\nindicator = "none"\n',
            [pai(PASSED)],
        ),
        (
            '[[rule.when]]\nattest = ["C"]\naction = "continue"\nverstat = "TN-Validation-Failed"\nindicator = "B"\n',
            [pai(FAILED), "P-Attestation-Indicator: B", *ATIS],
        ),
        ('[rule.on]\npassed = { action = "continue", indicator = "none" }\n', [pai(PASSED)]),
    ],
)
def test_v19_settable(tables: str, lines: list[str]) -> None:
    assert told(tables, GRADES["C"])[0] == added(GRADES["C"], *lines)


@pytest.mark.parametrize(
    ("on", "verstat"),
    [
        ('invalid = { action = "continue", verstat = "No-TN-Validation" }', "No-TN-Validation"),
        ('"invalid.bad-signature" = { action = "continue", verstat = "No-TN-Validation" }', "No-TN-Validation"),
        ('invalid = "continue"', FAILED),
    ],
)
def test_the_verstat_of_each_failure_is_settable(on: str, verstat: str) -> None:
    """V11, V12: the options of the table, for every outcome alike."""
    message = invite(identity(key=LAB.root.key))
    _, out, record = result(make_engine(f"{VERIFY}[rule.on]\n{on}\n"), arriving(message))
    assert out == added(message, pai(verstat))
    assert record["verstat"] == verstat


@pytest.mark.parametrize(
    ("origid", "line"),
    [
        (ORIGID.upper(), [f"P-Origination-ID: {ORIGID.upper()}"]),
        ("55555-f270-444-7bb9", []),  # it passes, and is recorded: a header field carries a UUID (RFC 8588 §5)
        (ORIGID + " ", []),
        ("x\r\nP-Asserted-Identity: <tel:+1>", []),
        ("a b", []),
        ("ä", []),
        ("1" * 65, []),
    ],
)
def test_s115_what_the_peer_wrote_is_not_copied_unseen(origid: str, line: list[str]) -> None:
    """V6 last line of STANDARDS §19: no line of a stranger's making."""
    message = invite(identity(claims(attest="B", origid=origid)))
    assert told("", message)[0] == added(message, pai(PASSED), "P-Attestation-Indicator: B", *line)


def test_s115_what_a_trusted_peer_stated_gives_way_to_what_we_found() -> None:
    message = invite(identity(claims(attest="B")), "P-Attestation-Indicator: A", "p-origination-id: x")
    _, out, _ = result(make_engine(TRUSTED + VERIFY), arriving(message))
    kept = invite(identity(claims(attest="B")))
    assert out == added(kept, pai(PASSED), "P-Attestation-Indicator: B", *ATIS)


def test_s122_a_redirect_carries_the_same() -> None:
    rules = TRUSTED + VERIFY.replace("direction", 'trunk = "core"\ndirection') + '[rule.on]\npassed = "redirect"\n'
    _, out, record = result(make_engine(rules), arriving(GRADES["C"]))
    assert (record["verdict"], record["treatment"]) == ("redirect", "redirect")
    lines = out.decode().split("\r\n")
    assert lines[0] == "SIP/2.0 302 Moved Temporarily"
    assert lines[6:10] == [
        "Contact: <sip:+12155550199@192.0.2.1>",
        pai(PASSED),
        "P-Attestation-Indicator: C",
        *ATIS,
    ]


def test_no_mark_is_made_of_a_call_that_is_signed() -> None:
    """And nothing here touches what leaves."""
    engine = make_engine(SIGN)
    assert engine.process(arriving(GRADES["C"]), NOW).record.verstat is None  # type: ignore[union-attr]
