"""Reason fields in the answers to calls that failed and continue (S-116, S-117, S-119, S-172; RFC 9410, RFC 3326).

Each test is a transcript: an INVITE arrives, the SBC answers, and this is what the caller's side gets.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    LAB,
    NOW,
    SBC,
    SIGN,
    VERIFY,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    response,
    result,
)

from sbc_filter.engine.act.reasons_sent import LIFETIME, reasons
from sbc_filter.engine.call.call import Decision
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need, Verdict, VerdictKind
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.packet.udp import Datagram, datagram_to_ip, parse
from sbc_filter.rules.model import ReasonProtocol, VerifyOptions
from sbc_filter.sip.message import SipMessage
from sbc_filter.stir.verification import Failure

STIR = f'{VERIFY}[rule.verify]\nreason = "stir"\n'
SIP = f'{VERIFY}[rule.verify]\nreason = "sip"\n'
REQUIRED = "required = true\n"
# No token can be read in it, so no `ppi` can say which it was.
UNREADABLE = "Identity: abc;info=<https://certificates.example.org/shaken.pem>"
FAILING = invite(UNREADABLE)
REASON = 'Reason: STIR ;cause=438 ;text="Invalid Identity Header"'
AS_SIP = REASON.replace("STIR", "SIP")


def told(message: bytes, *lines: str) -> bytes:
    """The response with these lines behind its last Via."""
    at = message.index(b"From:")
    return message[:at] + "".join(f"{line}\r\n" for line in lines).encode() + message[at:]


def after(rules: str = STIR, call: bytes = FAILING, **options: object) -> Engine:
    """An engine that has let a call continue."""
    engine = make_engine(rules, **options)  # type: ignore[arg-type]
    assert result(engine, arriving(call))[0] in ("accept", "modify")
    return engine


def passes(engine: Engine, packet: bytes, now: float = NOW) -> bool:
    """Whether a packet goes on untouched, and nobody hears of it."""
    return engine.process(packet, now) == Verdict(VerdictKind.ACCEPT)


# --- which answers ---


@pytest.mark.parametrize(
    "answer",
    [
        response("180 Ringing"),
        response("183 Session Progress", "Content-Type: application/sdp", body="v=0\r\n"),
        response("200 OK", f"Contact: <sip:{SBC}>"),
        response("302 Moved Temporarily"),
        response("486 Busy Here"),
        response("487 Request Terminated"),
        response("603 Decline"),
        response("603 Network Blocked"),  # without a Reason it is no 603+ (S-170)
        response("200 "),
    ],
    ids=lambda answer: answer.partition(b"\r\n")[0].decode(),
)
def test_s117_provisional_and_final_answers_say_what_was_wrong(answer: bytes) -> None:
    engine = after()
    assert result(engine, leaving(answer)) == ("modify", told(answer, REASON), {})
    assert engine.counters == {"reason-added": 1}


@pytest.mark.parametrize(
    "answer",
    [
        response("100 Trying"),  # S-117
        response("200 OK", cseq="1 BYE"),
        response("200 OK", cseq="1 CANCEL"),
        response("200 OK", cseq="2 INVITE"),
        response("200 OK").replace(b"branch=z9hG4bK-1", b"branch=z9hG4bK-2"),
        response("200 OK").replace(b";tag=f1", b";tag=f2"),
        response("200 OK").replace(b";tag=f1", b""),
        response("200 OK").replace(b"call-1@", b"call-2@"),
        response("200 OK", number=2),
        response("200 OK").replace(b"SIP/2.0 200", b"SIP/3.0 200"),
        response("200 OK").replace(b"Content-Length: 0", b"Content-Length: 9"),
        response("200 OK").replace(b"Call-ID:", b"Call-ID"),
        response("200 OK").replace(b"SIP/2.0/UDP", b"SIP"),
        response("200 OK").replace(b"To: <", b"To: <\0"),
        response("200 OK")[:-4],
        response("200 OK", "CSeq: 1 INVITE"),
        response("700 OK"),
        b"SIP/2.0 ",
    ],
)
def test_all_others_pass_as_they_are(answer: bytes) -> None:
    engine = after()
    assert passes(engine, leaving(answer))
    assert engine.counters == ({} if answer.startswith(b"SIP/2.0 ") else {"passed-unread": 1})


@pytest.mark.parametrize(
    "packet",
    [
        datagram_to_ip(Datagram(SBC, 5060, "192.0.2.8", 5060, response("200 OK"))),
        datagram_to_ip(Datagram("192.0.2.2", 5060, CARRIER, 5060, response("200 OK"))),
        arriving(response("200 OK")),
        datagram_to_ip(Datagram(SBC, 5062, CARRIER, 5062, response("200 OK"))),  # no SIP port
    ],
    ids=["to another", "from another", "the wrong way", "other ports"],
)
def test_answers_between_others_pass_as_they_are(packet: bytes) -> None:
    assert passes(after(), packet)


def test_the_ports_of_the_answer_are_those_of_via() -> None:
    """RFC 3261 §18.2.2: the answer need not go to where the INVITE came from."""
    packet = datagram_to_ip(Datagram(SBC, 5060, CARRIER, 40000, response("200 OK")))
    assert result(after(), packet)[:2] == ("modify", told(response("200 OK"), REASON))


def test_ipv6() -> None:
    carrier, sbc = "2001:db8:1::7", "2001:db8:1::1"
    engine = make_engine(STIR)
    result(engine, arriving(FAILING, carrier, sbc))
    assert result(engine, leaving(response("200 OK"), sbc, carrier))[1] == told(response("200 OK"), REASON)


def test_compact_and_folded_fields_are_read_and_kept() -> None:
    answer = (
        f"SIP/2.0 180 Ringing\r\n"
        f"v: SIP/2.0/UDP {CARRIER}:5060\r\n ;branch=z9hG4bK-1\r\n"
        f"VIA : SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK-0\r\n"
        f"f: <sip:+{CALLER}@carrier.example>\r\n\t;tag=f1\r\n"
        f"t: <sip:+{CALLED}@sbc.example>;tag=s1\r\n"
        f"i:\r\n call-1@carrier.example\r\n"
        f"cseq: 1\r\n INVITE\r\n"
        f"l: 0\r\n\r\n"
    ).encode()
    assert result(after(), leaving(answer))[1] == answer.replace(b"f: <", f"{REASON}\r\nf: <".encode())


def test_it_stands_behind_the_route_of_the_answer() -> None:
    answer = response("200 OK", "Record-Route: <sip:192.0.2.1;lr>")
    assert result(after(), leaving(answer))[1] == answer.replace(b";lr>\r\n", f";lr>\r\n{REASON}\r\n".encode())


# --- a Reason that is there already ---


@pytest.mark.parametrize(
    ("present", "stir", "sip"),
    [
        ('Reason: SIP;cause=486;text="Busy Here"', True, False),
        ("reason : sip ;cause=486", True, False),
        ("Reason: Q.850;cause=16", True, True),
        ('Reason: Q.850;cause=16;text="SIP, STIR"', True, True),
        ('Reason: Q.850;text="\\", SIP", STIR', False, True),
        ("Reason: STIR ;cause=436", False, True),
        ("Reason: stir;cause=436", False, True),
        ("Reason: Q.850;cause=16,\r\n\tSIP;cause=486 , STIR;cause=436", False, False),
        ("Reason: Q.850;cause=16\r\nReason: SIP;cause=486", True, False),
        ('Reason: Q.850;text="never ended, SIP, STIR', True, True),
    ],
)
def test_s117_one_of_the_same_protocol_is_never_doubled(present: str, stir: bool, sip: bool) -> None:
    """RFC 3326 §2: one value a protocol; RFC 9366: another protocol's beside it."""
    answer = response("486 Busy Here", present)
    for rules, reason, expected in ((STIR, REASON, stir), (SIP, AS_SIP, sip)):
        engine = after(rules)
        assert result(engine, leaving(answer))[1] == (told(answer, reason) if expected else answer)
        assert passes(engine, leaving(answer)) is not expected


