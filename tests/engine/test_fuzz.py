"""A few hundred of the cases of `make fuzz`, always the same ones: no exception, no false `passed`, no header field
that nothing accounts for. And the judges of these cases see what is wrong."""

import json
from typing import Any

import pytest
from support.calls import (
    CALLED,
    CALLER,
    LAB,
    NOW,
    ORIGID,
    added,
    arriving,
    identity,
    invite,
    make_engine,
    pai,
    response,
)
from support.fuzzing import ROOT, Fuzzer
from support.hostilecalls import HostileCall, Plan, hostile_call, rules
from support.mutate import mutant
from support.oracle import may_pass
from support.plainreader import Field, read
from support.structure import (
    Found,
    Structure,
    judge_answer,
    judge_forwarded,
    judge_leaving,
    judge_leaving_without,
    judge_line,
    judge_record,
    judge_response,
    judge_sent_on,
    read_record,
)

from sbc_filter.engine.verdict import Verdict
from sbc_filter.lab.certificate_maker import Maker

GOOD = identity().partition(": ")[2].encode()


@pytest.fixture(scope="module")
def fuzzer() -> Fuzzer:
    return Fuzzer()


def test_mutants(fuzzer: Fuzzer) -> None:
    outcomes = [fuzzer.mutant(f"suite:mutant:{number}").outcome for number in range(400)]
    assert {"passed", "invalid", "stale", "untrusted", "unfetchable", "no-identity", "unparseable"} <= set(outcomes)


def test_signed(fuzzer: Fuzzer) -> None:
    """Show 4 of the structure of what leaves: whatever a believed key signed."""
    faults, outcomes = [], set()
    for number in range(300):
        seed = f"suite:signed:{number}"
        try:
            outcomes.add(fuzzer.signed(seed).outcome)
        except Exception as error:
            faults.append(f"{seed}: {type(error).__name__}: {error}")
    assert faults == []
    assert {"passed", "invalid", "untrusted", "unfetchable", "no-identity", "anonymous"} <= outcomes


def test_random(fuzzer: Fuzzer) -> None:
    outcomes = {fuzzer.random(f"suite:random:{number}").outcome for number in range(3000)}
    assert {"passed", "invalid", "no-identity", "unparseable", "split"} <= outcomes


def test_a_seed_is_a_mutant() -> None:
    assert mutant("suite:mutant:7") == mutant("suite:mutant:7")
    assert mutant("suite:mutant:7") != mutant("suite:mutant:8")
    assert hostile_call("suite:signed:7") == hostile_call("suite:signed:7")
    assert hostile_call("suite:signed:7") != hostile_call("suite:signed:8")


@pytest.mark.parametrize(
    ("values", "body", "caller", "called", "now"),
    [
        pytest.param([GOOD], LAB.chain, CALLER, CALLED, NOW, id="good"),
        pytest.param([b"a.b.c", GOOD], LAB.chain, CALLER, CALLED, NOW + 60, id="one of two"),
    ],
)
def test_the_judge_lets_pass(values: list[bytes], body: bytes, caller: str, called: str, now: float) -> None:
    assert may_pass(values, body, ROOT, caller, called, now)


@pytest.mark.parametrize(
    ("values", "body", "caller", "called", "now"),
    [
        pytest.param([], LAB.chain, CALLER, CALLED, NOW, id="none"),
        pytest.param([GOOD.replace(b".", b".A", 1)], LAB.chain, CALLER, CALLED, NOW, id="changed"),
        pytest.param([GOOD], LAB.chain, CALLED, CALLED, NOW, id="another caller"),
        pytest.param([GOOD], LAB.chain, CALLER, CALLER, NOW, id="another called party"),
        pytest.param([GOOD], LAB.chain, CALLER, CALLED, NOW + 61, id="old"),
        pytest.param([GOOD], Maker(NOW).laboratory().chain, CALLER, CALLED, NOW, id="a stranger's certificate"),
        pytest.param([GOOD], b"", CALLER, CALLED, NOW, id="no certificate"),
    ],
)
def test_the_judge_does_not_let_pass(values: list[bytes], body: bytes, caller: str, called: str, now: float) -> None:
    assert not may_pass(values, body, ROOT, caller, called, now)


# --- the judge of structure ---

