"""Verification by somebody else: what they are asked, what is believed of their answer, and what if there is none."""

from typing import Any

import pytest
from support.calls import (
    CALLED,
    CALLER,
    LAB,
    NOW,
    ORIGID,
    STRANGER,
    VERIFY,
    arriving,
    claims,
    follow_up,
    identity,
    invite,
    make_engine,
    result,
    retargeted,
    status,
)

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import DETAILS, Detail, Outcome
from sbc_filter.packet.udp import parse
from sbc_filter.stir.checks import CertificateRequest
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest, validate_finding

ASK = VERIFY + '[rule.verify]\nservice = "theirs"\n'
PASSED, FAILED, NONE = "TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"
GOOD = ReportedResult(PASSED)
JOINED = 'tolerate = ["comma-joined"]\n'
ANONYMOUS = invite(identity()).replace(b"+12155550100@carrier.example", b"anonymous@anonymous.invalid")


def value(line: str) -> bytes:
    return line.removeprefix("Identity: ").encode()


def asked(line: str, called: str = CALLED) -> VerificationRequest:
    return VerificationRequest("theirs", CALLER, (called,), int(NOW), value(line))


def engine_of(rules: str = ASK, **options: Any) -> Engine:
    """It knows no certificate, and none is ever asked for."""
    return make_engine(rules, known=False, **options)


def resumed(
    engine: Engine, answer: ReportedResult | Detail, now: float = NOW + 0.1, need: int = 1
) -> tuple[bytes, Any]:
    """(the message as it goes on, its record)."""
    told = answer if isinstance(answer, ReportedResult) else None
    verdict = engine.resume(need, Answer(told, answer if isinstance(answer, Detail) else None, NOW), now)
    assert isinstance(verdict, Verdict), verdict
    return parse(verdict.payload).payload if verdict.payload else b"", verdict.record


def after(answer: ReportedResult | Detail, rules: str = ASK) -> tuple[bytes, Any]:
    engine = engine_of(rules)
    assert isinstance(engine.process(arriving(invite(identity())), NOW), Need)
    return resumed(engine, answer)


@pytest.mark.parametrize(("options", "seconds"), [("", 0.4), ("hold_ms = 1500\n", 1.5), ("hold_ms = 0\n", 0.0)])
def test_s060_what_is_asked_and_until_when(options: str, seconds: float) -> None:
    line = identity()
    need = engine_of(ASK + options).process(arriving(invite(line)), NOW)
    assert need == Need(1, asked(line), NOW + seconds, party=STRANGER)


def test_a_call_that_passes_is_marked_as_by_ourselves() -> None:
    line = identity()
    out, record = after(GOOD)
    own = result(make_engine(VERIFY), arriving(invite(line)))
    assert out == own[1]
    assert b"verstat=TN-Validation-Passed" in out
    assert (record.outcome, record.detail, record.verstat) == ("passed", None, PASSED)
    # Of the token that was sent; who signed is known to the service alone.
    assert (record.attest, record.origid, record.x5u, record.spc) == ("A", ORIGID, X5U, None)


@pytest.mark.parametrize(
    ("answer", "outcome", "detail", "verstat"),
    [
        (ReportedResult(PASSED, 200), "passed", None, PASSED),
        (ReportedResult(FAILED, 403, "Received 'iat' value is not fresh"), "stale", "verification-failed", FAILED),
        (ReportedResult(FAILED, 403, "stale-date"), "stale", "stale-date", FAILED),
        (ReportedResult(NONE, 436, "Unable to fetch"), "unfetchable", "verification-failed", NONE),
        (ReportedResult(NONE, 436, "fetch-dns"), "unfetchable", "fetch-dns", NONE),
        (ReportedResult(FAILED, 436, "x5u-policy"), "unfetchable", "x5u-policy", FAILED),
        (ReportedResult(FAILED, 437), "untrusted", "verification-failed", FAILED),
        (ReportedResult(FAILED, 437, "revoked"), "untrusted", "revoked", FAILED),
        (ReportedResult(FAILED, 438), "invalid", "verification-failed", FAILED),
        (ReportedResult(FAILED, 438, "bad-signature"), "invalid", "bad-signature", FAILED),
        (ReportedResult(FAILED, 438, "revoked"), "invalid", "verification-failed", FAILED),  # it belongs to 437
        (ReportedResult(NONE, 428), "no-identity", "unsupported-ppt", NONE),
        (ReportedResult(FAILED), "invalid", "verification-failed", FAILED),
        (ReportedResult(NONE), "unfetchable", "verification-failed", NONE),
        (ReportedResult(FAILED, 500), "invalid", "verification-failed", FAILED),
        (ReportedResult(PASSED, 438), "unfetchable", "verification-mismatch", NONE),
        (ReportedResult("Passed"), "unfetchable", "verification-refused", NONE),
        (ReportedResult("TN-Validation-Passed\r\nX-A: b"), "unfetchable", "verification-refused", NONE),
        (ReportedResult(NONE, 436, "verification-timeout"), "unfetchable", "verification-failed", NONE),  # ours to say
        (Detail.FETCH_TIMEOUT, "unfetchable", "verification-timeout", NONE),
        (Detail.VERIFICATION_UNREACHABLE, "unfetchable", "verification-unreachable", NONE),
        (Detail.VERIFICATION_REFUSED, "unfetchable", "verification-refused", NONE),
        (Detail.FETCH_REFUSED, "unfetchable", "verification-refused", NONE),
        (Detail.HOLD_LIMIT, "unfetchable", "hold-limit", NONE),
    ],
)
def test_what_an_answer_means(answer: ReportedResult | Detail, outcome: str, detail: str | None, verstat: str) -> None:
    out, record = after(answer)
    assert (record.outcome, record.detail, record.verstat) == (outcome, detail, verstat)
    assert f";verstat={verstat}".encode() in out
    assert detail is None or Detail(detail) in DETAILS[Outcome(outcome)]


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (claims(), None),
        ({"orig": {"tn": CALLER}}, None),
        ({}, None),
        (claims(orig={"tn": "12155550101"}), "verification-mismatch"),
        (claims(dest={"tn": ["12155550101"]}), "verification-mismatch"),
        (claims(iat=int(NOW) - 1), "verification-mismatch"),
        (claims(attest="B"), "verification-mismatch"),
        (claims(origid="other"), "verification-mismatch"),
    ],
)
def test_s060_an_answer_about_another_token_is_none(said: dict[str, Any], detail: str | None) -> None:
    _, record = after(ReportedResult(PASSED, claims=said))
    assert (record.outcome, record.detail) == ("unfetchable" if detail else "passed", detail)


