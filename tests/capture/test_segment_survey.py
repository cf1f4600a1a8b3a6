"""INVITEs over TCP to other ports are counted one by one, however they lie in segments; TLS and WebSocket are named."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw
from support.growth import LINEAR, growth

from sbc_filter.capture.segment_survey import SegmentSurvey
from sbc_filter.capture.unseen import Unseen

INVITE = b"INVITE sip:+12155550199@203.0.113.10 SIP/2.0\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
OPTIONS = INVITE.replace(b"INVITE", b"OPTIONS")
KEY = b"\x12\x34\x56\x78"
ELSE = ("ip-protocol", "IP protocol 6 (TCP) without SIP", 1, 0)


def segment(payload: bytes, sequence: int = 1, dport: int = 5080, sport: int = 40000) -> bytes:
    return bytes(
        IP(src="198.51.100.7", dst="203.0.113.10") / TCP(sport=sport, dport=dport, seq=sequence) / Raw(payload)
    )


def surveyed(*segments: bytes) -> list[tuple[Any, ...]]:
    unseen = Unseen()
    survey = SegmentSurvey((5060,), unseen)
    for raw in segments:
        survey(raw, 20, raw[12:20])
    return [tuple(each.values()) for each in unseen.summary()]


def websocket(message: bytes, masked: bool, first: int = 0x81) -> bytes:
    mask = 0x80 if masked else 0
    head = (
        bytes((first, mask | len(message)))
        if len(message) < 126
        else struct.pack(">BBH", first, mask | 126, len(message))
    )
    if not masked:
        return head + message
    return head + KEY + bytes(octet ^ KEY[at % 4] for at, octet in enumerate(message))


HANDSHAKE = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: chat, sip\r\n\r\n"


@pytest.mark.parametrize(
    ("payload", "dport", "found"),
    [
        (INVITE, 5060, []),  # put together and judged
        (b"HTTP/1.1 200 OK\r\n\r\n", 5060, []),
        (b"", 5080, []),
        (INVITE, 5080, [("tcp", "5080", 1, 1)]),
        (INVITE * 3, 5080, [("tcp", "5080", 1, 3)]),
        (INVITE, 7000, [("tcp", "7000", 1, 1)]),
        (OPTIONS, 5080, [("tcp", "5080", 1, 0)]),
        (OPTIONS + b"\r\n\r\n" + INVITE, 5080, [("tcp", "5080", 1, 1)]),
        (b"CSeq: 2 INVITE\r\n\r\n" + INVITE, 5080, [("tcp", "5080", 1, 1)]),
        (b"GET / HTTP/1.1\r\n\r\n", 80, [ELSE]),
        (INVITE, 5061, [("tcp", "5061", 1, 1)]),
        (b"\x17\3\3" + bytes(90), 5061, [("tls", "5061", 1, 0)]),
        (bytes(90), 5061, [("tls", "5061", 1, 0)]),  # the middle of a TLS record
        (b"\x16\3\1" + bytes(90), 5060, [("tls", "5060", 1, 0)]),
        (b"\x16\3\1" + bytes(90), 443, [ELSE]),
        (websocket(INVITE, False), 80, [("websocket", "80", 1, 1)]),
        (websocket(INVITE, True, 0x82), 8088, [("websocket", "8088", 1, 1)]),
        (websocket(OPTIONS, True) + websocket(INVITE, True) * 2, 8088, [("websocket", "8088", 1, 2)]),
        (websocket(INVITE + bytes(200), True)[:120], 8088, [("websocket", "8088", 1, 1)]),  # the rest comes later
        (websocket(b"hello", True), 8088, [ELSE]),
        (HANDSHAKE, 8088, [("websocket", "8088", 1, 0)]),
        (HANDSHAKE.replace(b", sip", b""), 8088, [ELSE]),
    ],
)
def test_one_segment(payload: bytes, dport: int, found: list[tuple[Any, ...]]) -> None:
    assert surveyed(segment(payload, dport=dport)) == found


def test_the_answers_of_a_tls_server_are_named_by_its_port() -> None:
    assert surveyed(segment(b"\x17\3\3" + bytes(9), dport=40000, sport=5061)) == [("tls", "5061", 1, 0)]


@pytest.mark.parametrize("at", range(1, len(INVITE) * 2, 7))
@pytest.mark.parametrize("sequence", [1, 2**32 - 60])
def test_a_stream_cut_anywhere_has_its_two_invites(at: int, sequence: int) -> None:
    stream = INVITE * 2
    first = segment(stream[:at], sequence)
    second = segment(stream[at:], (sequence + at) % 2**32)
    assert sum(each[3] for each in surveyed(first, second)) == 2


def test_a_segment_that_was_sent_again_is_counted_once() -> None:
    first, second = segment(INVITE), segment(INVITE, 1 + len(INVITE))
    assert surveyed(first, first, second, first, second)[0][3] == 2
    assert surveyed(second, first)[0][3] == 2  # the other way round
    assert surveyed(first, segment(INVITE, sport=40001))[0][3] == 2  # another connection


def test_lines_of_other_connections_are_not_put_together() -> None:
    half = segment(INVITE[:30])
    assert surveyed(half, segment(INVITE[30:], 31, sport=40001)) == [("ip-protocol", ELSE[1], 2, 0)]
    assert surveyed(half, segment(INVITE[30:], 32)) == [("ip-protocol", ELSE[1], 2, 0)]


def test_what_is_remembered_is_bounded() -> None:
    unseen = Unseen()
    survey = SegmentSurvey((5060,), unseen)
    for port in range(10_000):
        raw = segment(INVITE + b"x" * 1000, sport=port + 1)
        survey(raw, 20, raw[12:20])
    assert len(survey._lines) == 1024
    assert len(survey._seen) == 4096
    raw = segment(b"y" * 30_000)
    for sequence in range(1, 300_000, 30_000):
        survey(segment(b"y" * 30_000, sequence), 20, raw[12:20])
    assert max(len(line) for _, line in survey._lines.values()) <= 2048


@given(st.lists(st.tuples(st.binary(max_size=80), st.integers(0, 2**32 - 1), st.sampled_from([80, 5080, 5061]))))
def test_any_bytes(segments: list[tuple[bytes, int, int]]) -> None:
    raw = [segment(payload, sequence, port) for payload, sequence, port in segments]
    counted = sum(each[2] for each in surveyed(*raw))
    assert counted == sum(bool(payload) for payload, _, _ in segments)


@pytest.mark.parametrize(
    "unit",
    [b"\n", b"\r\n", b"\n ", b" ", b"INVITE ", b"\nINVITE a", b"\nINVITE " + b"a" * 2040, b"\x81\0", b"\x81\x80abcd"],
)
def test_the_cost_of_a_segment_grows_with_its_size(unit: bytes) -> None:
    def work(size: int) -> None:
        raw = segment(b"")[:40] + (unit * (size // len(unit) + 1))[:size]
        SegmentSurvey((5060,), Unseen())(raw, 20, raw[12:20])

    assert growth(work, 64_000) < LINEAR
