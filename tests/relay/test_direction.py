"""One direction of a connection: octets in; what goes on, what goes back, and what becomes of the connection."""

import re

import pytest
from support.calls import CARRIER, LAB, NOW, SBC, VERIFY, added, follow_up, identity, invite, make_engine, pai, response

from sbc_filter.engine.call.network import Flow, Observation
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import ACCEPT, Answer, Need, Verdict, VerdictKind
from sbc_filter.outcomes import Detail
from sbc_filter.relay.direction import AnyFault, Direction, Passage, StreamFault
from sbc_filter.sip.one_message import is_framed
from sbc_filter.sip.stream import FramingFault

FLOW = Flow(CARRIER, 40000, SBC, 5060, "tcp")
REJECT = VERIFY + '[rule.on]\nno-identity = "reject"\nunfetchable = "reject"\n'


class Peers:
    """Both peers of a connection, and an engine that decides what the first one sends."""

    def __init__(self, engine: Engine, flow: Flow = FLOW, max_held: int = 1 << 18) -> None:
        self.engine = engine
        self.direction = Direction(flow, self, self.judge, max_held=max_held)
        self.written, self.answered = b"", b""
        self.writes = 0
        self.events: list[str] = []
        self.waiting: dict[int, Passage] = {}

    def judge(self, passage: Passage) -> None:
        self.follow(passage, self.engine.decide(passage.message, passage.flow, NOW))

    def follow(self, passage: Passage, decision: Verdict | Need) -> None:
        if isinstance(decision, Need):
            self.waiting[decision.id] = passage
            if not decision.holds:
                passage.settle(ACCEPT)
        else:
            passage.settle(decision)

    def fetched(self, number: int, answer: Answer[bytes]) -> None:
        self.follow(self.waiting.pop(number), self.engine.resume(number, answer, NOW))

    def onward(self, octets: bytes) -> None:
        self.written += octets
        self.writes += 1

    def back(self, octets: bytes) -> None:
        self.answered += octets

    def end(self) -> None:
        self.events.append("end")

    def progressed(self) -> None:
        pass

    def reset(self) -> None:
        self.events.append("reset")
        self.direction.close()

    def may_expose(self) -> bool:
        self.events.append("exposed")
        return self.observed()

    def may_pass(self, fault: AnyFault) -> bool:
        self.events.append(str(fault))
        return self.observed()

    def observed(self) -> bool:
        return self.engine.place(self.direction.flow).observed


def tcp(message: bytes) -> bytes:
    """The message as it is sent over TCP."""
    return message.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")


def held(peers: Peers) -> int:
    """The number of the only need."""
    (number,) = peers.waiting
    return number


CALL, OTHER = tcp(invite(identity())), tcp(invite(identity(), number=2))
MARKED = added(CALL, pai("TN-Validation-Passed"))
MARKED_OTHER = added(OTHER, pai("TN-Validation-Passed"))
CHAIN = Answer(LAB.chain, None, NOW + 86400)
NOTHING: Answer[bytes] = Answer(None, Detail.FETCH_TIMEOUT, NOW)


def test_one_invite_split_at_every_octet_is_decided_once() -> None:
    for cut in range(1, len(CALL)):
        peers = Peers(make_engine())
        peers.direction.feed(CALL[:cut])
        assert (peers.written, peers.direction.incomplete) == (b"", True)
        peers.direction.feed(CALL[cut:])
        assert (peers.written, peers.answered, peers.direction.incomplete) == (MARKED, b"", False)


def test_octet_by_octet() -> None:
    peers = Peers(make_engine())
    for octet in CALL + b"\r\n\r\n" + OTHER:
        peers.direction.feed(bytes([octet]))
    assert peers.written == MARKED + b"\r\n\r\n" + MARKED_OTHER
    assert peers.direction.messages == 2


def test_many_messages_in_a_segment_keep_their_order_and_their_octets() -> None:
    options = tcp(follow_up(invite(), "OPTIONS"))
    peers = Peers(make_engine())
    peers.direction.feed(options + CALL + options + OTHER + options)
    assert peers.written == options + MARKED + options + MARKED_OTHER + options


