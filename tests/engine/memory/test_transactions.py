"""What the engine remembers: retransmissions, what it rejected, what it holds (S-124, S-137, S-140 to S-146, S-155)."""

import pytest
from support.calls import (
    CARRIER,
    CORE,
    LAB,
    NOW,
    SBC,
    SIGN,
    STRANGER,
    VERIFY,
    added,
    arriving,
    claims,
    follow_up,
    identity,
    invite,
    leaving,
    make_engine,
    pai,
    result,
    status,
)

from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need, Verdict, VerdictKind
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import datagram_to_ip, parse
from sbc_filter.stir.checks import CertificateRequest
from sbc_filter.stir.delegated_signing import SigningRequest

TAG = "25eb18e4044b89b4f9b77b79"  # HMAC of `invite()`'s transaction under the secret of `make_engine`
REJECT = f'{VERIFY}[rule.on]\nno-identity = "reject"\n'
GOOD = invite(identity())
FETCHED = Answer(LAB.chain, None, NOW + 3600)
FAILED = Answer(None, Detail.FETCH_TIMEOUT, NOW + 30)
ACCEPTED, DROPPED = Verdict(VerdictKind.ACCEPT), Verdict(VerdictKind.DROP)


def verdict_of(engine: Engine, packet: bytes, now: float = NOW) -> Verdict:
    verdict = engine.process(packet, now)
    assert isinstance(verdict, Verdict)
    return verdict


def answer(code_and_phrase: str, method: str = "INVITE") -> bytes:
    return (
        f"SIP/2.0 {code_and_phrase}\r\n"
        "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1\r\n"
        "From: <sip:+12155550100@carrier.example>;tag=f1\r\n"
        f"To: <sip:+12155550199@sbc.example>;tag={TAG}\r\n"
        "Call-ID: call-1@carrier.example\r\n"
        f"CSeq: 1 {method}\r\n"
        "Content-Length: 0\r\n"
        "\r\n"
    ).encode()


# --- retransmissions ---


@pytest.mark.parametrize(
    ("rules", "packet"),
    [
        (SIGN, leaving(invite())),  # S-155: neither iat nor Date move
        (VERIFY, arriving(GOOD)),  # S-124
        (VERIFY, arriving(invite(identity(claims(iat=int(NOW) - 60))))),  # still as fresh as its first copy
        (REJECT, arriving(invite())),
        ('[[rule]]\nname = "d"\naction = "drop"\n', arriving(GOOD)),
        ('[[rule]]\nname = "p"\naction = "pass"\n', arriving(GOOD)),
    ],
    ids=["signed", "verified", "almost stale", "rejected", "dropped", "passed"],
)
def test_a2_a_retransmission_gets_the_identical_bytes_and_no_record(rules: str, packet: bytes) -> None:
    engine = make_engine(rules)
    first = verdict_of(engine, packet)
    assert first.record is not None
    for later in (0.5, 1.5, 3.5, 31.9):
        again = verdict_of(engine, packet, NOW + later)
        assert (again.kind, again.payload, again.emit) == (first.kind, first.payload, first.emit)
        assert (again.record, again.monitored) == (None, ())
    counted = {name: count for name, count in engine.counters.items() if not name.startswith("deviation.")}
    assert counted == {"retransmission": 4}
    assert all(count == 1 for name, count in engine.counters.items() if name not in counted)


