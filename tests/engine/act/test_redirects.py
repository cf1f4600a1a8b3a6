"""The INVITE that follows a redirect is recognised and left alone (S-122)."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from support.calls import (
    CARRIER,
    LAB,
    NOW,
    SIGN,
    VERIFY,
    added,
    arriving,
    claims,
    follow_up,
    identity,
    invite,
    make_engine,
    pai,
    result,
    status,
)

from sbc_filter.engine.act import redirects
from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.intake import Intake
from sbc_filter.engine.call.network import Flow, Network
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.numbering.numbering_plans import NANP

OTHER = "192.0.2.8"
TRUSTED = f'[trunks.core]\naddresses = ["{CARRIER}", "{OTHER}"]\ntrusted = true\n'
ASKED = '[[rule]]\ntrunk = "core"\ninsertion = "redirect"\n'
VERIFIES = TRUSTED + VERIFY.replace("[[rule]]\n", ASKED)
SIGNS = TRUSTED + SIGN.replace("[[rule]]\n", ASKED).replace("outbound", "inbound")
ON_ABSENT = '[rule.on]\nno-identity = "redirect"\n'
MARKED = "P-Asserted-Identity: <sip:+12155550100;verstat=TN-Validation-Passed@carrier.example>"


def again(message: bytes, branch: str = "z9hG4bK-1.1") -> bytes:
    """What follows: another transaction of the same call (RFC 3261 §16.6 step 8)."""
    return re.sub(rb"branch=z9hG4bK-[0-9]+", b"branch=" + branch.encode(), message)


def counted(message: bytes, number: int = 2) -> bytes:
    """With another CSeq number."""
    return message.replace(b"CSeq: 1 ", f"CSeq: {number} ".encode())


def seen(engine: Engine, message: bytes, now: float = NOW, src: str = CARRIER) -> str:
    """action, outcome and detail in one."""
    action, _, record = result(engine, arriving(message, src), now)
    return f"{action} {record.get('outcome')}.{record.get('detail')}"


@pytest.mark.parametrize(
    ("rules", "asked", "follows"),
    [
        (VERIFIES, invite(identity()), again(invite(identity(), MARKED))),
        (VERIFIES, invite(), again(invite(pai("No-TN-Validation")))),
        (SIGNS, invite(), again(invite("Date: Fri, 15 Jan 2027 08:00:00 GMT", identity()))),
        (SIGNS, invite(), again(invite())),  # an asker that copies nothing would circle for ever
        (SIGNS, invite(), again(counted(invite(identity())))),  # a UAC counts on (RFC 3261 §8.1.3.4)
        (VERIFIES, invite(), again(counted(invite(pai("No-TN-Validation"))))),
        (VERIFIES, invite(), again(counted(invite(pai("No-TN-Validation").replace("verstat", "VerStat"))))),
        (VERIFIES, invite(identity()), again(counted(invite(identity(), identity(name="y"))))),
        (SIGNS, invite(), again(invite().replace(b"@192.0.2.1 ", b"@203.0.113.9;transport=udp "))),
    ],
    ids=[
        *("verified", "no identity", "signed", "copied nothing", "UAC, signed", "UAC, verified", "UAC, in capitals"),
        *("UAC, one more Identity", "elsewhere"),
    ],
)
def test_s122_what_follows_passes_as_it_is(rules: str, asked: bytes, follows: bytes) -> None:
    """And its retransmissions; what was asked first still gets the same 302."""
    engine = make_engine(rules)
    _, answer, _ = result(engine, arriving(asked))
    assert status(answer) == "302 Moved Temporarily"
    action, out, record = result(engine, arriving(follows), NOW + 0.1)
    assert (action, out, record["detail"]) == ("accept", follows, "redirected")
    assert result(engine, arriving(follows), NOW + 0.6)[:2] == ("accept", follows)
    assert result(engine, arriving(asked), NOW + 0.7)[:2] == ("redirect", answer)


def test_s122_the_record_of_what_follows() -> None:
    engine = make_engine(SIGNS)
    assert seen(engine, invite()) == "redirect signed.None"
    _, _, record = result(engine, arriving(again(invite(identity()))))
    said = {key: record[key] for key in ("rule", "verdict", "outcome", "detail", "trunk", "identities")}
    assert said == {
        "rule": None,
        "verdict": "accept",
        "outcome": "not-examined",
        "detail": "redirected",
        "trunk": "core",
        "identities": 1,
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message.replace(b"call-1@", b"call-2@"),
        lambda message: message.replace(b";tag=f1", b";tag=f2"),
        lambda message: message.replace(b"+12155550199@192.0.2.1 ", b"+12155550188@192.0.2.1 "),
        lambda message: message.replace(b"From: <sip:+12155550100@", b"From: <sip:+12155550111@"),
        lambda message: message.replace(b"From: <sip:+12155550100@carrier.example>", b"From: <tel:+12155550111>"),
        lambda message: message.replace(b"z9hG4bK-1.1", b"z9hG4bK-1").replace(b"Max-", b"X: 1\r\nMax-"),
        lambda message: counted(message).replace(b"Max-", b'Proxy-Authorization: Digest username="u"\r\nMax-'),
    ],
    ids=[
        "another call",
        "another caller",
        "forwarded to another number",
        "from another number",
        "from another number in tel",
        "a copy changed on its way",
        "with credentials, after a 407",
    ],
)
def test_s122_what_follows_nothing_is_answered(change: Callable[[bytes], bytes]) -> None:
    engine = make_engine(SIGNS)
    assert seen(engine, invite()) == "redirect signed.None"
    assert seen(engine, change(again(invite()))) == "redirect signed.None"


@pytest.mark.parametrize(
    "follows",
    [
        counted(invite(identity())),  # as many as before
        counted(invite(identity(), "P-Asserted-Identity: <sip:+12155550100@carrier.example>")),
    ],
    ids=["no more Identity", "a caller without a result"],
)
def test_s122_who_was_taught_nothing_is_answered_again(follows: bytes) -> None:
    engine = make_engine(VERIFIES)
    assert seen(engine, invite(identity())) == "redirect passed.None"
    assert seen(engine, again(follows)) == "redirect passed.token-again"


def test_s122_what_names_no_transaction_follows_nothing() -> None:
    """Nor is it answered: its Via says to nobody."""
    engine = make_engine(SIGNS)
    assert seen(engine, invite()) == "redirect signed.None"
    nowhere = re.sub(rb"Via: [^\r]*", b"Via: SIP/2.0/UDP", invite())
    verdict = engine.process(arriving(nowhere), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert (verdict.kind, verdict.record.outcome, verdict.emit) == ("redirect", "signed", ())


def test_s122_what_tells_a_call_is_not_run_together() -> None:
    """Call-ID and From tag are what an asker likes to write."""
    engine = make_engine(SIGNS)
    assert seen(engine, invite()) == "redirect signed.None"
    shifted = invite().replace(b"call-1@carrier.example\r", b"call-1@carrier.examplef\r").replace(b";tag=f1", b";tag=1")
    assert seen(engine, again(shifted)) == "redirect signed.None"


def test_s122_also_beside_rules_that_redirect_nothing() -> None:
    engine = make_engine(VERIFIES + '[[rule]]\nname = "rest"\naction = "pass"\n')
    assert seen(engine, invite()) == "redirect no-identity.absent"
    assert seen(engine, again(invite())) == "accept not-examined.redirected"


@pytest.mark.parametrize(("later", "src"), [(0.1, OTHER), (32.1, CARRIER)], ids=["another asks", "after 32 s"])
def test_s122_neither_does_it_follow(later: float, src: str) -> None:
    engine = make_engine(SIGNS)
    assert seen(engine, invite()) == "redirect signed.None"
    assert seen(engine, again(invite()), NOW + later, src) == "redirect signed.None"


def test_s122_one_redirect_lets_one_invite_pass() -> None:
    """Who asks again, say for the next route, is answered again."""
    engine = make_engine(SIGNS)
    found = [seen(engine, again(invite(), f"z9hG4bK-{number}"), NOW + number) for number in range(6)]
    assert found == ["redirect signed.None", "accept not-examined.redirected"] * 3


def test_s122_an_asker_that_copies_nothing_and_counts_on_does_not_circle_for_ever() -> None:
    engine = make_engine(SIGNS)
    found = [seen(engine, again(counted(invite(), number), f"z9hG4bK-{number}"), NOW + number) for number in range(5)]
    assert found == ["redirect signed.None"] * 3 + ["accept not-examined.redirected", "redirect signed.None"]


@pytest.mark.parametrize(
    "rules",
    [
        VERIFIES.replace("insertion", 'mode = "monitor"\ninsertion'),
        VERIFIES + '[rule.on]\nno-identity = "reject"\n',
        VERIFIES.replace('insertion = "redirect"\n', ""),
    ],
    ids=["monitored", "rejected", "inline"],
)
def test_s122_without_a_redirect_nothing_follows(rules: str) -> None:
    engine = make_engine(rules)
    first = seen(engine, invite())
    assert seen(engine, again(invite())) == first
    assert "redirect" not in first


@pytest.mark.parametrize(
    "sender",
    [
        b"<sip:+12155550100@carrier.example;user=phone>",
        b"<sip:+12155550100;verstat=No-TN-Validation@carrier.example>",
        b'"Acme" <sip:+12155550100@other.example>',
        b"<sip:2155550100@carrier.example;user=phone>",
        b"<tel:+1-215-555-0100>",
        b"sip:+12155550100@carrier.example",
    ],
)
def test_s122_the_caller_may_be_written_in_another_way(sender: bytes) -> None:
    engine = make_engine(SIGNS)
    assert seen(engine, invite()) == "redirect signed.None"
    follows = again(invite(identity())).replace(b"<sip:+12155550100@carrier.example>;tag", sender + b";tag")
    assert seen(engine, follows) == "accept not-examined.redirected"


@pytest.mark.parametrize(
    ("rules", "message", "emergency"),
    [
        (VERIFIES + ON_ABSENT, invite(), False),
        (VERIFIES, invite(), False),
        (VERIFIES, invite(identity()), False),
        (VERIFIES, invite("Identity: x"), False),
        (SIGNS, invite(), False),
        (SIGNS, invite().replace(b"<sip:+12155550100@", b"<sip:alice@"), False),
        (VERIFIES, invite(identity()), True),
        (SIGNS, invite(identity()), False),  # it is signed already
    ],
)
def test_s122_a_rule_that_watches_records_what_it_would_have_answered(
    rules: str, message: bytes, emergency: bool
) -> None:
    """The same as if it were enforced, but for the mode; nothing is done."""
    if emergency:
        message = message.replace(b"INVITE sip:+12155550199@", b"INVITE sip:911@")
    enforced = make_engine(rules).process(arriving(message), NOW)
    verdict = make_engine(rules.replace("insertion", 'mode = "monitor"\ninsertion')).process(arriving(message), NOW)
    assert isinstance(enforced, Verdict)
    assert isinstance(verdict, Verdict)
    assert (verdict.emit, verdict.payload) == ((), None)
    (watched,) = verdict.monitored
    assert enforced.record is not None
    told = (watched.outcome, watched.detail, watched.treatment, watched.code)
    assert told == (enforced.record.outcome, enforced.record.detail, enforced.record.treatment, enforced.record.code)
    kept = emergency or enforced.record.outcome == "already-signed"
    assert (watched.verdict, watched.code) == (("accept", None) if kept else ("redirect", 302))


def test_s122_a_single_outcome_that_redirects() -> None:
    engine = make_engine(VERIFIES.replace('insertion = "redirect"\n', "") + '[rule.on]\nno-identity = "redirect"\n')
    assert seen(engine, invite()) == "redirect no-identity.absent"
    assert seen(engine, again(invite())) == "accept not-examined.redirected"


def test_s122_after_a_wait_for_the_certificate() -> None:
    engine = make_engine(VERIFIES, known=False)
    need = engine.process(arriving(invite(identity())), NOW)
    assert isinstance(need, Need)
    verdict = engine.resume(need.id, Answer(LAB.chain, None, NOW + 3600), NOW + 0.2)
    assert isinstance(verdict, Verdict)
    assert verdict.kind == "redirect"
    assert seen(engine, again(invite(identity(), MARKED)), NOW + 0.3) == "accept not-examined.redirected"


def test_s144_only_our_ack_is_absorbed() -> None:
    """That of what follows is the target's."""
    engine = make_engine(SIGNS)
    _, answer, _ = result(engine, arriving(invite()))
    result(engine, arriving(again(invite())))
    tag = answer.partition(b"To: ")[2].partition(b";tag=")[2].partition(b"\r\n")[0].decode()
    assert result(engine, arriving(follow_up(invite(), "ACK", tag)))[0] == "drop"
    assert result(engine, arriving(follow_up(again(invite()), "ACK", "target")))[0] == "accept"
    assert result(engine, arriving(follow_up(again(invite()), "CANCEL")))[0] == "accept"


