"""What the engine does not look at is counted, by the first reason that applies, with the INVITEs that it shows."""

from typing import Any

import pytest
from scapy.contrib.gtp import GTP_U_Header
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import GRE, LLC, SNAP, STP, CookedLinux, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import Packet, Raw
from support.captures import LINK

from sbc_filter.capture.survey import Survey
from sbc_filter.capture.unseen import Reason, Unseen

V4, V6 = IP(src="198.51.100.7", dst="203.0.113.10"), IPv6(src="2001:db8::7", dst="2001:db8::10")
INVITE = Raw(b"INVITE sip:+12155550199@203.0.113.10 SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n")
OPTIONS = Raw(b"OPTIONS sip:203.0.113.10 SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n")
ANSWER = Raw(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n" + INVITE.load)  # the INVITE is in its body
MEDIA = Raw(bytes(172))
ESP = "IP protocol 50 (ESP)"


def udp(port: int, payload: Packet, network: Packet = V4) -> Packet:
    return network / UDP(sport=40000, dport=port) / payload


def surveyed(*packets: Packet) -> list[tuple[Any, ...]]:
    unseen = Unseen()
    survey = Survey((5060,), unseen)
    for packet in packets:
        survey.packet(bytes(packet))
    survey.finish()
    return [tuple(each.values()) for each in unseen.summary()]


@pytest.mark.parametrize(
    ("packet", "found"),
    [
        (udp(5060, INVITE), []),
        (udp(5060, OPTIONS), []),
        (udp(5060, Raw(b"\r\n\r\n")), []),
        (udp(5080, INVITE), [("other-port", "5080", 1, 1)]),
        (udp(5080, Raw(b"\r\n invite\tsip:a  sip/2.0 \n")), [("other-port", "5080", 1, 1)]),
        (udp(5080, INVITE, V6 / IPv6ExtHdrHopByHop()), [("other-port", "5080", 1, 1)]),
        (udp(5080, INVITE, V6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop()), [("other-port", "5080", 1, 1)]),
        (udp(5080, INVITE, V6 / IPv6ExtHdrRouting(segleft=0)), [("other-port", "5080", 1, 1)]),
        (
            udp(5060, INVITE, V6 / IPv6ExtHdrRouting(segleft=1, addresses=["2001:db8::1"])),
            [("ip-protocol", "IP protocol 43 (IPv6 routing)", 1, 1)],
        ),
        (udp(5080, ANSWER), [("no-port", "5080", 1, 0)]),
        (udp(30000, MEDIA), [("no-port", "30000", 1, 0)]),
        (udp(5061, Raw(b"\x16\xfe\xfd" + bytes(40))), [("dtls", "5061", 1, 0)]),
        (udp(5060, Raw(b"\x17\xfe\xff" + bytes(40))), [("dtls", "5060", 1, 0)]),
        (udp(30000, Raw(b"\x16\xfe\xfd" + bytes(40))), [("no-port", "30000", 1, 0)]),  # keys of media
        (V4 / UDP(dport=5060, len=999) / INVITE, [("malformed", "UDP with a wrong length", 1, 1)]),
        (udp(9060, Raw(b"HEP3" + bytes(30) + INVITE.load)), [("tunnel", "UDP port 9060 (HEP)", 1, 1)]),
        (udp(2152, GTP_U_Header() / udp(5060, INVITE)), [("tunnel", "UDP port 2152 (GTP-U)", 1, 1)]),
        (udp(7, Raw(b"\0" + INVITE.load)), [("tunnel", "UDP port 7", 1, 1)]),
        (V4 / udp(5060, INVITE), [("tunnel", "IP protocol 4 (IPv4 in IP)", 1, 1)]),
        (V4 / udp(5060, INVITE, V6), [("tunnel", "IP protocol 41 (IPv6 in IP)", 1, 1)]),
        (V6 / udp(5060, INVITE), [("tunnel", "IP protocol 4 (IPv4 in IP)", 1, 1)]),
        (V4 / GRE() / udp(5060, OPTIONS), [("tunnel", "IP protocol 47 (GRE)", 1, 0)]),
        (V4.copy() / Raw(bytes(40)), [("ip-protocol", "IP protocol 0 (IPv6 hop-by-hop)", 1, 0)]),
        (IP(proto=50) / Raw(bytes(40)), [("tunnel", ESP, 1, 0)]),
        (IP(proto=253) / Raw(bytes(40)), [("ip-protocol", "IP protocol 253", 1, 0)]),
        # An ICMP error quotes what it is about: that was in the capture, or was never there.
        (V4 / ICMP(type=3, code=3) / udp(5060, INVITE), [("ip-protocol", "IP protocol 1 (ICMP)", 1, 0)]),
        (V4 / SCTP(sport=5060, dport=5060) / SCTPChunkData(data=INVITE.load), [("sctp", "5060", 1, 1)]),
        (V4 / SCTP(sport=1, dport=5060) / Raw(bytes(16)), [("sctp", "5060", 1, 0)]),
        (V4 / SCTP(sport=1, dport=7777) / SCTPChunkData(data=INVITE.load), [("sctp", "7777", 1, 1)]),
        (V4 / SCTP(sport=2905, dport=2905) / Raw(bytes(16)), [("ip-protocol", "IP protocol 132 (SCTP)", 1, 0)]),
        (IP(proto=17) / Raw(bytes(7)), [("malformed", "IP with a broken header", 1, 0)]),
        (IP(proto=6) / Raw(bytes(19)), [("malformed", "IP with a broken header", 1, 0)]),
        (V4 / TCP(dport=5080) / INVITE, [("tcp", "5080", 1, 1)]),
        (V6 / IPv6ExtHdrDestOpt() / TCP(dport=5080) / INVITE, [("tcp", "5080", 1, 1)]),
    ],
    ids=lambda value: value.summary() if isinstance(value, Packet) else "",
)
def test_a_packet(packet: Packet, found: list[tuple[Any, ...]]) -> None:
    assert surveyed(packet) == found


def test_a_cut_packet_on_a_sip_port_is_traffic_on_it() -> None:
    unseen = Unseen()
    survey = Survey((5060,), unseen)
    survey.cut(bytes(udp(5060, OPTIONS))[:60], 60, 74)
    survey.packet(bytes(udp(30000, MEDIA)))
    survey.finish()
    assert [each["reason"] for each in unseen.summary()] == ["cut", "other-port"]


def test_media_is_one_number_where_there_are_calls() -> None:
    assert surveyed(udp(5060, OPTIONS), udp(30000, MEDIA), udp(30002, MEDIA)) == [("other-port", "", 2, 0)]
    assert surveyed(udp(5080, INVITE), udp(30000, MEDIA)) == [("other-port", "5080", 1, 1), ("other-port", "", 1, 0)]


@pytest.mark.parametrize(
    ("linktype", "frame", "found"),
    [
        (239, b"\2\0" + INVITE.load, (Reason.LINK_TYPE, "link type 239 (NFLOG)", 1)),
        (1234, b"", (Reason.LINK_TYPE, "link type 1234", 0)),
        (1, LINK / Raw(b""), (Reason.ETHERTYPE, "EtherType 0x9000 (loopback test)", 0)),
        (1, Ether(type=0x88CC) / Raw(bytes(50)), (Reason.ETHERTYPE, "EtherType 0x88cc (LLDP)", 0)),
        (1, Ether(type=0x1234) / INVITE, (Reason.ETHERTYPE, "EtherType 0x1234", 1)),
        (1, LINK / Dot1Q() / Dot1Q(type=0x8847) / INVITE, (Reason.ETHERTYPE, "EtherType 0x8847 (MPLS)", 1)),
        (1, b"\0" * 12 + b"\0\x40" + bytes(LLC() / STP()), (Reason.ETHERTYPE, "LLC 66 (STP)", 0)),
        (1, b"\0" * 12 + b"\0\x40" + bytes(LLC() / SNAP() / INVITE), (Reason.ETHERTYPE, "LLC 170 (SNAP)", 1)),
        (1, b"\0" * 12 + b"\0\x40", (Reason.ETHERTYPE, "LLC", 0)),
        (
            1,
            Ether(type=0x0800) / Raw(b"\x45\0\0\0" + bytes(16)) / INVITE,
            (Reason.MALFORMED, "IP with a broken header", 1),
        ),
        (1, b"\0" * 13, (Reason.MALFORMED, "frames without a whole link header", 0)),
        (1, b"\0" * 12 + b"\x81\0\0", (Reason.ETHERTYPE, "EtherType 0x8100 (802.1Q)", 0)),
        (113, CookedLinux(proto=0x0806) / Raw(bytes(28)), (Reason.ETHERTYPE, "EtherType 0x0806 (ARP)", 0)),
        (0, b"\0\0\0\x17" + INVITE.load, (Reason.LINK_TYPE, "link type 0 without IP", 1)),
        (101, b"\x10", (Reason.MALFORMED, "IP with a broken header", 0)),
    ],
)
def test_a_frame_without_an_ip_packet(linktype: int, frame: Packet | bytes, found: tuple[Reason, str, int]) -> None:
    unseen = Unseen()
    Survey((5060,), unseen).frame(linktype, bytes(frame))
    reason, where, invites = found
    assert unseen.summary() == [{"reason": reason, "where": where, "packets": 1, "invites": invites}]


def test_a_frame_that_was_cut_before_its_ip_header_ends() -> None:
    unseen = Unseen()
    Survey((5060,), unseen).frame(1, bytes(Ether(type=0x0800) / V4)[:30], cut=True)
    assert unseen.summary() == [{"reason": "cut", "where": "30", "packets": 1, "invites": 0}]


@pytest.mark.parametrize(
    ("packet", "kept", "found"),
    [
        (udp(5060, INVITE), 28 + 7, [("cut", "77", 1, 1)]),
        (udp(5080, INVITE), 28 + 7, [("cut", "77", 1, 1)]),
        (udp(5060, OPTIONS), 28 + 20, [("cut", "77", 1, 0)]),
        (udp(5060, INVITE), 28 + 6, [("cut", "77", 1, 0)]),  # whether it is one cannot be seen
        (udp(5060, INVITE), 24, [("cut", "77", 1, 0)]),
        (udp(5060, INVITE, V6 / IPv6ExtHdrHopByHop()), 48 + 8 + 7, [("cut", "77", 1, 1)]),
        (udp(30000, MEDIA), 100, []),
        (V4 / TCP(dport=5060) / INVITE, 60, [("cut", "77", 1, 0)]),  # its INVITEs are counted with their connection
        (V4 / TCP(dport=5080) / INVITE, 60, [("cut", "77", 1, 1)]),
        (V4 / TCP(dport=5080) / OPTIONS, 60, []),
        (V4 / GRE() / udp(5060, INVITE), 70, [("cut", "77", 1, 1)]),
        (udp(4789, Raw(bytes(22)) / V4 / UDP() / INVITE), 95, [("cut", "77", 1, 1)]),
        (udp(5080, ANSWER), 28 + 34 + 20, []),
        (V4 / ICMP(type=3, code=3) / udp(5060, INVITE), 70, []),
        (IP(frag=3, proto=17) / INVITE, 50, []),
    ],
)
def test_a_packet_that_the_capture_has_cut(packet: Packet, kept: int, found: list[tuple[Any, ...]]) -> None:
    unseen = Unseen()
    Survey((5060,), unseen).cut(bytes(packet)[:kept], 77, 78)
    assert [tuple(each.values()) for each in unseen.summary()] == found


@pytest.mark.parametrize(
    ("packet", "invites"),
    [
        (udp(5060, INVITE), 1),
        (udp(5060, INVITE, V6), 1),
        (udp(30000, MEDIA), 0),
        (V4 / TCP(dport=5060) / INVITE, 0),  # its INVITEs are counted with their connection
    ],
)
def test_a_packet_longer_than_its_frame_is_not_blamed_on_the_snap_length(packet: Packet, invites: int) -> None:
    """All that was sent was captured: the length in the IP header is false, and hosts drop the packet."""
    unseen, raw = Unseen(), bytes(packet)
    at = 4 if raw[0] >> 4 == 6 else 2
    lying = raw[:at] + (int.from_bytes(raw[at : at + 2], "big") + 50).to_bytes(2, "big") + raw[at + 2 :]
    Survey((5060,), unseen).cut(lying, len(raw) + 14, len(raw) + 14)
    assert [tuple(each.values()) for each in unseen.summary()] == [
        ("malformed", "IP longer than its frame", 1, invites)
    ]


FIRST, LATER = IP(flags="MF") / UDP(dport=5080) / INVITE, IP(frag=9, proto=17) / Raw(INVITE.load)
FIRST6 = V6 / IPv6ExtHdrFragment(m=1, nh=17) / UDP(dport=5060) / INVITE
LATER6 = V6 / IPv6ExtHdrFragment(m=0, offset=9, nh=17) / Raw(bytes(8) + INVITE.load)


@pytest.mark.parametrize(
    ("fragments", "found"),
    [
        ([FIRST], ("first-fragment", "", 1, 1)),
        ([FIRST6], ("first-fragment", "", 1, 1)),
        ([FIRST, LATER], ("incomplete", "", 2, 1)),
        ([LATER6, FIRST6], ("incomplete", "", 2, 1)),
        ([FIRST, FIRST], ("incomplete", "", 2, 1)),  # one fragment, captured twice
        ([FIRST, FIRST / b"\r\n", LATER], ("incomplete", "", 3, 2)),  # two calls with one ID
        ([LATER], ("incomplete", "", 1, 0)),
        ([LATER6], ("incomplete", "", 1, 0)),
        ([IP(flags="MF") / UDP(dport=5060) / OPTIONS], ("incomplete", "", 1, 0)),
        ([IP(flags="MF", proto=6) / INVITE], ("incomplete", "", 1, 1)),
        ([IP(flags="MF", proto=1) / INVITE], ("incomplete", "", 1, 0)),  # ICMP quotes it
    ],
)
def test_a_datagram_that_never_became_whole(fragments: list[Packet], found: tuple[Any, ...]) -> None:
    unseen = Unseen()
    Survey((5060,), unseen).incomplete([bytes(each) for each in fragments])
    assert [tuple(each.values()) for each in unseen.summary()] == [found]