_PLAN = Plan("continue", "atis", "always", (), False, False, False)
_INVITE = invite(identity())
_PASSED = Found("passed", None, "modify", "A", ORIGID, "TN-Validation-Passed")
_INVALID = Found("invalid", "orig-mismatch", "reject", "A", ORIGID, "TN-Validation-Failed")
_MARKED = added(
    _INVITE, pai("TN-Validation-Passed"), "P-Attestation-Indicator: A", f"P-Origination-ID: {ORIGID}"
)  # fmt: skip
_REFUSED = (
    b"SIP/2.0 438 Invalid Identity Header\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1\r\n"
    b"From: <sip:+12155550100@carrier.example>;tag=f1\r\n"
    b"To: <sip:+12155550199@sbc.example>;tag=0123456789abcdef01234567\r\n"
    b"Call-ID: call-1@carrier.example\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Reason: SIP;cause=438\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_REDIRECTED = (
    _REFUSED.replace(b"438 Invalid Identity Header", b"302 Moved Temporarily")
    .replace(b"Reason: SIP;cause=438", b"Contact: <sip:+12155550199@192.0.2.1>")
    .replace(
        b"Content-Length",
        f"{pai('TN-Validation-Passed')}\r\nP-Attestation-Indicator: A\r\nP-Origination-ID: {ORIGID}\r\n".encode()
        + b"Content-Length",
    )
)
DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
DIVERSION = identity(jose={"ppt": "div"})
_RINGING = response("180 Ringing")
_SIGNATURE = identity().partition(";")[0].rpartition(".")[2]


def hostile(does: str = "continue") -> HostileCall:
    """The case that `_INVITE` would be."""
    uri, target = f"sip:+{CALLER}@carrier.example".encode(), f"sip:+{CALLED}@192.0.2.1".encode()
    grades, origids = frozenset("A"), frozenset((ORIGID,))
    return HostileCall(_PLAN._replace(does=does), 1, _INVITE, (), uri, target, grades, origids, frozenset(), ())


def test_the_plain_reader() -> None:
    """Whatever ends a line anywhere ends one here; continuations are one field."""
    message = b"INVITE sip:a SIP/2.0\r\nA: 1\rB: 2\nC : 3\0D:4\x0bE:\t5\x0cF\r\nG: 6\r\n 7\n\t8\r\n\r\nbody\r\n"
    fields = [(b"A", b"1"), (b"B", b"2"), (b"C", b"3"), (b"D", b"4"), (b"E", b"5"), (b"F", b""), (b"G", b"6 7 8")]
    assert read(message) == (b"INVITE sip:a SIP/2.0", [Field(*each) for each in fields], b"body\r\n")


def test_the_judge_of_structure_lets_pass() -> None:
    judge_forwarded(hostile(), _PASSED, _MARKED)
    judge_forwarded(hostile(), None, _INVITE)
    judge_answer(hostile("reject"), _INVALID, _REFUSED)
    judge_answer(hostile("redirect"), _PASSED._replace(verdict="redirect"), _REDIRECTED)
    judge_response(hostile("stir"), _PASSED, _RINGING, _RINGING)
    judge_leaving(hostile("preserve"), "already-signed.preserved", invite(), added(invite(), identity()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Indicator: A", b"Indicator: A\r\nX-Injected: 1"),
        (b"Indicator: A", b"Indicator: A\nX-Injected: 1"),
        (b"Indicator: A", b"Indicator: A\rX-Injected: 1"),
        (b"Indicator: A", b"Indicator: A\0"),
        (b"Indicator: A", b"Indicator: A\x0b"),
        (b"Indicator: A", b"Indicator: A\r\n\r\n"),
        (b"Indicator: A", b"Indicator: A\r\n more"),
        (b"Indicator: A", b"Indicator: B"),
        (b"Indicator: A", b"Indicator: A\r\nP-Attestation-Indicator: A"),
        (b"P-Attestation-Indicator: A\r\n", b""),
        (ORIGID.encode() + b"\r\nMax", ORIGID.upper().encode() + b"\r\nMax"),
        (b"Validation-Passed", b"Validation-Passed-A"),
        (b";verstat=TN-Validation-Passed@carrier.example", b"@carrier.example;verstat=TN-Validation-Passed"),
        (b"Max-Forwards: 70\r\n", b""),
        (b"Max-Forwards: 70", b"Max-Forwards: 69"),
        (b"INVITE sip:", b"INVITE sips:"),
        (b"Content-Length: 0\r\n\r\n", b"Content-Length: 0\r\n\r\nmore"),
    ],
)
def test_the_judge_of_structure_does_not_let_pass(old: bytes, new: bytes) -> None:
    assert _MARKED.count(old) == 1
    with pytest.raises(Structure):
        judge_forwarded(hostile(), _PASSED, _MARKED.replace(old, new))


