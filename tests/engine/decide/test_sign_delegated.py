"""Signing by somebody else: the engine waits for the signature, and believes only what it asked for (A1 to A20)."""

from typing import Any

import pytest
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    LAB,
    LEAVING,
    NOW,
    ORIGID,
    SBC,
    SIGN,
    VERIFY,
    added,
    claims,
    follow_up,
    identity,
    invite,
    leaving,
    make_engine,
    result,
    status,
)

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import parse
from sbc_filter.stir.checks import CertificateRequest
from sbc_filter.stir.delegated_signing import RemoteCredential, SigningRequest

DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
ASKED = SigningRequest("ours", CALLER, (CALLED,), "A", ORIGID, int(NOW))


def engine_of(rules: str = SIGN, **options: Any) -> Engine:
    return make_engine(rules, credentials={"ours": RemoteCredential("ours")}, **options)


def value(line: str) -> bytes:
    return line.removeprefix("Identity: ").encode()


def signed_by(line: str) -> Answer[bytes]:
    return Answer(value(line), None, NOW)


def failed(detail: Detail) -> Answer[bytes]:
    return Answer(None, detail, NOW)


def resumed(engine: Engine, answer: Answer[bytes], now: float = NOW + 0.1, need: int = 1) -> tuple[bytes | None, Any]:
    verdict = engine.resume(need, answer, now)
    assert isinstance(verdict, Verdict)
    return verdict.payload and parse(verdict.payload).payload, verdict.record


@pytest.mark.parametrize(("options", "seconds"), [("", 0.4), ("hold_ms = 1500\n", 1.5), ("hold_ms = 0\n", 0.0)])
def test_what_is_asked_and_until_when(options: str, seconds: float) -> None:
    need = engine_of(SIGN + options).process(leaving(invite()), NOW)
    assert need == Need(1, ASKED, NOW + seconds, party=LEAVING)


def test_the_signature_of_somebody_else_is_inserted_as_ours_would_be() -> None:
    engine = engine_of()
    engine.process(leaving(invite()), NOW)
    out, record = resumed(engine, signed_by(identity()))
    assert out == added(invite(), DATE, identity())
    assert (record.outcome, record.attest, record.origid, record.x5u) == ("signed", "A", ORIGID, X5U)
    # The very bytes of a key that is here, and of the retransmission.
    assert result(make_engine(SIGN), leaving(invite()))[1] == out
    assert result(engine, leaving(invite()), NOW + 0.5)[1] == out


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        (Detail.FETCH_TIMEOUT, "signing-timeout"),
        (Detail.FETCH_REFUSED, "signing-refused"),
        (Detail.SIGNING_REFUSED, "signing-refused"),
        (Detail.SIGNING_UNREACHABLE, "signing-unreachable"),
        (Detail.HOLD_LIMIT, "hold-limit"),
    ],
)
def test_without_an_answer_the_call_goes_on_unsigned(given: Detail, detail: str) -> None:
    engine = engine_of()
    engine.process(leaving(invite()), NOW)
    out, record = resumed(engine, failed(given), NOW + 0.4)
    assert (out, record.outcome, record.detail) == (None, "unsigned", detail)


def test_or_as_the_rule_says() -> None:
    engine = engine_of(f'{SIGN}[rule.on]\n"unsigned.signing-timeout" = "reject"\n')
    engine.process(leaving(invite()), NOW)
    verdict = engine.resume(1, failed(Detail.FETCH_TIMEOUT), NOW + 0.4)
    assert isinstance(verdict, Verdict)
    assert status(verdict.emit[0].payload) == "500 Server Internal Error"


@pytest.mark.parametrize(
    "answer",
    [
        identity(claims(orig={"tn": "12155550101"})),
        identity(claims(dest={"tn": ["12155550101"]})),
        identity(claims(dest={"tn": [CALLED, "12155550101"]})),
        identity(claims(attest="B")),
        identity(claims(origid="00000000-8f7a-4f0e-a863-f53a0e60251a")),
        identity(claims(iat=int(NOW) - 1)),
        identity(jose={"ppt": "div"}),
        identity(jose={"ppt": None}, parameters=f"info=<{X5U}>;alg=ES256"),
        identity(parameters="info=<https://other.example.org/a.pem>;alg=ES256;ppt=shaken"),
        identity() + "\r\nX-Injected: 1",
        identity() + "\r\n folded",
        identity().replace(";alg", "\r\n ;alg"),
        identity()[:99] + "\r\n " + identity()[99:],
        identity() + "\0",
        identity(jose={"ppt": "foo"}),
        "Identity: nothing",
        "",
    ],
    ids=["caller", "called", "one more called", "attestation", "origid", "iat", "div", "base", "info", "CRLF", "fold",
         "folded parameters", "folded digest", "NUL", "another kind", "no token", "nothing"],
)  # fmt: skip
def test_what_was_not_asked_does_not_leave(answer: str) -> None:
    engine = engine_of()
    engine.process(leaving(invite()), NOW)
    out, record = resumed(engine, signed_by(answer))
    assert (out, record.outcome, record.detail) == (None, "unsigned", "signing-mismatch")


