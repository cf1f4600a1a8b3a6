"""The capture shell and tunnels: fragments of the packets around and within; what leaves, and what is said."""

from typing import Any

import pytest
from scapy.layers import inet
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import GRE, Dot3
from scapy.packet import Packet, Raw
from support.captures import frame
from support.encapsulations import ETHER, INNER, OUTER, SNAPPED
from support.tiny import TinyEngine, filtered, invite

from sbc_filter.capture import replay_shell
from sbc_filter.capture.encapsulation.dissector import MAX_TUNNELS
from sbc_filter.capture.frame import Frame
from sbc_filter.capture.replay_shell import FrameCount, Replay
from sbc_filter.capture.survey import Survey
from sbc_filter.capture.unseen import Unseen
from sbc_filter.engine.call.network import Arrival
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer, AnyAnswer, Verdict, VerdictKind
from sbc_filter.packet.fragments import fragment
from sbc_filter.packet.udp import Datagram, datagram_to_ip, parse

SCAPY: Any = inet  # its functions have no types


def packet(payload: bytes, source: str = "192.0.2.7") -> bytes:
    return datagram_to_ip(Datagram(source, 5060, "192.0.2.1", 5060, payload))


def gre(raw: bytes) -> bytes:
    return bytes(OUTER / GRE() / IP(raw))


def ethernet(*packets: bytes) -> list[Frame]:
    return [frame(number, bytes(ETHER / IP(raw)), 1) for number, raw in enumerate(packets, 1)]


def replay(given: list[Frame], engine: object = None, leaves: bool = True) -> tuple[list[bytes], Replay, Unseen]:
    unseen = Unseen((5060,))
    run = Replay(
        engine or TinyEngine(),  # type: ignore[arg-type]
        lambda need: Answer(b"pem", None, 1e9),
        lambda record: None,
        survey=Survey((5060,), unseen),
        leaves=leaves,
    )
    left = [each for one in given for each in run.feed(one)] + run.finish()
    assert all(each.original_length == len(each.data) for each in left)
    return [each.data for each in left], run, unseen


def whole_outer(frames: list[bytes]) -> bytes:
    """What the frames of an output carry, put together by scapy."""
    packets = SCAPY.defragment([IP(data[14:]) for data in frames])
    assert len(packets) == 1
    return bytes(packets[0])


def checked(raw: bytes) -> Packet:
    """The packet, if scapy sets the same lengths and check sums in it."""
    again: Any = IP(raw)
    layer: Any = again
    while layer is not None and not isinstance(layer, Raw):
        if "MF" in str(layer.fields.get("flags", "")):
            del layer.len, layer.chksum
            break  # the length of UDP is that of the whole
        for name in ("len", "chksum"):
            if name in layer.fields:
                delattr(layer, name)
        layer = layer.payload or None
    assert bytes(again) == raw
    return IP(raw)


def test_transcript() -> None:
    """ETHERNET(IP(GRE(IP(UDP(INVITE)))))."""
    out, _, unseen = replay(ethernet(gre(packet(invite(1))), packet(invite(2))))
    assert parse(checked(out[0][14:])[GRE].payload.__bytes__()).payload == filtered(invite(1))
    assert parse(out[1][14:]).payload == filtered(invite(2))
    assert len(out[0]) == 14 + 20 + 4 + len(packet(filtered(invite(1))))
    assert list(unseen.sentences()) == []  # TinyEngine makes no records: see the next test


class Recording:
    """Makes a record of every INVITE, and changes nothing."""

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict:
        record = Record(now, "192.0.2.7", "192.0.2.1", "udp") if raw[9] == 17 else None
        return Verdict(VerdictKind.ACCEPT, record=record)

    def resume(self, need_id: int, answer: AnyAnswer, now: float) -> Verdict:
        raise AssertionError("nothing was needed")


