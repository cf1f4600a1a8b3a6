"""What outlives a reload: an engine with other rules goes on where the one before left off."""

from collections import Counter
from typing import Any

import pytest
from support.calls import (
    CARRIER,
    CREDENTIAL,
    LAB,
    MAKER,
    NOW,
    SIGN,
    VERIFY,
    added,
    arriving,
    follow_up,
    identity,
    invite,
    leaving,
    make_engine,
    pai,
    response,
    result,
    retargeted,
    status,
)

from sbc_filter.engine.engine import Engine, _apart
from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.packet.udp import parse
from sbc_filter.pki.trust_store import TrustStore

FAILING = "Identity: abc;info=<https://certificates.example.org/shaken.pem>"
STIR = f'{VERIFY}[rule.verify]\nreason = "stir"\n'
REASON = b'Reason: STIR ;cause=438 ;text="Invalid Identity Header"\r\n'
REMOVE = f'{SIGN}reason = "remove"\n'
OURS = identity().partition(";")[0].rpartition(".")[2]
COMPLAINT = f'Reason: STIR ;cause=438 ;text="Invalid Identity Header" ;ppi="..{OURS}"'
REDIRECT = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n' + VERIFY.replace(
    "[[rule]]\n", '[[rule]]\ntrunk = "core"\ninsertion = "redirect"\n'
)


def reloaded(engine: Engine, rules: str, **options: Any) -> Engine:
    return make_engine(rules, known=False, state=engine.state, **options)


def is_told(engine: Engine, number: int) -> bool:
    """Whether the answer to this call says what was wrong with it."""
    return REASON in result(engine, leaving(response("180 Ringing", number=number)))[1]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [(STIR, STIR, (True, True)), (VERIFY, STIR, (False, True)), (STIR, VERIFY, (False, False))],
)
def test_reports_that_are_owed(before: str, after: str, told: tuple[bool, bool]) -> None:
    """Of the call before the reload, and of the one after it."""
    engine = make_engine(before)
    result(engine, arriving(invite(FAILING)))
    engine = reloaded(engine, after)
    result(engine, arriving(invite(FAILING, number=2)))
    assert (is_told(engine, 1), is_told(engine, 2)) == told


@pytest.mark.parametrize(
    ("before", "after", "removed"),
    [(REMOVE, REMOVE, (True, True)), (SIGN, REMOVE, (False, True)), (REMOVE, SIGN, (False, False))],
)
def test_complaints_about_tokens_of_ours(before: str, after: str, removed: tuple[bool, bool]) -> None:
    def is_removed(engine: Engine) -> bool:
        return b"Reason" not in result(engine, arriving(response("180 Ringing", COMPLAINT)))[1]

    engine = make_engine(before)
    result(engine, leaving(invite()))
    engine = reloaded(engine, after)
    first = is_removed(engine)
    result(engine, leaving(invite(number=2)))
    assert (first, is_removed(engine)) == removed


def again(message: bytes) -> bytes:
    return message.replace(b"branch=z9hG4bK-", b"branch=z9hG4bK-again-")


@pytest.mark.parametrize(
    ("before", "after", "details"),
    [
        (REDIRECT, REDIRECT, ("redirected", "redirected")),
        (VERIFY, REDIRECT, ("absent", "redirected")),
        (REDIRECT, VERIFY, ("absent", "absent")),
    ],
)
def test_s122_calls_that_were_redirected(before: str, after: str, details: tuple[str, str]) -> None:
    engine = make_engine(before)
    result(engine, arriving(invite()))
    engine = reloaded(engine, after)
    first = result(engine, arriving(again(invite())))[2]["detail"]
    result(engine, arriving(invite(number=2)))
    assert (first, result(engine, arriving(again(invite(number=2))))[2]["detail"]) == details


def test_s124_what_was_decided_stays_decided() -> None:
    """A retransmission gets the bytes of the first copy, an ACK is absorbed, a CANCEL answered."""
    rejecting = f'{VERIFY}[rule.on]\nno-identity = "reject"\n'
    engine = make_engine(rejecting)
    _, answer, _ = result(engine, arriving(invite()))
    tag = answer.partition(b"To: ")[2].partition(b";tag=")[2].partition(b"\r\n")[0].decode()
    engine = reloaded(engine, VERIFY)
    assert result(engine, arriving(invite()))[:2] == ("reject", answer)
    assert result(engine, arriving(follow_up(invite(), "CANCEL")))[0] == "drop"
    assert result(engine, arriving(follow_up(invite(), "ACK", tag)))[0] == "drop"
    assert result(engine, arriving(invite(number=2)))[0] == "modify"


def test_what_is_held_is_decided_by_the_rules_under_which_it_came() -> None:
    engine = make_engine(f'{VERIFY}[rule.on]\npassed = "reject"\n', known=False)
    need = engine.process(arriving(invite(identity())), NOW)
    assert isinstance(need, Need)
    engine = reloaded(engine, VERIFY)
    verdict = engine.resume(need.id, Answer(LAB.chain, None, NOW + 60), NOW + 0.1)
    assert isinstance(verdict, Verdict)
    assert [status(each.payload) for each in verdict.emit] == ["403 Forbidden"]
    fresh = engine.process(arriving(retargeted(invite(identity(), number=2))), NOW + 0.2)
    assert isinstance(fresh, Verdict), "the certificate is known"
    assert fresh.record is not None
    assert (fresh.kind, fresh.record.outcome) == ("modify", "replayed")


def test_what_is_held_is_signed_with_a_credential_that_is_gone() -> None:
    watch = VERIFY.replace('direction = "inbound"', 'direction = "outbound"\nmode = "monitor"')
    base = identity(jose={"ppt": None}, parameters=f"info=<{X5U}>;alg=ES256")
    engine = make_engine(watch + SIGN, known=False)
    need = engine.process(leaving(invite(base)), NOW)
    assert isinstance(need, Need)
    engine = make_engine(VERIFY, known=False, state=engine.state, credentials={"other": CREDENTIAL})
    verdict = engine.resume(need.id, Answer(LAB.chain, None, NOW + 60), NOW + 0.1)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert verdict.record.outcome == "signed"
    assert engine.state.credentials.keys() == {"ours", "other"}
    assert make_engine(VERIFY, state=engine.state).state.credentials.keys() == {"ours"}  # nothing is held any more


def test_a_known_certificate_is_judged_by_the_new_trust_store() -> None:
    engine = make_engine(VERIFY)
    assert result(engine, arriving(invite(identity())))[2]["outcome"] == "passed"
    engine = reloaded(engine, VERIFY, trust=TrustStore([MAKER.laboratory().root.certificate]))
    assert result(engine, arriving(invite(identity(), number=2)))[2]["outcome"] == "untrusted"


def test_deviations_are_counted_apart_where_there_are_too_many_combinations() -> None:
    counted = Counter({("a", "b"): 2, ("a",): 1, ("b", "c"): 4})
    _apart(counted)
    assert counted == {("a",): 3, ("b",): 6, ("c",): 4}


def test_certificates_and_counters_go_on() -> None:
    engine = make_engine(VERIFY)
    result(engine, arriving(invite(identity().replace(";info=<", ";info=").replace(">;alg", ";alg"))))
    engine = reloaded(engine, VERIFY)
    message = invite(identity().replace(";info=<", ";info=").replace(">;alg", ";alg"), number=1)
    assert engine.counters["deviation.info-form"] == 1
    verdict = engine.process(arriving(message), NOW + 0.1)
    assert isinstance(verdict, Verdict)
    assert verdict.payload is not None
    assert parse(verdict.payload).payload == added(message, pai("TN-Validation-Passed"))