def test_a_retransmission_is_forgotten_after_32_s() -> None:
    """Timer B: then it is a call of its own, signed anew."""
    engine = make_engine(SIGN)
    first = result(engine, leaving(invite()))
    assert result(engine, leaving(invite()), NOW + 31.9)[1] == first[1]
    later = result(engine, leaving(invite()), NOW + 32)
    assert later[1] == added(invite(), "Date: Fri, 15 Jan 2027 08:00:32 GMT", identity(claims(iat=int(NOW) + 32)))
    assert later[2]["outcome"] == "signed"


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (invite(identity(), "X: 1"), "passed"),
        (invite(identity(key=LAB.root.key)), "invalid"),
        (invite(), "no-identity"),
        (GOOD.replace(b"Contact: ", b"Contact:  "), "passed"),
        (GOOD.replace(b"CSeq: 1", b"CSeq: 2"), "passed"),  # S-155
        (GOOD.replace(b"branch=z9hG4bK-1", b"branch=z9hG4bK-2"), "passed"),
    ],
)
def test_a_changed_message_does_not_ride_on_the_verdict_of_another(message: bytes, outcome: str) -> None:
    """Same branch, Call-ID and CSeq are not enough: nobody may slip other bytes past the verification."""
    engine = make_engine(VERIFY)
    result(engine, arriving(GOOD))
    _, out, record = result(engine, arriving(message))
    assert record["outcome"] == outcome
    assert out == added(message, pai(record["verstat"]))


def test_nor_does_the_same_message_from_elsewhere() -> None:
    engine = make_engine(f'[trunks.a]\naddresses = ["{CORE}"]\ntrusted = true\n{REJECT}')
    assert result(engine, arriving(invite(), src=CORE))[2]["trunk"] == "a"
    assert result(engine, arriving(invite()))[2]["trunk"] is None


def test_a_retransmission_is_watched_once_in_monitor_mode() -> None:
    """DESIGN §3: never verified twice; else a monitor counts the impatient calls double."""
    engine = make_engine('[[rule]]\nname = "watch"\nmode = "monitor"\naction = "verify"\n')
    assert len(verdict_of(engine, arriving(GOOD)).monitored) == 1
    assert len(verdict_of(engine, arriving(GOOD), NOW + 0.5).monitored) == 0


def test_decide_is_the_same_without_a_packet() -> None:
    engine = make_engine(VERIFY)
    flow = Flow(CARRIER, 40000, SBC, 5060, "tcp")
    first = engine.decide(GOOD, flow, NOW)
    assert isinstance(first, Verdict)
    assert first.payload == added(GOOD, pai("TN-Validation-Passed"))
    assert first.record is not None
    assert first.record.transport == "tcp"
    again = engine.decide(GOOD, flow, NOW + 1)
    assert again == first._replace(record=None)


# --- rejected: a stateless UAS ---


def test_s140_four_copies_four_identical_answers() -> None:
    engine = make_engine(REJECT)
    answers = [verdict_of(engine, arriving(invite()), NOW + at).emit for at in (0, 0.5, 1.5, 3.5)]
    assert answers == [((SBC, 5060, CARRIER, 5060, answer("428 Use Identity Header")),)] * 4
    other = make_engine(REJECT)  # another worker with the same secret
    assert verdict_of(other, arriving(invite()), NOW + 9).emit == answers[0]


def test_s140_after_32_s_too() -> None:
    """No table makes the To tag."""
    engine = make_engine(REJECT)
    assert verdict_of(engine, arriving(invite())).emit == verdict_of(engine, arriving(invite()), NOW + 99).emit


@pytest.mark.parametrize("tag", [TAG, TAG.upper(), TAG[:-1], "theirs", ""])
def test_s144_the_ack_of_a_refusal_is_absorbed_whatever_its_to_tag(tag: str) -> None:
    """RFC 3261 §17.2.3: branch, sent-by and method are enough, as long as the transaction lasts."""
    engine = make_engine(REJECT)
    ack = arriving(follow_up(invite(), "ACK", tag))
    assert verdict_of(engine, ack, NOW - 1) == (DROPPED if tag == TAG else ACCEPTED)  # nothing is refused yet
    verdict_of(engine, arriving(invite()))
    assert verdict_of(engine, ack, NOW + 31.9) == DROPPED
    assert verdict_of(engine, ack, NOW + 32) == (DROPPED if tag == TAG else ACCEPTED)


