"""What the other side says of our tokens goes no further than here (RFC 9410; S-118, A21).

Each test is a transcript: the SBC calls, we sign, the other side answers, and this is what the SBC gets.
"""

import pytest
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    NOW,
    SBC,
    SIGN,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    response,
    result,
)

from sbc_filter import __version__
from sbc_filter.engine.act.reasons_received import LIFETIME
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.packet.udp import parse

REMOVE = f'{SIGN}reason = "remove"\n'
OURS = identity().partition(";")[0].rpartition(".")[2]
TOKEN = identity().removeprefix("Identity: ").partition(";")[0]
COMPLAINT = f'Reason: STIR ;cause=438 ;text="Invalid Identity Header" ;ppi="..{OURS}"'
NOT_OURS = COMPLAINT.replace(OURS, OURS[::-1])


def after(rules: str = REMOVE) -> Engine:
    """An engine that has signed a call."""
    engine = make_engine(rules)
    assert result(engine, leaving(invite()))[2]["outcome"] == "signed"
    return engine


def got(engine: Engine, answer: bytes, now: float = NOW) -> bytes:
    """The answer as the SBC gets it."""
    verdict = engine.process(arriving(answer), now)
    assert isinstance(verdict, Verdict)
    return answer if verdict.payload is None else parse(verdict.payload).payload


@pytest.mark.parametrize("status", ["180 Ringing", "183 Session Progress", "200 OK", "438 Invalid Identity Header"])
@pytest.mark.parametrize(
    ("said", "left"),
    [
        ([COMPLAINT], []),
        ([COMPLAINT.replace("..", "").replace(OURS, TOKEN)], []),  # the full form
        (["X: 1", COMPLAINT.replace("Reason", "reason ").replace("STIR", "stir"), "Y: 1"], ["X: 1", "Y: 1"]),
        ([f"Reason: STIR\r\n ;ppi=..{OURS};cause=436"], []),
        ([COMPLAINT, NOT_OURS], [NOT_OURS]),
        (["Reason: SIP ;cause=438", COMPLAINT], ["Reason: SIP ;cause=438"]),
        # several values in one field (RFC 3326 §2), a comma in a text
        ([f'Reason: Q.850;cause=21;text="a, b",{COMPLAINT[7:]}'], ['Reason: Q.850;cause=21;text="a, b"']),
        ([f"{COMPLAINT}, Q.850;cause=21"], ["Reason: Q.850;cause=21"]),
        ([f"{COMPLAINT},{NOT_OURS[7:]} , {COMPLAINT[8:]}"], [f"Reason:{NOT_OURS[7:]} "]),
    ],
)
def test_s118_ours_is_removed(status: str, said: list[str], left: list[str]) -> None:
    engine = after()
    assert got(engine, response(status, *said)) == response(status, *left)
    assert engine.counters == {"reason-removed": 1}


@pytest.mark.parametrize(
    "said",
    [
        [],
        [NOT_OURS],
        [COMPLAINT.replace("STIR", "SIP")],
        [COMPLAINT.replace("Reason", "X-Reason")],
        [f'Reason: STIR ;cause=438 ;text="ppi=..{OURS}"'],
        [f'Reason: STIR ;cause=438 ;ppi="..{OURS}x"'],
        ['Reason: STIR ;cause=438 ;ppi=""'],
        ["Reason: STIR ;cause=438 ;ppi"],
        ["Reason: ;;;,,,;ppi"],
        ['Reason: "ppi'],
    ],
)
def test_s118_what_does_not_speak_of_ours_stays(said: list[str]) -> None:
    engine = after()
    answer = response("180 Ringing", *said)
    assert engine.process(arriving(answer), NOW) == Verdict(VerdictKind.ACCEPT)
    assert not engine.counters


def test_of_rules_that_remove_nothing_complaints_go_on() -> None:
    """Beside one that does."""
    rest = SIGN.replace('"sign"\ndirection', '"rest"\ncaller = "1216*"\ndirection')
    assert got(after(f'{rest}reason = "remove"\n{SIGN}'), response("180 Ringing", COMPLAINT)) == response(
        "180 Ringing", COMPLAINT
    )


def test_two_tokens_in_one_answer_and_one_record() -> None:
    engine = after()
    other = leaving(invite(called="12155550111", number=2))
    made = result(engine, other)[1].partition(b"Identity: ")[2].partition(b";")[0].rpartition(b".")[2].decode()
    of_other = COMPLAINT.replace(OURS, made).replace("438", "436")
    _, out, record = result(engine, arriving(response("180 Ringing", COMPLAINT, of_other)))
    assert (out, record["code"]) == (response("180 Ringing"), 438)
    assert result(engine, arriving(response("180 Ringing", of_other)))[2] == {}


def test_octets_that_are_no_text_are_recorded_all_the_same() -> None:
    answer = response("180 Ringing", COMPLAINT).replace(b"Call-ID: call-1", b"Call-ID: \xff\xfe")
    _, out, record = result(after(), arriving(answer))
    assert out == response("180 Ringing").replace(b"Call-ID: call-1", b"Call-ID: \xff\xfe")
    assert record["call_id"] == "\ufffd\ufffd@carrier.example"