_SLOPPY = f'"A \\"b\\" caller" <sip:%2b{CALLER};cpc=x@carrier.example;x=[1];user=phone;VERSTAT%3dTN-Validation-Passed>'
_WRITTEN = (
    f'P-Asserted-Identity: "A b caller" <sip:+{CALLER};cpc=x;verstat=TN-Validation-Passed@carrier.example;user=phone>'
)


def sloppy(*values: str) -> HostileCall:
    """The call of an untrusted peer whose P-Asserted-Identity has these values."""
    asserted = [f"P-Asserted-Identity: {value}" for value in values]
    return hostile()._replace(message=added(_INVITE, *asserted), pai=tuple(value.encode() for value in values))


def shown_as(asserted: str) -> bytes:
    """The INVITE with this P-Asserted-Identity, as one that passed."""
    return added(_INVITE, asserted, "P-Attestation-Indicator: A", f"P-Origination-ID: {ORIGID}")


def test_the_judge_of_callers_lets_pass() -> None:
    judge_forwarded(sloppy(_SLOPPY), _PASSED, shown_as(_WRITTEN))
    judge_forwarded(sloppy(_SLOPPY, f"<tel:+{CALLED}>"), _PASSED, shown_as(_WRITTEN))
    of_tel = f"P-Asserted-Identity: <sip:+{CALLED};verstat=TN-Validation-Passed@192.0.2.7;user=phone>"
    judge_forwarded(sloppy(f"<tel:+{CALLED}>", _SLOPPY), _PASSED, shown_as(of_tel))


@pytest.mark.parametrize("values", [(_SLOPPY,), (_SLOPPY, f"<tel:+{CALLED}>")])
@pytest.mark.parametrize(
    "asserted",
    [
        f"P-Asserted-Identity: {_SLOPPY}".replace("@", ";verstat=TN-Validation-Passed@"),
        _WRITTEN.replace(CALLER, CALLED),
        _WRITTEN.replace(f"+{CALLER}", CALLER),
        _WRITTEN.replace(";cpc=x", ""),
        _WRITTEN.replace("user=phone", "user=phone;verstat=TN-Validation-Passed"),
        _WRITTEN.replace("user=phone", "user=phone;x=[1]"),
        _WRITTEN.replace("Passed", "Failed"),
        _WRITTEN.replace(";verstat=TN-Validation-Passed", ""),
        _WRITTEN.replace("carrier.example", "192.0.2.7"),
        _WRITTEN.replace('"A b caller" ', ""),
        _WRITTEN.replace("A b caller", 'A \\"b\\" caller'),
        _WRITTEN.replace("<", "").replace(">", ""),
        f"{_WRITTEN}\r\n{_WRITTEN}",
        f"{_WRITTEN}\r\nP-Asserted-Identity: <tel:+{CALLED}>",
        f"{_WRITTEN}\r\nX-Injected: 1",
    ],
)
def test_the_judge_of_callers_does_not_let_pass(values: tuple[str, ...], asserted: str) -> None:
    with pytest.raises(Structure):
        judge_forwarded(sloppy(*values), _PASSED, shown_as(asserted))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"438 Invalid Identity Header", b"438 Other"),
        (b"Reason: SIP;cause=438\r\n", b""),
        (b"CSeq: 1 INVITE\r\n", b""),
        (b"CSeq: 1 INVITE", b"CSeq: 1 INVITE\r\nContact: <sip:evil@203.0.113.66>"),
        (b";tag=0123456789abcdef01234567", b""),
        (b"Content-Length: 0\r\n\r\n", b"Content-Length: 0\r\n\r\nmore"),
    ],
)
def test_the_judge_of_answers_does_not_let_pass(old: bytes, new: bytes) -> None:
    assert _REFUSED.count(old) == 1
    with pytest.raises(Structure):
        judge_answer(hostile("reject"), _INVALID, _REFUSED.replace(old, new))