@pytest.mark.parametrize(
    "reason", ['SIP;cause=603;text="v=analytics1;url=https://a.example/";location=RLN', "Q.850;cause=21"]
)
@pytest.mark.parametrize("phrase", ["Network Blocked", "network blocked"])
def test_s172_603_plus_passes_as_it_is(phrase: str, reason: str) -> None:
    assert passes(after(), leaving(response(f"603 {phrase}", f"Reason: {reason}")))


def test_our_own_is_not_added_twice() -> None:
    engine = after()
    once = result(engine, leaving(response("180 Ringing")))[1]
    assert passes(engine, leaving(once))


def test_quotes_that_nobody_ends_cost_no_more_than_others() -> None:
    """Quadratic, these took minutes."""
    for junk in ('"' * 15_000, '"\\' * 7_500, '\\"' * 7_500 + "\\", '",' * 7_500):
        answer = response("200 OK", f"Reason: Q.850;text={junk}")
        assert result(after(), leaving(answer))[1] == told(answer, REASON)


# --- which calls ---


@pytest.mark.parametrize(
    ("call", "rules", "reason"),
    [
        (invite(), STIR + REQUIRED, "428 Use Identity Header"),
        (invite(), SIP + REQUIRED, "428 Use Identity Header"),
        (FAILING, STIR, "438 Invalid Identity Header"),
        (FAILING, SIP, "438 Invalid Identity Header"),
        (FAILING, STIR + '[rule.on]\ninvalid = "continue"\n', "438 Invalid Identity Header"),
        (FAILING, STIR + "max_age = 10\nverstat = false\n", "438 Invalid Identity Header"),
        (invite(identity(claims(iat=int(NOW) - 61))), SIP, "403 Stale Date"),
        (invite(identity(), caller="13125550123"), SIP, "438 Invalid Identity Header"),
        (invite(identity(jose={"x5u": "http://h/a.pem"})), SIP, "436 Bad Identity Info"),
        (invite(identity(key=LAB.root.key)), SIP, "438 Invalid Identity Header"),
    ],
    ids=["v3", "v3 sip", "v6", "v6 sip", "named", "unmarked", "v10", "v8", "v11", "v15"],
)
def test_section_20_what_is_reported(call: bytes, rules: str, reason: str) -> None:
    protocol = "STIR" if rules.startswith(STIR) else "SIP"
    code, _, text = reason.partition(" ")
    engine = after(rules, call)
    expected = told(response("180 Ringing"), f'Reason: {protocol} ;cause={code} ;text="{text}"')
    assert result(engine, leaving(response("180 Ringing")))[1] == expected