def test_s172_603_plus_stays() -> None:
    reason = 'Reason: SIP;cause=603;text="v=analytics1;url=https://redress.example/";location=RLN'
    answer = response("603 Network Blocked", reason, COMPLAINT)
    assert got(after(), answer) == response("603 Network Blocked", reason)


def test_the_record() -> None:
    """One for each token, however many answers speak of it."""
    engine = after()
    action, _, record = result(engine, arriving(response("180 Ringing", COMPLAINT)), NOW + 2)
    assert action == "modify"
    assert record == {
        "time": NOW + 2,
        "src": f"{CARRIER}:5060",
        "dst": f"{SBC}:5060",
        "transport": "udp",
        "direction": "inbound",
        "method": "INVITE",
        "call_id": "call-1@carrier.example",
        "cseq": "1 INVITE",
        "rule": "sign",
        "mode": "enforce",
        "verdict": "modify",
        "would": None,
        "outcome": "not-examined",
        "detail": "reason-removed",
        "treatment": "continue",
        "code": 438,
        "orig": None,
        "dest": [],
        "trunk": None,
        "spc": None,
        "attest": None,
        "origid": None,
        "x5u": X5U,
        "token": None,
        "kind": None,
        "deviations": [],
        "first_call_id": None,
        "first_trunk": None,
        "verstat": None,
        "identities": 0,
        "changed": [],
        "request_uri": None,
        "claimed": None,
        "found": None,
        "token_orig": None,
        "token_dest": [],
        "token_iat": None,
        "lists": [],
        "raw_ruri": None,
        "raw_to": "<sip:+12155550199@sbc.example>;tag=s1",
        "raw_from": "<sip:+12155550100@carrier.example>;tag=f1",
        "raw_pai": None,
        "branch": "z9hG4bK-1",
        "version": __version__,
    }
    assert result(engine, arriving(response("200 OK", COMPLAINT)), NOW + 3)[2] == {}
    assert engine.counters == {"reason-removed": 2}


def test_it_is_remembered_for_300_seconds_after_the_last_answer() -> None:
    answer = response("180 Ringing", COMPLAINT)
    assert got(after(), answer, NOW + LIFETIME - 1) == response("180 Ringing")
    assert got(after(), answer, NOW + LIFETIME) == answer
    engine = after()
    for _ in range(3):
        assert got(engine, answer, NOW + LIFETIME - 1) == response("180 Ringing")
    assert got(engine, answer, NOW + 2 * LIFETIME - 2) == response("180 Ringing")


def test_the_token_of_each_call_is_known_by_itself() -> None:
    engine = after()
    assert result(engine, leaving(invite(number=2, caller="12155550101")))[2]["outcome"] == "signed"
    second = identity(claims(attest="B", orig={"tn": "12155550101"})).partition(";")[0].rpartition(".")[2]
    answer = response("180 Ringing", COMPLAINT.replace(OURS, second), number=2)
    assert got(engine, answer) == response("180 Ringing", number=2)


@pytest.mark.parametrize(
    "rules",
    [SIGN, f'{SIGN}reason = "keep"\n', REMOVE.replace("[[rule]]\n", '[[rule]]\nmode = "monitor"\n')],
)
def test_off_nothing_is_looked_at(rules: str) -> None:
    """Nor does the kernel hand over responses then."""
    engine = make_engine(rules)
    engine.process(leaving(invite()), NOW)
    assert engine.process(arriving(response("180 Ringing", COMPLAINT)), NOW) == Verdict(VerdictKind.ACCEPT)


def test_what_was_not_signed_has_nothing_to_be_said_of() -> None:
    """In transit the token is another's, and its signer is to hear of it."""
    engine = make_engine(REMOVE)
    assert result(engine, leaving(invite(identity())))[2]["outcome"] == "already-signed"
    assert engine.process(arriving(response("180 Ringing", COMPLAINT)), NOW) == Verdict(VerdictKind.ACCEPT)


def test_of_a_diversion_only_our_own_token() -> None:
    rules = REMOVE.replace(f'["{CALLER}"]', f'["{CALLED}"]') + "div = true\n"
    engine = make_engine(rules)
    message = invite(identity()).replace(b"INVITE sip:+12155550199", b"INVITE sip:+13125550123")
    _, out, record = result(engine, leaving(message))
    assert record["detail"] == "diverted"
    made = out.partition(b"Identity: ")[2].partition(b";")[0].rpartition(b".")[2].decode()
    answer = response("180 Ringing", COMPLAINT, COMPLAINT.replace(OURS, made))
    assert got(engine, answer) == response("180 Ringing", COMPLAINT)


def test_beside_a_rule_that_reports() -> None:
    """The same engine adds to the SBC's answers, and removes from those of others."""
    verify = '[[rule]]\nname = "verify"\ndirection = "inbound"\naction = "verify"\n[rule.verify]\nreason = "stir"\n'
    engine = after(verify + REMOVE)
    failing = invite("Identity: abc;info=<https://certificates.example.org/shaken.pem>", number=3)
    engine.process(arriving(failing), NOW)
    verdict = engine.process(leaving(response("180 Ringing", number=3)), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.payload is not None
    assert b"Reason: STIR ;cause=438" in verdict.payload
    assert got(engine, response("180 Ringing", COMPLAINT)) == response("180 Ringing")
    assert engine.counters == {"reason-added": 1, "reason-removed": 1}