def test_white_space_around_it_is_no_part_of_it() -> None:
    engine = engine_of()
    engine.process(leaving(invite()), NOW)
    assert resumed(engine, signed_by(f" {value(identity()).decode()}\r\n"))[0] == added(invite(), DATE, identity())


def test_one_copy_is_kept_and_each_call_has_a_need_of_its_own() -> None:
    engine = engine_of()
    engine.process(leaving(invite()), NOW)
    assert result(engine, leaving(invite()), NOW + 0.1)[0] == "drop"
    need = engine.process(leaving(invite(number=2)), NOW + 0.2)
    assert isinstance(need, Need)
    assert (need.id, need.deadline) == (2, NOW + 0.2 + 0.4)
    assert resumed(engine, signed_by(identity()), NOW + 0.3, 2)[0] == added(invite(number=2), DATE, identity())
    assert resumed(engine, signed_by(identity()), NOW + 0.3, 1)[0] == added(invite(), DATE, identity())


def test_s145_cancel_while_held() -> None:
    engine = engine_of()
    engine.process(leaving(invite()), NOW)
    cancel = engine.process(leaving(follow_up(invite(), "CANCEL")), NOW + 0.1)
    assert isinstance(cancel, Verdict)
    assert [status(each.payload) for each in cancel.emit] == ["200 OK", "487 Request Terminated"]
    verdict = engine.resume(1, signed_by(identity()), NOW + 0.2)
    assert isinstance(verdict, Verdict)
    assert (verdict.kind, verdict.emit) == ("drop", ())


def test_the_number_of_held_calls_is_limited() -> None:
    engine = engine_of(held_limit=0)
    action, out, record = result(engine, leaving(invite()))
    assert (action, out, record["detail"]) == ("accept", invite(), "hold-limit")


def test_release_lets_go_of_it() -> None:
    engine = engine_of()
    engine.process(leaving(invite()), NOW)
    ((need, verdict),) = engine.release(NOW + 0.1)
    assert (need, verdict.record and verdict.record.detail) == (1, "signing-timeout")


def test_s137_an_emergency_call_never_waits() -> None:
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", b"urn:service:sos ")
    action, out, record = result(engine_of(f'{SIGN}[rule.on]\nunsigned = "reject"\n'), leaving(message))
    assert (action, out, record["detail"]) == ("accept", message, "signing-refused")


def test_a_call_that_cannot_be_signed_asks_nobody() -> None:
    engine = engine_of()
    assert result(engine, leaving(invite(caller="anonymous")))[2]["detail"] == "no-caller"
    assert result(engine, leaving(invite(identity())))[2]["outcome"] == "already-signed"


def test_one_call_may_wait_for_a_certificate_and_then_for_a_signature() -> None:
    watch = VERIFY.replace('direction = "inbound"', 'direction = "outbound"\nmode = "monitor"')
    engine = engine_of(watch + SIGN, known=False)
    first = engine.process(leaving(invite(identity(jose={"ppt": None}, parameters=f"info=<{X5U}>;alg=ES256"))), NOW)
    assert isinstance(first, Need)
    assert first.request == CertificateRequest(X5U)
    second = engine.resume(1, Answer(LAB.chain, None, NOW + 60), NOW + 0.1)
    assert second == Need(2, ASKED, NOW + 0.4, party=LEAVING)
    assert resumed(engine, signed_by(identity()), NOW + 0.2, 2)[1].outcome == "signed"


def test_iat_is_of_the_arrival() -> None:
    engine = engine_of()
    engine.process(leaving(invite(), SBC, CARRIER), NOW + 0.9)
    _, record = resumed(engine, signed_by(identity()), NOW + 1.2)
    assert record.outcome == "signed"
