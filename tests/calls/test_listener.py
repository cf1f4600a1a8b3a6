"""Which packets of a replay become messages, over UDP and TCP."""

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw
from support.calls import CARRIER, CORE, NOW, SBC, arriving, identity, invite, make_engine
from support.gathered import gathered

from sbc_filter.calls.listener import MessageListener
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.capture.frame import Frame
from sbc_filter.capture.tcp.tcp_replay import TcpReplay
from sbc_filter.capture.unseen import Unseen
from sbc_filter.engine.call.network import Observation
from sbc_filter.engine.verdict import ACCEPT, Answer, Need
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import Datagram, datagram_to_ip


def heard(raw: bytes) -> list[SeenMessage]:
    messages: list[SeenMessage] = []
    frame = Frame(7, NOW, round(NOW * 1e9), 101, 0, raw, len(raw), file="one.pcap")
    MessageListener(messages.append, [5060]).packet(raw, frame, 5.0, ACCEPT)
    return messages


def test_an_ipv6_packet() -> None:
    (message,) = heard(datagram_to_ip(Datagram("2001:db8::7", 5060, "2001:db8:1::1", 5062, invite())))
    assert message == SeenMessage(
        7, "one.pcap", NOW, "[2001:db8::7]:5060", "[2001:db8:1::1]:5062", "udp", invite(), (invite(),)
    )


def test_packets_with_ip_options_are_heard() -> None:
    raw = bytes(IP(src=CARRIER, dst=SBC, options=b"\x01\x01\x01\x00") / IP(arriving(invite()))["UDP"])
    assert [message.received for message in heard(raw)] == [invite()]


def test_other_ports_protocols_keep_alives_and_broken_packets_are_not() -> None:
    other = datagram_to_ip(Datagram(CARRIER, 40000, SBC, 40002, invite()))
    packets = other, bytes(IP(src=CARRIER, dst=SBC) / TCP(dport=5060)), arriving(b"\r\n\r\n"), b"\x45", b"\x60" * 41
    assert [heard(raw) for raw in packets] == [[]] * 5


def test_messages_over_tcp_pass_whatever_the_rules_say() -> None:
    """Live the filter does not look at them: the record says what would be done, and nothing is sent in their place."""
    engine = make_engine('[[rule]]\nname = "no"\naction = "reject"\n')
    engine.observe(Observation(tcp_but=frozenset()))
    messages: list[SeenMessage] = []
    listener = MessageListener(messages.append, [5060])
    refused = Answer[bytes](None, Detail.FETCH_REFUSED, NOW)
    streams = TcpReplay(
        engine, lambda need: refused, lambda record: None, lambda frame: NOW, [5060], Unseen(), listener=listener
    )
    raw = bytes(IP(src=CARRIER, dst=SBC) / TCP(sport=5060, dport=5060, flags="A", seq=1) / Raw(invite()))
    streams.feed(raw, Frame(3, NOW, round(NOW * 1e9), 101, 0, raw, len(raw)))
    streams.finish()
    (message,) = messages
    assert (message.transport, message.sent, message.answers) == ("tcp", (invite(),), ())
    assert message.record is not None
    assert (message.record.would, message.record.unfiltered, message.record.packet) == ("reject", "tcp", 3)


@pytest.mark.parametrize("action", ["reject", "pass", "verify"])
def test_messages_over_tcp_that_are_relayed_are_as_they_are_live(action: str) -> None:
    engine = make_engine(f'[[rule]]\nname = "one"\naction = "{action}"\n')
    messages: list[SeenMessage] = []
    listener = MessageListener(messages.append, [5060])
    streams = TcpReplay(
        *(engine, _never, lambda record: None, lambda frame: NOW, [5060], Unseen()), listener=listener, relayed=[5060]
    )
    raw = bytes(IP(src=CARRIER, dst=SBC) / TCP(sport=5060, dport=5060, flags="A", seq=1) / Raw(invite()))
    streams.feed(raw, Frame(3, NOW, round(NOW * 1e9), 101, 0, raw, len(raw)))
    streams.finish()
    (message,) = messages
    assert message.record is not None
    assert (message.transport, message.record.would, message.record.unfiltered) == ("tcp", None, None)
    if action == "reject":
        assert message.sent == ()
        assert [answer.split(b"\r\n")[0] for answer in message.answers] == [b"SIP/2.0 403 Forbidden"]
    else:
        assert (message.sent == (invite(),), message.answers) == (action == "pass", ())


def _never(need: Need) -> Answer[bytes]:
    raise AssertionError(need)


def test_a_retransmission_is_sent_as_the_first_copy() -> None:
    calls = gathered([arriving(invite(identity()))] * 2)
    (call,) = calls.in_order()
    first, second = call.messages
    assert first.sent == second.sent != (first.received,)
    assert second.record is None
    assert CORE not in (first.src, first.dst)
