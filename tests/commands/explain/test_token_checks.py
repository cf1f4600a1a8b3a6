"""The table of checks is in the engine's order: of two faults in one call, the engine reports the one that is first."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support.calls import CALLED, CALLER, LAB, NOW, TRUST, claims, identity, invite, make_engine, retargeted
from support.certificates import chain, numbers, unknown

from sbc_filter.commands.explain.token_checks import CHECKS, Evidence, State, failed_check, states
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.verdict import Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import DETAILS, Detail, Outcome

FLOW = Flow("192.0.2.7", 5060, "192.0.2.1", 5060, "udp")
RULES = (
    '[[rule]]\nname = "v"\naction = "verify"\n[rule.verify]\nmax_date_age = 60\ncheck_request_uri = "require"\n'
    'strict = ["empty-parameter"]\n'
)


class Fault(NamedTuple):
    """What is wrong in a call, by the place that it is written at."""

    jose: Mapping[str, Any] = {}
    claims: Mapping[str, Any] = {}
    parameters: str = ""
    caller: str = ""
    chain: Mapping[str, Any] = {}
    flawed: bool = False
    body: str = ""
    date: str = ""
    retargeted: bool = False


P384 = ec.generate_private_key(ec.SECP384R1()).public_key()
# By the key of the check. Two faults at one place cannot be combined.
FAULTS = {
    "field": Fault(parameters=f"info=<{X5U}>;<"),
    "typ": Fault(jose={"typ": "JWT"}),
    "alg": Fault(jose={"alg": "RS256"}),
    "x5u": Fault(jose={"x5u": 5}),
    "parameters": Fault(parameters="info=<https://x.example/>;ppt=shaken"),
    "claims": Fault(claims={"orig": {}}),
    "shaken": Fault(claims={"attest": "D"}),
    "strict": Fault(parameters=f"info=<{X5U}>;alg=ES256;ppt=shaken;x="),
    "caller": Fault(caller="13125550123"),
    "called": Fault(claims={"dest": {"tn": ["13125550123"]}}),
    "fresh": Fault(claims={"iat": int(NOW) - 100}),
    "media": Fault(claims={"mky": [{"alg": "sha-256", "dig": "00"}]}, body="a=fingerprint:sha-256 AB:CD\r\n"),
    "url": Fault(jose={"x5u": "http://x.example/a.pem"}),
    "dates": Fault(chain={"end": NOW - 60}),
    "profile": Fault(chain={"usage": "crl_sign"}),
    "tnauthlist": Fault(chain={"listed": None}),
    "number": Fault(chain={"listed": numbers(ones=("13125550123",))}),
    "signature": Fault(flawed=True),
    "date": Fault(date="Date: Fri, 15 Jan 2027 07:00:00 GMT"),
    "target": Fault(retargeted=True),
}


def call(*faults: Fault) -> tuple[bytes, bytes, bytes]:
    """(INVITE, its Identity value, the chain) with all these faults."""
    jose: dict[str, Any] = {}
    said: dict[str, Any] = {}
    certificate: dict[str, Any] = {}
    for each in faults:
        jose.update(each.jose)
        said.update(each.claims)
        certificate.update(each.chain)
    parameters = next((each.parameters for each in faults if each.parameters), None)
    line = identity(claims(**said), jose=jose, parameters=parameters)
    if any(each.flawed for each in faults):
        at = line.index(";") - 9
        line = line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]
    caller = next((each.caller for each in faults if each.caller), CALLER)
    body = "".join(each.body for each in faults)
    dates = [each.date for each in faults if each.date]
    message = invite(line, *dates, caller=caller, body=body)
    if any(each.retargeted for each in faults):
        message = retargeted(message)
    pem = chain(**certificate) if certificate else LAB.chain
    return message, line.partition(": ")[2].encode(), pem


def reported(*faults: Fault) -> str:
    """The key of the check that failed, by the engine's detail for a call with these faults."""
    message, value, pem = call(*faults)
    verdict = make_engine(RULES, chain=pem).decide(message, FLOW, NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert verdict.record.detail is not None
    failed = failed_check(Detail(verdict.record.detail), Evidence(value, pem, TRUST, NOW))
    assert failed is not None
    return failed.key


ORDER = [check.key for check in CHECKS]


@pytest.mark.parametrize("key", FAULTS)
def test_a_fault_is_reported_by_its_check(key: str) -> None:
    assert reported(FAULTS[key]) == key


def together(one: Fault, other: Fault) -> bool:
    """Whether both faults can be written into one call: at different places."""
    at = [
        {f"{name}.{key}" for name in ("jose", "claims", "chain") for key in getattr(each, name)}
        | {name for name in ("parameters", "caller", "flawed", "body", "date", "retargeted") if getattr(each, name)}
        | ({"jose.x5u"} if X5U in each.parameters else set())  # it is to be the same
        for each in (one, other)
    ]
    return not at[0] & at[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [(a, b) for a, b in combinations(FAULTS, 2) if together(FAULTS[a], FAULTS[b])],
)
def test_of_two_faults_the_first_in_the_table_is_reported(one: str, other: str) -> None:
    assert reported(FAULTS[one], FAULTS[other]) == min(one, other, key=ORDER.index)


def test_there_is_a_check_for_every_detail_of_one_token() -> None:
    """Those of a diversion, of priority, and of services are found by other means."""
    found = {detail for check in CHECKS for detail in check.details}
    every = {
        detail
        for outcome in (Outcome.INVALID, Outcome.UNTRUSTED, Outcome.STALE, Outcome.ANONYMOUS, Outcome.REPLAYED)
        for detail in DETAILS[outcome]
    }
    assert every - found == {Detail.CLAIM_RPH, Detail.PRIORITY_MISMATCH, Detail.VERIFICATION_FAILED}


def test_states() -> None:
    value = identity().partition(": ")[2].encode()
    evidence = Evidence(value, LAB.chain, TRUST, NOW)
    passed = states(None, evidence)
    assert passed is not None
    assert set(passed.values()) == {State.OK}
    assert states(Detail.ABSENT, evidence) is None
    stale = states(Detail.STALE_DATE, evidence)
    assert stale is not None
    assert [stale[key] for key in ("called", "fresh", "media")] == [State.OK, State.FAILED, State.NOT_REACHED]


def test_a_diversion_is_judged_by_its_form_only() -> None:
    """It does not speak for the caller: nothing of the call was compared with it (RFC 8946 §4.2)."""
    body = {"dest": {"tn": ["12155550300"]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}}
    value = identity(body, jose={"ppt": "div"}).partition(": ")[2].encode()
    found = states(Detail.DIV_CHAIN, Evidence(value, LAB.chain, TRUST, NOW))
    assert found is not None
    assert {key for key, state in found.items() if state is State.NOT_JUDGED} >= {"caller", "called", "signature"}
    assert (found["claims"], found["diversions"]) == (State.OK, State.FAILED)


def test_details_that_several_checks_share_are_told_apart() -> None:
    header = identity(jose={"x": "y"}).partition(": ")[2].encode()
    broken = b"A" + header[1:]
    assert _key(Detail.JSON, broken) == "header"
    assert _key(Detail.JSON, identity(b"[1]").partition(": ")[2].encode()) == "json"
    assert _key(Detail.EXPIRED, header, chain(end=NOW - 60)) == "dates"
    assert _key(Detail.EXPIRED, header, LAB.chain) == "signed"
    assert _key(Detail.CERTIFICATE_KEY, header, chain(P384)) == "profile"
    assert _key(Detail.CERTIFICATE_PROFILE, header, chain(ca=True)) == "profile"
    assert _key(Detail.CRITICAL_EXTENSION, header, chain(extensions=((unknown("1.2.3", b""), True),))) == "profile"


def _key(detail: Detail, value: bytes, pem: bytes = LAB.chain) -> str:
    found = failed_check(detail, Evidence(value, pem, TRUST, NOW))
    assert found is not None
    return found.key
