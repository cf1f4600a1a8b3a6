"""V12, V23: a certificate that is not in memory is asked for, or not (S-063, S-067, S-089)."""

import pytest
from support.calls import (
    LAB,
    NOW,
    STRANGER,
    VERIFY,
    added,
    arriving,
    claims,
    identity,
    invite,
    make_engine,
    pai,
    status,
)
from support.verifying import GOOD, NOT_VALIDATED, PASSED, V436, jose

from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import parse
from sbc_filter.stir.checks import CertificateRequest


def test_s067_need_then_the_result() -> None:
    """Freshness counts from the arrival (DESIGN §3): 60 s old then, 60.3 s old when the answer comes."""
    engine = make_engine(VERIFY, known=False)
    message = invite(identity(claims(iat=int(NOW) - 60)))
    need = engine.process(arriving(message), NOW)
    assert need == Need(1, CertificateRequest(X5U), NOW + 0.4, party=STRANGER)
    verdict = engine.resume(1, Answer(LAB.chain, None, NOW + 3600), NOW + 0.3)
    assert isinstance(verdict, Verdict)
    assert verdict.payload is not None
    assert parse(verdict.payload).payload == added(message, pai(PASSED))
    assert verdict.record is not None
    assert (verdict.record.time, verdict.record.outcome) == (NOW, "passed")
    assert isinstance(engine.process(arriving(invite(GOOD, number=2)), NOW + 1), Verdict)  # it is in memory now


@pytest.mark.parametrize("detail", [each for each in Detail if each.startswith("fetch-")])
def test_v12_v23_unfetchable(detail: Detail) -> None:
    for rules, expected in ((VERIFY, None), (f'{VERIFY}[rule.on]\nunfetchable = "reject"\n', V436)):
        engine = make_engine(rules, known=False)
        message = invite(GOOD)
        need = engine.process(arriving(message), NOW)
        assert isinstance(need, Need)
        verdict = engine.resume(need.id, Answer(None, detail, NOW + 30), NOW + 0.4)
        assert isinstance(verdict, Verdict)
        assert verdict.record is not None
        assert (verdict.record.outcome, verdict.record.detail, verdict.record.verstat) == (
            "unfetchable",
            detail,
            NOT_VALIDATED,
        )
        if expected:
            assert status(verdict.emit[0].payload) == expected
        else:
            assert verdict.payload is not None
            assert parse(verdict.payload).payload == added(message, pai(NOT_VALIDATED))
        # S-089: a failure is remembered for as long as it says, then asked for again
        again = arriving(invite(GOOD, number=2))
        assert isinstance(engine.process(again, NOW + 29), Verdict)
        assert isinstance(engine.process(arriving(invite(GOOD, number=3)), NOW + 30), Need)


def test_s063_nothing_is_waited_for_when_another_token_verifies() -> None:
    elsewhere = identity(jose={"x5u": "https://elsewhere.example.org/a.pem"})
    assert isinstance(make_engine(VERIFY).process(arriving(invite(elsewhere, GOOD)), NOW), Verdict)


def test_two_certificates_one_after_the_other() -> None:
    """`resume` may end in another `Need`; the hold counts from the arrival all the same (S-146)."""
    engine = make_engine(VERIFY, known=False)
    elsewhere = identity(jose={"x5u": "https://elsewhere.example.org/a.pem"})
    assert engine.process(arriving(invite(elsewhere, GOOD)), NOW) == Need(
        1, CertificateRequest("https://elsewhere.example.org/a.pem"), NOW + 0.4, party=STRANGER
    )
    refused = Answer(None, Detail.FETCH_STATUS, NOW + 30)
    assert engine.resume(1, refused, NOW + 0.1) == Need(2, CertificateRequest(X5U), NOW + 0.4, party=STRANGER)
    verdict = engine.resume(2, Answer(LAB.chain, None, NOW + 3600), NOW + 0.2)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert verdict.record.outcome == "passed"


def test_19_port_8443() -> None:
    url = "https://certificates.example.org:8443/a.pem"
    assert make_engine(VERIFY).process(arriving(jose(x5u=url)), NOW) == Need(
        1, CertificateRequest(url), NOW + 0.4, party=STRANGER
    )
