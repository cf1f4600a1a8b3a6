"""The relay over loopback: real sockets, a real engine, real certificates."""

import asyncio
import contextlib
import errno
import gc
import re
import select
import socket
import struct
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic

import pytest
from support.calls import LAB, NOW, SIGN, VERIFY, added, follow_up, identity, invite, make_engine, pai, response
from support.clock import FakeTime
from support.waiting import LONG, eventually

from sbc_filter.engine.call.network import Flow, Observation
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer, AnyAnswer, Need, Verdict
from sbc_filter.relay.connection import Side
from sbc_filter.relay.direction import Passage
from sbc_filter.relay.limits import Limits
from sbc_filter.relay.read_buffer import SIZE
from sbc_filter.relay.relay_shell import RelayShell

PEER, SBC, FAR = "127.0.0.2", "127.0.0.1", "127.0.0.3"
REJECT = VERIFY + '[rule.on]\nno-identity = "reject"\nunfetchable = "reject"\n'
CHAIN = Answer(LAB.chain, None, NOW + 86400)


def tcp(message: bytes) -> bytes:
    """The message as it is sent over TCP."""
    return message.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")


CALL, OTHER = tcp(invite(identity())), tcp(invite(identity(), number=2))
MARKED = added(CALL, pai("TN-Validation-Passed"))
MARKED_OTHER = added(OTHER, pai("TN-Validation-Passed"))
OPTIONS = tcp(follow_up(invite(number=3), "OPTIONS"))
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""The first octets of TLS."""


class Waiting:
    """A source that answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Need, Callable[[AnyAnswer], None]]] = []

    def satisfy(self, need: Need, done: Callable[[AnyAnswer], None]) -> None:
        self.asked.append((need, done))


class Relayed:
    """A relay in a thread, with the peer that it leads to. Its time stands still, unless `options` have another."""

    def __init__(self, engine: Engine, **options: object) -> None:
        self.source = Waiting()
        self.records: list[Record] = []
        self.server = socket.create_server((FAR, 0))
        self.server.settimeout(LONG)
        self.listener = socket.create_server((SBC, 0))
        self.address = self.listener.getsockname()
        self.far_address = self.server.getsockname()
        options.setdefault("sink", self.records.append)
        options.setdefault("monotonic", FakeTime().monotonic)  # on a busy machine a call waits longer than 400 ms
        self.shell = RelayShell(
            engine,
            self.source,
            [self.listener],
            self.open,
            clock=lambda: NOW,
            **options,  # type: ignore[arg-type]
        )
        self.failure: list[BaseException] = []
        self.thread = threading.Thread(target=self.run)
        self.opened = contextlib.ExitStack()

    def run(self) -> None:
        try:
            self.shell.run()
        except BaseException as error:
            self.failure.append(error)

    def open(self, flow: Flow, same_port: bool) -> tuple[socket.socket, tuple[str, int]]:
        opened = socket.socket()
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        opened.bind((flow.src, 0))
        return opened, self.far_address

    def near(self) -> socket.socket:
        peer = socket.create_connection(self.address, LONG, (PEER, 0))
        return self.opened.enter_context(peer)

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Both peers of a new connection, which the relay has begun to read."""
        before = count(self, "relay-connections")
        near = self.near()
        far, address = self.server.accept()
        assert address[0] == PEER
        far.settimeout(LONG)
        assert eventually(lambda: count(self, "relay-connections") == before + 1)
        return near, self.opened.enter_context(far)

    def stop(self) -> None:
        self.shell.stop()
        self.thread.join(LONG)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def relayed(engine: Engine | None = None, **options: object) -> Iterator[Relayed]:
    made = Relayed(engine or make_engine(sbc=[SBC]), **options)
    made.thread.start()
    try:
        yield made
    finally:
        made.stop()
        made.opened.close()
        made.server.close()
    assert made.failure == []
    assert made.shell.counters.get("engine-errors", 0) == 0


def exactly(peer: socket.socket, octets: bytes) -> bytes:
    """As many octets as these."""
    got = bytearray()
    while len(got) < len(octets):
        more = peer.recv(min(len(octets) - len(got), 1 << 16))
        assert more, got
        got += more
    return bytes(got)


def until(peer: socket.socket, end: bytes) -> bytes:
    got = b""
    while not got.endswith(end):
        more = peer.recv(65536)
        assert more, got
        got += more
    return got


def is_reset(peer: socket.socket) -> bool:
    """Whether the next thing that comes is a reset."""
    try:
        return peer.recv(1) == b"never"
    except ConnectionResetError:
        return True


def is_refused(made: Relayed) -> bool:
    """Whether a new connection is reset, perhaps before it looks open."""
    try:
        return is_reset(made.near())
    except ConnectionResetError:
        return True


def is_reset_at_once(made: Relayed) -> bool:
    """Whether a new connection is reset, perhaps before it looks open, and whatever came before."""
    with contextlib.suppress(ConnectionResetError):
        near = made.near()
        while near.recv(65536):
            pass
        return False
    return True


def send_reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def is_read(side: Side) -> bool:
    """Whether the relay reads what this peer sends."""
    return side._transport is not None and side._transport.is_reading()


def count(made: Relayed, name: str) -> int:
    return made.shell.counters.get(name, 0)


def counted(made: Relayed, name: str, times: int) -> bool:
    return count(made, name) == times


def test_both_directions_of_a_call() -> None:
    with relayed() as made:
        near, far = made.connect()
        near.sendall(CALL[:300])
        near.sendall(CALL[300:])
        assert exactly(far, MARKED) == MARKED
        ringing = tcp(response("180 Ringing"))
        far.sendall(ringing)
        assert exactly(near, ringing) == ringing
        near.sendall(b"\r\n\r\n")
        assert exactly(far, b"\r\n\r\n") == b"\r\n\r\n"
        far.sendall(b"\r\n")
        assert exactly(near, b"\r\n") == b"\r\n"
    assert count(made, "relay-messages") == 2
    (record,) = made.records
    assert (record.transport, record.src.split(":")[0], record.direction) == ("tcp", PEER, "inbound")
    assert (record.verdict, record.outcome) == ("modify", "passed")


def test_a_record_goes_with_its_message_and_verdict() -> None:
    handed: list[tuple[str, bytes, bytes | None]] = []

    def handled(record: Record, passage: Passage, verdict: Verdict) -> None:
        handed.append((record.verdict, passage.message, verdict.payload))

    watch = VERIFY.replace("[[rule]]", '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "reject"\n[[rule]]')
    with relayed(make_engine(watch, sbc=[SBC]), handled=handled) as made:
        near, far = made.connect()
        near.sendall(CALL)
        assert exactly(far, MARKED) == MARKED
    assert handed == [("modify", CALL, MARKED)]
    assert [record.rule for record in made.records] == ["watch"]


def test_a_trunk_with_an_interface_has_no_connection() -> None:
    """A socket does not say by which interface its peer's packets came."""
    trunks = (
        '[trunks.cable]\naddresses = ["127.0.0.2"]\ninterface = "eth1"\ntrusted = true\n'
        '[trunks.any]\naddresses = ["127.0.0.0/8"]\n'
    )
    with relayed(make_engine(trunks + VERIFY, sbc=[SBC])) as made:
        near, far = made.connect()
        near.sendall(CALL)
        assert exactly(far, MARKED) == MARKED
    assert [record.trunk for record in made.records] == ["any"]