def test_a_flood_of_keep_alives_is_written_in_one_piece() -> None:
    """Else an octet of a peer would cost a packet."""
    peers = Peers(make_engine())
    peers.direction.feed(b"\r\n" * 10_000 + CALL + b"\r\n" * 10_000)
    assert peers.written == b"\r\n" * 10_000 + MARKED + b"\r\n" * 10_000
    assert peers.writes == 1


def test_an_invite_that_waits_holds_its_call_only() -> None:
    peers = Peers(make_engine(known=False))
    bye, options = tcp(follow_up(invite(), "BYE")), tcp(follow_up(invite(number=3), "OPTIONS"))
    peers.direction.feed(CALL + bye + options)
    assert (peers.written, peers.direction.waits) == (options, True)
    peers.fetched(held(peers), CHAIN)
    assert peers.written == options + MARKED + bye
    assert (peers.direction.waits, peers.direction.size) == (False, 0)


def test_two_calls_that_wait_go_on_as_their_answers_come() -> None:
    peers = Peers(make_engine(known=False))
    peers.direction.feed(CALL + OTHER)
    first, second = peers.waiting
    peers.fetched(second, CHAIN)
    assert peers.written == MARKED_OTHER
    peers.fetched(first, CHAIN)
    assert peers.written == MARKED_OTHER + MARKED


def test_the_cancel_of_an_invite_that_waits_is_answered_at_once() -> None:
    """S-145: the SBC sees neither of the two."""
    peers = Peers(make_engine(known=False))
    peers.direction.feed(CALL + tcp(follow_up(CALL, "CANCEL")))
    assert statuses(peers.answered) == ["200 OK", "487 Request Terminated"]
    tag = re.findall(rb";tag=([0-9a-f]{24})", peers.answered)[0].decode()
    peers.direction.feed(tcp(follow_up(CALL, "ACK", tag)))
    peers.fetched(held(peers), CHAIN)
    assert (peers.written, peers.direction.waits, peers.events) == (b"", False, [])


def test_the_cancel_of_another_transaction_waits_behind_the_invite() -> None:
    peers = Peers(make_engine(known=False))
    cancel = tcp(follow_up(CALL, "CANCEL")).replace(b"z9hG4bK-1", b"z9hG4bK-9")
    peers.direction.feed(CALL + cancel)
    assert (peers.written, peers.answered) == (b"", b"")
    peers.fetched(held(peers), CHAIN)
    assert peers.written == MARKED + cancel


def test_a_rejection_goes_back_and_its_ack_is_absorbed() -> None:
    peers = Peers(make_engine(REJECT))
    peers.direction.feed(tcp(invite()))
    assert statuses(peers.answered) == ["428 Use Identity Header"]
    assert is_framed(peers.answered)
    tag = re.findall(rb";tag=([0-9a-f]{24})", peers.answered)[0].decode()
    peers.direction.feed(tcp(follow_up(invite(), "ACK", tag)) + OTHER)
    assert peers.written == MARKED_OTHER


def test_an_invite_whose_certificate_does_not_come_is_rejected_and_the_next_call_goes_on() -> None:
    peers = Peers(make_engine(REJECT, known=False))
    peers.direction.feed(CALL + OTHER)
    first, second = peers.waiting
    peers.fetched(first, NOTHING)
    peers.fetched(second, CHAIN)
    assert statuses(peers.answered) == ["436 Bad Identity Info"]
    assert peers.written == MARKED_OTHER


def test_an_observed_invite_goes_on_at_once_and_unchanged() -> None:
    peers = Peers(make_engine(REJECT, known=False))
    peers.engine.observe(Observation(everything=True))
    peers.direction.feed(CALL)
    assert (peers.written, peers.direction.waits) == (CALL, False)
    peers.fetched(held(peers), NOTHING)
    assert (peers.written, peers.answered) == (CALL, b"")


def test_a_response_gets_the_reason_that_is_due() -> None:
    """Both directions of a connection share the engine."""
    engine = make_engine(VERIFY + '[rule.verify]\nreason = "stir"\n')
    there, back = Peers(engine), Peers(engine, Flow(SBC, 5060, CARRIER, 40000, "tcp"))
    there.direction.feed(tcp(invite("Identity: abc;info=<https://certificates.example.org/shaken.pem>")))
    ringing = tcp(response("180 Ringing"))
    back.direction.feed(ringing)
    reason = b'Reason: STIR ;cause=438 ;text="Invalid Identity Header"\r\n'
    assert back.written == ringing.replace(b"From:", reason + b"From:")