@pytest.mark.parametrize(
    ("tag", "absorbed"),
    [(TAG, True), (TAG.upper(), False), (TAG[:-1], False), ("theirs", False), ("", False)],
)
def test_s144_our_to_tag_is_known_without_a_table(tag: str, absorbed: bool) -> None:
    """After a restart, say. That of another UAS is not."""
    engine = make_engine("")
    verdict = verdict_of(engine, arriving(follow_up(invite(), "ACK", tag)))
    assert verdict == (DROPPED if absorbed else ACCEPTED)
    assert engine.counters["ack-absorbed"] == absorbed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"branch=z9hG4bK-1", b"branch=z9hG4bK-2"),
        (b"branch=z9hG4bK-1", b"branch=z9hG4bK"),
        (b"CSeq: 1", b"CSeq: 2"),
        (b"tag=f1", b"tag=f2"),
        (b"call-1@", b"call-2@"),
    ],
)
def test_s144_our_to_tag_belongs_to_one_transaction(old: bytes, new: bytes) -> None:
    ack = follow_up(invite(), "ACK", TAG).replace(old, new)
    assert verdict_of(make_engine(REJECT), arriving(ack)) == ACCEPTED


VIA = b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1"
OLD = b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=1"  # RFC 2543: not unique
BARE = b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK"  # RFC 4475 §3.2.1: no more than the magic cookie
NONE = b"Via: SIP/2.0/UDP 192.0.2.7:5060"
NAMED = b"Via: SIP/2.0/UDP Carrier.example;branch=z9hG4bK-1"


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
@pytest.mark.parametrize(
    ("via", "old", "new", "matches"),
    [
        pytest.param(VIA, b"", b"", True, id="the same"),
        pytest.param(VIA, b"CSeq: 1", b"CSeq: 2", False, id="another CSeq"),
        pytest.param(VIA, b"tag=f1", b"tag=f2", True, id="another From tag"),
        pytest.param(VIA, b"call-1@", b"call-2@", False, id="another Call-ID"),
        pytest.param(VIA, b"7:5060;", b"7;", True, id="the default port"),
        pytest.param(NAMED, b"Carrier", b"cARRIER", True, id="letter case of a host"),
        pytest.param(VIA, b"bK-1", b"bK-2", False, id="another branch"),
        pytest.param(VIA, b"7:5060;", b"7:5062;", False, id="another port"),
        pytest.param(VIA, b"192.0.2.7:5060;", b"192.0.2.8:5060;", False, id="another host"),
        *(
            pytest.param(via, old, new, matches, id=f"{name}, {old.decode() or 'the same'}")
            for via, name in ((OLD, "old branch"), (BARE, "bare cookie"), (NONE, "no branch"))
            for old, new, matches in (
                (b"", b"", True),
                (b"CSeq: 1", b"CSeq: 2", False),
                (b"tag=f1", b"tag=f2", False),
                (b"call-1@", b"call-2@", False),
                (b":5060\r\nMax" if via == NONE else b":5060;", b":5062\r\nMax" if via == NONE else b":5062;", False),
            )
        ),
    ],
)
def test_rfc3261_17_2_3_which_requests_belong_to_a_refused_invite(
    method: str, via: bytes, old: bytes, new: bytes, matches: bool
) -> None:
    message = invite().replace(VIA, via)
    request = follow_up(message, method, "x" if method == "ACK" else "")
    assert old in request
    engine = make_engine(REJECT)
    verdict_of(engine, arriving(message))
    verdict = verdict_of(engine, arriving(request.replace(old, new)), NOW + 1)
    assert (verdict.kind, len(verdict.emit)) == (("drop", method == "CANCEL") if matches else ("accept", 0))


