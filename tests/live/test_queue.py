"""The live shell on a real kernel queue: every packet gets one verdict, whatever happens to it."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support.clock import FakeTime
from support.netns import ADDRESSES, LIVE, NO_INVITE, PATHS, endpoint, eventually, nothing_else, running, three_hosts
from support.tiny import TinyEngine, TinySource, filtered, invite
from support.waiting import LONG

from sbc_filter.engine.call.network import Arrival
from sbc_filter.engine.verdict import Answer, AnyAnswer, Need, Verdict
from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.plan import DEFAULT_MARK, Plan, QueueSettings
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.netlink import MAX_COPY, QueueStatistics, queue_statistics
from sbc_filter.live.queue_shell import QueueShell
from sbc_filter.live.raw_send import Emitter
from sbc_filter.outcomes import Detail
from sbc_filter.stir.checks import CertificateRequest

pytestmark = LIVE
SBC = (ADDRESSES["sbc"][4], 5060)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts(plan=Plan()) as made:
        yield made


@pytest.fixture(scope="module")
def narrow() -> Iterator[Lab]:
    """The same with the smallest MTU that IPv6 allows."""
    with three_hosts(mtu=1280, plan=Plan()) as made:
        yield made


@pytest.fixture
def peers(lab: Lab) -> Iterator[tuple[socket.socket, socket.socket]]:
    with endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        yield carrier, sbc


def statistics(lab: Lab, number: int = 50) -> QueueStatistics:
    with lab.inside("sbc"):
        return queue_statistics()[number]


def receive(receiver: socket.socket, count: int) -> list[bytes]:
    return [receiver.recv(70000) for _ in range(count)]


def test_no_packet_is_lost_none_comes_twice(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    carrier, sbc = peers
    engine = TinyEngine()
    with running(lab, engine, TinySource()) as shell:
        for number in range(1000):
            carrier.sendto(invite(number), SBC)
        assert sorted(receive(sbc, 1000)) == sorted(filtered(invite(number)) for number in range(1000))
        assert nothing_else(carrier, SBC, sbc)
        assert eventually(lambda: statistics(lab)[:4] == (0, MAX_COPY, 0, 0))
        assert shell.counters["packets"] == shell.counters["modified"] == len(engine.seen) == 1001


@pytest.mark.parametrize("mtu", ["lab", "narrow"])
@pytest.mark.parametrize(("start", "end", "version"), PATHS)
def test_messages_of_any_size_grow_and_arrive_whole(
    start: str, end: str, version: int, mtu: str, request: pytest.FixtureRequest
) -> None:
    """S-152, S-153: arriving in fragments or not, leaving beyond the MTU; once each."""
    lab: Lab = request.getfixturevalue(mtu)
    engine = TinyEngine(growth=900)
    with (
        running(lab, engine, TinySource()),
        endpoint(lab, start, version, 5062) as sender,
        endpoint(lab, end, version) as receiver,
    ):
        for size in (400, 1200, 1400, 9000, 60000):
            sender.sendto(invite(size, size=size), (ADDRESSES[end][version], 5060))
            assert receiver.recvfrom(70000)[0] == filtered(invite(size, size=size), 900)
        assert len(engine.seen) == 5
        assert nothing_else(sender, (ADDRESSES[end][version], 5060), receiver)


@pytest.mark.parametrize(("start", "end", "version"), PATHS)
def test_a_sender_that_forbids_fragments(lab: Lab, start: str, end: str, version: int) -> None:
    with (
        running(lab, TinyEngine(growth=900), TinySource()) as shell,
        endpoint(lab, start, version, 5062, dont_fragment=True) as sender,
        endpoint(lab, end, version) as receiver,
    ):
        sender.sendto(invite(1, size=1200), (ADDRESSES[end][version], 5060))
        message, address = receiver.recvfrom(70000)
        assert message == filtered(invite(1, size=1200), 900)
        assert address[:2] == (ADDRESSES[start][version], 5062)
        resent = version == 6 and end != "sbc"
        assert eventually(lambda: shell.counters.get("dropped", 0) == shell.counters["reemitted"] == resent)


def test_more_than_the_kernel_copies_is_never_rewritten(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    carrier, sbc = peers
    engine = TinyEngine()
    with running(lab, engine, TinySource()) as shell:
        largest = invite(1, size=65507)
        carrier.sendto(largest, SBC)
        assert sbc.recv(70000) == largest
        assert eventually(lambda: shell.counters["truncated"] == 1)
        assert engine.seen == []


@pytest.mark.parametrize(("start", "end", "version"), PATHS)
def test_a_message_that_grows_beyond_what_the_kernel_takes_back(lab: Lab, start: str, end: str, version: int) -> None:
    """The largest datagram there is; one attribute of netlink is a few bytes too short for it."""
    largest = 65507 if version == 4 else 65527
    message = invite(1, size=60000)
    growth = largest - len(filtered(message))
    with (
        running(lab, TinyEngine(growth), TinySource()) as shell,
        endpoint(lab, start, version, 5062) as sender,
        endpoint(lab, end, version) as receiver,
    ):
        sender.sendto(message, (ADDRESSES[end][version], 5060))
        assert receiver.recv(70000) == filtered(message, growth)
        assert eventually(lambda: shell.counters["reemitted"] == 1)


def test_an_exception_in_the_engine_lets_the_packet_pass(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    carrier, sbc = peers
    with running(lab, TinyEngine(), TinySource()) as shell:
        carrier.sendto(invite(1, "X-Boom: 1\r\n"), SBC)
        assert sbc.recv(70000) == invite(1, "X-Boom: 1\r\n")
        carrier.sendto(invite(2), SBC)
        assert sbc.recv(70000) == filtered(invite(2))
        assert shell.counters["engine-errors"] == 1
        assert eventually(lambda: statistics(lab).waiting == 0)


def test_or_drops_it_where_the_operator_says_so(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    carrier, sbc = peers
    with running(lab, TinyEngine(), TinySource(), queues=[QueueSettings(50, fail_open=False)]) as shell:
        carrier.sendto(invite(1, "X-Boom: 1\r\n"), SBC)
        assert nothing_else(carrier, SBC, sbc)
        assert eventually(lambda: (shell.counters["dropped"], statistics(lab).waiting) == (1, 0))


def test_but_not_while_everything_is_observed(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    carrier, sbc = peers
    with running(lab, TinyEngine(), TinySource(), queues=[QueueSettings(50, fail_open=False)]) as shell:
        shell.pass_on_errors = True
        carrier.sendto(invite(1, "X-Boom: 1\r\n"), SBC)
        assert sbc.recv(70000) == invite(1, "X-Boom: 1\r\n")


def test_a_held_packet_delays_no_other(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    carrier, sbc = peers
    engine, source = TinyEngine(), TinySource()
    with running(lab, engine, source) as shell:
        carrier.sendto(invite(1, "X-Hold: 1\r\n"), SBC)
        assert eventually(lambda: len(source.asked) == 1)
        for number in range(50):
            carrier.sendto(invite(number), SBC)
        assert receive(sbc, 50) == [filtered(invite(number)) for number in range(50)]
        assert eventually(lambda: (shell.counters["held-now"], statistics(lab).waiting) == (1, 1))

        source.asked[0](Answer(b"pem", None, time.time() + 60))
        assert sbc.recv(70000) == filtered(invite(1, "X-Hold: 1\r\n"))
        source.asked[0](Answer(b"pem", None, time.time() + 60))  # a source that answers twice does no harm
        assert eventually(lambda: shell.counters.get("late-answers") == 1)
        assert engine.late == [CertificateRequest("https://example.org/c.pem")]
        assert nothing_else(carrier, SBC, sbc)


def test_a_held_packet_goes_on_at_its_deadline(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    carrier, sbc = peers
    engine = TinyEngine(hold=0.1)
    with running(lab, engine, TinySource()):
        begin = time.monotonic()
        carrier.sendto(invite(1, "X-Hold: 1\r\n"), SBC)
        assert sbc.recv(70000) == filtered(invite(1, "X-Hold: 1\r\n"))
        assert time.monotonic() - begin > 0.09
        assert engine.resumed == [Detail.FETCH_TIMEOUT]


def test_an_answer_in_time_counts_although_we_are_late(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    """The answer and then the deadline come while another packet takes the loop's time."""
    clock = FakeTime()
    source = TinySource()

    class Busy(TinyEngine):
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict | Need:
            if b"X-Busy" in raw:
                source.asked[0](Answer(b"pem", None, time.time() + 60))
                clock.now += 2 * self.hold
            return super().process(raw, now, arrival)

    carrier, sbc = peers
    engine = Busy()
    with running(lab, engine, source, monotonic=clock.monotonic) as shell:
        carrier.sendto(invite(1, "X-Hold: 1\r\n"), SBC)
        carrier.sendto(invite(2, "X-Busy: 1\r\n"), SBC)
        assert receive(sbc, 2) == [filtered(invite(2, "X-Busy: 1\r\n")), filtered(invite(1, "X-Hold: 1\r\n"))]
        assert engine.resumed == [None]
        assert shell.counters.keys().isdisjoint({"deadlines", "late-answers"})