def test_a_certificate_that_is_awaited_delays_its_call_on_its_connection_only() -> None:
    with relayed(make_engine(sbc=[SBC], known=False)) as made:
        (near, far), (other_near, other_far) = made.connect(), made.connect()
        bye = tcp(follow_up(invite(), "BYE"))
        near.sendall(CALL + bye + OPTIONS)
        assert exactly(far, OPTIONS) == OPTIONS
        other_near.sendall(OPTIONS)
        assert exactly(other_far, OPTIONS) == OPTIONS
        assert count(made, "held-now") == 1
        ((_, done),) = made.source.asked
        done(CHAIN)
        assert exactly(far, MARKED + bye) == MARKED + bye


def test_a_certificate_that_is_there_at_once_delays_no_call_in_the_same_segment() -> None:
    """As from a folder: the first call is decided before the second is read."""

    def answers(need: Need, done: Callable[[AnyAnswer], None]) -> None:
        done(CHAIN)

    with relayed(make_engine(sbc=[SBC], known=False)) as made:
        made.source.satisfy = answers  # type: ignore[method-assign]
        near, far = made.connect()
        near.sendall(CALL + OPTIONS + OTHER)
        assert exactly(far, MARKED + OPTIONS + MARKED_OTHER) == MARKED + OPTIONS + MARKED_OTHER
        assert count(made, "held") == 1


def test_a_deadline_decides() -> None:
    engine = make_engine(REJECT + "[rule.verify]\nhold_ms = 50\n", sbc=[SBC], known=False)
    with relayed(engine, monotonic=monotonic) as made:
        near, far = made.connect()
        near.sendall(CALL)
        assert until(near, b"\r\n\r\n").startswith(b"SIP/2.0 436 Bad Identity Info\r\n")
        near.sendall(OPTIONS)
        assert exactly(far, OPTIONS) == OPTIONS
        assert count(made, "deadlines") == 1
        ((_, done),) = made.source.asked
        done(CHAIN)
        assert eventually(lambda: count(made, "late-answers") == 1)
        near.sendall(OTHER)
        assert exactly(far, MARKED_OTHER) == MARKED_OTHER


def test_a_rejection_is_answered_and_its_ack_absorbed() -> None:
    with relayed(make_engine(REJECT, sbc=[SBC])) as made:
        near, far = made.connect()
        near.sendall(tcp(invite()))
        answer = until(near, b"\r\n\r\n")
        assert answer.startswith(b"SIP/2.0 428 Use Identity Header\r\n")
        tag = re.findall(rb";tag=([0-9a-f]{24})", answer)[0].decode()
        near.sendall(tcp(follow_up(invite(), "ACK", tag)) + OTHER)
        assert exactly(far, MARKED_OTHER) == MARKED_OTHER