SECOND = {
    "another Call-ID": ((b"call-1@", b"call-2@"),),
    "another Call-ID and From tag": ((b"call-1@", b"call-2@"), (b"tag=f1", b"tag=f2")),
    "another CSeq": ((b"CSeq: 1", b"CSeq: 2"),),
    "another Call-ID and CSeq": ((b"call-1@", b"call-2@"), (b"CSeq: 1", b"CSeq: 7")),
    "everything but the branch": ((b"call-1@", b"call-2@"), (b"CSeq: 1", b"CSeq: 7"), (b"tag=f1", b"tag=f2")),
}


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
@pytest.mark.parametrize("changes", SECOND.values(), ids=SECOND)
def test_the_second_call_of_a_peer_that_uses_a_branch_again_gets_its_ack_and_cancel(
    changes: tuple[tuple[bytes, bytes], ...], method: str
) -> None:
    """The first call was refused for want of a token. The second passes, and the SBC has to end it."""
    engine = make_engine(f'{VERIFY}[rule.on]\nno-identity = "reject"\n')
    tag = "theirs" if method == "ACK" else ""
    first, second, follows = invite(), GOOD, follow_up(GOOD, method, tag)
    for old, new in changes:
        assert old in second
        second, follows = second.replace(old, new), follows.replace(old, new)
    assert verdict_of(engine, arriving(first)).kind == "reject"
    assert verdict_of(engine, arriving(second), NOW + 1).kind == "modify"
    assert verdict_of(engine, arriving(follows), NOW + 2) == ACCEPTED
    assert verdict_of(engine, arriving(follow_up(first, method, tag)), NOW + 2).kind == "drop"


def test_s145_cancel_of_what_was_rejected() -> None:
    """(a): answered, not forwarded; for as long as the transaction can last."""
    engine = make_engine(REJECT)
    cancel = arriving(follow_up(invite(), "CANCEL"))
    assert verdict_of(engine, cancel) == ACCEPTED  # nothing to cancel yet
    verdict_of(engine, arriving(invite()))
    expected = Verdict(VerdictKind.DROP, emit=((SBC, 5060, CARRIER, 5060, answer("200 OK", "CANCEL")),))  # type: ignore[arg-type]
    assert [verdict_of(engine, cancel, NOW + at) for at in (0.1, 0.6, 31.9)] == [expected] * 3
    assert verdict_of(engine, cancel, NOW + 32) == ACCEPTED


@pytest.mark.parametrize("message", [GOOD, invite()])
def test_s145_cancel_of_what_the_sbc_got_goes_to_the_sbc(message: bytes) -> None:
    engine = make_engine(VERIFY)
    verdict_of(engine, arriving(message))
    assert verdict_of(engine, arriving(follow_up(message, "CANCEL"))) == ACCEPTED


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_s145_what_comes_from_elsewhere_is_not_ours(method: str) -> None:
    """Another peer that guesses the branch ends no call."""
    engine = make_engine(REJECT)
    verdict_of(engine, arriving(invite()))
    assert verdict_of(engine, arriving(follow_up(invite(), method), src=CORE)) == ACCEPTED
    assert verdict_of(engine, arriving(follow_up(invite(), method))).kind == "drop"


def test_an_invite_without_a_via_to_answer_to_ends_all_the_same() -> None:
    engine = make_engine(REJECT)
    verdict = verdict_of(engine, arriving(invite().replace(b"SIP/2.0/UDP 192", b"SIP/3.0/UDP 192")))
    assert (verdict.kind, verdict.payload, verdict.emit) == ("reject", None, ())
    assert engine.counters == {"unanswerable": 1}


@pytest.mark.parametrize(
    "port",
    [
        "1",
        "65535",
        pytest.param("0"),
        pytest.param("65536"),
        pytest.param("99999"),
    ],
)
def test_every_answer_is_a_packet(port: str) -> None:
    """S-143: sent-by names the port; one that does not exist makes no answer, and no exception in the shell."""
    message = invite().replace(b"192.0.2.7:5060;", f"192.0.2.7:{port};".encode())
    verdict = verdict_of(make_engine(REJECT), arriving(message))
    assert verdict.kind == "reject"
    assert [each.dport for each in verdict.emit] == ([int(port)] if port in ("1", "65535") else [])
    for each in verdict.emit:
        assert parse(datagram_to_ip(each)).payload == each.payload