def test_invites_in_tunnels_are_said_to_be_unseen_live() -> None:
    vxlan = bytes(OUTER / UDP(sport=9, dport=4789) / Raw(b"\x08" + bytes(7)) / INNER / IP(packet(invite(3))))
    given = ethernet(gre(packet(invite(1))), gre(gre(packet(invite(2)))), gre(vxlan), packet(invite(4)))
    _, _, unseen = replay(given, Recording())
    assert list(unseen.sentences()) == [
        "3 INVITEs are in a tunnel (GRE, GRE in GRE, VXLAN in GRE): "
        "the live filter sees them only where the tunnel ends."
    ]
    assert not unseen.has_invites


@pytest.mark.parametrize("leaves", [True, False])
def test_fragments_of_the_packet_around_are_put_together_first(leaves: bool) -> None:
    pieces = fragment(gre(packet(invite(1, size=2000))), 600)
    assert len(pieces) == 4
    engine = TinyEngine()
    out, run, _ = replay(ethernet(pieces[0], pieces[2], pieces[1], pieces[3]), engine, leaves)
    assert engine.seen == [invite(1, size=2000)]
    assert run.counters[FrameCount.REASSEMBLED] == 1
    if leaves:
        assert max(map(len, out)) <= 614
        assert parse(bytes(checked(whole_outer(out))[GRE].payload)).payload == filtered(invite(1, size=2000))


@pytest.mark.parametrize("leaves", [True, False])
def test_fragments_of_the_packet_within_are_put_together_too(leaves: bool) -> None:
    pieces = [gre(piece) for piece in fragment(packet(invite(1, size=2000)), 600)]
    engine = TinyEngine()
    out, _, _ = replay(ethernet(*pieces), engine, leaves)
    assert engine.seen == [invite(1, size=2000)]
    if leaves:
        assert len(out) == 4
        inner = [bytes(checked(data[14:])[GRE].payload) for data in out]
        assert parse(whole_outer([bytes(14) + each for each in inner])).payload == filtered(invite(1, size=2000))


@pytest.mark.parametrize("leaves", [True, False])
def test_fragments_of_both(leaves: bool) -> None:
    within = [gre(piece) for piece in fragment(packet(invite(1, size=2000)), 1000)]
    pieces = [piece for number, each in enumerate(within) for piece in numbered_fragments(each, number + 1)]
    assert len(pieces) == 7
    engine = TinyEngine()
    out, _, _ = replay(ethernet(*pieces), engine, leaves)
    assert engine.seen == [invite(1, size=2000)]
    assert (max(map(len, out)) <= 414) if leaves else out == []


def numbered_fragments(raw: bytes, number: int) -> list[bytes]:
    head = IP(raw)
    head.id = number
    del head.chksum
    return fragment(bytes(head), 400)


def test_what_never_becomes_whole_leaves_as_it_came() -> None:
    within = [gre(piece) for piece in fragment(packet(invite(1, size=2000)), 600)]
    around = fragment(gre(packet(invite(2, size=2000))), 600)
    given = ethernet(*within[:2], *around[1:], packet(invite(3)))
    out, run, unseen = replay(given)
    assert out[:-1] == [each.data for each in given[:-1]]
    assert run.counters[FrameCount.INCOMPLETE] == 5
    assert unseen.may_hide_invites


def test_an_incomplete_tunnel_shows_its_invite() -> None:
    """Only the first fragment of the packet around was captured."""
    udp = bytes(OUTER / UDP(sport=9, dport=4789) / Raw(b"\x08" + bytes(7)) / INNER / IP(packet(invite(2, size=2000))))
    for outer in (gre(packet(invite(1, size=2000))), udp):
        _, _, unseen = replay(ethernet(fragment(outer, 600)[0]))
        assert unseen.has_invites


