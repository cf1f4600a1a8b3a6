"""Link layers: scapy builds the frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet

from sbc_filter.capture.link_types import (
    ETHERNET,
    LOOP,
    NULL,
    RAW_V4,
    RAW_V6,
    SLL,
    SLL2,
    answer_frame,
    locate_ip,
    replace_ip,
)

V4 = bytes(IP(src="198.51.100.7", dst="203.0.113.10") / UDP(sport=5061, dport=5060) / b"hello")
V6 = bytes(IPv6(src="2001:db8::7", dst="2001:db8::10") / UDP(sport=5061, dport=5060) / b"hello")
A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
LINKS = [
    (ETHERNET, Ether(src=A, dst=B)),
    (ETHERNET, Ether(src=A, dst=B) / Dot1Q(vlan=7)),
    (ETHERNET, Ether(src=A, dst=B) / Dot1AD(vlan=9) / Dot1Q(vlan=7)),
    (ETHERNET, Ether(src=A, dst=B, type=0x9100) / Dot1Q(vlan=9) / Dot1Q(vlan=7)),
    (SLL, CookedLinux(src=bytes.fromhex("02000000000a0000"))),
    (SLL, CookedLinux(src=bytes.fromhex("02000000000a0000")) / Dot1Q(vlan=7)),
    (SLL2, CookedLinuxV2(src=bytes.fromhex("02000000000a0000"))),
    (SLL2, CookedLinuxV2(src=bytes.fromhex("02000000000a0000")) / Dot1Q(vlan=7)),
]


def built(link: Packet, ip: bytes) -> tuple[bytes, int]:
    """A frame, and where its IP packet begins."""
    frame = bytes(link / (IP(ip) if ip[0] >> 4 == 4 else IPv6(ip)))
    assert frame.endswith(ip)
    return frame, len(frame) - len(ip)


def test_transcript() -> None:
    frame = bytes(Ether(src=A, dst=B) / Dot1Q(vlan=7) / IP(V4)) + bytes(9)  # padded to 60
    assert len(frame) == 60
    assert locate_ip(ETHERNET, frame) == (18, 51)
    assert frame[18:51] == V4
    assert replace_ip(frame, 18, 51, V4 + b"!") == frame[:18] + V4 + b"!" + bytes(8)
    assert replace_ip(frame, 18, 51, V4 * 2) == frame[:18] + V4 * 2
    assert replace_ip(frame[:51], 18, 51, V4[:28]) == frame[:46]  # on its way out, it was not padded yet
    assert replace_ip(frame + b"\1\2\3\4", 18, 51, V4) == frame  # its check sequence would be wrong now
    answer = Ether(answer_frame(ETHERNET, frame, 18, V6))
    assert (answer.src, answer.dst, answer[Dot1Q].vlan, bytes(answer[IPv6])) == (B, A, 7, V6)


@pytest.mark.parametrize("ip", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize(("linktype", "link"), LINKS)
def test_links(linktype: int, link: Packet, ip: bytes) -> None:
    frame, start = built(link, ip)
    assert locate_ip(linktype, frame) == (start, len(frame))
    assert locate_ip(linktype, frame + b"padding") == (start, len(frame))
    assert locate_ip(linktype, frame[:-1]) == (start, len(frame) - 1)  # cut: the packet will say so
    assert replace_ip(frame, start, len(frame), ip) == frame
    for other in (V4, V6):
        answer = answer_frame(linktype, frame, start, other)
        assert locate_ip(linktype, answer) == (start, len(answer))
        assert answer[start:] == other
        if linktype == ETHERNET:
            assert (Ether(answer).src, Ether(answer).dst) == (B, A)
        else:
            assert (CookedLinux if linktype == SLL else CookedLinuxV2)(answer).pkttype == 4


@pytest.mark.parametrize(
    ("linktype", "family", "ip"),
    [
        (LOOP, b"\0\0\0\2", V4),
        (LOOP, b"\0\0\0\x18", V6),
        (NULL, b"\0\0\0\2", V4),
        (NULL, b"\2\0\0\0", V4),
        (NULL, b"\x0a\0\0\0", V6),
        (NULL, b"\x18\0\0\0", V6),
        (NULL, b"\0\0\0\x1c", V6),
        (NULL, b"\x1e\0\0\0", V6),
    ],
)
def test_loopback(linktype: int, family: bytes, ip: bytes) -> None:
    frame = family + ip
    assert locate_ip(linktype, frame) == (4, len(frame))
    assert answer_frame(linktype, frame, 4, ip) == frame
    other = answer_frame(linktype, frame, 4, V6 if ip is V4 else V4)
    assert locate_ip(linktype, other) == (4, len(other))
    assert (other[:2] == b"\0\0") == (family[:2] == b"\0\0")


@pytest.mark.parametrize("linktype", [12, 14, 101, RAW_V4, RAW_V6])
def test_raw(linktype: int) -> None:
    for ip, number in ((V4, RAW_V4), (V6, RAW_V6)):
        expected = (0, len(ip)) if linktype in (number, 12, 14, 101) else None
        assert locate_ip(linktype, ip) == expected
        assert answer_frame(linktype, ip, 0, ip) == ip


@pytest.mark.parametrize(
    ("linktype", "frame"),
    [
        (ETHERNET, bytes(Ether(src=A, dst=B) / ARP(psrc="192.0.2.1", hwsrc=A))),
        (ETHERNET, bytes(Ether(src=A, dst=B, type=0x0800)) + V6),  # what is announced is not what comes
        (ETHERNET, bytes(Ether(src=A, dst=B, type=0x0800)) + V4[:19]),
        (ETHERNET, bytes(Ether(src=A, dst=B, type=0x86DD)) + V6[:39]),
        (ETHERNET, bytes(Ether(src=A, dst=B, type=0x0800)) + b"\x44" + V4[1:]),
        (
            ETHERNET,
            bytes(Ether(src=A, dst=B, type=0x0800)) + V4[:2] + b"\0\x13" + V4[4:],
        ),  # shorter than its header
        (ETHERNET, bytes(12) + b"\x81\0\0\1" * 50),
        (NULL, b"\7\0\0\0" + V4),
        (SLL, CookedLinux(proto=0x0806) / bytes(28)),
        (147, V4),  # a link type of a user
    ],
)
def test_no_ip(linktype: int, frame: bytes) -> None:
    assert locate_ip(linktype, bytes(frame)) is None


@given(
    st.sampled_from([0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 9]),
    st.one_of(
        st.binary(max_size=100),
        st.builds(lambda rest: bytes(12) + b"\x81\0\0\7\x08\0\x45" + rest, st.binary(max_size=40)),
        st.builds(lambda rest: b"\x86\xdd" + bytes(18) + b"\x60" + rest, st.binary(max_size=50)),
    ),
    st.sampled_from([V4, V6, b""]),
)
def test_any_bytes(linktype: int, frame: bytes, ip: bytes) -> None:
    found = locate_ip(linktype, frame)
    if found:
        start, end = found
        assert 0 <= start < end <= len(frame)
        assert frame[start] >> 4 in (4, 6)
        replaced = replace_ip(frame, start, end, ip)
        assert replaced[: start + len(ip)] == frame[:start] + ip
        assert not replaced[start + len(ip) :].strip(b"\0")
        assert answer_frame(linktype, frame, start, ip)[start:] == ip
