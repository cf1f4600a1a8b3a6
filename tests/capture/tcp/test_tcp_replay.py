"""Packets of a capture in, records out: each INVITE over TCP is judged once, whatever happens to its segments."""

import tracemalloc
from collections.abc import Collection

import pytest
from support.calls import CARRIER, LAB, SBC, arriving, follow_up, identity, invite, make_engine
from support.tcp import ACK, FIN, SYN, packet

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.replay_shell import FrameCount, Replay
from sbc_filter.capture.survey import Survey
from sbc_filter.capture.tcp.tcp_replay import MAX_DIRECTIONS, TcpReplay
from sbc_filter.capture.unseen import Reason, Unseen
from sbc_filter.engine.call.network import Flow, Interfaces, Observation
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer, AnyAnswer, Need, Verdict, VerdictKind
from sbc_filter.packet.fragments import fragment
from sbc_filter.stir.checks import CertificateRequest

RAW = 101  # link type: nothing but the IP packet
T0 = 1_800_000_000.0
REJECT = '[[rule]]\nname = "no"\naction = "reject"\n'
CALL, NEXT = invite(body="v=0\r\n"), invite(number=2)
COUNT = dict[Reason, tuple[int, int]]


def frames(*packets: bytes, gap: float = 0.1) -> list[Frame]:
    """A packet shorter than its IP header says is one that the capture has cut."""
    return [
        Frame(
            *(number, T0 + number * gap, int((T0 + number * gap) * 1e9), RAW, 0),
            *(data, max(len(data), int.from_bytes(data[2:4], "big"))),
        )
        for number, data in enumerate(packets, 1)
    ]


class Run:
    """A replay of packets, with what came of it."""

    def __init__(
        self,
        *packets: bytes,
        engine: Engine | None = None,
        gap: float = 0.1,
        limits: tuple[int, int] = (9, 1 << 20),
        relayed: Collection[int] = (),
    ) -> None:
        self.records: list[Record] = []
        self.engine = engine or make_engine(REJECT)
        self.engine.observe(Observation(tcp_but=frozenset(relayed)))
        self.unseen = Unseen((5060,))
        self.streams = TcpReplay(
            self.engine,
            self.answer,
            self.records.append,
            lambda frame: frame.time,
            (5060,),
            self.unseen,
            False,
            *limits,
            relayed=relayed,
        )
        survey = Survey((5060,), self.unseen)
        self.shell = Replay(self.engine, self.answer, self.records.append, survey=survey, streams=self.streams)
        self.out = [
            left for frame in frames(*packets, gap=gap) for left in self.shell.feed(frame)
        ] + self.shell.finish()

    def answer(self, need: Need) -> AnyAnswer:
        assert isinstance(need.request, CertificateRequest)
        return Answer(LAB.chain, None, T0 + 86400)

    @property
    def calls(self) -> list[str]:
        """Packet and Call-ID of each record."""
        return [f"{record.packet} {record.call_id}" for record in self.records]

    @property
    def counts(self) -> COUNT:
        return {reason: self.unseen.total(reason) for reason in Reason if self.unseen.total(reason) != (0, 0)}


def connection(*data: bytes, isn: int = 1000, src: str = CARRIER, sport: int = 40000, dst: str = SBC) -> list[bytes]:
    """A connection that sends these segments; the SBC acknowledges each."""
    made = [packet(sequence=isn, flags=SYN, src=src, sport=sport, dst=dst)]
    at = isn + 1
    for each in data:
        made.append(packet(each, at, src=src, sport=sport, dst=dst))
        at += len(each)
        made.append(packet(b"", 1, ACK, at, src=dst, sport=5060, dst=src, dport=sport))
    return [*made, packet(b"", at, FIN | ACK, src=src, sport=sport, dst=dst)]