def test_ends_are_passed_on_one_by_one() -> None:
    with relayed() as made:
        near, far = made.connect()
        near.sendall(CALL)
        near.shutdown(socket.SHUT_WR)
        assert exactly(far, MARKED) == MARKED
        assert far.recv(1) == b""
        ringing = tcp(response("180 Ringing"))
        far.sendall(ringing)
        far.shutdown(socket.SHUT_WR)
        assert exactly(near, ringing) == ringing
        assert near.recv(1) == b""
        assert eventually(lambda: count(made, "relay-connections-now") == 0)
        assert count(made, "relay-resets") == 0


@pytest.mark.parametrize("sent", [b"", CALL[:200]])
def test_a_reset_is_passed_on(sent: bytes) -> None:
    with relayed() as made:
        near, far = made.connect()
        near.sendall(sent)
        send_reset(near)
        assert is_reset(far)
        near, far = made.connect()
        send_reset(far)
        assert is_reset(near)
        assert eventually(lambda: count(made, "relay-connections-now") == 0)
        assert count(made, "relay-resets") == 2


def test_responses_to_a_peer_that_is_gone_write_no_lines_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with relayed(make_engine(REJECT, sbc=[SBC])) as made:
        near, far = made.connect()
        sent = threading.Event()
        made.shell.soon(lambda: assert_is_set(sent))
        near.sendall(b"".join(tcp(invite(number=number)) for number in range(20)))
        send_reset(near)
        sent.set()
        assert is_reset(far)
        assert count(made, "relay-messages") == 20
    assert [record.getMessage() for record in caplog.records] == []


def test_messages_go_on_without_waiting_for_acknowledgements() -> None:
    """Otherwise a message waits for that of the one before it, which the peer may delay for 40 ms."""
    with relayed() as made:
        made.connect()
        (connection,) = made.shell._connections
        for side in connection.sides:
            assert side._transport is not None
            opened: socket.socket = side._transport.get_extra_info("socket")
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_far_side_that_refuses(caplog: pytest.LogCaptureFixture) -> None:
    with relayed(limits=Limits(connections_per_peer=1)) as made:
        made.server.close()
        for times in (1, 2):  # what is refused does not count as a connection of the peer
            assert is_refused(made)
            assert eventually(partial(counted, made, "relay-far-side-refused", times))
    assert caplog.records[0].getMessage().endswith(": relay-far-side-refused: Connection refused; 1 so far")


def test_a_stream_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """Two sentences, each with where to read on."""
    sent = {"line-ends": CALL.replace(b"\r\n", b"\n"), "tls": HELLO}
    with relayed() as made:
        for refused, (fault, octets) in enumerate(sent.items(), 1):
            near, far = made.connect()
            near.sendall(octets)
            assert is_reset(near)
            assert is_reset(far)
            assert (count(made, "relay-refused-streams"), count(made, f"relay-fault.{fault}")) == (refused, 1)
    said = [record.getMessage().partition(" over TCP: ")[2] for record in caplog.records]
    assert said == [
        "the stream cannot be read (line-ends): the connection is reset: see docs/records.md, SIP over TCP; 1 so far",
        "the stream cannot be read (tls): the connection is reset: see docs/placement.md, TLS; 2 so far",
    ]


def test_a_message_whose_body_some_stack_reads_as_messages_is_not_passed_on() -> None:
    """The others of its connection are: a caller behind an honest trunk may have written it."""
    with relayed() as made:
        near, far = made.connect()
        odd = OPTIONS.replace(b"Content-Length: 0", b"no colon\r\nContent-Length: 4") + b"body"
        near.sendall(odd + OPTIONS)
        assert exactly(far, OPTIONS) == OPTIONS
        assert (count(made, "relay-exposed-bodies"), count(made, "relay-refused-streams")) == (1, 0)


def test_what_the_sbc_sends_goes_on_whoever_could_not_parse_it() -> None:
    """A response has the tag of the caller, whose device may be odd."""
    answered = OPTIONS.replace(b"Content-Length: 0", b"no colon\r\nContent-Length: 4") + b"body"
    with relayed() as made:
        near, far = made.connect()
        far.sendall(answered + OPTIONS)
        assert exactly(near, answered + OPTIONS) == answered + OPTIONS
        assert count(made, "relay-exposed-bodies") == 0


def test_a_stream_that_cannot_be_read_where_all_is_observed() -> None:
    engine = make_engine(sbc=[SBC])
    engine.observe(Observation(everything=True))
    with relayed(engine) as made:
        near, far = made.connect()
        near.sendall(HELLO)
        assert exactly(far, HELLO) == HELLO
        assert (count(made, "relay-unfiltered-streams"), count(made, "relay-fault.tls")) == (1, 1)