def test_what_waits_in_a_tunnel_is_given_up_in_time_and_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    first = gre(fragment(packet(invite(1, size=2000)), 600)[0])
    given = ethernet(first, *[packet(b"")] * 40)  # a second apart
    run = Replay(TinyEngine(), lambda need: Answer(b"", None, 0), lambda record: None)
    assert [len(run.feed(each)) for each in given[:35]] == [0] * 30 + [31] + [1] * 4
    monkeypatch.setattr(replay_shell, "_MAX_WAITING", 8000)
    run = Replay(TinyEngine(), lambda need: Answer(b"", None, 0), lambda record: None)
    left = [len(run.feed(each)) for each in given[:30]]
    assert max(left) > 10
    assert sum(left) == 30


def test_a_fragment_in_a_tunnel_spoils_none_outside() -> None:
    """An attacker sends the same addresses and identification in a tunnel: the live filter does not look there."""
    pieces = fragment(packet(invite(1, size=2000)), 1000)
    other = fragment(packet(b"X" * 2000), 1000)
    engine = TinyEngine()
    replay(ethernet(gre(other[0]), pieces[0], gre(other[1]), pieces[1], pieces[2]), engine)
    assert invite(1, size=2000) in engine.seen


def test_an_untouched_packet_in_a_tunnel_leaves_as_it_came() -> None:
    given = ethernet(*fragment(gre(packet(invite(1, size=2000))), 600), gre(packet(invite(2))))

    class Idle:
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict:
            return Verdict(VerdictKind.ACCEPT)

    assert replay(given, Idle())[0] == [each.data for each in given]


def test_tunnels_within_one_another_are_opened_up_to_a_limit_and_then_named() -> None:
    raw = packet(invite(1))
    for _ in range(MAX_TUNNELS):
        raw = gre(raw)
    engine = TinyEngine()
    _, _, unseen = replay(ethernet(raw), engine)
    assert engine.seen == [invite(1)]

    class Refusing(TinyEngine):
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict:
            return Verdict(VerdictKind.ACCEPT)

    _, _, unseen = replay(ethernet(gre(raw)), Refusing())
    assert list(unseen.sentences()) == ["1 packet of IP protocol 47 (GRE) was not looked at: 1 INVITE inside."]


def test_what_cannot_be_written_leaves_as_it_came_and_is_counted() -> None:
    """An 802.3 frame has room for 1500 octets."""
    data = [bytes(Dot3() / SNAPPED / IP(packet(invite(number, size=size)))) for number, size in ((1, 900), (2, 1440))]
    out, run, _ = replay([frame(number, each, 1) for number, each in enumerate(data, 1)], TinyEngine(growth=100))
    assert len(out[0]) > len(data[0])
    assert out[1] == data[1]
    assert run.counters[FrameCount.UNWRITTEN] == 1


def test_an_answer_goes_back_through_the_tunnel() -> None:
    class Refusing:
        def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict:
            call = parse(raw)
            answer = Datagram(call.dst, call.dport, call.src, call.sport, b"SIP/2.0 403 No\r\n\r\n")
            return Verdict(VerdictKind.REJECT, emit=(answer,))

    out, run, _ = replay(ethernet(gre(packet(invite(1)))), Refusing())
    outer = checked(out[0][14:])
    assert (outer.src, outer.dst) == (OUTER.dst, OUTER.src)
    back = parse(bytes(outer[GRE].payload))
    assert (back.src, back.dst, back.payload) == ("192.0.2.1", "192.0.2.7", b"SIP/2.0 403 No\r\n\r\n")
    assert run.counters[FrameCount.EMITTED] == 1


def test_a_packet_in_a_tunnel_that_was_cut_is_named() -> None:
    data = bytes(ETHER / IP(gre(packet(invite(1)))))
    given = frame(1, data[:100], 1, cut=len(data) - 100)
    unseen = Unseen((5060,))
    engine = Recording()
    run = Replay(engine, lambda need: Answer(b"", None, 0), lambda record: None, survey=Survey((5060,), unseen))
    assert run.feed(given) == [given]
    run.finish()
    assert list(unseen.sentences()) == ["1 INVITE was cut by the capture, snap length 100: capture with -s 0."]