def test_a3_what_is_signed_already_is_not_redirected() -> None:
    message = invite(identity(claims(origid="8a6f2b1e-0d1c-4c55-9a35-0f7c6f0e9d11")))
    engine = make_engine(SIGNS)
    assert seen(engine, message) == "accept already-signed.shaken-present"
    assert seen(engine, again(message)) == "accept already-signed.shaken-present"


def test_a3_what_is_signed_already_and_redirected_where_a_rule_says_so() -> None:
    """The answer has nothing but the Contact."""
    engine = make_engine(SIGNS + '[rule.on]\nalready-signed = "redirect"\n')
    message = invite(identity())
    _, answer, _ = result(engine, arriving(message))
    lines = answer.decode().split("\r\n")
    assert lines[6:] == ["Contact: <sip:+12155550199@192.0.2.1>", "Content-Length: 0", "", ""]
    assert seen(engine, again(message)) == "accept not-examined.redirected"


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood forgets the oldest, no more."""
    monkeypatch.setattr(redirects, "CALLS", 10)
    memory = redirects.Redirects()
    for number in range(1, 101):
        memory.expect(call(invite(number=number)), NOW)
    kept = [number for number in range(100, 0, -1) if memory.is_followed(call(again(invite(number=number))), NOW)]
    assert kept[:4] == [100, 99, 98, 97]
    assert len(kept) <= 10


def call(message: bytes) -> IncomingCall:
    return Intake(Network(["192.0.2.1"]), NANP).read(message, Flow(CARRIER, 5060, "192.0.2.1", 5060, "udp"), NOW)


@pytest.mark.parametrize(
    ("dialect", "attest", "contact"),
    [
        ("atis", "A", "<sip:+12155550199;verstat=TN-Validation-Passed@192.0.2.1>"),
        ("graded", "B", "<sip:+12155550199;verstat=TN-Validation-Passed-B@192.0.2.1>"),
        ("telnyx", "A", "<sip:+12155550199@192.0.2.1;verstat=TN-Validation-Passed>"),
    ],
)
def test_s122_the_result_in_the_contact(dialect: str, attest: str, contact: str) -> None:
    """The INVITE that follows has it in its Request-URI, and is recognised all the same."""
    options = f'[rule.verify]\nmark_contact = true\ndialect = "{dialect}"\n'
    engine = make_engine(VERIFIES + options)
    message = invite(identity(claims(attest=attest)))
    _, answer, _ = result(engine, arriving(message))
    assert f"Contact: {contact}" in answer.decode().split("\r\n")
    follows = again(message).replace(b"sip:+12155550199@192.0.2.1 ", contact[1:-1].encode() + b" ", 1)
    assert seen(engine, follows) == "accept not-examined.redirected"


def test_s122_no_result_is_no_mark() -> None:
    engine = make_engine(VERIFIES + "[rule.verify]\nmark_contact = true\nverstat = false\n")
    _, answer, _ = result(engine, arriving(invite(identity())))
    assert b"\r\nContact: <sip:+12155550199@192.0.2.1>\r\n" in answer
    assert b"verstat" not in answer


def test_s122_a_mark_in_the_target_gives_way_to_ours() -> None:
    engine = make_engine(VERIFIES + "[rule.verify]\nmark_contact = true\n")
    message = invite().replace(b"+12155550199@192.0.2.1 ", b"+12155550199;verstat=TN-Validation-Passed@192.0.2.1 ")
    _, answer, _ = result(engine, arriving(message))
    assert b"\r\nContact: <sip:+12155550199;verstat=No-TN-Validation@192.0.2.1>\r\n" in answer


@pytest.mark.parametrize(
    "caller", [b"sip:anonymous@anonymous.invalid", b"sip:alice@carrier.example", b"urn:service:sos"]
)
def test_s110_a_call_without_a_caller_s_number_has_no_result(caller: bytes) -> None:
    engine = make_engine(VERIFIES + "[rule.verify]\nmark_contact = true\n")
    message = re.sub(rb"From: [^;]*;", b"From: <" + caller + b">;", invite())
    _, answer, _ = result(engine, arriving(message))
    assert b"P-Asserted-Identity" not in answer
    assert b"\r\nContact: <sip:+12155550199@192.0.2.1>\r\n" in answer
    assert b"verstat" not in answer


@pytest.mark.parametrize(
    ("asked", "contact"),
    [
        ("sip:+12155550199@192.0.2.1?Route=%3Csip:203.0.113.9%3Blr%3E&P-Asserted-Identity=x", "sip:{}@192.0.2.1"),
        ("sip:+12155550199@192.0.2.1;method=REFER;lr?Refer-To=x", "sip:{}@192.0.2.1;lr"),
        ("sip:+12155550199@192.0.2.1;a;%6DETHOD%20=REFER", "sip:{}@192.0.2.1;a"),
        ("sip:+12155550199?Route=x@192.0.2.1", "sip:+12155550199%3FRoute=x{}@192.0.2.1"),
        ("sip:+12155550199@method;method=x", "sip:{}@method"),
        ("tel:+12155550199?Route=x", "tel:+12155550199%3FRoute=x{}"),
    ],
)
@pytest.mark.parametrize("rules", [SIGNS, VERIFIES, VERIFIES + "[rule.verify]\nmark_contact = true\n"])
def test_s122_the_target_adds_nothing_to_the_invite_that_follows(rules: str, asked: str, contact: str) -> None:
    """RFC 3261 §8.1.3.4: a method and header fields in a Contact would be those of the next INVITE; a Request-URI has
    none (§19.1.1, table 1), and a caller who writes them anyway would write them into a call that the SBC makes."""
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", asked.encode() + b" ", 1)
    answer = result(make_engine(rules), arriving(message))[1]
    number = "" if "%3F" in contact else "+12155550199"
    mark = ";verstat=No-TN-Validation" if "mark_contact" in rules else ""
    assert f"Contact: <{contact.format(number + mark)}>" in answer.decode().split("\r\n")


def test_s122_a_mark_behind_the_host_stays_behind_it() -> None:
    engine = make_engine(VERIFIES + '[rule.verify]\nmark_contact = true\ndialect = "telnyx"\n')
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", b"sip:+1215?5550199@192.0.2.1;lr?x=y ", 1)
    answer = result(engine, arriving(message))[1]
    assert b"\r\nContact: <sip:+1215%3F5550199@192.0.2.1;lr;verstat=No-TN-Validation>\r\n" in answer


def test_s137_an_emergency_call_is_not_expected_to_follow() -> None:
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", b"urn:service:sos ")
    engine = make_engine(VERIFIES)
    wanted: Any = ("modify", added(message, pai("No-TN-Validation")))
    assert result(engine, arriving(message))[:2] == wanted
    assert result(engine, arriving(again(message)))[:2] == ("modify", again(wanted[1]))