def test_a_call_over_tcp_is_judged_and_marked_and_no_frame_changes() -> None:
    """The same call over UDP is rejected, with an answer."""
    packets = [*connection(CALL[:300], CALL[300:] + NEXT), arriving(invite(number=3))]
    run = Run(*packets)
    tcp, _, udp = run.records
    assert run.calls == ["4 call-1@carrier.example", "4 call-2@carrier.example", "7 call-3@carrier.example"]
    assert (tcp.src, tcp.dst, tcp.transport, tcp.unfiltered) == (f"{CARRIER}:40000", f"{SBC}:5060", "tcp", "tcp")
    assert (tcp.verdict, tcp.would, tcp.treatment, tcp.code, tcp.time) == ("accept", "reject", "reject", 403, T0 + 0.4)
    assert (udp.transport, udp.unfiltered, udp.verdict, udp.would) == ("udp", None, "reject", None)
    assert tcp.to_json().startswith('{"packet":4,"unfiltered":"tcp","time":')
    assert [frame.data for frame in run.out[:-1]] == packets[:-1]
    assert run.shell.counters == {"frames": 7, "accept": 6, "reject": 1, FrameCount.EMITTED: 1}
    assert run.counts == {Reason.LIVE_TCP: (2, 2)}
    assert list(run.unseen.sentences()) == ["2 INVITEs over TCP were judged, but live they pass unfiltered."]
    assert run.unseen.has_invites
    assert run.unseen.invites == 0


def test_connections_that_are_relayed_are_judged_as_live() -> None:
    """Those of other ports are not."""
    run = Run(*connection(CALL), relayed=(5060,))
    (record,) = run.records
    assert (record.verdict, record.would, record.unfiltered) == ("reject", None, None)
    assert (dict(run.streams.verdicts), run.streams.answers, run.counts) == ({VerdictKind.REJECT: 1}, 1, {})
    run = Run(*connection(CALL), relayed=(5061,))
    (record,) = run.records
    assert (record.verdict, record.would, record.unfiltered) == ("accept", "reject", "tcp")
    assert (run.streams.verdicts, run.counts) == ({}, {Reason.LIVE_TCP: (1, 1)})


@pytest.mark.parametrize(("src", "dst"), [(CARRIER, SBC), ("2001:db8::7", "2001:db8:1::1")])
def test_cut_at_every_octet(src: str, dst: str) -> None:
    for cut in range(1, len(CALL)):
        run = Run(*connection(CALL[:cut], CALL[cut:] + NEXT, src=src, dst=dst))
        assert [record.call_id for record in run.records] == ["call-1@carrier.example", "call-2@carrier.example"], cut
        assert run.counts == {Reason.LIVE_TCP: (2, 2)}


def test_verified_with_a_certificate_that_is_asked_for_and_a_token_that_came_over_udp_is_known() -> None:
    """Used tokens are shared between transports: the third copy of the token is for another target."""
    signed = invite(identity())
    engine = make_engine(known=False)
    other = signed.replace(b"INVITE sip:+12155550199", b"INVITE sip:+12155550300").replace(b"call-1", b"call-9")
    run = Run(arriving(signed), *connection(signed, other), engine=engine)
    assert [(record.transport, record.outcome, record.detail, record.would) for record in run.records] == [
        ("udp", "passed", None, None),
        ("tcp", "passed", "token-again", "modify"),
        ("tcp", "replayed", "token-seen", "modify"),
    ]


def test_sent_again_out_of_order_and_in_ip_fragments() -> None:
    syn, first, ack, second, *rest = connection(CALL[:300], CALL[300:] + NEXT)
    expected = [f"{6} call-1@carrier.example", f"{6} call-2@carrier.example"]
    assert Run(syn, second, second, ack, second, first, first, *rest).calls == expected
    whole = connection(CALL + NEXT)
    run = Run(whole[0], *fragment(whole[1], 256), *whole[2:])
    assert [record.call_id for record in run.records] == ["call-1@carrier.example", "call-2@carrier.example"]