class Simultaneous(TinyEngine):
    """Notes in one line of events what is decided; another packet arrives after the first held one is."""

    def __init__(self, hold: float, arrive: Callable[[], object]) -> None:
        super().__init__(hold=hold)
        self.events: list[str] = []
        self._arrive = arrive

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict | Need:
        if b"X-Hold" not in raw:
            self.events.append("arrived")
        return super().process(raw, now, arrival)

    def resume(self, need_id: int, answer: AnyAnswer, now: float) -> Verdict | Need:
        if not self.events:
            self._arrive()
        self.events.append(answer.detail or "answered")
        return super().resume(need_id, answer, now)


def hold(carrier: socket.socket, shell: QueueShell, calls: int) -> None:
    """Have so many calls wait."""
    for number in range(calls):
        carrier.sendto(invite(number, "X-Hold: 1\r\n"), SBC)
    assert eventually(lambda: shell.counters["held-now"] == calls)


def test_a_packet_does_not_wait_for_a_thousand_answers(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    """One answer is for all calls that wait: each gets its verdict, in order, and a packet is decided among them."""
    carrier, sbc = peers
    source = TinySource()
    engine = Simultaneous(300.0, lambda: carrier.sendto(invite(5000), SBC))
    with running(lab, engine, source) as shell:
        hold(carrier, shell, 1000)
        shell.soon(source.answer_all)
        arrived = receive(sbc, 1001)
        assert sorted(engine.events) == ["answered"] * 1000 + ["arrived"]
        assert engine.events.index("arrived") <= 2 * 32
        assert [each for each in arrived if each != filtered(invite(5000))] == [
            filtered(invite(number, "X-Hold: 1\r\n")) for number in range(1000)
        ]
        assert nothing_else(carrier, SBC, sbc)


def test_a_thousand_calls_that_wait_twice(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    """The answer to the second need is there at once: what is handled next is not nested in what was."""

    class Twice(TinyEngine):
        def resume(self, need_id: int, answer: AnyAnswer, now: float) -> Verdict | Need:
            if need_id > 10_000:
                return super().resume(need_id, answer, now)
            self.waiting[need_id + 10_000] = self.waiting.pop(need_id)
            return Need(need_id + 10_000, CertificateRequest("https://example.org/2.pem"), now + self.hold)

    class SecondAtOnce(TinySource):
        def satisfy(self, need: Need, done: Callable[[AnyAnswer], None]) -> None:
            if need.id > 10_000:
                done(Answer(b"pem", None, time.time() + 60))
            else:
                super().satisfy(need, done)

    carrier, sbc = peers
    engine, source = Twice(), SecondAtOnce()
    with running(lab, engine, source) as shell:
        hold(carrier, shell, 1000)
        shell.soon(source.answer_all)
        assert sorted(receive(sbc, 1000)) == sorted(filtered(invite(each, "X-Hold: 1\r\n")) for each in range(1000))
        assert "engine-errors" not in shell.counters


def test_nor_for_a_thousand_deadlines(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    clock = FakeTime()
    carrier, sbc = peers
    engine = Simultaneous(300.0, lambda: carrier.sendto(invite(5000), SBC))
    with running(lab, engine, TinySource(), monotonic=clock.monotonic) as shell:
        hold(carrier, shell, 1000)
        shell.soon(lambda: setattr(clock, "now", clock.now + 301.0))
        arrived = receive(sbc, 1001)
        assert sorted(engine.events) == ["arrived"] + [Detail.FETCH_TIMEOUT] * 1000
        assert engine.events.index("arrived") <= 32
        held = [filtered(invite(number, "X-Hold: 1\r\n")) for number in range(1000)]
        assert sorted(arrived) == sorted([*held, filtered(invite(5000))])
        assert shell.counters["deadlines"] == 1000
        assert nothing_else(carrier, SBC, sbc)


def test_all_answers_that_have_arrived_count_before_any_deadline(
    lab: Lab, peers: tuple[socket.socket, socket.socket]
) -> None:
    """Also those beyond what is handled at a time."""
    clock = FakeTime()
    carrier, sbc = peers
    engine, source = TinyEngine(), TinySource()

    def come() -> None:
        source.asked.reverse()  # the earliest deadlines last
        source.answer_all()
        clock.now += 301.0

    with running(lab, engine, source, monotonic=clock.monotonic) as shell:
        hold(carrier, shell, 200)
        shell.soon(come)
        assert len(receive(sbc, 200)) == 200
        assert engine.resumed == [None] * 200
        assert shell.counters.keys().isdisjoint({"deadlines", "late-answers"})


def test_what_is_answered_at_once_stays_in_order(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    """As a folder answers: nothing that stands behind in the same batch overtakes it."""

    class Folder(TinySource):
        def satisfy(self, need: Need, done: Callable[[AnyAnswer], None]) -> None:
            done(Answer(b"pem", None, time.time() + 60))

    carrier, sbc = peers
    with running(lab, TinyEngine(), Folder()) as shell:
        sent = [invite(number, "X-Hold: 1\r\n" if number % 3 == 0 else "") for number in range(300)]
        for message in sent:
            carrier.sendto(message, SBC)
        assert receive(sbc, 300) == [filtered(message) for message in sent]
        assert shell.counters["held"] == 100


def test_what_exceeds_the_hold_limit_is_not_held(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    carrier, sbc = peers
    engine = TinyEngine()
    with running(lab, engine, TinySource(), max_held=2) as shell:
        for number in range(3):
            carrier.sendto(invite(number, "X-Hold: 1\r\n"), SBC)
        assert sbc.recv(70000) == filtered(invite(2, "X-Hold: 1\r\n"))
        assert engine.resumed == [Detail.HOLD_LIMIT]
        assert (shell.counters["held-now"], shell.counters["hold-limit"]) == (2, 1)


def test_a_held_call_gives_way_to_another(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    """The engine names the need that gives way: its packet goes on at once, and the other one waits in its place."""

    class Displacing(TinyEngine):
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict | Need:
            decision = super().process(raw, now, arrival)
            return decision._replace(displaces=1) if isinstance(decision, Need) and decision.id == 3 else decision

    carrier, sbc = peers
    engine, source = Displacing(), TinySource()
    with running(lab, engine, source, max_held=2) as shell:
        for number in (1, 2, 3):
            carrier.sendto(invite(number, "X-Hold: 1\r\n"), SBC)
        assert sbc.recv(70000) == filtered(invite(1, "X-Hold: 1\r\n"))
        assert engine.resumed == [Detail.HOLD_LIMIT]
        assert eventually(lambda: shell.counters["held-now"] == 2)
        source.asked[2](Answer(b"pem", None, time.time() + 60))
        assert sbc.recv(70000) == filtered(invite(3, "X-Hold: 1\r\n"))
        source.asked[0](Answer(b"pem", None, time.time() + 60))  # too late
        assert eventually(lambda: shell.counters.get("late-answers") == 1)
    assert sbc.recv(70000) == filtered(invite(2, "X-Hold: 1\r\n"))


def test_stopping_releases_what_is_held(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    carrier, sbc = peers
    with running(lab, TinyEngine(), TinySource()) as shell:
        for number in range(3):
            carrier.sendto(invite(number, "X-Hold: 1\r\n"), SBC)
        assert eventually(lambda: shell.counters["held-now"] == 3)
    assert receive(sbc, 3) == [filtered(invite(number, "X-Hold: 1\r\n")) for number in range(3)]


def test_stopping_and_starting_under_load_loses_nothing(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    """The queue is closed to new packets, then emptied, then unbound; nobody listening means bypass."""
    carrier, sbc = peers
    sent = 0
    for _ in range(5):
        with running(lab, TinyEngine(), TinySource()):
            for _ in range(200):
                carrier.sendto(invite(sent), SBC)
                sent += 1
    arrived = receive(sbc, sent)
    assert nothing_else(carrier, SBC, sbc)
    whole = [message.replace(b"X-Filtered: yes\r\nX-Growth: \r\n", b"") for message in arrived]
    assert sorted(whole) == sorted(invite(number) for number in range(sent))


@pytest.mark.parametrize("fail_open", [True, False])
def test_overload(lab: Lab, peers: tuple[socket.socket, socket.socket], fail_open: bool) -> None:
    """With the queue full the kernel passes the rest on, or drops and counts it."""
    carrier, sbc = peers
    source = TinySource()
    queues = [QueueSettings(50, fail_open=fail_open, max_length=4)]
    with running(lab, TinyEngine(), source, queues=queues) as shell:
        for number in range(4):
            carrier.sendto(invite(number, "X-Hold: 1\r\n"), SBC)
        assert eventually(lambda: shell.counters["held-now"] == 4)
        carrier.sendto(invite(9), SBC)
        if fail_open:
            assert sbc.recv(70000) == invite(9)
        else:
            assert nothing_else(carrier, SBC, sbc, NO_INVITE)
        assert statistics(lab).queue_dropped == (0 if fail_open else 1)
        assert shell.counters["packets"] == 4


@pytest.mark.parametrize("fail_open", [True, False])
def test_a_receive_buffer_that_overflows(lab: Lab, peers: tuple[socket.socket, socket.socket], fail_open: bool) -> None:
    """The kernel says ENOBUFS; what did not fit passes or drops as set, and the rest gets its verdict."""

    sent = threading.Event()

    class Slow(TinyEngine):
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict | Need:
            sent.wait()
            return super().process(raw, now)

    carrier, sbc = peers
    engine = Slow()
    queues = [QueueSettings(50, fail_open=fail_open, buffer=32768)]
    with running(lab, engine, TinySource(), queues=queues) as shell:
        for number in range(200):
            carrier.sendto(invite(number), SBC)
        sent.set()
        assert eventually(lambda: shell.counters["overruns"] > 0)
        assert eventually(lambda: statistics(lab).waiting == 0)
        lost = statistics(lab).socket_dropped
        arrived = receive(sbc, 200 - lost)
        seen = len(engine.seen)
        assert nothing_else(carrier, SBC, sbc)
        assert len({message.split(b"\r\n")[1] for message in arrived}) == 200 - lost
        assert 0 < seen < 200
        assert lost == (0 if fail_open else 200 - seen)


def test_a_tick_knows_whether_it_is_quiet(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    """Only when nothing came for as long as the last tick said, and no packet is held."""
    carrier, sbc = peers
    source, engine, ticks = TinySource(), TinyEngine(), list[tuple[bool, int, int]]()
    with lab.inside("sbc"):
        emitter = Emitter(DEFAULT_MARK)
        shell = QueueShell(engine, source, emitter, lambda record: None)

    def tick(idle: bool) -> float:
        ticks.append((idle, len(engine.seen), shell.counters["held-now"]))
        return 0.01

    thread = threading.Thread(target=shell.run, args=(tick,))
    thread.start()
    try:
        assert eventually(lambda: (True, 0, 0) in ticks)
        carrier.sendto(invite(1, "X-Hold: yes\r\n"), SBC)
        assert eventually(lambda: ticks.count((False, 1, 1)) > 5)
        assert (True, 1, 1) not in ticks
        source.answer_all()
        assert sbc.recv(70000) == filtered(invite(1, "X-Hold: yes\r\n"))
        assert eventually(lambda: (True, 1, 0) in ticks)
        assert next(each for each in ticks if each[2:] == (0,) and each[1] == 1) == (False, 1, 0)
    finally:
        shell.stop()
        thread.join(LONG)
        emitter.close()


def test_a_signal_stops_it(lab: Lab) -> None:
    """In the main thread, waiting for packets."""
    with lab.inside("sbc"):
        emitter = Emitter(DEFAULT_MARK)
        shell = QueueShell(TinyEngine(), TinySource(), emitter, lambda record: None)
    before = signal.signal(signal.SIGALRM, lambda number, frame: shell.stop())
    late = threading.Event()

    def give_up() -> None:
        late.set()
        shell.stop()

    watchdog = threading.Timer(LONG, give_up)
    watchdog.start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        shell.run()
        assert not late.is_set()
    finally:
        watchdog.cancel()
        signal.signal(signal.SIGALRM, before)
        emitter.close()


def test_faults_of_source_and_sink_are_counted_only(lab: Lab, peers: tuple[socket.socket, socket.socket]) -> None:
    class Broken:
        def satisfy(self, need: Need, done: object) -> None:
            raise OSError("no route")

    carrier, sbc = peers
    engine = TinyEngine()
    with running(lab, engine, Broken()) as shell:
        carrier.sendto(invite(1, "X-Hold: 1\r\n"), SBC)
        assert sbc.recv(70000) == filtered(invite(1, "X-Hold: 1\r\n"))
        assert engine.resumed == [Detail.FETCH_REFUSED]
        assert shell.counters["source-errors"] == 1


def test_a_queue_that_another_has_bound(lab: Lab) -> None:
    with (
        running(lab, TinyEngine(), TinySource()),
        pytest.raises(EnvironmentFault, match="queue 50 cannot be bound: another program has it"),
        running(lab, TinyEngine(), TinySource()),
    ):
        pass
