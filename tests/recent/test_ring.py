"""Refused and changed calls in memory: bounded in number and octets, fair between trunks."""

import json
import random

import pytest

from sbc_filter.packet.udp import Datagram, datagram_to_ip
from sbc_filter.recent.handover import Handed
from sbc_filter.recent.ring import OCTETS, Ring

INVITE = b"INVITE sip:+12155550100@192.0.2.1 SIP/2.0\r\n\r\n"
ANSWER = b"SIP/2.0 403 Forbidden\r\n\r\n"


def packet(message: bytes) -> bytes:
    return datagram_to_ip(Datagram("192.0.2.7", 5060, "192.0.2.1", 5060, message))


def handed(trunk: str | None = None, message: bytes = INVITE) -> Handed:
    line = json.dumps({"time": 1.0, "outcome": "invalid", "trunk": trunk}).encode() + b"\n"
    return Handed(line, 0.1, packet(message), ANSWER)


def test_messages_as_received_and_as_sent() -> None:
    ring = Ring(10)
    ring.add(handed())
    ring.add(Handed(handed().line, 0.1, packet(INVITE), packet(INVITE + b"x"), True))
    ring.add(Handed(handed().line, 0.1, packet(INVITE)))
    assert [(call.number, call.received, call.sent) for call in ring.newest_first()] == [
        (3, INVITE, b""), (2, INVITE, INVITE + b"x"), (1, INVITE, ANSWER)
    ]  # fmt: skip
    assert ring[2].line == handed().line


def test_messages_over_tcp_are_handed_over_without_packets() -> None:
    ring = Ring(10)
    line = json.dumps({"time": 1.0, "outcome": "invalid", "transport": "tcp", "trunk": None}).encode() + b"\n"
    ring.add(Handed(line, 0.1, INVITE, ANSWER))
    ring.add(Handed(line, 0.1, INVITE, INVITE + b"x", True))
    assert [(call.received, call.sent) for call in ring.newest_first()] == [(INVITE, INVITE + b"x"), (INVITE, ANSWER)]


def test_the_oldest_gives_way() -> None:
    ring = Ring(2)
    for _ in range(5):
        ring.add(handed())
    assert [call.number for call in ring.newest_first()] == [5, 4]
    with pytest.raises(KeyError):
        ring[3]


def test_a_flood_of_one_trunk_displaces_its_own_calls() -> None:
    ring = Ring(10)
    for _ in range(4):
        ring.add(handed("quiet"))
    for _ in range(1000):
        ring.add(handed())
    assert [call.group for call in ring.newest_first()] == [""] * 6 + ["quiet"] * 4


def test_octets_are_bounded_too() -> None:
    """Of giant messages that do not compress, as many as fit."""
    ring, noise = Ring(10_000), random.Random(1)
    for _ in range(700):
        ring.add(handed(message=noise.randbytes(60_000)))
        assert ring.octets <= OCTETS
    assert 500 < len(ring) < 600
    ring.resize(1)
    assert len(ring) == 1
    ring.resize(0)
    ring.add(handed())
    assert (len(ring), ring.octets) == (0, 0)


@pytest.mark.parametrize("raw", [b"\x45", b"\xff" * 40, packet(INVITE)[:30]])
def test_what_is_not_a_datagram_is_kept_without_its_message(raw: bytes) -> None:
    ring = Ring(1)
    ring.add(Handed(b"no record\n", 0.0, raw))
    assert (ring[1].received, ring[1].group) == (b"", "")
