"""The capture shell: order, fragments, answers; with an engine small enough to read at a glance."""

from collections.abc import Iterator

import pytest
from support.tiny import TinyEngine, filtered, invite

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.replay_shell import FrameCount, Replay
from sbc_filter.engine.call.network import Arrival, Interfaces
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer, AnyAnswer, Need, Verdict, VerdictKind
from sbc_filter.packet.fragments import fragment
from sbc_filter.packet.udp import Datagram, datagram_to_ip, parse
from sbc_filter.stir.checks import CertificateRequest

RAW = 101  # link type: nothing but the IP packet
NOBODY = b"\x00" * 8


def packet(payload: bytes) -> bytes:
    return datagram_to_ip(Datagram("192.0.2.7", 5060, "192.0.2.1", 5060, payload))


def frames(*packets: bytes, gap: float = 0.1) -> list[Frame]:
    return [
        Frame(number, number * gap, round(number * gap * 1e9), RAW, 0, data, len(data))
        for number, data in enumerate(packets, 1)
    ]


def replayed(engine: object, given: list[Frame]) -> list[bytes]:
    run = Replay(engine, lambda url: Answer(b"pem", None, 1e9), lambda record: None)  # type: ignore[arg-type]
    return [frame.data for frame in leaving(run, given)]


def leaving(run: Replay, given: list[Frame]) -> Iterator[Frame]:
    for frame in given:
        yield from run.feed(frame)
    yield from run.finish()


def test_packets_leave_in_order_modified_in_their_place() -> None:
    out = replayed(TinyEngine(), frames(NOBODY, packet(invite(1)), packet(invite(2, "X-Drop: 1\r\n")), NOBODY))
    assert (out[0], out[2]) == (NOBODY, NOBODY)
    assert parse(out[1]).payload == filtered(invite(1))
    assert len(out) == 3


def test_what_waits_for_fragments_waits_in_order_and_leaves_in_fragments() -> None:
    pieces = fragment(packet(invite(1, size=3000)), 1500)
    assert len(pieces) == 3
    other = packet(invite(2))
    out = replayed(TinyEngine(), frames(pieces[2], other, pieces[0], pieces[1]))
    assert parse(out[0]).payload == filtered(
        invite(2)
    )  # it came behind the first, but that one leaves later, rewritten
    assert [len(piece) <= 1500 for piece in out[1:]] == [True, True, True]
    assert len(out) == 4


def test_fragments_that_never_become_whole_leave_as_they_came() -> None:
    pieces = fragment(packet(invite(1, size=3000)), 1500)
    given = [pieces[0], NOBODY, pieces[2]]
    assert replayed(TinyEngine(), frames(*given)) == given
    late = frames(*given, NOBODY, NOBODY, gap=16.0)
    run = Replay(TinyEngine(), lambda url: Answer(b"pem", None, 1e9), lambda record: None)
    assert [[frame.number for frame in run.feed(each)] for each in late] == [[], [], [1, 2], [], [3, 4, 5]]
    assert run.counters[FrameCount.INCOMPLETE] == 2  # each given up after thirty seconds of the capture


@pytest.mark.parametrize("gap", [6.0, 14.9])
def test_slow_fragments_are_put_together_as_by_the_kernel(gap: float) -> None:
    pieces = fragment(packet(invite(1, size=3000)), 1500)
    run = Replay(TinyEngine(), lambda url: Answer(b"pem", None, 1e9), lambda record: None)
    assert [len(list(run.feed(each))) for each in frames(*pieces, gap=gap)] == [0, 0, 3]


def test_without_time_stamps_nothing_ages() -> None:
    pieces = fragment(packet(invite(1, size=3000)), 1500)
    given = frames(*pieces, gap=1.0)
    for undated in ([1, 2, 3], [2], [2, 3]):  # not even a simple packet block among enhanced ones
        run = Replay(TinyEngine(), lambda url: Answer(b"pem", None, 1e9), lambda record: None)
        late = [each._replace(time=0.0 if each.number in undated else each.time + 1e9) for each in given]
        assert [len(run.feed(each)) for each in late] == [0, 0, 3]