@pytest.mark.parametrize("payload", [CALL + OTHER, CALL[:-1], CALL.replace(b"Content-Length: 0", b"Content-Length: 9")])
def test_what_a_reader_would_not_take_for_one_message_never_goes_on(payload: bytes) -> None:
    """Whatever edits it came from: the next message would begin where the filter sees none."""
    peers = Peers(make_engine())
    passage = Passage(peers.direction, CALL)
    passage.settle(Verdict(VerdictKind.MODIFY, payload))
    assert (peers.written, peers.events) == (b"", ["reset"])


def test_a_message_is_settled_once() -> None:
    peers = Peers(make_engine())
    passage = Passage(peers.direction, CALL)
    passage.settle(ACCEPT)
    passage.settle(Verdict(VerdictKind.MODIFY, OTHER))
    passage.give_up(passes=False)
    assert (peers.written, peers.events) == (CALL, [])


# Streams that cannot be read.

BROKEN = {
    "content-lengths-differ": CALL.replace(b"Content-Length: 0", b"Content-Length: 0\r\nl: 1"),
    "no-content-length": CALL.replace(b"Content-Length: 0\r\n", b""),
    "line-ends": CALL.replace(b"\r\n", b"\n"),
    "nul": CALL.replace(b"Max", b"M\0x"),
    "blank-line": CALL.replace(b"Max", b" \r\nMax"),
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "websocket": b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_cannot_be_read_resets_the_connection(fault: str) -> None:
    peers = Peers(make_engine())
    peers.direction.feed(BROKEN[fault] + OTHER)
    peers.direction.feed(OTHER)
    assert (peers.written, peers.answered, peers.events) == (b"", b"", [fault, "reset"])


@pytest.mark.parametrize("fault", BROKEN)
def test_where_all_is_observed_it_passes_from_there_on(fault: str) -> None:
    peers = Peers(make_engine())
    peers.engine.observe(Observation(everything=True))
    peers.direction.feed(BROKEN[fault] + OTHER[:100])
    peers.direction.feed(OTHER[100:])
    assert (peers.written, peers.events) == (BROKEN[fault] + OTHER, [fault])
    assert peers.direction.unread


def test_what_passed_unread_while_all_was_observed_is_reset_when_that_is_over() -> None:
    """Otherwise a peer would have a connection that is never filtered."""
    peers = Peers(make_engine())
    peers.engine.observe(Observation(everything=True))
    peers.direction.feed(BROKEN["nul"])
    peers.engine.observe(Observation())
    peers.direction.feed(OTHER)
    peers.direction.feed(OTHER)
    assert (peers.written, peers.events) == (BROKEN["nul"], ["nul", "nul", "reset"])


def test_a_response_that_a_peer_could_read_as_two_messages_is_not_sent() -> None:
    """The engine makes none: responses repeat what a peer wrote."""
    peers = Peers(make_engine())
    peers.direction.answer(b"SIP/2.0 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    assert (peers.answered[:11], peers.events) == (b"SIP/2.0 403", [])
    peers.direction.answer(b"SIP/2.0 403 Forbidden\r\n Content-Length: 9\r\nContent-Length: 0\r\n\r\n")
    assert (len(peers.answered), peers.events) == (44, ["reset"])


def test_a_websocket_handshake_that_looks_like_a_message() -> None:
    peers = Peers(make_engine())
    peers.direction.feed(b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + CALL)
    assert (peers.written, peers.events) == (b"", [StreamFault.WEB_SOCKET, "reset"])


HTTP = [
    b"POST / HTTP/1.1",
    b"GET / HTTP/1.1",
    b"get\t/\thttp/1.1",
    b"  GET /  HTTP/1.1  ",
    b"GET / HTTP/1.1\x0bx",
    b"GET / HTTP/2",
    b"HTTP/1.1 101 Switching Protocols",
]


@pytest.mark.parametrize("start", HTTP)
def test_http_anywhere_in_a_stream_ends_it(start: bytes) -> None:
    """Kamailio does not look at the method of a WebSocket handshake, and takes one behind other messages."""
    handshake = start + b"\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n"
    frames = b"\x81\xfe\x01\x80abcdxyz\r\nl: 0\r\n\r\n"
    for first, passed in ((b"", b""), (CALL, MARKED)):
        peers = Peers(make_engine())
        peers.direction.feed(first + handshake + frames)
        assert (peers.written, peers.events) == (passed, [StreamFault.WEB_SOCKET, "reset"])


_HIDDEN = tcp(invite())
_MSRP = b"MSRP sip:a@h SIP/2.0" + tcp(follow_up(invite(), "MSRP")).partition(b"SIP/2.0")[2]
OTHERS = {
    "PROXY protocol": b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 5060\r\n" + _HIDDEN,
    "PROXY protocol, blanks behind it": b"PROXY UNKNOWN\r\n \t" + _HIDDEN,
    "MSRP, a frame that ends in the header": b"MSRP abc SEND\r\nl: 0\r\n-------abc$\r\n" + _HIDDEN,
    "MSRP, blanks in front": b" \tMSRP abc SEND\r\nl: 0\r\n-------abc$\r\n" + _HIDDEN,
    "MSRP, a frame that ends at the body of a plain request": _MSRP.replace(
        b"Content-Length: 0\r\n", b"Content-Length: %d\r\n-------sip:a@h$\r\n" % len(_HIDDEN)
    )
    + _HIDDEN,
    "HEP": b"HEP3\x01\x01\r\nl: 0\r\n" + _HIDDEN,
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_protocol_behind_which_a_stack_reads_sip(name: str) -> None:
    """All but the last were read by Kamailio 5.6.3, the first two with `tcp_accept_haproxy`."""
    for first, passed in ((b"", b""), (CALL, MARKED)):
        peers = Peers(make_engine(REJECT))
        peers.direction.feed(first + OTHERS[name] + OTHER)
        assert (peers.written, peers.events) == (passed, [StreamFault.OTHER, "reset"])
        assert peers.answered == b""


def test_where_all_is_observed_another_protocol_passes_from_there_on() -> None:
    peers = Peers(make_engine())
    peers.engine.observe(Observation(everything=True))
    stream = OTHER + OTHERS["PROXY protocol"] + b"\r\n" + CALL[:50]
    peers.direction.feed(stream)
    peers.direction.feed(CALL[50:])
    assert (peers.written, peers.events) == (stream + CALL[50:], [StreamFault.OTHER])


@pytest.mark.parametrize(
    "start", [b"SIP/2.0 503 no answer over HTTP/1.1", b"OPTIONS sip:HTTP/@h SIP/2.0", b"XMSRP sip:a SIP/2.0"]
)
def test_sip_that_names_another_protocol(start: bytes) -> None:
    message = start + tcp(follow_up(invite(), "OPTIONS")).partition(b"SIP/2.0")[2]
    peers = Peers(make_engine())
    peers.direction.feed(message)
    assert (peers.written, peers.events) == (message, [])


def test_a_fault_behind_a_message_leaves_that_message() -> None:
    """What looks like TLS there is not TLS: the stream began with SIP."""
    peers = Peers(make_engine())
    peers.direction.feed(CALL + BROKEN["tls"])
    assert (peers.written, peers.events) == (MARKED, [FramingFault.NUL, "reset"])


def test_nothing_is_written_behind_a_reset() -> None:
    peers = Peers(make_engine(known=False))
    peers.direction.feed(CALL + BROKEN["nul"])
    assert peers.events == ["nul", "reset"]
    peers.fetched(held(peers), CHAIN)
    assert (peers.written, peers.answered) == (b"", b"")


def exposed(start: bytes = b"OPTIONS sip:a b SIP/2.0", body: bytes = OTHER) -> bytes:
    """A message that not all stacks can parse, with an INVITE in its body: some read that one next."""
    head = tcp(follow_up(invite(), "OPTIONS")).replace(b"Content-Length: 0", b"Content-Length: %d" % len(body))
    return start + head[head.index(b"\r\n") :] + body


def test_a_body_that_some_stack_reads_as_messages_does_not_go_on() -> None:
    peers = Peers(make_engine())
    peers.direction.feed(CALL + exposed() + CALL)
    assert (peers.written, peers.events) == (MARKED * 2, ["exposed"])


def test_without_a_body_the_same_message_goes_on() -> None:
    peers = Peers(make_engine())
    peers.direction.feed(exposed(body=b"") + CALL)
    assert (peers.written, peers.events) == (exposed(body=b"") + MARKED, [])


def test_an_exposed_body_that_is_observed_goes_on_and_is_counted() -> None:
    peers = Peers(make_engine())
    peers.engine.observe(Observation(everything=True))
    peers.direction.feed(exposed() + CALL + exposed())
    assert (peers.written, peers.events) == (exposed() + CALL + exposed(), ["exposed", "exposed"])
    assert (peers.direction.messages, peers.direction.unread) == (3, False)


def test_a_sloppy_invite_with_a_body_is_repaired_and_goes_on() -> None:
    """What leaves is what counts."""
    call = tcp(invite(identity(), body="v=0\r\n"))
    peers = Peers(make_engine())
    peers.direction.feed(call.replace(b"INVITE sip", b"invite  sip"))
    assert (peers.written, peers.events) == (added(call, pai("TN-Validation-Passed")), [])


def test_an_exposed_body_behind_an_invite_that_waits() -> None:
    peers = Peers(make_engine(known=False))
    peers.direction.feed(CALL + exposed())
    assert (peers.written, peers.events) == (b"", ["exposed"])
    peers.fetched(held(peers), CHAIN)
    assert peers.written == MARKED


# The end, and limits.


def test_a_slow_message_that_passes_is_written_once() -> None:
    peers = Peers(make_engine())
    peers.engine.observe(Observation(everything=True))
    peers.direction.feed(OTHER[:100])
    for _ in range(3):
        peers.direction.too_slow()
    assert (peers.written, peers.events) == (OTHER[:100], [StreamFault.SLOW])
    peers.direction.feed(OTHER[100:])
    assert (peers.written, peers.direction.size) == (OTHER, 0)


def test_what_follows_a_websocket_handshake_passes_with_it() -> None:
    peers = Peers(make_engine())
    peers.engine.observe(Observation(everything=True))
    handshake = b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    stream = handshake + b"\r\n" + OTHER + b"\x82\x85abc"
    peers.direction.feed(stream)
    peers.direction.feed(b"def")
    assert (peers.written, peers.events) == (stream + b"def", [StreamFault.WEB_SOCKET])
    assert peers.direction.messages == 0


def test_what_goes_on_in_front_of_a_fault_is_not_lost_where_all_is_observed() -> None:
    peers = Peers(make_engine())
    peers.engine.observe(Observation(everything=True))
    peers.direction.feed(OTHER + b"\r\n" + BROKEN["nul"])
    assert peers.written == OTHER + b"\r\n" + BROKEN["nul"]


def test_the_end_is_passed_on_behind_what_waits() -> None:
    peers = Peers(make_engine(known=False))
    peers.direction.feed(CALL)
    peers.direction.end()
    assert peers.events == []
    peers.fetched(held(peers), CHAIN)
    assert (peers.written, peers.events) == (MARKED, ["end"])


def test_an_end_in_a_message_resets() -> None:
    peers = Peers(make_engine())
    peers.direction.feed(OTHER + CALL[:-1])
    peers.direction.end()
    assert (peers.written, peers.events) == (MARKED_OTHER, ["incomplete", "reset"])


def test_an_end_in_a_message_that_is_observed_is_passed_on_with_what_there_was() -> None:
    peers = Peers(make_engine())
    peers.engine.observe(Observation(everything=True))
    peers.direction.feed(CALL[:-1])
    peers.direction.end()
    assert (peers.written, peers.events) == (CALL[:-1], ["incomplete", "end"])


def test_a_message_that_takes_too_long() -> None:
    peers = Peers(make_engine())
    peers.direction.feed(CALL[:200])
    peers.direction.too_slow()
    assert (peers.written, peers.events) == (b"", ["slow", "reset"])


def test_too_much_that_waits_says_so_until_it_goes_on() -> None:
    peers = Peers(make_engine(known=False), max_held=4000)
    peers.direction.feed(CALL)
    assert not peers.direction.full
    number, bye = held(peers), tcp(follow_up(invite(), "BYE"))
    peers.direction.feed(bye * 4)
    assert peers.direction.full
    peers.fetched(number, CHAIN)
    assert (peers.direction.full, peers.written) == (False, MARKED + bye * 4)


def statuses(responses: bytes) -> list[str]:
    return [line.decode() for line in re.findall(rb"^SIP/2.0 (.*?)\r$", responses, re.MULTILINE)]
