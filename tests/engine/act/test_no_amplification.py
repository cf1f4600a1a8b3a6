"""Nobody is sent more than came under their address: sources of datagrams are easily forged (S-140, S-143, S-157)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.calls import (
    CALLED,
    CARRIER,
    CORE,
    NOW,
    SBC,
    SIGN,
    VERIFY,
    arriving,
    follow_up,
    identity,
    invite,
    make_engine,
)

from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Need, Verdict, VerdictKind
from sbc_filter.errors import ConfigurationError
from sbc_filter.packet.udp import Datagram, datagram_to_ip, parse

PLUS = 'SIP;cause=603;text="v=analytics1;url=https://redress.example/";location=RLN'
BLOCK = f"""[[rule]]
name = "block"
direction = "inbound"
action = "reject"
answer = {{ code = 603, phrase = "Network Blocked", reason = '{PLUS}' }}
"""
REFUSALS = {
    "428": f'{VERIFY}[rule.on]\nno-identity = "reject"\ninvalid = "reject"\n',
    "603+": BLOCK,
    "phrase": f'[[rule]]\nname = "p"\naction = "reject"\nanswer = {{ code = 403, phrase = "{"Forbidden " * 6}" }}\n',
}
SIX, SBC_SIX = "2001:db8:1::7", "2001:db8:1::1"
SHORTEST = (  # what has to be there for us to find our way back
    b"INVITE tel:1 SIP/2.0\r\nv:SIP/2.0/UDP a\r\nf:<tel:1>;tag=1\r\nt:<tel:2>\r\ni:1\r\nCSeq:1 INVITE\r\n\r\n"
)

words = st.text("abcXYZ019.-", min_size=1, max_size=12)
parameters = st.lists(
    st.sampled_from([";rport", ";rport=9", ";maddr=198.51.100.9", ";ttl=1", ";received=198.51.100.9", " ; x = y", ""])
    | words.map(";branch=z9hG4bK{}".format),
    max_size=5,
).map("".join)
hosts = st.sampled_from([CARRIER, f"{CARRIER}:5062", "a", "a:1", f"[{SIX}]", f"[{SIX}]:65535", "h.example:5061", "a:0"])
values = st.builds("{}{}{}".format, st.sampled_from(["SIP/2.0/UDP ", "SIP / 2.0 / TCP "]), hosts, parameters)
vias = st.lists(st.lists(values, min_size=1, max_size=3).map(",".join), min_size=1, max_size=30)
gaps = st.sampled_from([": ", ":", " : ", ":\r\n "])


@st.composite
def invites(draw: st.DrawFn) -> bytes:
    """An INVITE: with any number of Via lines, names long or compact, little or much of what we do not copy."""
    gap = draw(gaps)
    lines = [f"INVITE {draw(st.sampled_from(['tel:1', f'sip:+{CALLED}@{SBC}']))} SIP/2.0"]
    lines += [f"{draw(st.sampled_from(['Via', 'v']))}{gap}{via}" for via in draw(vias)]
    lines.append(f"{draw(st.sampled_from(['From', 'f']))}{gap}<sip:+12155550100@a>;tag={draw(words)}")
    lines.append(f"{draw(st.sampled_from(['To', 't']))}{gap}<tel:2>")
    lines.append(f"{draw(st.sampled_from(['Call-ID', 'i']))}{gap}{draw(words)}")
    lines.append(f"CSeq{gap}{draw(st.sampled_from(['1', '007', '4294967295']))} INVITE")
    lines += draw(st.lists(words.map("X-More: {}".format), max_size=8))
    return ("\r\n".join(lines) + "\r\n\r\n" + draw(st.sampled_from(["", "v=0\r\n"]))).encode()


def sent(engine: Engine, packet: bytes) -> tuple[Datagram, ...]:
    """What is emitted for a packet: sound, or the test fails."""
    verdict = engine.process(packet, NOW)
    if isinstance(verdict, Need):
        return ()
    came = parse(packet)
    for answer in verdict.emit:
        assert (answer.dst, answer.src, answer.sport) == (came.src, came.dst, came.dport)
    return verdict.emit


@pytest.mark.parametrize("rules", REFUSALS.values(), ids=REFUSALS)
@settings(max_examples=60, deadline=None)
@given(message=invites(), six=st.booleans(), port=st.integers(1, 65535))
def test_an_answer_is_one_datagram_no_larger_and_to_the_source(
    rules: str, message: bytes, six: bool, port: int
) -> None:
    """For any INVITE that is rejected; and each retransmission gets the same bytes."""
    source, target = (SIX, SBC_SIX) if six else (CARRIER, SBC)
    packet = datagram_to_ip(Datagram(source, port, target, 5060, message))
    engine = make_engine(rules)
    answers = sent(engine, packet)
    assert len(answers) == 1 - engine.counters["unanswerable"] - engine.counters["answer-no-room"]
    for answer in answers:
        assert len(datagram_to_ip(answer)) <= len(packet)
        top = message.split(b"\r\n", 2)[1]
        if b"rport" in top.split(b",")[0]:
            assert answer.dport == port
    assert sent(engine, packet) == answers


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_over_whole_transactions_too(data: st.DataObject) -> None:
    """Held, cancelled, sent again, acknowledged, in any order: never more packets or bytes out than in."""
    held = data.draw(st.booleans())
    engine = make_engine(REFUSALS["428"], known=not held)
    calls = [invite(*headers, number=number) for number, headers in enumerate(([], [identity()]))]
    packets = [follow_up(call, method) for call in calls for method in ("CANCEL", "ACK")] + calls
    came = went = datagrams = 0
    for count, message in enumerate(data.draw(st.lists(st.sampled_from(packets), max_size=12)), 1):
        came += len(message)
        for answer in sent(engine, arriving(message)):
            went += len(answer.payload)
            datagrams += 1
        assert went <= came
        assert datagrams <= count


TAG = b"de8c56d87cc984a25dada728"
FIRST = b"SIP/2.0 603 Network Blocked\r\n"
REASON = f"Reason: {PLUS}\r\n".encode()
LONG = b"Via: SIP/2.0/UDP a;received=192.0.2.7\r\nFrom: <tel:1>;tag=1\r\nTo: <tel:2>;tag=%s\r\nCall-ID: 1\r\n" % TAG
SHORT = b"v: SIP/2.0/UDP a;received=192.0.2.7\r\nf: <tel:1>;tag=1\r\nt: <tel:2>;tag=%s\r\ni: 1\r\n" % TAG
CSEQ = b"CSeq: 1 INVITE\r\n"
FORMS = [
    FIRST + LONG + CSEQ + REASON + b"Content-Length: 0\r\n\r\n",
    FIRST + SHORT + CSEQ + REASON + b"\r\n",
    FIRST + SHORT + CSEQ + b"\r\n",
]


@pytest.mark.parametrize("form", range(3))
@pytest.mark.parametrize("spare", [0, -1])
def test_what_is_left_out_where_room_is_scarce(form: int, spare: int) -> None:
    """First the long names and Content-Length, then the Reason, then the answer: each as late as can be."""
    fill = len(FORMS[form]) + spare - len(SHORTEST) - len("X:\r\n")
    message = SHORTEST[:-2] + b"X:" + b"x" * fill + b"\r\n\r\n"
    engine = make_engine(BLOCK)
    answers = sent(engine, arriving(message))
    assert [answer.payload for answer in answers] == FORMS[form - spare :][:1]
    lost = {2: {"answer-cut": 1}, 3: {"answer-no-room": 1}}
    assert engine.counters == lost.get(form - spare, {})


def test_a_call_that_cannot_be_answered_ends_all_the_same() -> None:
    """Its ACK and CANCEL as well: the SBC has seen nothing of it."""
    engine = make_engine(BLOCK)
    verdict = engine.process(arriving(SHORTEST), NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.kind, verdict.payload, verdict.emit) == (VerdictKind.REJECT, None, ())
    again = engine.process(arriving(SHORTEST.replace(b"INVITE", b"CANCEL")), NOW)
    assert again == Verdict(VerdictKind.DROP)
    assert engine.counters == {"answer-no-room": 2, "cancel-answered": 1}


def test_on_tcp_nobody_pretends_to_be_another() -> None:
    verdict = make_engine(BLOCK).decide(SHORTEST, Flow(CARRIER, 40000, SBC, 5060, "tcp"), NOW)
    assert isinstance(verdict, Verdict)
    assert len(verdict.emit[0].payload) > len(SHORTEST)
    assert verdict.emit[0].payload.endswith(b"\r\nContent-Length: 0\r\n\r\n")


# --- a 302 carries more than it was asked with: towards trusted trunks alone ---

ASKING = f'[trunks.asks]\naddresses = ["{CORE}"]\ntrusted = %s\n' + SIGN.replace(
    'direction = "outbound"\n', 'trunk = "asks"\ninsertion = "redirect"\n'
)


def test_s122_a_302_may_be_larger() -> None:
    (answer,) = sent(make_engine(ASKING % "true"), arriving(invite(), src=CORE))
    assert answer.payload.startswith(b"SIP/2.0 302 ")
    assert b"\r\nIdentity: " in answer.payload
    assert len(answer.payload) > len(invite())


@pytest.mark.parametrize(
    "rules",
    [ASKING % "false", ASKING.replace('trunk = "asks"\n', "") % "true", f'{VERIFY}[rule.on]\ninvalid = "redirect"\n'],
    ids=["a trunk that is not trusted", "anybody", "anybody, as a treatment"],
)
def test_s122_and_is_refused_elsewhere(rules: str) -> None:
    with pytest.raises(ConfigurationError, match="only trunks with `trusted = true`"):
        make_engine(rules)


# --- the policies of answer ---


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (f'{VERIFY}[rule.on]\nno-identity = "reject"\n', [b"SIP/2.0 428 Use Identity Header"]),
        (BLOCK, [b"SIP/2.0 603 Network Blocked", f"Reason: {PLUS}".encode()]),
        (f'{VERIFY}[rule.on]\nno-identity = "drop"\n', None),
        (f'{VERIFY}[rule.on]\nno-identity = "continue"\n', None),
    ],
    ids=["4xx of the outcome", "603+", "silence", "no refusal"],
)
def test_policies_of_answer(rules: str, expected: list[bytes] | None) -> None:
    """S-065, S-170; and dropping says nothing."""
    answers: Any = sent(make_engine(rules), arriving(invite(body="v=0\r\n" * 20)))
    if expected is None:
        assert answers == ()
    else:
        assert [line for line in answers[0].payload.split(b"\r\n") if line.startswith((b"SIP/", b"Reason"))] == expected