# --- held ---


def held(rules: str = VERIFY, message: bytes = GOOD, held_limit: int = 1000) -> Engine:
    """An engine that holds this INVITE under need 1."""
    engine = make_engine(rules, known=False, held_limit=held_limit)
    assert isinstance(engine.process(arriving(message), NOW), Need)
    return engine


@pytest.mark.parametrize(("options", "seconds"), [("", 0.4), ("hold_ms = 1500", 1.5), ("hold_ms = 0", 0.0)])
def test_s146_the_deadline(options: str, seconds: float) -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n", known=False)
    assert engine.process(arriving(GOOD), NOW) == Need(1, CertificateRequest(X5U), NOW + seconds, party=STRANGER)


def test_s146_one_copy_is_kept_and_reaches_the_sbc_once() -> None:
    """The **A** of S-146: the server is silent, the peer retransmits, the INVITE arrives tagged and once."""
    engine = held()
    assert [verdict_of(engine, arriving(GOOD), NOW + at) for at in (0.1, 0.2, 0.3)] == [DROPPED] * 3
    assert engine.counters == {"held-duplicate": 3}
    verdict = engine.resume(1, FAILED, NOW + 0.4)
    assert isinstance(verdict, Verdict)
    assert verdict.payload is not None
    assert parse(verdict.payload).payload == added(GOOD, pai("No-TN-Validation"))
    again = verdict_of(engine, arriving(GOOD), NOW + 0.5)
    assert again == verdict._replace(record=None)


def test_resumed_twice_is_decided_once() -> None:
    engine = held()
    first = engine.resume(1, FETCHED, NOW + 0.1)
    assert isinstance(first, Verdict)
    assert first.record is not None
    assert engine.resume(1, FETCHED, NOW + 0.1) == ACCEPTED
    assert engine.resume(7, FETCHED, NOW + 0.1) == ACCEPTED  # never heard of


def test_each_call_has_a_need_of_its_own() -> None:
    engine = held()
    other = invite(identity(claims(iat=int(NOW) - 1)), number=2)
    assert engine.process(arriving(other), NOW + 0.1) == Need(2, CertificateRequest(X5U), NOW + 0.5, party=STRANGER)
    for need, message in ((2, other), (1, GOOD)):
        verdict = engine.resume(need, FETCHED, NOW + 0.2)
        assert isinstance(verdict, Verdict)
        assert verdict.payload is not None
        assert parse(verdict.payload).payload == added(message, pai("TN-Validation-Passed"))


def test_s145_cancel_while_held() -> None:
    """(b): 200 for the CANCEL, 487 for the INVITE; the SBC sees neither, before nor after."""
    engine = held()
    cancel = arriving(follow_up(GOOD, "CANCEL"))
    ok = (SBC, 5060, CARRIER, 5060, answer("200 OK", "CANCEL"))
    terminated = (SBC, 5060, CARRIER, 5060, answer("487 Request Terminated"))
    first = verdict_of(engine, cancel, NOW + 0.1)
    assert (first.kind, first.payload, first.emit) == ("drop", None, (ok, terminated))
    assert verdict_of(engine, cancel, NOW + 0.2) == Verdict(VerdictKind.DROP, emit=(ok,))  # type: ignore[arg-type]
    again = verdict_of(engine, arriving(GOOD), NOW + 0.3)
    assert (again.kind, again.payload, again.emit) == ("reject", None, (terminated,))
    assert verdict_of(engine, arriving(follow_up(GOOD, "ACK", TAG)), NOW + 0.35) == DROPPED
    resumed = engine.resume(1, FETCHED, NOW + 0.4)
    assert isinstance(resumed, Verdict)
    assert (resumed.kind, resumed.payload, resumed.emit) == ("drop", None, ())
    assert verdict_of(engine, cancel, NOW + 0.5) == Verdict(VerdictKind.DROP, emit=(ok,))  # type: ignore[arg-type]