def test_segments_that_are_missing_are_named_and_what_follows_is_judged() -> None:
    packets = connection(CALL[:100], CALL[100:200], CALL[200:], NEXT)
    del packets[3]
    run = Run(*packets, gap=0.6)
    assert run.calls == ["7 call-2@carrier.example"]  # when it came, since the SBC had acknowledged what is missing
    assert run.counts == {Reason.TCP_GAP: (1, 1), Reason.LIVE_TCP: (1, 1)}
    assert next(run.unseen.sentences()) == "1 INVITE over TCP is incomplete: segments are missing."


def test_a_capture_that_began_later_or_cut_its_frames() -> None:
    packets = connection(CALL[:100], CALL[100:] + NEXT)
    run = Run(*packets[3:])
    assert run.calls == ["1 call-2@carrier.example"]
    assert run.counts == {Reason.TCP_BEGUN: (1, 0), Reason.LIVE_TCP: (1, 1)}
    run = Run(*(each[:96] for each in connection(CALL, NEXT)))
    assert run.calls == []
    assert run.counts == {Reason.CUT: (2, 0), Reason.TCP_GAP: (2, 2)}


def test_what_cannot_be_framed_is_named() -> None:
    run = Run(*connection(CALL.replace(b"Content-Length: 5", b"Content-Length: 5\r\nl: 0") + NEXT))
    assert run.calls == ["2 call-2@carrier.example"]
    assert list(run.unseen.sentences()) == [
        "1 INVITE over TCP was not judged: the stream cannot be framed: content-lengths-differ (1).",
        "1 INVITE over TCP was judged, but live it passes unfiltered.",
    ]


def test_octets_that_differ_are_named() -> None:
    syn, first, *rest = connection(CALL)
    run = Run(syn, first, packet(CALL.replace(b"call-1", b"call-7"), 1001), *rest)
    assert run.calls == ["2 call-1@carrier.example"]
    assert next(run.unseen.sentences()) == (
        "1 packet of TCP repeats earlier octets with another content: judged as Linux reads them."
    )


def test_follow_ups_and_responses_change_nothing() -> None:
    """Nothing was rejected over TCP, so no ACK is absorbed and no CANCEL is answered."""
    run = Run(*connection(CALL + follow_up(CALL, "ACK") + follow_up(CALL, "CANCEL")))
    assert run.calls == ["2 call-1@carrier.example"]
    assert (run.engine.counters["ack-absorbed"], run.engine.counters["cancel-answered"]) == (0, 0)


def test_other_ports_are_left_to_the_survey() -> None:
    run = Run(packet(CALL, dport=5080), packet(CALL, sport=5060, dport=40000))
    assert run.calls == ["2 call-1@carrier.example"]
    assert run.counts == {Reason.TCP: (1, 1), Reason.LIVE_TCP: (1, 1)}
    assert run.unseen.summary()[-1]["where"] == "5060"


def test_many_connections_are_known_in_bounded_memory() -> None:
    """The one that was idle longest is forgotten; what was incomplete in it is counted, and what follows is judged."""
    openings = [each for sport in range(1, 6) for each in connection(CALL[:200], sport=sport)[:2]]
    closings = [packet(CALL[200:] + NEXT, 1201, sport=sport) for sport in range(1, 6)]
    run = Run(*openings, *closings[::-1], limits=(3, 1 << 20))
    calls = [record.call_id for record in run.records]
    assert (calls.count("call-1@carrier.example"), calls.count("call-2@carrier.example")) == (3, 5)
    assert run.counts == {Reason.TCP_GAP: (2, 2), Reason.TCP_BEGUN: (2, 0), Reason.LIVE_TCP: (8, 8)}
    first, second, third = (connection(CALL[:200], CALL[200:], sport=sport) for sport in (1, 2, 3))
    run = Run(*first[:2], *second[:2], first[3], *third[:2], limits=(2, 1 << 20))
    assert run.counts == {Reason.TCP_GAP: (2, 2), Reason.LIVE_TCP: (1, 1)}
    assert run.calls == ["5 call-1@carrier.example"]
    run = Run(*first[:2], *second[:2], packet(CALL[200:], 1201, sport=1), *third[:2], second[3], limits=(2, 1 << 20))
    assert run.calls == ["5 call-1@carrier.example"]  # the second was idle longer than the first
    run = Run(*openings, limits=(9, 3 * 400))
    assert run.counts == {Reason.TCP_GAP: (5, 5)}
    run = Run(limits=(9, 3 * 400))
    for frame in frames(*openings):
        run.shell.feed(frame)
        assert run.streams.octets <= 3 * 400


