"""Packets against scapy as an independent oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.packet import Raw
from support.growth import LINEAR, growth

from sbc_filter.errors import PacketError
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import Datagram, datagram_to_ip, parse

V4 = bytes(
    IP(src="198.51.100.7", dst="203.0.113.10", flags="DF", id=0, tos=0xB8) / UDP(sport=5061, dport=5060) / b"hello"
)
V6 = bytes(IPv6(src="2001:db8::7", dst="2001:db8::10") / UDP(sport=5061, dport=5060) / b"hello")


@pytest.mark.parametrize(
    ("raw", "src", "dst"),
    [(V4, "198.51.100.7", "203.0.113.10"), (V6, "2001:db8::7", "2001:db8::10")],
)
def test_parse(raw: bytes, src: str, dst: str) -> None:
    packet = parse(raw)
    assert (packet.src, packet.sport, packet.dst, packet.dport, packet.payload) == (src, 5061, dst, 5060, b"hello")


@pytest.mark.parametrize("raw", [V4, V6])
def test_same_payload_gives_the_same_packet(raw: bytes) -> None:
    assert parse(raw).replace_payload(b"hello") == raw


def test_growing_clears_df_and_sets_an_id_and_keeps_the_rest() -> None:
    grown = IP(parse(V4).replace_payload(b"hello, world"))
    assert (grown.len, grown.tos, grown.ttl, str(grown.flags)) == (40, 0xB8, 64, "")
    assert grown.id != 0
    assert parse(V4).replace_payload(b"hello, world") == bytes(grown)


def _checksums_hold(raw: bytes) -> bool:
    """scapy computes the checksums anew; they must be what stands in the packet."""
    layer = IP if raw[0] >> 4 == 4 else IPv6
    copy = layer(raw)
    if layer is IP:
        del copy.chksum
    del copy[UDP].chksum
    return bytes(copy) == raw


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_checksums_agree_with_scapy(before: bytes, after: bytes) -> None:
    option = (
        IP(src="192.0.2.1", dst="192.0.2.2", options=[IPOption_Router_Alert()]) / UDP(sport=1, dport=2) / Raw(before)
    )
    extended = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=2) / Raw(before)
    for raw in (bytes(option), bytes(extended)):
        assert parse(raw).payload == before
        assert _checksums_hold(parse(raw).replace_payload(after))


@given(st.binary(max_size=300))
def test_our_datagrams_agree_with_scapy(payload: bytes) -> None:
    for src, dst in (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")):
        raw = datagram_to_ip(Datagram(src, 5060, dst, 5062, payload))
        assert _checksums_hold(raw)
        assert parse(raw).payload == payload


def test_a_zero_checksum_is_written_as_ffff() -> None:
    """S-154: a computed 0 goes out as 0xffff, in IPv6 mandatorily."""
    for payload in (bytes(pair) for pair in ((a, b) for a in range(256) for b in range(256))):
        raw = datagram_to_ip(Datagram("2001:db8::1", 1, "2001:db8::2", 2, payload))
        assert raw[46:48] != b"\0\0"


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"", Detail.PACKET_SYNTAX),
        (V4[:19], Detail.PACKET_TRUNCATED),
        (V4[:-1], Detail.PACKET_TRUNCATED),
        (V6[:-1], Detail.PACKET_TRUNCATED),
        (b"\x41" + V4[1:], Detail.PACKET_SYNTAX),
        (bytes(IP(flags="MF") / UDP() / b"x"), Detail.PACKET_FRAGMENT),
        (bytes(IPv6() / IPv6ExtHdrFragment(m=1) / UDP() / b"x"), Detail.PACKET_FRAGMENT),
        (bytes(IP(proto=6) / b"xxxxxxxxxxxxxxxxxxxx"), Detail.PACKET_PROTOCOL),
        (bytes(IP() / UDP(len=7) / b"x"), Detail.PACKET_SYNTAX),
        (bytes(IP() / UDP(len=90) / b"x"), Detail.PACKET_SYNTAX),
    ],
)
def test_not_a_datagram(raw: bytes, detail: Detail) -> None:
    with pytest.raises(PacketError) as caught:
        parse(raw)
    assert caught.value.detail is detail


@given(st.binary(max_size=120))
def test_any_bytes_parse_or_raise_the_one_error(raw: bytes) -> None:
    for head in (b"", b"\x45", b"\x60"):
        try:
            parse(head + raw).replace_payload(b"new")
        except PacketError:
            pass


def test_no_room() -> None:
    with pytest.raises(PacketError) as caught:
        parse(V4).replace_payload(bytes(65508))
    assert caught.value.detail is Detail.NO_ROOM
    assert len(parse(V4).replace_payload(bytes(65507))) == 65535


INVITE = bytes(UDP(sport=1, dport=2, len=8 + 6, chksum=0) / Raw(b"INVITE"))


def extended(number: int) -> bytes:
    """A fixed header, and so many extension headers."""
    options = bytes([60, 0, 1, 4, 0, 0, 0, 0]) * (number - 1) + bytes([17, 0, 1, 4, 0, 0, 0, 0])
    return bytes(IPv6(src="2001:db8::1", dst="2001:db8::2", nh=60, plen=len(options) + len(INVITE))) + options


@pytest.mark.parametrize("number", [7, 8, 9, 30, 5000])
def test_any_number_of_extension_headers(number: int) -> None:
    """S-154: a host reads on; an INVITE behind eight of them went unread to the SBC."""
    packet = parse(extended(number) + INVITE)
    assert (packet.payload, packet.sport, packet.dport) == (b"INVITE", 1, 2)
    with pytest.raises(PacketError, match="packet-truncated"):
        parse(extended(number))


def test_each_extension_header_is_looked_at_once() -> None:
    packets = {number: extended(number) + INVITE for number in (1000, 8000)}
    assert growth(lambda number: parse(packets[number]), 8000) < LINEAR


@pytest.mark.parametrize("udp_length", [0, 14])
@pytest.mark.parametrize("hop_by_hop", [False, True])
def test_lengths_of_0_in_ipv6(udp_length: int, hop_by_hop: bool) -> None:
    """As Linux takes them (RFC 2675): an INVITE with one of them went unread to the SBC. They are written right."""
    udp = bytes(UDP(sport=1, dport=2, len=udp_length, chksum=0) / Raw(b"INVITE"))
    options = bytes([17, 0, 1, 4, 0, 0, 0, 0]) if hop_by_hop else b""
    head = IPv6(src="2001:db8::1", dst="2001:db8::2", nh=0 if hop_by_hop else 17, plen=0 if hop_by_hop else len(udp))
    packet = parse(bytes(head) + options + udp)
    assert packet.payload == b"INVITE"
    assert packet.room == 0xFFFF - len(options) - 8
    changed = packet.replace_payload(b"invite you")
    assert parse(changed).payload == b"invite you"
    assert int.from_bytes(changed[4:6], "big") == len(changed) - 40
    assert _checksums_hold(changed)


def test_lengths_of_0_elsewhere_are_none() -> None:
    udp = bytes(UDP(sport=1, dport=2, len=0, chksum=0) / Raw(b"INVITE"))
    with pytest.raises(PacketError, match="packet-syntax"):
        parse(bytes(IP(src="192.0.2.1", dst="192.0.2.2", proto=17) / Raw(udp)))
    with pytest.raises(PacketError, match="packet-truncated"):
        parse(bytes(IPv6(src="2001:db8::1", dst="2001:db8::2", nh=17, plen=0)) + udp)