def test_a_cancelled_call_has_a_record() -> None:
    """DESIGN §6: one for every INVITE; errors.Detail has `cancelled` for it."""
    engine = held()
    cancelled = verdict_of(engine, arriving(follow_up(GOOD, "CANCEL")), NOW + 0.1)
    resumed = engine.resume(1, FETCHED, NOW + 0.4)
    assert isinstance(resumed, Verdict)
    records = [verdict.record for verdict in (cancelled, resumed) if verdict.record is not None]
    assert [(each.call_id, each.detail, each.verdict, each.treatment, each.code) for each in records] == [
        ("call-1@carrier.example", "cancelled", "reject", "reject", 487)
    ]
    assert engine.counters == {"cancel-answered": 1}


def test_s145_cancel_of_the_second_of_two_that_differ() -> None:
    """A peer that writes X: 1 into its retransmission: the CANCEL must not overtake the copy still held."""
    engine = held()
    assert isinstance(engine.process(arriving(invite(identity(), "X: 1")), NOW + 0.1), Need)
    engine.resume(1, FAILED._replace(expires=0.0), NOW + 0.2)
    verdict = verdict_of(engine, arriving(follow_up(GOOD, "CANCEL")), NOW + 0.3)
    assert (verdict.kind, len(verdict.emit)) == ("drop", 2)


def test_the_number_of_held_calls_is_limited() -> None:
    """DESIGN §3: beyond it a call is decided at once, as if the certificate could not be had."""
    engine = held(held_limit=1)
    message = invite(identity(), number=2)
    _, out, record = result(engine, arriving(message))
    assert (record["outcome"], record["detail"]) == ("unfetchable", "hold-limit")
    assert out == added(message, pai("No-TN-Validation"))
    assert engine.counters == {"hold-limit": 1}
    engine.resume(1, FETCHED, NOW + 0.1)
    other = identity(claims(iat=int(NOW) - 1))
    assert result(engine, arriving(invite(other, number=3)))[2]["outcome"] == "passed"


def test_the_limit_with_two_unknown_certificates() -> None:
    headers = [identity(jose={"x5u": f"https://{name}.example.org/a.pem"}) for name in "ab"]
    message = invite(*headers)
    _, out, record = result(make_engine(VERIFY, known=False, held_limit=0), arriving(message))
    assert (record["outcome"], record["detail"]) == ("unfetchable", "hold-limit")
    assert out == added(message, pai("No-TN-Validation"))


def test_release_gives_up_waiting_for_everything() -> None:
    """At a reload or the end: every held call goes on."""
    engine = held()
    elsewhere = [identity(jose={"x5u": f"https://{name}.example.org/a.pem"}) for name in "ab"]
    two = invite(*elsewhere, number=2)
    assert isinstance(engine.process(arriving(two), NOW), Need)
    cancelled = invite(identity(), number=3)
    assert isinstance(engine.process(arriving(cancelled), NOW), Need)
    verdict_of(engine, arriving(follow_up(cancelled, "CANCEL")))
    released = engine.release(NOW + 0.2)
    assert [(need, verdict.kind) for need, verdict in released] == [(1, "modify"), (2, "modify"), (3, "drop")]
    for (_, verdict), message in zip(released[:2], (GOOD, two), strict=True):
        assert verdict.payload is not None
        assert parse(verdict.payload).payload == added(message, pai("No-TN-Validation"))
    assert engine.release(NOW + 0.3) == []
    assert isinstance(engine.process(arriving(invite(identity(), number=4)), NOW + 0.3), Need)  # no failure was learnt


def test_s137_an_emergency_call_never_waits() -> None:
    message = GOOD.replace(b"sip:+12155550199@192.0.2.1 ", b"sip:911@192.0.2.1 ")
    engine = make_engine(f'{VERIFY}[rule.on]\nunfetchable = "reject"\n', known=False)
    action, out, record = result(engine, arriving(message))
    assert (action, record["outcome"]) == ("modify", "unfetchable")
    assert out == added(message, pai("No-TN-Validation"))


