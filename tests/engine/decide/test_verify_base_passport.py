"""Base PASSporTs, of no `ppt` (RFC 8225): a provider's is not SHAKEN, one for a number speaks for that number (S-120).

The laboratory's certificate has an SPC; `NUMBERS` is one of number ranges and no SPC.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from support.calls import (
    CALLED,
    CALLER,
    LAB,
    NOW,
    VERIFY,
    added,
    arriving,
    claims,
    identity,
    invite,
    make_engine,
    pai,
    result,
    status,
)
from support.certificates import chain, numbers

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import parse
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest
from sbc_filter.stir.passport import canonical_json, encode_segment
from sbc_filter.stir.signature import sign_es256

PASSED, NOT_VALIDATED = "TN-Validation-Passed", "No-TN-Validation"
DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
INFO = f"info=<{X5U}>;alg=ES256"
NUMBERS = chain(listed=numbers(("12155550000", 1000)))
NO_SHAKEN = {"attest": None, "origid": None}
TOLERANT = f'{VERIFY}[rule.verify]\ntolerate = ["base-passport"]\n'
UNSUPPORTED = ("no-identity", "unsupported-ppt", None)


def base(**changes: Any) -> str:
    """A base PASSporT, by default one that says what it may."""
    return identity(claims(**{**NO_SHAKEN, **changes}), jose={"ppt": None}, parameters=INFO)


def compact() -> str:
    header = canonical_json({"alg": "ES256", "typ": "passport", "x5u": X5U})
    signed = encode_segment(header) + b"." + encode_segment(canonical_json(claims(**NO_SHAKEN)))
    return f"Identity: ..{sign_es256(LAB.leaf.key, signed).decode()};{INFO}"


def div(dest: str, diverted_by: str) -> str:
    said = claims(**NO_SHAKEN, dest={"tn": [dest]}, div={"tn": diverted_by})
    return identity(said, jose={"ppt": "div"})


FORMS = {
    "full form": (base(),),
    "compact form": (compact(), DATE),
    "attest A": (base(attest="A"),),
    "attest B": (base(attest="B"),),
    "attest D": (base(attest="D"),),
    "attest a list": (base(attest=["A"]),),
    "an origid": (base(origid="4437c7eb-8f7a-4f0e-a863-f53a0e60251a"),),
    "attest A and an origid": (base(attest="A", origid="4437c7eb-8f7a-4f0e-a863-f53a0e60251a"),),
    "attest in lower case": (base(attest="c"),),
    "attest of 300 characters": (base(attest="A" * 300),),
    "attest that is a header field": (base(attest="A\r\nX-Injected: 1"),),
    "attest with a second P-Asserted-Identity": (
        base(attest="A\r\nP-Asserted-Identity: <sip:+12155550142;verstat=TN-Validation-Passed@a.example>"),
    ),
    "attest that ends the header": (base(attest="A\r\nContent-Length: 0\r\n\r\n", origid="x"),),
}


def seen(engine: Engine, message: bytes) -> tuple[bytes, tuple[str, str | None, str | None]]:
    """What arrives at the SBC; outcome, detail and attestation of the record."""
    _, out, record = result(engine, arriving(message))
    return out, (record["outcome"], record["detail"], record["attest"])


@pytest.mark.parametrize("headers", FORMS.values(), ids=FORMS)
def test_s120_a_providers_is_no_identity(headers: tuple[str, ...]) -> None:
    message = invite(*headers)
    assert seen(make_engine(VERIFY), message) == (added(message, pai(NOT_VALIDATED)), UNSUPPORTED)


@pytest.mark.parametrize("headers", FORMS.values(), ids=FORMS)
def test_where_a_rule_lets_it_pass_it_is_the_least(headers: tuple[str, ...]) -> None:
    """Whatever it says: `attest` and `origid` of a token that is not SHAKEN are not taken."""
    message, engine = invite(*headers), make_engine(TOLERANT)
    expected = added(message, pai(PASSED), "P-Attestation-Indicator: C")
    assert seen(engine, message) == (expected, ("passed", None, "C"))
    assert engine.counters["deviation.base-passport"] == 1


@pytest.mark.parametrize("headers", FORMS.values(), ids=FORMS)
def test_a_certificate_for_numbers_vouches_for_the_number(headers: tuple[str, ...]) -> None:
    """RFC 8224, RFC 8226: it attests nothing."""
    message = invite(*headers)
    assert seen(make_engine(VERIFY, chain=NUMBERS), message) == (added(message, pai(PASSED)), ("passed", None, None))


@pytest.mark.parametrize(
    ("dialect", "line"),
    [
        ("graded", pai(f"{PASSED}-C")),
        ("telnyx", f"P-Asserted-Identity: <sip:+{CALLER}@carrier.example;verstat={PASSED}-C>"),
    ],
)
def test_the_least_is_shown_in_the_words_of_each_dialect(dialect: str, line: str) -> None:
    message = invite(base())
    engine = make_engine(f'{TOLERANT}dialect = "{dialect}"\n')
    assert seen(engine, message)[0] == added(message, line, "P-Attestation-Indicator: C")


@pytest.mark.parametrize("attest", [None, "A", "D", "c", "A\r\nX: 1"])
@pytest.mark.parametrize(("grade", "code"), [("C", "403 Forbidden"), ("A", None), ("B", None)])
def test_rules_about_attestation_meet_it(attest: str | None, grade: str, code: str | None) -> None:
    """No signer who has to say C evades `attest = ["C"]` by leaving `ppt` out."""
    when = f'[[rule.when]]\nattest = ["{grade}"]\naction = "reject"\n'
    message = invite(base(attest=attest))
    action, out, _ = result(make_engine(TOLERANT + when), arriving(message))
    assert (action, status(out) if code else None) == ("reject" if code else "modify", code)
    # Without leave it is rejected as what has no identity, where that is rejected.
    on = '[rule.on]\nno-identity = "reject"\n'
    _, out, record = result(make_engine(VERIFY + on + when), arriving(message))
    assert (status(out), record["outcome"]) == ("428 Use Supported PASSporT Format", "no-identity")


@pytest.mark.parametrize("rule", [VERIFY, TOLERANT], ids=["by default", "tolerant"])
@pytest.mark.parametrize("others", [(base(attest="A"),), (compact(), DATE)], ids=["full form", "compact form"])
@pytest.mark.parametrize("first", [True, False])
def test_s077_beside_a_shaken_token_it_does_not_count(rule: str, others: tuple[str, ...], first: bool) -> None:
    shaken = identity(claims(attest="C"))
    message = invite(*others, shaken) if first else invite(shaken, *others)
    engine = make_engine(rule)
    _, out, record = result(engine, arriving(message))
    expected = added(message, pai(PASSED), "P-Attestation-Indicator: C", f"P-Origination-ID: {claims()['origid']}")
    assert (out, record["attest"], record["origid"]) == (expected, "C", claims()["origid"])
    assert engine.counters["deviation.base-passport"] == 0


def test_one_for_a_number_counts_before_a_providers() -> None:
    """Both let pass: the one that speaks for the number by itself decides."""
    other = X5U.replace("shaken", "numbers")
    both = [identity(claims(**NO_SHAKEN), jose={"ppt": None, "x5u": other}, parameters=f"info=<{other}>"), base()]
    for lines in (both, both[::-1]):
        engine = make_engine(TOLERANT)
        engine.add_certificate(other, Answer(NUMBERS, None, NOW + 60), NOW)
        _, _, record = result(engine, arriving(invite(*lines)))
        assert (record["outcome"], record["attest"], record["x5u"]) == ("passed", None, other)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (identity(claims(**NO_SHAKEN), jose={"ppt": None}, parameters=INFO, key=LAB.root.key), "bad-signature"),
        (base(orig={"tn": CALLED}), "orig-mismatch"),
        (base(dest={"tn": [CALLER]}), "dest-mismatch"),
    ],
)
def test_one_that_is_not_true_is_invalid(line: str, expected: str) -> None:
    """What contradicts its call never fares better for having no `ppt`."""
    for rule in (VERIFY, TOLERANT):
        assert seen(make_engine(rule), invite(line))[1] == ("invalid", expected, None)


FIRST = "12155550142"


@pytest.mark.parametrize(
    ("rule", "chain_of", "expected"),
    [
        (VERIFY, LAB.chain, UNSUPPORTED),
        (TOLERANT, LAB.chain, ("passed", None, "C")),
        (VERIFY, NUMBERS, ("passed", None, None)),
    ],
    ids=["a provider's", "a provider's, tolerated", "for a number"],
)
@pytest.mark.parametrize("to", [FIRST, CALLED], ids=["To kept", "To changed"])
def test_s102_at_the_end_of_a_diversion(
    to: str, rule: str, chain_of: bytes, expected: tuple[str, str | None, str | None]
) -> None:
    """The innermost token of a chain of diversions is held to the same."""
    message = invite(base(dest={"tn": [FIRST]}, attest="A"), div(CALLED, FIRST))
    message = message.replace(f"To: <sip:+{CALLED}@".encode(), f"To: <sip:+{to}@".encode())
    assert seen(make_engine(rule, chain=chain_of), message)[1] == expected


@pytest.mark.parametrize(("rule", "expected"), [(VERIFY, UNSUPPORTED), (TOLERANT, ("passed", None, "C"))])
def test_s105_inside_a_div_o(rule: str, expected: tuple[str, str | None, str | None]) -> None:
    inner = base(dest={"tn": [FIRST]}, attest="A\r\nX: 1").removeprefix("Identity: ").partition(";")[0]
    said = claims(**NO_SHAKEN, dest={"tn": [CALLED]}, div={"tn": FIRST}, opt=inner)
    message = invite(identity(said, jose={"ppt": "div-o"}))
    assert seen(make_engine(rule), message)[1] == expected


def test_a_diversion_from_a_shaken_token_is_found_behind_one_that_does_not_count() -> None:
    shaken = identity(claims(dest={"tn": [FIRST]}, attest="B"))
    message = invite(base(dest={"tn": [FIRST]}), shaken, div(CALLED, FIRST))
    assert seen(make_engine(VERIFY), message)[1] == ("passed", None, "B")


@pytest.mark.parametrize(
    ("tolerate", "lines", "expected"),
    [
        ("", (base(attest="A"),), UNSUPPORTED),
        ("", (compact(), DATE), UNSUPPORTED),
        ('tolerate = ["base-passport"]', (base(attest="A\r\nX: 1"),), ("passed", None, "C")),
        ('tolerate = ["base-passport"]', (compact(), DATE), ("passed", None, "C")),
    ],
)
def test_by_a_service(tolerate: str, lines: Sequence[str], expected: tuple[str, str | None, str | None]) -> None:
    """It does not say whose certificate it is: nothing is asked of it unless a rule lets a provider's pass."""
    engine = make_engine(f'{VERIFY}[rule.verify]\nservice = "theirs"\n{tolerate}\n', known=False)
    message = invite(*lines)
    verdict = engine.process(arriving(message), NOW)
    if tolerate:
        assert isinstance(verdict, Need)
        assert isinstance(verdict.request, VerificationRequest)
        verdict = engine.resume(verdict.id, Answer(ReportedResult(PASSED), None, 0.0), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert (verdict.record.outcome, verdict.record.detail, verdict.record.attest) == expected
    shown = [pai(PASSED), "P-Attestation-Indicator: C"] if tolerate else [pai(NOT_VALIDATED)]
    assert verdict.payload is not None
    assert parse(verdict.payload).payload == added(message, *shown)


def test_what_waits_for_its_certificate_is_judged_when_it_comes() -> None:
    engine = make_engine(VERIFY, known=False)
    need = engine.process(arriving(invite(base())), NOW)
    assert isinstance(need, Need)
    verdict = engine.resume(need.id, Answer(LAB.chain, None, NOW + 60), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert verdict.record.detail == Detail.UNSUPPORTED_PPT
