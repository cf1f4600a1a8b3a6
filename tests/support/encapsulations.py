"""What captures wrap IP packets in, as docs/captures.md names it; scapy builds what it knows, the rest is by hand."""

import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.dot11 import Dot11, Dot11QoS, PrismHeader, RadioTap
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import GRE, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1AH, Dot1Q, Dot3, Ether
from scapy.layers.ppp import DIR_PPP, HDLC, PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
ETHER = Ether(src=A, dst=B)
INNER = Ether(src="12:00:00:00:00:0c", dst="12:00:00:00:00:0d")  # ERSPAN I: not version 1 of ERSPAN
OUTER = IP(src="10.9.0.1", dst="10.9.0.2")
OUTER6 = IPv6(src="2001:db8:9::1", dst="2001:db8:9::2")


class Form(NamedTuple):
    """One way to wrap an IP packet."""

    row: str  # the first cell of its row in docs/captures.md
    linktype: int
    wrap: Callable[[bytes], bytes]
    tunnel: str = ""
    tunnel_of_v6: str = ""  # if IPv6 in it has another name
    readable_by_tshark: bool = True


def packet(raw: bytes) -> Packet:
    return IP(raw) if raw[0] >> 4 == 4 else IPv6(raw)


def under(head: Packet) -> Callable[[bytes], bytes]:
    """Below headers of scapy, which sets their lengths, types and check sums."""
    return lambda raw: bytes(head / packet(raw))


def after(head: Callable[[bytes], bytes] | bytes) -> Callable[[bytes], bytes]:
    return lambda raw: (head if isinstance(head, bytes) else head(raw)) + raw


def number(raw: bytes, four: int, six: int, size: int = 2, order: str = ">") -> bytes:
    """A number that is `four` for IPv4, `six` for IPv6."""
    return struct.pack(order + {1: "B", 2: "H", 4: "I"}[size], four if raw[0] >> 4 == 4 else six)


def ethertype(raw: bytes) -> bytes:
    return number(raw, 0x0800, 0x86DD)


def nflog(raw: bytes, order: str = "<") -> bytes:
    head = number(raw, 2, 10, 1) + bytes(3)
    prefix = struct.pack(order + "HH", 7, 10) + b"in\0" + bytes(1)
    return head + prefix + struct.pack(order + "HH", 4 + len(raw), 9) + raw + bytes(-len(raw) % 4)


def pktap(raw: bytes, linktype: int = 1) -> bytes:
    head = struct.pack("<III24sII", 108, 1, linktype, b"en0", 1, number(raw, 2, 30, 1)[0])
    return head.ljust(108, b"\0") + (bytes(ETHER / packet(raw)) if linktype == 1 else raw)


def pflog(raw: bytes) -> bytes:
    return bytes((61,)) + number(raw, 2, 24, 1) + bytes(62) + raw


def dot11(raw: bytes, checked: bool = False, qos: bool = False) -> bytes:
    head = Dot11(type=2, subtype=8 if qos else 0, FCfield=1, addr1=A, addr2=B, addr3=A)
    if qos:
        head = head / Dot11QoS()
    frame = bytes(head / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0) / packet(raw))
    return frame + zlib.crc32(frame).to_bytes(4, "little") if checked else frame


def radiotap(raw: bytes) -> bytes:
    return bytes(RadioTap(present="Flags+Rate", Flags="FCS")) + dot11(raw, checked=True, qos=True)


def tag(kind: int, value: bytes) -> bytes:
    return struct.pack(">HH", kind, len(value)) + value + bytes(-len(value) % 4)


def exported_sip(raw: bytes) -> bytes:
    six = raw[0] >> 4 == 6
    ends, udp = (raw[8:40], raw[40:]) if six else (raw[12:20], raw[20:])
    half = len(ends) // 2
    tags = tag(12, b"sip\0") + tag(22 if six else 20, ends[:half]) + tag(23 if six else 21, ends[half:])
    tags += tag(24, bytes((0, 0, 0, 3))) + tag(25, bytes(2) + udp[:2]) + tag(26, bytes(2) + udp[2:4]) + tag(0, b"")
    return tags + udp[8:]


def tunnelled(head: Packet, begin: bytes) -> Callable[[bytes], bytes]:
    """In a bridged frame, after octets by hand."""
    return lambda raw: bytes(ETHER / head / Raw(begin + bytes(INNER / packet(raw))))


def over_ip(protocol: int) -> Packet:
    return IP(src="10.9.0.1", dst="10.9.0.2", proto=protocol)


