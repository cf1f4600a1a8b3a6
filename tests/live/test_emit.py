"""Datagrams of our own, as the far end's socket sees them."""

import socket
from collections.abc import Iterator

import pytest
from support.calls import NOW, invite, make_engine
from support.netns import ADDRESSES, LIVE, PATHS, endpoint, running
from support.tiny import TinySource

from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import DEFAULT_MARK, Plan
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.raw_send import Emitter
from sbc_filter.packet.udp import Datagram, datagram_to_ip

pytestmark = LIVE
DSCP_CS3 = 0x60
REJECT = '[[rule]]\nname = "no"\naction = "reject"\nanswer = { code = 403 }\n'


@pytest.fixture
def emitter(lab: Lab) -> Iterator[Emitter]:
    with lab.inside("sbc"):
        made = Emitter(DEFAULT_MARK)
    yield made
    made.close()


@pytest.mark.parametrize(("start", "end", "version"), PATHS)
@pytest.mark.parametrize("size", [1, 1473, 9000, 65000])
def test_from_any_source_in_any_size(lab: Lab, emitter: Emitter, start: str, end: str, version: int, size: int) -> None:
    """S-143: from the address and port that was asked, though it is another host's."""
    source, destination = ADDRESSES[start][version], ADDRESSES[end][version]
    with endpoint(lab, end, version, 5062) as receiver:
        assert emitter.send(Datagram(source, 5060, destination, 5062, b"r" * size))
        message, address = receiver.recvfrom(70000)
        assert (message, address[:2]) == (b"r" * size, (source, 5060))
    assert emitter.counters == {"emitted": 1, "reemitted": 0, "emit-errors": 0}


@pytest.mark.parametrize("version", [4, 6])
def test_a_packet_sent_again_keeps_dscp_and_hop_limit(lab: Lab, emitter: Emitter, version: int) -> None:
    """S-154."""
    raw = bytearray(
        datagram_to_ip(Datagram(ADDRESSES["core"][version], 5060, ADDRESSES["carrier"][version], 5062, b"x" * 3000))
    )
    if version == 4:
        raw[1], raw[8] = DSCP_CS3, 17
    else:
        raw[0:2], raw[7] = (0x60000000 | DSCP_CS3 << 20).to_bytes(4, "big")[:2], 17
    level, traffic_class, hops = (
        (socket.IPPROTO_IP, socket.IP_RECVTOS, 12)  # IP_RECVTTL
        if version == 4
        else (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, socket.IPV6_RECVHOPLIMIT)
    )
    with endpoint(lab, "carrier", version, 5062) as receiver:
        receiver.setsockopt(level, traffic_class, 1)
        receiver.setsockopt(level, hops, 1)
        assert emitter.resend(bytes(raw))
        message, ancillary, _, _ = receiver.recvmsg(70000, 200)
        assert message == b"x" * 3000
        assert sorted(data[0] for _, _, data in ancillary) == [17, DSCP_CS3]


@pytest.mark.parametrize("version", [4, 6])
def test_a_response_has_the_dscp_of_its_request(lab: Lab, version: int) -> None:
    """Without ECN, which says what became of the request on its way."""
    level, sent, received = (
        (socket.IPPROTO_IP, socket.IP_TOS, socket.IP_RECVTOS)
        if version == 4
        else (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, socket.IPV6_RECVTCLASS)
    )
    with lab.inside("sbc"):
        Iptables().apply(Plan())
    with (
        running(lab, make_engine(REJECT, sbc=()), TinySource(), clock=lambda: NOW),
        endpoint(lab, "carrier", version) as carrier,
    ):
        carrier.setsockopt(level, received, 1)
        for number, traffic_class in enumerate((DSCP_CS3 | 1, 0xB8, 0)):
            carrier.setsockopt(level, sent, traffic_class)
            carrier.sendto(invite(number=number), (ADDRESSES["sbc"][version], 5060))
            message, ancillary, _, _ = carrier.recvmsg(70000, 200)
            assert message.startswith(b"SIP/2.0 403 ")
            assert [data[0] for _, _, data in ancillary] == [traffic_class & 0xFC]
    with lab.inside("sbc"):
        Iptables().remove()


@pytest.mark.parametrize("rule", ["from {source}", "fwmark 0x20000000/0x20000000"])
@pytest.mark.parametrize("version", [4, 6])
def test_policy_routing_holds_for_answers(lab: Lab, emitter: Emitter, version: int, rule: str) -> None:
    """S-157: by the address that was called, be it another host's; by our mark, where that is not enough."""
    source, peer = ADDRESSES["core"][version], ("203.0.113.99", "2001:db8:99::1")[version == 6]
    family, host_route = f"-{version}", f"{peer}/{32 if version == 4 else 128}"
    lab.address("carrier", host_route, "lo")
    lab.wait_until_up()
    chosen = rule.format(source=source).split()
    with endpoint(lab, "carrier", version, 5062, address=peer) as receiver:
        answer = Datagram(source, 5060, peer, 5062, b"answer")
        assert not emitter.send(answer)  # by the main table there is no way
        lab.run("sbc", "ip", family, "route", "add", host_route, "via", ADDRESSES["carrier"][version], "table", "7")
        lab.run("sbc", "ip", family, "rule", "add", *chosen, "table", "7")
        try:
            assert emitter.send(answer)
            assert receiver.recvfrom(100)[1][:2] == (source, 5060)
        finally:
            lab.run("sbc", "ip", family, "rule", "delete", *chosen, "table", "7")
            lab.run("sbc", "ip", family, "route", "flush", "table", "7")


def test_it_receives_nothing(lab: Lab, emitter: Emitter) -> None:
    with endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        carrier.sendto(b"to the SBC", (ADDRESSES["sbc"][4], 5060))
        assert sbc.recv(100) == b"to the SBC"
        with pytest.raises(BlockingIOError):
            emitter._v4.recv(100)


@pytest.mark.parametrize(
    "datagram",
    [
        Datagram("192.0.2.1", 5060, "203.0.113.9", 5060, b"no route"),
        Datagram("192.0.2.1", 5060, "192.0.2.7", 5060, b"x" * 65508),
        Datagram("192.0.2.1", 5060, "2001:db8:1::7", 5060, b"two families"),
        Datagram("nowhere", 5060, "192.0.2.7", 5060, b"no address"),
        Datagram("192.0.2.1", 70000, "192.0.2.7", 5060, b"no port"),
        Datagram("192.0.2.1", 5060, "255.255.255.255", 5060, b"broadcast"),
        Datagram("192.0.2.1", 5060, "192.0.2.255", 5060, b"broadcast of a network"),
        Datagram("192.0.2.1", 5060, "224.0.0.1", 5060, b"multicast"),
        Datagram("2001:db8:1::1", 5060, "ff02::1", 5060, b"multicast"),
        Datagram("224.0.1.75", 5060, "192.0.2.7", 5060, b"from a group"),
        Datagram("ff02::1", 5060, "2001:db8:1::7", 5060, b"from a group"),
    ],
)
def test_errors_are_counted_never_raised(emitter: Emitter, datagram: Datagram) -> None:
    assert not emitter.send(datagram)
    assert emitter.counters["emit-errors"] == 1


def test_what_is_no_packet_is_not_sent_again(emitter: Emitter) -> None:
    assert not emitter.resend(b"\x45nonsense")
    assert emitter.counters["emit-errors"] == 1