def test_a_stream_that_passed_unread_is_reset_when_the_observation_is_over() -> None:
    engine = make_engine(sbc=[SBC])
    engine.observe(Observation(everything=True))
    with relayed(engine) as made:
        near, far = made.connect()
        near.sendall(b"\0")
        assert exactly(far, b"\0") == b"\0"
        over = threading.Event()
        made.shell.soon(lambda: engine.observe(Observation()))
        made.shell.soon(over.set)
        assert over.wait(LONG)
        near.sendall(CALL)
        assert is_reset(near)
        assert is_reset(far)
        assert (count(made, "relay-unfiltered-streams"), count(made, "relay-refused-streams")) == (1, 1)


def test_the_kernel_looks_whether_silent_peers_are_there() -> None:
    with relayed() as made:
        made.connect()
        (connection,) = made.shell._connections
        for side in connection.sides:
            assert side._transport is not None
            opened = side._transport.get_extra_info("socket")
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            options = socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT
            assert [opened.getsockopt(socket.IPPROTO_TCP, each) for each in options] == [60, 20, 3]


def test_a_peer_that_does_not_read_stops_the_other() -> None:
    """And nothing is lost when it reads again."""
    with relayed() as made:
        near, far = made.connect()
        near.setblocking(False)
        sent = 0
        while sent < 256 << 20:
            try:
                sent += near.send(OPTIONS[sent % len(OPTIONS) :] + OPTIONS * 100)
            except BlockingIOError:
                if not _goes_on(near):
                    break
        (connection,) = made.shell._connections
        assert connection.size < 1 << 18
        assert sent < 64 << 20
        got = 0
        far.settimeout(LONG)
        while got + len(OPTIONS) <= sent:
            got += len(far.recv(1 << 20))
        assert connection.size < 1 << 18


def _goes_on(peer: socket.socket) -> bool:
    """Whether the relay takes more within a while."""
    return bool(select.select([], [peer], [], 0.5)[1])


def test_a_peer_with_many_busy_connections_does_not_keep_others_waiting() -> None:
    """They are read as if it had one, however many they are."""
    with relayed() as made:
        busy = [made.connect()[0] for _ in range(40)]
        other = made.opened.enter_context(socket.create_connection(made.address, LONG, ("127.0.0.9", 0)))
        far = made.opened.enter_context(made.server.accept()[0])
        assert eventually(partial(counted, made, "relay-connections", 41))
        read, received, sent = [], made.shell._acceptor._buffer.received, threading.Event()

        def noted(count: int) -> bytes:
            read.append(received(count))
            return read[-1]

        made.shell._acceptor._buffer.received = noted  # type: ignore[method-assign]
        made.shell.soon(lambda: assert_is_set(sent))
        for each in busy:
            each.sendall(b"\r\n" * 2048)
        other.sendall(OPTIONS)
        sent.set()
        assert exactly(far, OPTIONS) == OPTIONS
        before = read[: read.index(OPTIONS)]
        assert len(before) >= len(busy)
        assert sum(map(len, before)) <= 3 * SIZE
        assert eventually(lambda: sum(map(len, read)) == len(busy) * 4096 + len(OPTIONS))
        assert set(made.shell._acceptor._shares) == {PEER, "127.0.0.9"}
    assert made.shell._acceptor._shares == {}


def test_too_many_connections_of_one_peer() -> None:
    with relayed(limits=Limits(connections_per_peer=2)) as made:
        near, _ = made.connect()
        made.connect()
        assert eventually(lambda: count(made, "relay-connections-now") == 2)
        assert is_refused(made)
        other = made.opened.enter_context(socket.create_connection(made.address, LONG, ("127.0.0.9", 0)))
        far = made.opened.enter_context(made.server.accept()[0])
        other.sendall(OPTIONS)
        assert exactly(far, OPTIONS) == OPTIONS
        assert count(made, "relay-limit-peer") == 1
        send_reset(near)
        assert eventually(lambda: count(made, "relay-connections-now") == 2)
        made.connect()


def test_a_connection_is_counted_as_gone_once() -> None:
    """Its opening may be given up while one of its sockets is lost."""
    with relayed(limits=Limits(connections_per_peer=2)) as made:
        made.connect()
        made.connect()
        connection, done = next(iter(made.shell._connections)), threading.Event()
        for job in (connection.reset, partial(made.shell._acceptor.gone, connection), done.set):
            made.shell.soon(job)
        assert done.wait(LONG)
        assert eventually(partial(counted, made, "relay-connections-now", 1))
        made.connect()
        assert is_refused(made)


def test_a_trunk_takes_the_place_of_a_peer_without_one_that_is_silent_longest() -> None:
    """Otherwise sixteen hosts that nobody knows would keep a carrier out."""
    fake = FakeTime()
    trunk = '[trunks.carrier]\naddresses = ["127.0.0.9"]\n'
    with relayed(
        make_engine(trunk + VERIFY, sbc=[SBC]), limits=Limits(connections=2), monotonic=fake.monotonic
    ) as made:
        first, _ = made.connect()
        fake.now += 1
        second, far = made.connect()
        fake.now += 1
        first.sendall(OPTIONS)
        assert eventually(lambda: count(made, "relay-messages") == 1)
        assert is_refused(made)
        for _ in range(2):
            carrier = made.opened.enter_context(socket.create_connection(made.address, LONG, ("127.0.0.9", 0)))
            made.opened.enter_context(made.server.accept()[0])
            assert is_reset(second)
            second = first
        with contextlib.suppress(ConnectionResetError):
            carrier = made.opened.enter_context(socket.create_connection(made.address, LONG, ("127.0.0.9", 0)))
            assert is_reset(carrier)
        assert eventually(lambda: count(made, "relay-limit-connections") == 4)
        assert is_reset(far)