def test_s060_of_what_token_an_answer_to_the_compact_form_speaks_is_not_to_be_told() -> None:
    compact = VerificationRequest("theirs", CALLER, (CALLED,), int(NOW), b"..QQ;info=<https://c.example/>")
    assert validate_finding(compact, ReportedResult(PASSED, claims=claims(orig={"tn": CALLED})), None) is None
    full = validate_finding(asked(identity()), ReportedResult(PASSED, claims=claims(orig={"tn": CALLED})), None)
    assert full is not None
    assert full.detail is Detail.VERIFICATION_MISMATCH


@pytest.mark.parametrize(
    ("options", "outcome"), [("", "invalid"), ('tolerate = ["no-origid"]\n', "invalid"), (JOINED, "passed")]
)
def test_s032_tokens_joined_by_commas_where_a_rule_says_so(options: str, outcome: str) -> None:
    b, a = identity(claims(attest="B")), identity()
    message = invite(f"{b}, {value(a).decode()}")
    engine = engine_of(ASK + options)
    need = engine.process(arriving(message), NOW)
    if isinstance(need, Verdict):
        assert need.record is not None
        assert (need.record.outcome, need.record.detail) == (outcome, "identity-syntax")
        return
    assert need.request == asked(a)
    assert resumed(engine, GOOD)[1].outcome == outcome
    assert engine.counters["deviation.comma-joined"] == 1


def test_s032_one_token_is_not_joined() -> None:
    engine = engine_of(ASK + JOINED)
    engine.process(arriving(invite(identity())), NOW)
    assert resumed(engine, GOOD)[1].outcome == "passed"
    assert engine.counters["deviation.comma-joined"] == 0


@pytest.mark.parametrize(
    ("message", "outcome", "detail"),
    [
        (invite(), "no-identity", "absent"),
        (ANONYMOUS, "anonymous", "no-caller"),
        (invite(identity(claims(orig={"tn": "12155550101"}))), "invalid", "orig-mismatch"),
        (invite(identity(claims(dest={"tn": ["12155550101"]}))), "invalid", "dest-mismatch"),
        (invite(identity(claims(iat=int(NOW) - 61))), "stale", "stale-date"),
        (invite(identity(claims(iat=int(NOW) + 61))), "stale", "future-date"),
        (invite(identity(claims(attest="D"))), "invalid", "claim-attest"),
        (invite("Identity: nothing"), "invalid", "identity-syntax"),
        (invite("Identity: " + "x" * 9000), "invalid", "too-large"),
        (invite(*[identity()] * 17), "invalid", "too-many-identities"),
        (invite(identity(jose={"ppt": "rph"})), "no-identity", "unsupported-ppt"),
    ],
    ids=["none", "anonymous", "caller", "called", "stale", "future", "attest", "syntax", "size", "many", "rph"],
)
def test_s067_nobody_is_asked_for_what_cannot_pass(message: bytes, outcome: str, detail: str) -> None:
    _, _, record = result(engine_of(), arriving(message))
    assert (record["outcome"], record["detail"]) == (outcome, detail)


def test_nobody_is_asked_in_a_dialog() -> None:
    assert result(engine_of(), arriving(invite(identity(), to_tag=";tag=2")))[2]["detail"] == "in-dialog"