@pytest.mark.parametrize(
    ("call", "rules"),
    [
        (invite(identity()), STIR),
        (invite(identity()), SIP),
        (invite(), STIR),
        (invite().replace(CALLER.encode() + b"@carrier.example", b"anonymous@anonymous.invalid"), STIR),
        (invite(identity()).replace(f"+{CALLER}@carrier.example".encode(), b"anonymous@anonymous.invalid"), STIR),
        (invite(UNREADABLE, called="911").replace(b"sip:+911@192", b"sip:911@192"), STIR),
        (invite(UNREADABLE, to_tag=";tag=t1"), STIR),
        (FAILING, VERIFY),
        (FAILING, VERIFY + SIGN),
        (FAILING, ""),
        (FAILING, '[[rule]]\nname = "p"\naction = "pass"\n' + STIR),
        (FAILING, STIR.replace("name", 'mode = "monitor"\nname')),
        (FAILING, STIR.replace("name", "enforce_percent = 0\nname")),
        (FAILING, STIR.replace("name", 'mode = "monitor"\nname') + VERIFY.replace('"verify"\nd', '"second"\nd')),
    ],
    ids=[
        *("v18", "v18 sip", "v2", "v2 anonymous", "v5", "v1 emergency", "v1 in dialog", "off", "off twice", "no rule"),
        *("passed by", "monitor", "no share", "monitor before"),
    ],
)
def test_what_is_not(call: bytes, rules: str) -> None:
    assert passes(after(rules, call), leaving(response("180 Ringing")))