def test_connections_that_the_sbc_opens_count_for_the_peers_that_it_calls() -> None:
    """Otherwise the SBC, which has connections to all its peers, would be the first one to be limited."""
    with relayed(make_engine(sbc=[PEER]), limits=Limits(connections_per_peer=1)) as made:
        made.connect()
        assert is_refused(made)
        another = socket.create_server(("127.0.0.8", 0))
        another.setblocking(False)
        made.shell._acceptor._listeners.append(another)  # another address that it calls
        made.shell.soon(lambda: made.shell._acceptor._watch(asyncio.get_running_loop(), another))
        near = made.opened.enter_context(socket.create_connection(another.getsockname(), LONG, (PEER, 0)))
        far = made.opened.enter_context(made.server.accept()[0])
        near.sendall(OPTIONS)
        assert exactly(far, OPTIONS) == OPTIONS
        assert count(made, "relay-limit-peer") == 1


def test_too_many_connections() -> None:
    with relayed(limits=Limits(connections=1)) as made:
        near, _ = made.connect()
        assert eventually(lambda: count(made, "relay-connections-now") == 1)
        assert is_refused(made)
        assert count(made, "relay-limit-connections") == 1
        send_reset(near)
        assert eventually(lambda: count(made, "relay-connections-now") == 0)
        made.connect()


@pytest.mark.parametrize(("seconds", "octets", "limit"), [(11, CALL[:-1], "message"), (3601, b"", "idle")])
def test_time_limits(seconds: float, octets: bytes, limit: str) -> None:
    time = FakeTime(1000.0)
    with relayed(monotonic=time.monotonic) as made:
        near, far = made.connect()
        near.sendall(OPTIONS + octets)
        assert exactly(far, OPTIONS) == OPTIONS
        (connection,) = made.shell._connections
        assert eventually(lambda: (connection.near.begun is None) is (not octets))
        time.now += seconds
        assert is_reset(near)
        assert is_reset(far)
        assert eventually(lambda: count(made, f"relay-limit-{limit}") == 1)


def test_a_peer_that_does_not_read_what_is_left_after_both_ended() -> None:
    """Its connection ends, though it is not idle for long."""
    time = FakeTime(1000.0)
    with relayed(monotonic=time.monotonic) as made:
        near, far = made.connect()
        (connection,) = made.shell._connections
        sent = 0
        while not connection.far.unwritten:  # the kernel has taken what it takes
            near.sendall(OPTIONS * 100)
            sent += 100
            assert eventually(partial(counted, made, "relay-messages", sent))
        near.shutdown(socket.SHUT_WR)
        far.shutdown(socket.SHUT_WR)
        assert near.recv(1) == b""
        assert eventually(lambda: connection.closed)
        time.now += 29
        checked: list[str] = []
        made.shell.soon(lambda: checked.append(connection.check(time.now)))
        assert eventually(lambda: checked)
        assert (checked, count(made, "relay-connections-now")) == ([""], 1)
        time.now += 2
        assert eventually(lambda: count(made, "relay-connections-now") == 0)
        assert (count(made, "relay-limit-idle"), count(made, "relay-resets")) == (1, 1)


def test_too_many_octets_cost_the_peer_that_has_most() -> None:
    with relayed(limits=Limits(octets=10_000)) as made:
        near, far = made.connect()
        other, other_far = made.connect()
        other.sendall(CALL[:-1])
        near.sendall(CALL[:-4] + b"X: " + b"y" * 20_000)
        assert is_reset(near)
        assert is_reset(far)
        other.sendall(CALL[-1:])
        assert exactly(other_far, MARKED) == MARKED
        assert count(made, "relay-limit-memory") == 1


def test_a_message_of_more_octets_than_the_sbc_takes() -> None:
    with relayed(limits=Limits(message_octets=len(MARKED))) as made:
        near, far = made.connect()
        near.sendall(CALL)
        assert exactly(far, MARKED) == MARKED
        near.sendall(MARKED.replace(b"Content-Length: 0", b"Content-Length: 1") + b"a")
        assert is_reset(near)
        assert is_reset(far)
        assert count(made, "relay-fault.message-too-large") == 1


def test_a_call_that_the_filter_makes_larger_than_the_sbc_takes() -> None:
    """PJSIP would look for the next message behind the octets that fill its buffer."""
    with relayed(limits=Limits(message_octets=len(MARKED) - 1)) as made:
        near, far = made.connect()
        near.sendall(CALL + OPTIONS)
        assert exactly(far, OPTIONS) == OPTIONS
        assert count(made, "relay-exposed-bodies") == 1