def test_fragments_without_time_stamps_do_not_age_when_a_frame_with_one_comes() -> None:
    """As in a pcapng with a simple packet block in front: the time stamp is decades after 0."""
    first, second, third = frames(*fragment(packet(invite(1, size=3000)), 1500))
    undated, dated = first._replace(time=0.0, timestamp=0), second._replace(time=1.8e9, timestamp=18 * 10**17)
    run = Replay(TinyEngine(), lambda url: Answer(b"pem", None, 1e9), lambda record: None)
    assert len(list(leaving(run, [undated, dated, third._replace(time=1.8e9 + 29)]))) == 3
    assert run.counters[FrameCount.REASSEMBLED] == 1
    assert run.counters[FrameCount.INCOMPLETE] == 0


@pytest.mark.parametrize("wrong", [-1.8e9, -3600.0, 3600.0, 2.4e9])
def test_a_frame_with_a_wrong_time_gives_up_no_fragments(wrong: float) -> None:
    """Alone, or before a frame without a time; two of them in a row are believed."""
    pieces = fragment(packet(invite(1, size=3000)), 1500)
    given = [
        each._replace(time=each.time + 1e9) for each in frames(*pieces[:2], NOBODY, NOBODY, NOBODY, pieces[2], gap=0.1)
    ]
    strays = [each._replace(time=each.time + wrong) for each in given]
    for between, incomplete in (
        ([strays[2], given[3], given[4]], 0),
        ([strays[2], given[3]._replace(time=0.0), given[4]], 0),
        ([given[2], strays[3], strays[4]], 3),
    ):
        run = Replay(TinyEngine(), lambda url: Answer(b"pem", None, 1e9), lambda record: None)
        assert len(list(leaving(run, [*given[:2], *between, given[5]]))) == 6
        assert run.counters[FrameCount.INCOMPLETE] == incomplete


def test_the_clocks_of_interfaces_and_files_may_differ() -> None:
    """By more than the kernel waits for a fragment."""
    pieces = fragment(packet(invite(1, size=3000)), 1500)
    given = frames(pieces[0], NOBODY, NOBODY, NOBODY, pieces[1], NOBODY, NOBODY, pieces[2])
    for other in ({"interface": 1}, {"file": "b"}):
        run = Replay(TinyEngine(), lambda url: Answer(b"pem", None, 1e9), lambda record: None)
        skewed = [each if each.data in pieces else each._replace(time=each.time + 3600.0, **other) for each in given]
        assert len(list(leaving(run, skewed))) == 8
        assert run.counters[FrameCount.INCOMPLETE] == 0


def test_any_number_of_interfaces_takes_bounded_memory() -> None:
    """Each section of a capture may have its own, and each has a clock while a datagram is incomplete."""
    run = Replay(TinyEngine(), lambda url: Answer(b"pem", None, 1e9), lambda record: None, leaves=False)
    run.feed(frames(fragment(packet(invite(1, size=3000)), 1500)[0])[0])
    sizes = []
    (media,) = frames(NOBODY)
    for interface in range(3000):
        run.feed(media._replace(interface=interface, time=media.time + 1))
        sizes.append(len(run._clocks))
    assert max(sizes) < 1100


def test_a_lone_fragment_holds_up_a_bounded_number_of_bytes() -> None:
    """Only that one is given up: the datagram that has just begun is not."""
    run = Replay(TinyEngine(), lambda url: Answer(b"pem", None, 1e9), lambda record: None)
    lone = fragment(packet(invite(1, size=3000)), 1500)[0]
    begun, *rest = fragment(packet(invite(2, size=3000)), 1500)
    media = [bytes(64 << 10)] * 253  # 16 MiB, with what a frame costs in addition
    given = frames(lone, *media, begun, *media[:10], *rest, gap=1e-6)
    out = [[left.number for left in run.feed(each)] for each in given]
    assert not any(out[:250])
    assert next(each for each in out if each)[:2] == [1, 2]
    assert run.counters == {"frames": 267, "reassembled": 1, "incomplete": 1, VerdictKind.MODIFY: 1}
    assert [number for left in out for number in left] == [*range(1, 255), *range(256, 266), 267, 267, 267]