@pytest.mark.parametrize(
    ("status", "present"),
    [
        ("603 Decline", 'Reason: SIP;cause=603;text="v=analytics1"'),
        ("486 Network Blocked", "Reason: Q.850;cause=16"),
    ],
)
def test_s172_what_is_not_603_plus_is_told_beside_a_reason_of_others(status: str, present: str) -> None:
    answer = response(status, present)
    assert result(after(), leaving(answer))[1] == told(answer, REASON)


def test_v23_a_call_that_found_too_many_waiting_is_told_nothing() -> None:
    engine = make_engine(STIR, known=False, held_limit=0)
    assert result(engine, arriving(invite(identity())))[2]["detail"] == "hold-limit"
    assert passes(engine, leaving(response("180 Ringing")))


def test_v12_a_call_that_waited_in_vain_is_told_so() -> None:
    engine = make_engine(SIP, known=False)
    need = engine.process(arriving(invite(identity())), NOW)
    assert isinstance(need, Need)
    assert isinstance(engine.resume(need.id, Answer(None, Detail.FETCH_TIMEOUT, NOW + 30), NOW + 0.4), Verdict)
    answer = response("180 Ringing")
    expected = told(answer, 'Reason: SIP ;cause=436 ;text="Bad Identity Info"')
    assert result(engine, leaving(answer), NOW + 1)[1] == expected


def test_a_rejected_call_has_its_answer_from_us() -> None:
    """RFC 9410, S-116: either the 4xx or the Reason."""
    engine = make_engine(f'{STIR}[rule.on]\ninvalid = "reject"\n')
    action, answer, _ = result(engine, arriving(FAILING))
    assert action == "reject"
    assert b"Reason" not in answer
    assert passes(engine, leaving(response("200 OK")))


def test_without_the_key_nobody_looks_at_answers() -> None:
    """DESIGN §3: what no rule needs passes at once; the very same verdict, not an equal one."""
    engine = after(VERIFY)
    assert engine.process(leaving(response("200 OK")), NOW) is engine.process(leaving(b"RTP"), NOW)


# --- several fields ---

PPI_1, PPI_2 = b"A" * 86, b"b-_" * 28 + b"42"
INVALID = Failure(Outcome.INVALID, Detail.BAD_SIGNATURE, PPI_1)
STALE = Failure(Outcome.STALE, Detail.STALE_DATE, PPI_2)
UNREAD = Failure(Outcome.INVALID, Detail.IDENTITY_SYNTAX)


def line(reason: str, ppi: bytes = b"", protocol: str = "STIR") -> bytes:
    code, _, text = reason.partition(" ")
    which = f' ;ppi="..{ppi.decode()}"' if ppi else ""
    return f'Reason: {protocol} ;cause={code} ;text="{text}"{which}\r\n'.encode()


