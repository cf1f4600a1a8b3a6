"""The capture filters of the manual, compiled by libpcap: a capture made with them has whole INVITEs."""

import ctypes
import ctypes.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from support.captures import LINK

from sbc_filter.packet.fragments import fragment

PAGE = (Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text()
PORT = "udp port 5060"
V4, V6 = IP(src="198.51.100.7", dst="203.0.113.10"), IPv6(src="2001:db8::7", dst="2001:db8::10")


class _Header(ctypes.Structure):
    _fields_ = (
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("captured", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


def passes(text: str, frames: list[bytes]) -> list[bool]:
    """Which Ethernet frames libpcap captures with this filter."""
    name = ctypes.util.find_library("pcap")
    if name is None:
        pytest.skip("needs libpcap")
    library = ctypes.CDLL(name)
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_geterr.restype = ctypes.c_char_p
    handle, program = ctypes.c_void_p(library.pcap_open_dead(1, 65535)), _Program()
    assert not library.pcap_compile(handle, ctypes.byref(program), text.encode(), 1, 0), library.pcap_geterr(handle)
    found = [
        bool(
            library.pcap_offline_filter(ctypes.byref(program), ctypes.byref(_Header(0, 0, len(each), len(each))), each)
        )
        for each in frames
    ]
    library.pcap_freecode(ctypes.byref(program))
    library.pcap_close(handle)
    return found


def filters() -> tuple[str, str]:
    """The filter of the first example, and that for VLANs."""
    plain = re.findall(r"\n    '(udp port 5060 or .*)'\n", PAGE)
    named = re.findall(r"\nF='(.*)'\n", PAGE)
    tagged = re.findall(r"-w calls.pcap \"(.*)\"\n", PAGE)
    assert len(plain) == len(tagged) == 1
    assert named == plain
    return plain[0], tagged[0].replace("$F", plain[0])


def wrapped(packets: list[bytes], link: Packet) -> list[bytes]:
    return [bytes(link) + packet for packet in packets]


def invite(network: Packet, size: int = 0) -> bytes:
    return bytes(network / UDP(sport=5060, dport=5060) / Raw(b"INVITE sip:a SIP/2.0\r\n" + bytes(size)))


CALLS = [
    [invite(V4)],
    [invite(V6)],
    [invite(V6 / IPv6ExtHdrHopByHop())],
    [invite(V6 / IPv6ExtHdrDestOpt())],
    list(fragment(invite(V4, 4000), 1500)),
    list(fragment(invite(V6, 4000), 1500)),
    list(fragment(invite(V6 / IPv6ExtHdrHopByHop(), 4000), 1500)),
]
MEDIA = [bytes(network / UDP(sport=30000, dport=30002) / Raw(bytes(172))) for network in (V4, V6)]


def links() -> Iterator[tuple[str, Packet, int]]:
    """Filter, link header, and EtherType: plain, with a tag, and with two."""
    plain, tagged = filters()
    twice = tagged + tagged.removeprefix(plain)
    for ethertype in (0x0800, 0x86DD):
        for text in (plain, tagged, twice):
            yield text, Ether(src=LINK.src, dst=LINK.dst, type=ethertype), ethertype
        for text in (tagged, twice):
            yield text, LINK / Dot1Q(vlan=7, type=ethertype), ethertype
        yield twice, LINK / Dot1Q(vlan=7) / Dot1Q(vlan=8, type=ethertype), ethertype


def test_every_fragment_of_a_call_is_captured_and_no_media() -> None:
    seen = 0
    for text, link, ethertype in links():
        for call in CALLS:
            if (call[0][0] >> 4 == 4) == (ethertype == 0x0800):
                assert passes(text, wrapped(call, link)) == [True] * len(call), (text, link.summary())
                seen += 1
        media = [each for each in MEDIA if (each[0] >> 4 == 4) == (ethertype == 0x0800)]
        assert passes(text, wrapped(media, link)) == [False]
    assert seen == 6 * len(CALLS)


def test_without_the_further_terms_only_first_fragments_are_captured() -> None:
    """What the manual says of `port 5060` alone, and of tags."""
    link = Ether(src=LINK.src, dst=LINK.dst, type=0x0800)
    assert passes(PORT, wrapped(CALLS[4], link)) == [True, False, False]
    assert passes(filters()[0], wrapped(CALLS[0], LINK / Dot1Q(type=0x0800))) == [False]