def test_without_an_output_no_frame_is_kept_and_the_verdicts_are_the_same() -> None:
    pieces = fragment(packet(invite(1, size=3000)), 1500)
    given = frames(pieces[0], packet(invite(2)), *[bytes(64 << 10)] * 300, *pieces[1:], gap=1e-6)
    run = Replay(TinyEngine(), lambda url: Answer(b"pem", None, 1e9), lambda record: None, leaves=False)
    assert list(leaving(run, given)) == []
    assert run.counters == {"frames": 304, "reassembled": 1, VerdictKind.MODIFY: 2}


@pytest.mark.parametrize("size", [600, 1500])
def test_the_fragments_of_an_untouched_datagram_are_the_captured_ones(size: int) -> None:
    pieces = fragment(packet(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n" + bytes(3000)), size)

    class Idle:
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict:
            return Verdict(VerdictKind.ACCEPT)

    assert replayed(Idle(), frames(*pieces)) == pieces


@pytest.mark.parametrize(("told", "heard"), [(False, [None] * 3), (True, [("eth1", "eth1"), None, ("eth1", "eth1")])])
def test_the_engine_is_told_of_interfaces_where_it_wants_to_know(
    told: bool, heard: list[tuple[str, str] | None]
) -> None:
    """What is put together of fragments came by the interface of the last of them."""
    asked: list[Interfaces | None] = []

    class Listening:
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict:
            asked.append(arrival.interfaces if arrival is not None else None)
            return Verdict(VerdictKind.ACCEPT)

        def resume(self, need_id: int, answer: AnyAnswer, now: float) -> Verdict:
            raise AssertionError("nothing was needed")

    given = frames(packet(invite(1)), packet(invite(2)), *fragment(packet(invite(3, size=3000)), 1500))
    given = [each if each.number == 2 else each._replace(interface_name="eth1") for each in given]
    run = Replay(Listening(), lambda url: Answer(b"pem", None, 1e9), lambda record: None, interfaces=told)
    assert len(list(leaving(run, given))) == 5
    assert asked == heard


def test_an_answer_follows_its_cause_with_its_time_and_numbers_are_recorded() -> None:
    records: list[Record] = []

    class Refusing:
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict | Need:
            return Need(7, CertificateRequest("https://c.example/a.pem"), now + 1)

        def resume(self, need_id: int, answer: AnyAnswer, now: float) -> Verdict | Need:
            assert (need_id, answer.result) == (7, b"pem")
            answered = Datagram("192.0.2.1", 5060, "192.0.2.7", 5060, b"SIP/2.0 438 No\r\n\r\n")
            return Verdict(VerdictKind.REJECT, None, (answered,), Record(now, "a", "b", "udp"))

    run = Replay(Refusing(), lambda url: Answer(b"pem", None, 1e9), records.append)
    out = list(leaving(run, frames(packet(invite(1)), packet(invite(2)))))
    assert [(frame.number, frame.time) for frame in out] == [(1, 0.1), (2, 0.2)]
    assert parse(out[1].data).payload == b"SIP/2.0 438 No\r\n\r\n"
    assert [(record.packet, record.time) for record in records] == [(1, 0.1), (2, 0.2)]


def test_an_answer_also_follows_a_packet_that_passes() -> None:
    class Answering:
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict:
            return Verdict(VerdictKind.ACCEPT, None, (Datagram("192.0.2.1", 5060, "192.0.2.7", 5060, b"answer"),))

        def resume(self, need_id: int, answer: AnyAnswer, now: float) -> Verdict:
            raise AssertionError("nothing was needed")

    first, second = replayed(Answering(), frames(packet(invite(1))))
    assert (first, parse(second).payload) == (packet(invite(1)), b"answer")