@pytest.mark.parametrize(
    ("outcome", "detail", "failures", "expected"),
    [
        (Outcome.INVALID, Detail.BAD_SIGNATURE, (INVALID,), [line("438 Invalid Identity Header", PPI_1)]),
        (
            Outcome.INVALID,
            Detail.BAD_SIGNATURE,
            (STALE, INVALID),
            [line("403 Stale Date", PPI_2), line("438 Invalid Identity Header", PPI_1)],
        ),
        (Outcome.PASSED, None, (STALE,), [line("403 Stale Date", PPI_2)]),  # V20
        (Outcome.PASSED, None, (), []),
        (Outcome.INVALID, Detail.BAD_SIGNATURE, (), [line("438 Invalid Identity Header")]),
        (Outcome.INVALID, Detail.IDENTITY_SYNTAX, (UNREAD, UNREAD), [line("438 Invalid Identity Header")]),
        (
            Outcome.INVALID,
            Detail.BAD_SIGNATURE,
            (INVALID, UNREAD),
            [line("438 Invalid Identity Header", PPI_1), line("438 Invalid Identity Header")],
        ),
        (
            Outcome.INVALID,
            Detail.BAD_SIGNATURE,
            (INVALID, Failure(Outcome.STALE, Detail.STALE_DATE, PPI_1)),
            [line("438 Invalid Identity Header", PPI_1)],
        ),
        (
            Outcome.REPLAYED,
            Detail.TOKEN_SEEN,
            (STALE,),
            [line("438 Invalid Identity Header"), line("403 Stale Date", PPI_2)],
        ),
        (Outcome.ANONYMOUS, Detail.NO_CALLER, (Failure(Outcome.ANONYMOUS, Detail.NO_CALLER, PPI_1),), []),
        (
            Outcome.ANONYMOUS,
            Detail.NO_CALLER,
            (Failure(Outcome.ANONYMOUS, Detail.NO_CALLER, PPI_1), STALE),
            [line("403 Stale Date", PPI_2)],
        ),
        (
            Outcome.INVALID,
            Detail.SIGNATURE_LENGTH,
            tuple(Failure(Outcome.INVALID, Detail.SIGNATURE_LENGTH, each * 177) for each in (b"A", b"B")),
            [line("438 Invalid Identity Header")],
        ),
        (
            Outcome.INVALID,
            Detail.IDENTITY_SYNTAX,
            (Failure(Outcome.INVALID, Detail.IDENTITY_SYNTAX, b'A"\r\nX: 1'),),
            [line("438 Invalid Identity Header")],
        ),
        (Outcome.NO_IDENTITY, Detail.ABSENT, (), []),
    ],
    ids=[
        *("one", "two", "v20", "v18", "not told which", "unreadable", "one of them unreadable", "the same twice"),
        *("replayed", "v5", "v5 and stale", "too long", "never believed", "v2"),
    ],
)
def test_s117_one_for_each_field_that_fails(
    outcome: Outcome, detail: Detail | None, failures: tuple[Failure, ...], expected: list[bytes]
) -> None:
    decision = Decision(outcome, detail, failures=failures)
    assert [each.line for each in reasons(VerifyOptions(reason=ReasonProtocol.STIR), decision)] == expected


@pytest.mark.parametrize(
    ("outcome", "detail", "expected"),
    [
        (Outcome.INVALID, Detail.BAD_SIGNATURE, [line("438 Invalid Identity Header", protocol="SIP")]),
        (Outcome.NO_IDENTITY, Detail.UNSUPPORTED_PPT, [line("428 Use Supported PASSporT Format", protocol="SIP")]),
        (Outcome.PASSED, None, []),
    ],
)
def test_s117_of_sip_one_is_legal(outcome: Outcome, detail: Detail | None, expected: list[bytes]) -> None:
    options = VerifyOptions(reason=ReasonProtocol.SIP, required=True)
    made = reasons(options, Decision(outcome, detail, failures=(STALE, INVALID)))
    assert [each.line for each in made] == expected


def test_several_unreadable_fields_end_as_one() -> None:
    engine = after(STIR, invite(UNREADABLE, UNREADABLE))
    assert result(engine, leaving(response("180 Ringing")))[1] == told(response("180 Ringing"), REASON)


# --- memory ---


def test_a_repeated_answer_gets_the_same_bytes() -> None:
    """RFC 3261 §13.3.1.4: a 200 is sent until it is acknowledged."""
    engine = after()
    first = engine.process(leaving(response("200 OK")), NOW + 20)
    assert isinstance(first, Verdict)
    assert first.kind is VerdictKind.MODIFY
    for later in (20.5, 21.5, 52):
        assert engine.process(leaving(response("200 OK")), NOW + later) == first