def test_a_call_of_the_sbc_may_become_larger_than_the_sbc_takes() -> None:
    with relayed(make_engine(SIGN, sbc=[PEER]), limits=Limits(message_octets=len(tcp(invite())))) as made:
        near, far = made.connect()
        near.sendall(tcp(invite()))
        assert b"\r\nIdentity: " in until(far, b"\r\n\r\n")
        assert count(made, "relay-exposed-bodies") == 0


def test_a_stop_finishes_what_has_begun() -> None:
    with relayed(make_engine(sbc=[SBC], known=False)) as made:
        (near, far), (idle, idle_far) = made.connect(), made.connect()
        near.sendall(CALL)
        assert eventually(lambda: count(made, "held-now") == 1)
        made.stop()
        assert until(far, b"\r\n\r\n").startswith(b"INVITE ")
        assert far.recv(1) == b""
        assert (idle.recv(1), idle_far.recv(1)) == (b"", b"")
    assert [record.detail for record in made.records] == ["fetch-timeout"]


def test_a_call_that_ends_while_a_stop_waits_for_it_waits_for_nothing() -> None:
    with relayed(make_engine(sbc=[SBC], known=False), limits=Limits(drain_seconds=LONG)) as made:
        near, far = made.connect()
        near.sendall(CALL[:-1])
        (connection,) = made.shell._connections
        assert eventually(lambda: connection.near.direction.incomplete)
        made.shell.stop()
        assert eventually(lambda: made.listener.fileno() < 0)
        near.sendall(CALL[-1:])
        assert until(far, b"\r\n\r\n").startswith(b"INVITE ")
        assert far.recv(1) == b""
    assert (count(made, "hold-limit"), [record.detail for record in made.records]) == (1, ["hold-limit"])


def test_a_stop_between_two_messages_of_a_segment_loses_neither() -> None:
    def drain(_: Record) -> None:
        (connection,) = made.shell._connections
        connection.drain()

    made = Relayed(make_engine(sbc=[SBC]), sink=drain)
    made.thread.start()
    near, far = made.connect()
    near.sendall(CALL + OTHER)
    assert exactly(far, MARKED + MARKED_OTHER) == MARKED + MARKED_OTHER
    assert far.recv(1) == b""
    made.stop()


def test_a_connection_that_is_closed_needs_no_garbage_collection() -> None:
    gc.collect()
    gc.disable()
    try:
        with relayed(make_engine(sbc=[SBC], known=False)) as made:
            near, far = made.connect()
            near.sendall(CALL)
            assert eventually(lambda: made.source.asked)
            far.sendall(OPTIONS)
            assert exactly(near, OPTIONS) == OPTIONS
            left = [
                weakref.ref(each) for each in (*made.shell._connections, *next(iter(made.shell._connections)).sides)
            ]
            send_reset(near)
            assert is_reset(far)
            made.source.asked.pop()[1](CHAIN)
            assert eventually(lambda: not any(each() for each in left))
    finally:
        gc.enable()


def test_a_far_side_that_speaks_first_loses_nothing() -> None:
    with relayed() as made:

        def greet() -> None:
            for _ in range(20):
                far, _ = made.server.accept()
                made.opened.enter_context(far)
                far.sendall(OPTIONS)

        thread = threading.Thread(target=greet)
        thread.start()
        for _ in range(20):
            assert exactly(made.near(), OPTIONS) == OPTIONS
        thread.join(LONG)


def _at_once(far: socket.socket, does: str) -> None:
    """What a far side does before the near one is watched."""
    if does == "fault":
        far.sendall(OPTIONS + b"\0")
    elif does == "end":
        far.shutdown(socket.SHUT_WR)
    else:
        send_reset(far)


@pytest.mark.parametrize("does", ["fault", "end", "reset"])
def test_what_a_far_side_does_at_once_is_passed_on(does: str) -> None:
    with relayed() as made:

        def serve() -> None:
            for _ in range(20):
                far, _ = made.server.accept()
                made.opened.enter_context(far)
                _at_once(far, does)

        thread = threading.Thread(target=serve)
        thread.start()
        for _ in range(20):
            if does == "end":
                assert made.near().recv(1) == b""
            else:
                assert is_reset_at_once(made)
        thread.join(LONG)
        assert does == "end" or eventually(lambda: count(made, "relay-connections-now") == 0)


@pytest.mark.parametrize("does", ["fault", "reset"])
def test_both_sides_may_be_gone_before_they_are_read(does: str) -> None:
    """Else the relay would keep a connection without sockets, and end when it looks at it."""
    with relayed() as made:
        for _ in range(60):
            with contextlib.suppress(ConnectionResetError):
                near = made.near()
                far, _ = made.server.accept()
                made.opened.enter_context(far)
                _at_once(far, does)
                send_reset(near)
        assert eventually(lambda: len(made.shell._acceptor._senders) == count(made, "relay-connections-now") == 0)


def test_a_stop_resets_what_does_not_end() -> None:
    with relayed(limits=Limits(drain_seconds=0.1)) as made:
        near, far = made.connect()
        near.sendall(CALL[:100])
        (connection,) = made.shell._connections
        assert eventually(lambda: connection.near.direction.incomplete)
        made.stop()
        assert is_reset(near)
        assert is_reset(far)


