"""A segment is found in every packet that has its header, cut or not; anything else is None."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tcp import ACK, FIN, RST, SYN, packet

from sbc_filter.capture.tcp.tcp_segment import Segment, parse_segment
from sbc_filter.packet.udp import Datagram, datagram_to_ip

V4 = b"\xc0\0\2\7\xc0\0\2\1\x9c\x40\x13\xc4"


def test_what_a_segment_says() -> None:
    assert parse_segment(packet(b"abc", 7, FIN | ACK, 9)) == Segment(V4, 7, 9, False, True, False, b"abc")
    assert parse_segment(packet(b"", 7, SYN)) == Segment(V4, 7, -1, True, False, False, b"")
    assert parse_segment(packet(b"", 7, RST)) == Segment(V4, 7, -1, False, False, True, b"")
    assert parse_segment(packet(b"abc", options=b"\1\1\1\0")) == parse_segment(packet(b"abc"))
    found = parse_segment(packet(b"abc") + bytes(6))  # padding of the link
    assert found is not None
    assert (found.data, found.ports) == (b"abc", (40000, 5060))


def test_both_directions_of_a_connection() -> None:
    for src, dst in (("192.0.2.7", "192.0.2.1"), ("2001:db8::7", "2001:db8::1")):
        there = parse_segment(packet(src=src, dst=dst))
        back = parse_segment(packet(src=dst, dst=src, sport=5060, dport=40000))
        assert there is not None
        assert back is not None
        assert (there.reverse_ends, back.reverse_ends) == (back.ends, there.ends)


def test_behind_extension_headers() -> None:
    raw = packet(b"abc", src="2001:db8::7", dst="2001:db8::1")
    padded = raw[:4] + (len(raw) - 32).to_bytes(2, "big") + b"\0" + raw[7:40] + b"\6" + bytes(7) + raw[40:]
    assert parse_segment(padded) == parse_segment(raw)


@pytest.mark.parametrize("src", ["192.0.2.7", "2001:db8::7"])
def test_a_segment_that_the_capture_has_cut(src: str) -> None:
    raw = packet(b"abcdef", src=src, dst=src)
    whole = parse_segment(raw)
    assert whole is not None
    for missing in range(7):
        assert parse_segment(raw[: len(raw) - missing]) == whole._replace(
            data=b"abcdef"[: 6 - missing], missing=missing
        )
    assert parse_segment(raw[:-7]) is None


@pytest.mark.parametrize(
    "raw",
    [
        datagram_to_ip(Datagram("192.0.2.7", 5060, "192.0.2.1", 5060, b"SIP" * 20)),
        packet(b"abc")[:32] + b"\x40" + packet(b"abc")[33:],  # a header of 16 octets
        packet(b"abc")[:32] + b"\xf0" + packet(b"abc")[33:],  # of more than there is
    ],
)
def test_what_is_not_a_segment(raw: bytes) -> None:
    assert parse_segment(raw) is None


@given(st.binary(max_size=80).map(lambda rest: b"\x45" + rest.ljust(19, b"\0")))
def test_any_packet(raw: bytes) -> None:
    found = parse_segment(raw[:9] + b"\6" + raw[10:])
    assert found is None or len(found.data) <= len(raw) - 40