def test_a_flood_of_connections_that_never_finish_a_header() -> None:
    run = Run(limits=(MAX_DIRECTIONS, 100_000))
    for sport in range(3000):
        for frame in frames(
            *connection(b"INVITE sip:a SIP/2.0\r\nX: " + bytes(1000).replace(b"\0", b"x"), sport=sport)[:2]
        ):
            run.shell.feed(frame)
        assert run.streams.octets <= 100_000
    run.shell.finish()
    assert run.streams.octets == 0
    assert run.counts == {Reason.TCP_GAP: (3000, 3000)}


def test_an_idle_connection_that_is_forgotten_loses_nothing() -> None:
    """Its next message begins with a segment, so reading goes on there."""
    first, second, third = (connection(invite(number=n), invite(number=n + 3), sport=n) for n in (1, 2, 3))
    run = Run(*first[:2], *second[:2], *third[:2], first[3], second[3], third[3], limits=(1, 1 << 20))
    assert [call.split()[1][:6] for call in run.calls] == ["call-1", "call-2", "call-3", "call-4", "call-5", "call-6"]
    assert run.counts == {Reason.LIVE_TCP: (6, 6)}


def test_a_direction_costs_less_than_a_kilobyte() -> None:
    count = 4000
    openings = [packet(b"INVITE ", 1, sport=sport) for sport in range(count)]
    run = Run(limits=(MAX_DIRECTIONS, 1 << 20))
    tracemalloc.start()
    try:
        for raw in openings:
            run.streams.feed(raw, Frame(1, T0, int(T0 * 1e9), RAW, 0, raw, len(raw)))
        assert tracemalloc.get_traced_memory()[0] < count * 1000
    finally:
        tracemalloc.stop()


def test_a_segment_without_a_time_does_not_age_what_waits() -> None:
    """It comes late although it was acknowledged, as from several mirrors."""
    opening, _, ack, *_ = connection(CALL)
    parts = [packet(CALL[:100], 1001), packet(CALL[200:], 1201), packet(CALL[200:], 1201), packet(CALL[100:200], 1101)]
    run = Run()
    dated = frames(opening, parts[0], parts[1], ack, parts[2], parts[3])
    for frame in (*dated[:4], dated[4]._replace(time=0.0, timestamp=0), dated[5]):
        run.shell.feed(frame)
    run.shell.finish()
    assert run.counts == {Reason.LIVE_TCP: (1, 1)}


def test_the_engine_is_told_of_interfaces() -> None:
    asked: list[Flow] = []

    class Listening:
        def decide(self, message: bytes, flow: Flow, now: float, /) -> Verdict | Need:
            asked.append(flow)
            return make_engine(REJECT).decide(message, flow, now)

        def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
            raise AssertionError("nothing was needed")

    for told, expected, relayed in (
        (True, Interfaces("eth1", "eth1"), ()),
        (False, None, ()),
        (True, Interfaces("", ""), (5060,)),  # the relay does not know it
    ):
        records: list[Record] = []
        streams = TcpReplay(
            Listening(),
            lambda need: Answer(None, None, 0.0),
            records.append,
            lambda _: T0,
            (5060,),
            Unseen(),
            told,
            relayed=relayed,
        )
        for frame in frames(*connection(CALL)):
            streams.feed(frame.data, frame._replace(interface_name="eth1", file="a.pcap"))
        assert asked.pop() == Flow(CARRIER, 40000, SBC, 5060, "tcp", expected)
        assert [(record.packet, record.file, record.time) for record in records] == [(2, "a.pcap", T0)]