def test_a_repeated_invite_changes_nothing() -> None:
    engine = after()
    for later in (0.5, 1.5):
        assert result(engine, arriving(FAILING), NOW + later)[2] == {}
    assert result(engine, leaving(response("200 OK")), NOW + 2)[1] == told(response("200 OK"), REASON)


@pytest.mark.parametrize("rings", ["180 Ringing", "199 Early Dialog Terminated"])
def test_it_may_ring_for_long(rings: str) -> None:
    """Timer C begins anew with each provisional answer (RFC 3261 §16.7)."""
    engine = after()
    now = NOW
    for _ in range(5):
        now += LIFETIME - 1
        assert result(engine, leaving(response(rings)), now)[0] == "modify"
    now += LIFETIME - 33
    assert result(engine, leaving(response("200 OK")), now)[0] == "modify"
    assert result(engine, leaving(response("200 OK")), now + 32)[0] == "modify"
    assert passes(engine, leaving(response("200 OK")), now + 33)


def test_calls_do_not_mix() -> None:
    engine = make_engine(SIP + REQUIRED)
    result(engine, arriving(invite(number=1)))
    result(engine, arriving(invite(UNREADABLE, number=2)))
    result(engine, arriving(invite(identity(), number=3)))
    causes = [result(engine, leaving(response("180 Ringing", number=number)))[1] for number in (1, 2, 3)]
    assert [b"cause=428" in causes[0], b"cause=438" in causes[1], b"Reason" in causes[2]] == [True, True, False]


# --- bounds ---


@pytest.mark.parametrize(("space", "fits"), [(0, True), (1, False)])
def test_an_answer_without_room_passes_as_it_is(space: int, fits: bool) -> None:
    size = 65535 - 28 - len(response("200 OK")) - len("60000") + len("0") - len(REASON) - 2 + space
    answer = response("200 OK").replace(b"Content-Length: 0", b"Content-Length: %d" % size) + b"x" * size
    engine = after()
    action, out, _ = result(engine, leaving(answer))
    assert (action, out) == (("modify", told(answer, REASON)) if fits else ("accept", answer))
    assert engine.counters == {"reason-added" if fits else "reason-no-room": 1}


def test_decide_is_the_same_without_a_packet() -> None:
    engine = make_engine(STIR)
    engine.decide(FAILING, Flow(CARRIER, 40000, SBC, 5060, "tcp"), NOW)
    answered = engine.decide(response("200 OK"), Flow(SBC, 5060, CARRIER, 40000, "tcp"), NOW)
    assert answered == Verdict(VerdictKind.MODIFY, told(response("200 OK"), REASON))


@given(st.binary(max_size=300))
def test_any_bytes_after_the_version_give_one_verdict(data: bytes) -> None:
    engine = after()
    for payload in (b"SIP/2.0 " + data, b"SIP/2.0 200 OK\r\n" + data, response("200 OK")[:-4] + data):
        verdict = engine.process(leaving(payload), NOW)
        assert isinstance(verdict, Verdict)
        assert (verdict.record, verdict.emit) == (None, ())
        if verdict.payload is not None:
            assert parse(verdict.payload).payload == told(payload, REASON)


@given(st.integers(0, 400), st.integers(0, 20), st.binary(max_size=12))
def test_any_change_of_an_answer_gives_one_verdict(at: int, length: int, data: bytes) -> None:
    answer = response("180 Ringing", "Reason: Q.850;cause=16")
    changed = answer[:at] + data + answer[at + length :]
    verdict = after().process(leaving(changed), NOW)
    assert isinstance(verdict, Verdict)
    if verdict.payload is not None:
        out = parse(verdict.payload).payload
        assert out.replace(f"{REASON}\r\n".encode(), b"", 1) == changed
        assert SipMessage.parse_response(out)[2].values(b"reason")