SNAPPED = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0)
FORMS = [
    Form("Ethernet", 1, under(ETHER)),
    Form("Ethernet", 1, under(ETHER / Dot1Q(vlan=7))),
    Form("Ethernet", 1, under(ETHER / Dot1AD(vlan=9) / Dot1Q(vlan=7))),
    Form("Linux cooked", 113, under(CookedLinux())),
    Form("Linux cooked, version 2", 276, under(CookedLinuxV2())),
    Form("BSD loopback", 0, after(lambda raw: number(raw, 2, 30, 4, "<"))),
    Form("BSD loopback", 108, after(lambda raw: number(raw, 2, 24, 4))),
    Form("raw IP", 12, after(b"")),
    Form("raw IP", 14, after(b""), readable_by_tshark=False),
    Form("raw IP", 101, after(b"")),
    Form("PPP", 9, under(PPP())),
    Form("PPP", 9, under(HDLC() / PPP())),
    Form("PPP", 50, under(HDLC() / PPP())),
    Form("PPP", 204, under(DIR_PPP() / HDLC() / PPP())),
    Form("PPP", 166, under(DIR_PPP() / HDLC() / PPP()), readable_by_tshark=False),
    Form("PPPoE", 51, under(PPPoE(sessionid=1) / PPP())),
    Form("PPPoE", 1, under(ETHER / PPPoE(sessionid=1) / PPP())),
    Form("PPPoE", 1, under(ETHER / Dot1Q(vlan=7) / PPPoE(sessionid=1) / PPP())),
    Form("Cisco HDLC", 104, after(lambda raw: b"\x0f\0" + ethertype(raw))),
    Form("802.11", 105, dot11),
    Form("802.11", 105, lambda raw: dot11(raw, qos=True)),
    Form("802.11 with Prism header", 119, lambda raw: bytes(PrismHeader()) + dot11(raw)),
    Form("802.11 with radiotap", 127, radiotap),
    Form("OpenBSD IPsec (enc)", 109, after(lambda raw: number(raw, 2, 24, 4, "<") + bytes(8))),
    Form("OpenBSD pflog", 117, pflog),
    Form("NFLOG", 239, nflog),
    Form("NFLOG", 239, lambda raw: nflog(raw, ">"), readable_by_tshark=False),
    Form("Apple PKTAP", 258, pktap),
    Form("Apple PKTAP", 149, pktap, readable_by_tshark=False),
    Form("Apple PKTAP", 258, lambda raw: pktap(raw, 101), readable_by_tshark=False),
    Form("Wireshark exported PDU", 252, exported_sip),
    Form(
        "Wireshark exported PDU",
        252,
        lambda raw: tag(12, b"eth_withoutfcs\0\0") + tag(0, b"") + bytes(ETHER / packet(raw)),
    ),
    Form("MPLS", 1, after(lambda raw: bytes(ETHER / MPLS(label=16, s=1, ttl=64)))),
    Form("MPLS", 1, after(lambda raw: bytes(ETHER / MPLS(label=16, s=0, ttl=64) / MPLS(label=17, s=1, ttl=64)))),
    Form(
        "MPLS",
        1,
        lambda raw: bytes(ETHER / MPLS(label=16, s=1, ttl=64)) + bytes(4) + bytes(INNER / packet(raw)),
        readable_by_tshark=False,
    ),
    Form("LLC and SNAP", 1, under(Dot3(src=A, dst=B) / SNAPPED)),
    Form("LLC and SNAP", 1, lambda raw: bytes(ETHER)[:12] + b"\x81\0\0\7" + bytes(Dot3() / SNAPPED / packet(raw))[12:]),
    Form("LLC and SNAP", 113, under(CookedLinux(proto=4) / SNAPPED)),
    Form("802.1ah", 1, lambda raw: bytes(ETHER / Dot1AH(isid=5) / INNER / packet(raw))),
    Form("IP in IP", 1, under(ETHER / OUTER), "IPIP", "6in4"),
    Form("IP in IP", 1, under(ETHER / OUTER6), "4in6", "IPv6 in IPv6"),
    Form("IP in IP", 1, under(ETHER / OUTER6 / IPv6ExtHdrDestOpt()), "4in6", "IPv6 in IPv6"),
    Form("GRE", 1, under(ETHER / OUTER / GRE()), "GRE"),
    Form("GRE", 1, under(ETHER / OUTER6 / GRE(chksum_present=1, key_present=1, key=7, seqnum_present=1)), "GRE"),
    Form("GRE", 1, under(ETHER / OUTER / GRE(proto=0x6558) / INNER / Dot1Q(vlan=3)), "GRE"),
    Form("GRE", 1, under(ETHER / OUTER / GRE(key_present=1) / MPLS(label=99, s=1)), "GRE"),
    Form("ERSPAN", 1, under(ETHER / OUTER / GRE(proto=0x88BE) / INNER), "ERSPAN"),
    Form(
        "ERSPAN",
        1,
        tunnelled(OUTER / GRE(proto=0x88BE, seqnum_present=1), bytes((0x10, 7, 0, 1, 0, 0, 0, 9))),
        "ERSPAN",
    ),
    Form(
        "ERSPAN", 1, tunnelled(OUTER / GRE(proto=0x22EB, seqnum_present=1), bytes((0x20, 7, 0, 1)) + bytes(8)), "ERSPAN"
    ),
    Form("VXLAN", 1, under(ETHER / OUTER / UDP(sport=50000, dport=4789) / VXLAN(vni=5, flags=8) / INNER), "VXLAN"),
    Form(
        "VXLAN",
        1,
        under(ETHER / OUTER6 / UDP(sport=50000, dport=8472) / VXLAN(vni=5, flags=8) / INNER),
        "VXLAN",
        readable_by_tshark=False,
    ),
    Form("GENEVE", 1, under(ETHER / OUTER / UDP(sport=50000, dport=6081, chksum=0) / GENEVE(vni=5) / INNER), "GENEVE"),
    Form("GTP-U", 1, under(ETHER / OUTER / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=1, gtp_type=255)), "GTP-U"),
    Form(
        "GTP-U",
        1,
        lambda raw: bytes(
            ETHER
            / OUTER
            / UDP(sport=2152, dport=2152)
            / GTP_U_Header(teid=1, gtp_type=255, E=1, next_ex=0x85)
            / GTPPDUSessionContainer(type=1, QFI=3)
            / packet(raw)
        ),
        "GTP-U",
    ),
    Form("EtherIP", 1, tunnelled(over_ip(97), b"\x30\0"), "EtherIP"),
    Form("MPLS in IP", 1, lambda raw: bytes(ETHER / over_ip(137) / MPLS(label=9, s=1) / Raw(raw)), "MPLS in IP"),
]
