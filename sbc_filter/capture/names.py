"""Names for what a frame holds instead of an IP packet, or an IP packet instead of UDP.

The likely link types (tcpdump.org), EtherTypes and IP protocols (IANA) have names; the others are shown as numbers.
"""

from sbc_filter.capture.link_types import LOOP, MAX_TAGS, NULL, RAW, RAW_V4, RAW_V6, TYPED, VLAN
from sbc_filter.capture.unseen import Reason

LINK_TYPES = {
    3: "AX.25", 6: "Token Ring", 7: "ARCNET", 8: "SLIP", 9: "PPP", 10: "FDDI", 50: "PPP in HDLC", 51: "PPPoE",
    99: "Symantec firewall", 104: "Cisco HDLC", 105: "802.11", 107: "Frame Relay", 109: "OpenBSD IPsec",
    117: "OpenBSD pflog", 119: "802.11 with Prism header", 122: "IP over Fibre Channel", 127: "802.11 with radiotap",
    129: "Linux IEEE 1394", 139: "SS7 MTP2 with pseudo-header", 140: "SS7 MTP2", 141: "SS7 MTP3", 142: "SS7 SCCP",
    147: "private use 0", 149: "private use 2, also Apple PKTAP", 163: "802.11 with AVS header", 166: "PPP of pppd",
    187: "Bluetooth HCI", 189: "USB of Linux", 195: "802.15.4", 197: "ERF", 201: "Bluetooth HCI with direction",
    204: "PPP with direction",
    220: "USB of Linux, padded", 226: "Solaris ipnet", 227: "CAN", 239: "NFLOG", 247: "InfiniBand", 249: "USBPcap",
    252: "Wireshark exported PDU", 253: "Linux netlink", 258: "Apple PKTAP", 274: "Ethernet with preamble",
    280: "Linux vsock",
}  # fmt: skip
ETHERTYPES = {
    0x0806: "ARP", 0x0842: "Wake-on-LAN", 0x22F3: "TRILL", 0x6002: "DEC MOP", 0x6003: "DECnet", 0x8035: "RARP",
    0x80F3: "AppleTalk ARP", 0x809B: "AppleTalk", 0x8137: "IPX", 0x8808: "Ethernet flow control", 0x8809: "LACP",
    0x8847: "MPLS", 0x8848: "MPLS multicast", 0x8863: "PPPoE discovery", 0x8864: "PPPoE", 0x88BE: "ERSPAN",
    0x888E: "802.1X", 0x8892: "PROFINET", 0x88A8: "802.1ad", 0x88B7: "OUI extended", 0x88CC: "LLDP", 0x88E5: "MACsec",
    0x88E7: "802.1ah", 0x88F7: "PTP", 0x8902: "CFM", 0x8906: "FCoE", 0x8914: "FCoE initialization", 0x8915: "RoCE",
    0x894F: "NSH", 0x8100: "802.1Q", 0x9000: "loopback test", 0x9100: "QinQ", 0x6558: "bridged Ethernet",
}  # fmt: skip
PROTOCOLS = {
    0: "IPv6 hop-by-hop", 1: "ICMP", 2: "IGMP", 4: "IPv4 in IP", 6: "TCP", 17: "UDP", 27: "RDP", 33: "DCCP",
    41: "IPv6 in IP", 43: "IPv6 routing", 44: "IPv6 fragment", 46: "RSVP", 47: "GRE", 50: "ESP", 51: "AH", 55: "MOBILE",
    58: "ICMPv6", 59: "none", 60: "IPv6 destination options", 88: "EIGRP", 89: "OSPF", 94: "IPIP", 97: "EtherIP",
    98: "ENCAP", 103: "PIM", 108: "IPComp", 112: "VRRP", 115: "L2TP", 124: "IS-IS over IPv4", 132: "SCTP",
    135: "IPv6 mobility", 136: "UDP-Lite", 137: "MPLS in IP", 139: "HIP", 143: "Ethernet",
}  # fmt: skip
TUNNELS = frozenset((4, 41, 47, 50, 55, 94, 97, 98, 108, 115, 137, 143))
"""The IP protocols with other packets in them."""
_LLC = {0x42: "STP", 0xAA: "SNAP", 0xE0: "IPX", 0xF0: "NetBIOS", 0xFE: "IS-IS", 0x06: "IP"}

_FIRST_ETHERTYPE = 0x0600  # below, the field is the length of an LLC frame (IEEE 802.3)
_IP = frozenset((0x0800, 0x86DD))
BROKEN_IP = "IP with a broken header"


def link_type(number: int) -> str:
    """`link type 239 (NFLOG)`."""
    return f"link type {_with_name(number, LINK_TYPES)}"


def ethertype(number: int) -> str:
    """`EtherType 0x88cc (LLDP)`."""
    return f"EtherType {_with_name(number, ETHERTYPES, f'0x{number:04x}')}"


def ip_protocol(number: int) -> str:
    """`IP protocol 47 (GRE)`."""
    return f"IP protocol {_with_name(number, PROTOCOLS)}"


def without_ip(linktype: int, frame: bytes) -> tuple[Reason, str]:
    """What a frame is in which no IP packet was found: the reason, and the place for `Unseen.add`."""
    if linktype not in TYPED:
        known = linktype in RAW or linktype in (RAW_V4, RAW_V6)
        if known or (linktype in (NULL, LOOP) and len(frame) < 4):
            return Reason.MALFORMED, BROKEN_IP
        if linktype in (NULL, LOOP):
            return Reason.LINK_TYPE, f"{link_type(linktype)} without IP"
        return Reason.LINK_TYPE, link_type(linktype)
    payload, at = TYPED[linktype]
    protocol = frame[at : at + 2]
    for _ in range(MAX_TAGS):
        if protocol not in VLAN or len(frame) < payload + 4:
            break
        protocol = frame[payload + 2 : payload + 4]
        payload += 4
    number = int.from_bytes(protocol, "big")
    if len(frame) < payload:
        return Reason.MALFORMED, "frames without a whole link header"
    if number in _IP:
        return Reason.MALFORMED, BROKEN_IP
    if number < _FIRST_ETHERTYPE:
        return Reason.ETHERTYPE, f"LLC {_with_name(frame[payload], _LLC)}" if len(frame) > payload else "LLC"
    return Reason.ETHERTYPE, ethertype(number)


def _with_name(number: int, names: dict[int, str], shown: str = "") -> str:
    shown = shown or str(number)
    return f"{shown} ({names[number]})" if number in names else shown