def test_what_comes_too_late_is_kept_where_other_calls_can_use_it() -> None:
    engine = make_engine(VERIFY, known=False)
    need = engine.process(arriving(GOOD), NOW)
    assert isinstance(need, Need)
    engine.resume(need.id, Answer(None, Detail.FETCH_TIMEOUT, NOW), NOW + 0.4)
    signature = SigningRequest("theirs", "12155550100", ("12155550199",), "A", "", int(NOW))
    engine.add_late(Need(7, signature, NOW), Answer(b"x", None, NOW + 60), NOW + 0.5)
    engine.add_late(need, FETCHED, NOW + 0.5)
    verdict = engine.process(arriving(invite(identity(), number=2)), NOW + 0.6)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert verdict.record.outcome == "passed"


def test_a_certificate_that_nobody_waits_for_is_learnt() -> None:
    engine = make_engine(VERIFY, known=False)
    engine.add_certificate(X5U, FETCHED, NOW)
    later = invite(identity(claims(iat=int(NOW) + 3600)), number=2)
    assert result(engine, arriving(GOOD))[2]["outcome"] == "passed"
    assert isinstance(engine.process(arriving(later), NOW + 3600), Need)  # the answer has expired


# --- redirected (S-122) ---

TRUSTED = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
REDIRECT = TRUSTED + VERIFY.replace("[[rule]]\n", '[[rule]]\ntrunk = ["core"]\ninsertion = "redirect"\n')


@pytest.mark.parametrize(
    ("headers", "asserted"),
    [
        ([identity()], "<sip:+12155550100;verstat=TN-Validation-Passed@carrier.example>"),
        ([], "<sip:+12155550100;verstat=No-TN-Validation@carrier.example>"),
        ([identity(key=LAB.root.key)], "<sip:+12155550100;verstat=TN-Validation-Failed@carrier.example>"),
        (["P-Asserted-Identity: <tel:+12155550177;verstat=x>"], "<tel:+12155550177;verstat=No-TN-Validation>"),
    ],
)
def test_s122_a_302_with_the_result(headers: list[str], asserted: str) -> None:
    engine = make_engine(REDIRECT)
    verdict = verdict_of(engine, arriving(invite(*headers)))
    assert (verdict.kind, verdict.payload) == ("redirect", None)
    expected = answer("302 Moved Temporarily").replace(
        b"Content-Length",
        f"Contact: <sip:+12155550199@192.0.2.1>\r\nP-Asserted-Identity: {asserted}\r\nContent-Length".encode(),
    )
    assert [each.payload for each in verdict.emit] == [expected]
    assert verdict_of(engine, arriving(follow_up(invite(*headers), "ACK", TAG))) == DROPPED
    assert verdict_of(engine, arriving(invite(*headers)), NOW + 0.5) == verdict._replace(record=None)


def test_s137_an_emergency_call_is_not_redirected() -> None:
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", b"urn:service:sos ")
    action, out, _ = result(make_engine(REDIRECT), arriving(message))
    assert (action, out) == ("modify", added(message, pai("No-TN-Validation")))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('no-identity = "redirect"', "302 Moved Temporarily"),
        ('no-identity = { action = "redirect", code = 300, phrase = "Multiple Choices" }', "300 Multiple Choices"),
        ('no-identity = "reject"', "428 Use Identity Header"),
    ],
)
def test_s122_as_a_treatment(table: str, expected: str) -> None:
    rules = TRUSTED + VERIFY.replace("[[rule]]\n", '[[rule]]\ntrunk = ["core"]\n') + f"[rule.on]\n{table}\n"
    action, out, record = result(make_engine(rules), arriving(invite()))
    assert (status(out), record["code"]) == (expected, int(expected[:3]))
    assert action == ("reject" if expected.startswith("428") else "redirect")