def test_a_peer_that_reads_no_responses_is_not_read_any_more() -> None:
    with relayed(make_engine(REJECT, sbc=[SBC])) as made:
        near, far = made.connect()
        near.setblocking(False)
        sent, rejected = 0, tcp(invite())
        while sent < 256 << 20:
            try:
                sent += near.send(rejected[sent % len(rejected) :] + rejected * 100)
            except BlockingIOError:
                if not _goes_on(near):
                    break
        (connection,) = made.shell._connections
        assert connection.near.unwritten < 1 << 20
        far.sendall(OPTIONS)  # the other direction is not stopped by it
        assert eventually(lambda: count(made, "relay-messages") > sent // len(rejected) // 100)
        near.settimeout(LONG)
        got = b""
        while OPTIONS not in got:
            got = got[-len(OPTIONS) :] + near.recv(1 << 20)


def test_a_direction_in_which_too_much_waits_is_not_read() -> None:
    """Nor does the time for a message run meanwhile, though one has begun."""
    time = FakeTime(1000.0)
    engine = make_engine(VERIFY + "[rule.verify]\nhold_ms = 4000\n", sbc=[SBC], known=False)
    limits = Limits(held_octets=20_000, message_seconds=1, drain_seconds=0)
    with relayed(engine, limits=limits, monotonic=time.monotonic) as made:
        near, far = made.connect()
        bye = tcp(follow_up(invite(), "BYE")).replace(b"\r\n\r\n", b"\r\nX: %s\r\n\r\n" % (b"y" * 2000))
        stream, sent = bye * 100, 20 * len(bye) + 50
        near.sendall(CALL + stream[:sent])
        (connection,) = made.shell._connections
        assert eventually(lambda: connection.near.direction.full)
        assert eventually(lambda: not is_read(connection.near))
        size = connection.size
        near.setblocking(False)
        with contextlib.suppress(BlockingIOError):  # the kernel takes no more
            while True:
                sent += near.send(stream[sent % len(bye) :])
        assert (connection.size, is_read(connection.near)) == (size, False)
        time.now += 2
        checked: list[str] = []

        def resume() -> None:
            checked.append(connection.check(time.now))
            made.source.asked[0][1](CHAIN)
            made.shell._holding.collect()
            checked.append(connection.check(time.now))

        made.shell.soon(resume)
        whole = MARKED + bye * (sent // len(bye))
        assert exactly(far, whole) == whole
    assert checked == ["", ""]


def test_a_far_side_that_does_not_answer() -> None:
    with relayed(limits=Limits(connect_seconds=0.2)) as made, contextlib.ExitStack() as stack:
        made.server.listen(0)
        for _ in range(2):  # its queue is full, so the kernel drops what comes
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(made.far_address)
        assert is_refused(made)
        assert count(made, "relay-far-side-refused") == 1


@pytest.mark.parametrize("taken", [errno.EADDRINUSE, errno.EADDRNOTAVAIL])
def test_another_port_where_that_of_the_peer_is_taken(taken: int) -> None:
    asked = []

    def opened(flow: Flow, same_port: bool) -> tuple[socket.socket, tuple[str, int]]:
        asked.append(same_port)
        if same_port:
            raise OSError(taken, "taken")
        return made.open(flow, same_port)

    made = Relayed(make_engine(sbc=[SBC]))
    made.shell._acceptor._opener = opened
    made.thread.start()
    near, far = made.connect()
    near.sendall(OPTIONS)
    assert exactly(far, OPTIONS) == OPTIONS
    assert asked == [True, False]
    made.stop()


def test_more_calls_than_may_wait_are_decided_without_what_they_need() -> None:
    with relayed(make_engine(REJECT, sbc=[SBC], known=False), max_held=1) as made:
        near, _ = made.connect()
        near.sendall(CALL + OTHER)
        assert until(near, b"\r\n\r\n").startswith(b"SIP/2.0 436 ")
        assert (count(made, "hold-limit"), count(made, "held-now")) == (1, 1)
        made.source.asked[0][1](CHAIN)


def test_a_source_that_fails() -> None:
    def fails(need: Need, done: Callable[[AnyAnswer], None]) -> None:
        raise RuntimeError("on purpose")

    with relayed(make_engine(REJECT, sbc=[SBC], known=False)) as made:
        made.source.satisfy = fails  # type: ignore[method-assign]
        near, _ = made.connect()
        near.sendall(CALL)
        assert until(near, b"\r\n\r\n").startswith(b"SIP/2.0 436 ")
        assert count(made, "source-errors") == 1


@pytest.mark.parametrize(
    ("error", "counter"), [(OSError(28, "full"), "records-lost"), (ValueError("on purpose"), "record-errors")]
)
def test_records_that_cannot_be_written_cost_no_call(error: Exception, counter: str) -> None:
    def fails(record: Record) -> None:
        raise error

    made = Relayed(make_engine(sbc=[SBC]), sink=fails)
    made.thread.start()
    near, far = made.connect()
    near.sendall(CALL)
    assert exactly(far, MARKED) == MARKED
    made.stop()
    assert count(made, counter) == 1


class Failing:
    """An engine that fails on calls."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def decide(self, message: bytes, flow: Flow, now: float) -> Verdict | Need:
        if message.startswith(b"INVITE"):
            raise RuntimeError("on purpose")
        return self._engine.decide(message, flow, now)


@pytest.mark.parametrize("passes", [True, False])
def test_an_internal_error(passes: bool) -> None:
    made = Relayed(Failing(make_engine(sbc=[SBC])), fail_open={"inbound": passes, "outbound": True})  # type: ignore[arg-type]
    made.thread.start()
    try:
        near, far = made.connect()
        near.sendall(CALL)
        if passes:
            assert exactly(far, CALL) == CALL
        else:
            assert is_reset(far)
        assert eventually(lambda: count(made, "engine-errors") == 1)
    finally:
        made.stop()


def test_a_new_engine_keeps_connections_and_what_waits() -> None:
    engine = make_engine(sbc=[SBC], known=False)
    with relayed(engine) as made:
        near, far = made.connect()
        near.sendall(CALL)
        assert eventually(lambda: len(made.source.asked) == 1)
        other = make_engine(REJECT, sbc=[SBC], known=False, state=engine.state)
        replaced = threading.Event()

        def replace() -> None:
            made.shell.replace(other, made.source)
            replaced.set()

        made.shell.soon(replace)
        assert replaced.wait(LONG)
        made.source.asked[0][1](CHAIN)
        assert exactly(far, MARKED) == MARKED
        near.sendall(tcp(invite(number=4)))
        assert until(near, b"\r\n\r\n").startswith(b"SIP/2.0 428 ")


def test_a_job_is_done_although_an_answer_was_there_at_once() -> None:
    """Taking the answer does not take the job for seen: a reload would wait for the next call that needs something."""
    done_by_job = threading.Event()

    def answers(need: Need, done: Callable[[AnyAnswer], None]) -> None:
        made.shell.soon(done_by_job.set)
        done(CHAIN)

    with relayed(make_engine(sbc=[SBC], known=False)) as made:
        made.source.satisfy = answers  # type: ignore[method-assign]
        near, far = made.connect()
        near.sendall(CALL)
        assert exactly(far, MARKED) == MARKED
        assert done_by_job.wait(LONG)


def test_ticks_and_descriptors_are_attended() -> None:
    one, other = socket.socketpair()
    with one, other:
        made = Relayed(make_engine(sbc=[SBC]))
        heard, ticks = threading.Event(), threading.Semaphore(0)

        def hear() -> None:
            one.recv(1)
            heard.set()

        made.shell.attend(one, hear)
        idle = []

        def tick(quiet: bool) -> float:
            idle.append(quiet)
            ticks.release()
            return 0.01

        made.run = lambda: made.shell.run(tick)  # type: ignore[method-assign]
        made.thread = threading.Thread(target=made.run)
        made.thread.start()
        other.send(b"x")
        assert heard.wait(LONG)
        assert ticks.acquire(timeout=LONG)
        assert ticks.acquire(timeout=LONG)
        assert eventually(lambda: idle[-1])
        near, far = made.connect()
        seen = len(idle)
        near.sendall(OPTIONS)
        assert exactly(far, OPTIONS) == OPTIONS
        assert eventually(lambda: False in idle[seen:])
        made.stop()
        made.server.close()


def test_a_tick_that_is_late_comes_between_two_connections() -> None:
    """Else the supervisor would think that a relay with many busy connections is stuck."""
    clock, sent, seen = FakeTime(), threading.Event(), []

    def handled(record: Record, passage: Passage, verdict: Verdict) -> None:
        seen.append("call")
        clock.now += 2.0

    def tick(quiet: bool) -> float:
        seen.append("idle" if quiet else "tick")
        return 0.01

    made = Relayed(make_engine(sbc=[SBC]), handled=handled, monotonic=clock.monotonic)
    made.run = lambda: made.shell.run(tick)  # type: ignore[method-assign]
    made.thread = threading.Thread(target=made.run)
    made.thread.start()
    (near, far), (other_near, other_far) = made.connect(), made.connect()
    made.shell.soon(lambda: assert_is_set(sent))
    near.sendall(CALL)
    other_near.sendall(OTHER)
    sent.set()
    assert exactly(far, MARKED) == MARKED
    assert exactly(other_far, MARKED_OTHER) == MARKED_OTHER
    made.stop()
    made.opened.close()
    made.server.close()
    first = seen.index("call")
    assert seen[first : first + 3] == ["call", "tick", "call"]


def assert_is_set(event: threading.Event) -> None:
    assert event.wait(LONG)


def test_the_error_of_a_job_ends_the_run() -> None:
    made = Relayed(make_engine(sbc=[SBC]))
    made.thread.start()
    made.shell.soon(lambda: 1 // 0)  # type: ignore[arg-type]
    made.thread.join(LONG)
    made.server.close()
    assert [type(error) for error in made.failure] == [ZeroDivisionError]