def test_treatments_hold_as_for_our_own_verification() -> None:
    rules = f'{ASK}[rule.on]\n"unfetchable.verification-timeout" = "reject"\ninvalid = "reject"\n'
    engine = engine_of(rules)
    for number, told, said in (
        (1, ReportedResult(FAILED, 438), "438 Invalid Identity Header"),
        (2, None, "436 Bad Identity Info"),
    ):
        engine.process(arriving(invite(identity(), number=number)), NOW)
        verdict = engine.resume(number, Answer(told, Detail.FETCH_TIMEOUT, NOW), NOW + 0.4)
        assert isinstance(verdict, Verdict)
        assert status(verdict.emit[0].payload) == said


def test_s063_one_true_token_is_enough_and_the_best_attested_is_asked_first() -> None:
    b, a = identity(claims(attest="B")), identity()
    engine = engine_of()
    first = engine.process(arriving(invite(b, a)), NOW)
    assert isinstance(first, Need)
    assert first.request == asked(a)
    second = engine.resume(1, Answer(ReportedResult(FAILED, 437), None, NOW), NOW + 0.1)
    assert second == Need(2, asked(b), NOW + 0.4, party=STRANGER)
    _, record = resumed(engine, GOOD, NOW + 0.2, 2)
    assert (record.outcome, record.attest) == ("passed", "B")


def test_who_did_not_answer_is_not_asked_again() -> None:
    engine = engine_of()
    engine.process(arriving(invite(identity(claims(attest="B")), identity())), NOW)
    assert resumed(engine, Detail.FETCH_TIMEOUT, NOW + 0.4)[1].detail == "verification-timeout"


def test_a_retransmission_is_answered_from_memory() -> None:
    engine = engine_of()
    raw = arriving(invite(identity()))
    engine.process(raw, NOW)
    assert result(engine, raw, NOW + 0.05)[0] == "drop"  # the first copy waits
    out, _ = resumed(engine, GOOD)
    assert result(engine, raw, NOW + 0.5)[1] == out


def test_s057_a_token_of_a_call_to_another_target_is_replayed() -> None:
    engine = engine_of()
    first = invite(identity())
    for number, call, outcome in ((1, first, "passed"), (2, retargeted(first), "replayed")):
        engine.process(arriving(call), NOW)
        assert resumed(engine, GOOD, need=number)[1].outcome == outcome


def test_s057_a_replayed_token_beside_a_new_one() -> None:
    old, new = identity(), identity(claims(attest="B"))
    engine = engine_of()
    engine.process(arriving(invite(old)), NOW)
    resumed(engine, GOOD)
    engine.process(arriving(retargeted(invite(old, new, number=2))), NOW)
    need = engine.resume(2, Answer(GOOD, None, NOW), NOW + 0.1)
    assert need == Need(3, asked(new), NOW + 0.4, party=STRANGER)
    record = resumed(engine, GOOD, need=3)[1]
    assert (record.outcome, record.attest) == ("passed", "B")


def test_s137_an_emergency_call_never_waits() -> None:
    message = invite(identity(claims(dest={"tn": ["911"]}))).replace(b"12155550199", b"911")
    _, _, record = result(engine_of(f'{ASK}[rule.on]\nunfetchable = "reject"\n'), arriving(message))
    assert (record["verdict"], record["outcome"], record["detail"]) == ("modify", "unfetchable", "verification-refused")


def test_the_number_of_held_calls_is_limited() -> None:
    engine = engine_of(held_limit=0)
    _, _, record = result(engine, arriving(invite(identity())))
    assert (record["outcome"], record["detail"]) == ("unfetchable", "hold-limit")


def test_s145_cancel_while_held() -> None:
    engine = engine_of()
    engine.process(arriving(invite(identity())), NOW)
    cancel = engine.process(arriving(follow_up(invite(identity()), "CANCEL")), NOW + 0.1)
    assert isinstance(cancel, Verdict)
    assert [status(each.payload) for each in cancel.emit] == ["200 OK", "487 Request Terminated"]
    verdict = engine.resume(1, Answer(GOOD, None, NOW), NOW + 0.2)
    assert isinstance(verdict, Verdict)
    assert (verdict.kind, verdict.emit) == ("drop", ())


def test_release_lets_go_of_it() -> None:
    engine = engine_of()
    engine.process(arriving(invite(identity())), NOW)
    ((need, verdict),) = engine.release(NOW + 0.1)
    assert (need, verdict.record and verdict.record.detail) == (1, "verification-timeout")


def test_a_rule_that_watches_asks_for_itself() -> None:
    """One rule has a service, the next judges here: each call may wait for both."""
    watch = ASK.replace('name = "verify"', 'name = "watch"\nmode = "monitor"')
    engine = engine_of(watch + VERIFY)
    engine.process(arriving(invite(identity())), NOW)
    second = engine.resume(1, Answer(ReportedResult(FAILED, 437), None, NOW), NOW + 0.1)
    assert isinstance(second, Need)
    assert second.request == CertificateRequest(X5U)
    verdict = engine.resume(2, Answer(LAB.chain, None, NOW + 60), NOW + 0.2)
    assert isinstance(verdict, Verdict)
    assert [verdict.monitored[0].outcome, verdict.record and verdict.record.outcome] == ["untrusted", "passed"]