@pytest.mark.parametrize(
    ("reason", "is_good"),
    [
        (f'STIR ;cause=438 ;text="Invalid Identity Header" ;ppi="..{_SIGNATURE}"', True),
        ('STIR ;cause=438 ;text="Invalid Identity Header"', True),
        ('STIR ;cause=438 ;text="Invalid Identity Header" ;ppi="..AAAA"', False),
        ('STIR ;cause=403 ;text="Stale Date"', False),
        ('SIP ;cause=438 ;text="Invalid Identity Header"', False),
        ('STIR ;cause=438 ;text="Invalid"Identity Header"', False),
        ('STIR ;cause=438 ;text="Invalid Identity Header"\r\nX-Injected: 1', False),
        ("", False),
    ],
)
def test_the_judge_of_responses(reason: str, is_good: bool) -> None:
    lines = f"Reason: {reason}\r\n" if reason else ""
    out = _RINGING.replace(b"From:", lines.encode() + b"From:")
    if is_good:
        judge_response(hostile("stir"), _INVALID, _RINGING, out)
        return
    with pytest.raises(Structure):
        judge_response(hostile("stir"), _INVALID, _RINGING, out)


@pytest.mark.parametrize("lines", [[], [identity(), identity()], [identity(), "X-Injected: 1"], ["Identity: a.b.c"]])
def test_the_judge_of_what_is_put_back(lines: list[str]) -> None:
    with pytest.raises(Structure):
        judge_leaving(hostile("preserve"), "already-signed.preserved", invite(), added(invite(), *lines))


@pytest.mark.parametrize(
    ("outcome", "lines"),
    [
        ("already-signed.preserved", ["Identity: a.b.c"]),
        ("signed.None", [identity()]),
        ("signed.None", ["Identity: a.b.c", "Identity: d.e.f"]),
        ("signed.None", []),
        ("unsigned.ambiguous", ["Identity: a.b.c"]),
        ("unsigned.no-number", []),
    ],
)
def test_the_judge_of_what_is_not_put_back(outcome: str, lines: list[str]) -> None:
    judge_leaving_without(hostile("preserve"), "signed.None", invite(), added(invite(), "Identity: a.b.c"))
    judge_leaving_without(hostile("preserve"), "unsigned.ambiguous", invite(), invite())
    with pytest.raises(Structure):
        judge_leaving_without(hostile("preserve"), outcome, invite(), added(invite(), *lines))


@pytest.mark.parametrize(
    "changes",
    [
        {"attest": "B"},
        {"attest": None},
        {"attest": "A\r\nX-Injected: 1"},
        {"outcome": "invalid", "attest": "D", "verstat": "TN-Validation-Failed"},
        {"origid": "another"},
        {"verstat": "TN-Validation-Failed"},
        {"outcome": "unparseable"},
    ],
)
def test_the_judge_of_records_does_not_let_pass(changes: dict[str, Any]) -> None:
    judge_record(hostile(), _PASSED)
    with pytest.raises(Structure):
        judge_record(hostile(), _PASSED._replace(**changes))


def line(**changes: Any) -> str:
    """The record of the call, with other values."""
    verdict = make_engine(rules(_PLAN)).process(arriving(_INVITE), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    return json.dumps({**json.loads(verdict.record.to_json()), **changes})


def test_the_judge_of_lines_lets_pass() -> None:
    judge_line(line(), line())
    judge_line(line(call_id="x" * 4096), line())
    assert read_record(line()) == _PASSED


@pytest.mark.parametrize("hidden", ["\n", "\x1b[2J", "\x85", "\ud800", "x" * 4096])
def test_the_judge_of_lines_does_not_let_pass(hidden: str) -> None:
    text = line(call_id=hidden)
    with pytest.raises(Structure):
        judge_line(text, text)


def test_the_judge_of_lines_wants_one_line() -> None:
    with pytest.raises(Structure):
        judge_line(line() + "\n", line())


@pytest.mark.parametrize(
    ("outcome", "more", "is_good"),
    [
        ("signed", [DATE, DIVERSION], True),
        ("already-signed", [], True),
        ("already-signed", [DATE, DIVERSION], False),
        ("signed", [DIVERSION], False),
        ("signed", [DATE], False),
        ("signed", [f"{DATE} X-Injected: 1", DIVERSION], False),
        ("signed", [DATE, f"{DIVERSION};x=y"], False),
        ("signed", [DATE, DIVERSION, DIVERSION], False),
        ("signed", [DATE, DIVERSION, "P-Attestation-Indicator: A"], False),
    ],
)
def test_the_judge_of_what_leaves(outcome: str, more: list[str], is_good: bool) -> None:
    if is_good:
        judge_sent_on(hostile("diverts"), outcome, added(_INVITE, *more))
        return
    with pytest.raises(Structure):
        judge_sent_on(hostile("diverts"), outcome, added(_INVITE, *more))
