"""Datagrams put together: one screen that shows it, what spoils and bounds them, any bytes against a slow model."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet6
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from support.fragments import PAYLOAD, together, v4, v6

from sbc_filter.errors import PacketError
from sbc_filter.packet.fragments import fragment, is_fragment
from sbc_filter.packet.reassembly import Reassembler
from sbc_filter.packet.udp import parse

SCAPY6: Any = inet6  # these functions have no types


def test_transcript() -> None:
    whole = v4(PAYLOAD)
    pieces = fragment(whole, 1500)
    reassembler: Reassembler[str] = Reassembler(timeout=30)
    assert reassembler.add(pieces[2], 0.0, "c") is None
    assert reassembler.add(pieces[0], 0.1, "a") is None
    assert reassembler.add(pieces[0], 0.2, "a again") is None
    assert reassembler.add(pieces[1], 0.3, "b") == (whole, ["c", "a", "a again", "b"], 1500)
    assert reassembler.add(pieces[1], 1.0, "late") is None
    assert reassembler.expire(30.9) == []
    assert reassembler.expire(31.0) == [["late"]]
    assert reassembler.flush() == []


@pytest.mark.parametrize(
    "before",
    [
        (),
        (IPv6ExtHdrHopByHop(),),
        (IPv6ExtHdrDestOpt(), IPv6ExtHdrRouting()),
        (IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()),
    ],
)
def test_what_scapy_cuts(before: tuple[Any, ...]) -> None:
    raw = v6(PAYLOAD, *before)
    packet = IPv6(src="2001:db8::7", dst="2001:db8::10")
    for extension in (*before, IPv6ExtHdrFragment(id=9)):
        packet /= extension
    pieces = [bytes(piece) for piece in SCAPY6.fragment6(packet / UDP(sport=5061, dport=5060) / PAYLOAD, 1280)]
    assert len(pieces) == 3
    assert all(is_fragment(piece) for piece in pieces)
    whole = together(pieces[::-1])
    assert whole is not None
    assert whole.raw == raw
    assert parse(whole.raw).payload == PAYLOAD


def test_an_atomic_fragment_is_whole() -> None:
    """RFC 6946: it neither waits for others nor spoils what is there under the same ID."""
    packet = IPv6(src="2001:db8::7", dst="2001:db8::10") / IPv6ExtHdrFragment(id=9) / UDP(sport=5061, dport=5060) / b"x"
    reassembler: Reassembler[int] = Reassembler()
    assert is_fragment(bytes(packet))
    assert reassembler.add(bytes(packet), 0.0, 1) == (v6(b"x"), [1], len(packet))
    assert reassembler.flush() == []


def piece(begin: int, payload: bytes, more: bool) -> bytes:
    return bytes(
        IP(src="192.0.2.1", dst="192.0.2.2", proto=17, id=3, frag=begin // 8, flags="MF" if more else "") / payload
    )


A, B, C = piece(0, b"a" * 16, True), piece(16, b"b" * 16, True), piece(32, b"c" * 5, False)


@pytest.mark.parametrize(
    "wrong",
    [
        piece(8, b"x" * 16, True),  # over two others
        piece(16, b"x" * 16, True),  # the same place, other bytes
        piece(16, b"b" * 8, True),
        piece(16, b"b" * 16, False),  # another end
        piece(40, b"x" * 8, True),  # behind the end
        piece(65528, b"x" * 16, True),  # beyond what an IP packet can be
    ],
)
def test_contradictions_spoil_the_datagram(wrong: bytes) -> None:
    """RFC 5722 §4: what came, what contradicts and what is still to come."""
    reassembler: Reassembler[str] = Reassembler()
    assert not reassembler.add(C, 0.0, "c")
    assert not reassembler.add(B, 0.0, "b")
    assert not reassembler.add(wrong, 0.0, "wrong")
    assert not reassembler.add(A, 0.0, "a")
    given_up = sorted(tag for tags in reassembler.flush() for tag in tags)
    assert given_up == ["a", "b", "c", "wrong"]
    assert not reassembler.add(A, 0.0, "a")
    assert not reassembler.add(B, 0.0, "b")
    assert reassembler.add(C, 0.0, "c")


def test_too_large_with_its_header() -> None:
    reassembler: Reassembler[int] = Reassembler()
    assert not reassembler.add(piece(0, bytes(65512), True), 0.0, 0)
    assert not reassembler.add(piece(65512, bytes(8), False), 0.0, 1)  # 65520 and a header of 20
    assert reassembler.expire(0.0) == [[0, 1]]


def test_bounds() -> None:
    few: Reassembler[int] = Reassembler(max_datagrams=2)
    for number in range(4):
        few.add(fragment(v4(PAYLOAD, number + 1), 1500)[0], 0.0, number)
    assert few.expire(0.0) == [[0], [1]]
    small: Reassembler[int] = Reassembler(max_bytes=4000)
    for number in range(4):
        small.add(fragment(v4(PAYLOAD, number + 1), 1500)[0], 0.0, number)
    assert small.expire(0.0) == [[0], [1]]
    tiny: Reassembler[int] = Reassembler(max_bytes=1000)
    tiny.add(fragment(v4(PAYLOAD), 1500)[0], 0.0, 7)
    assert tiny.expire(0.0) == [[7]]


@pytest.mark.parametrize(
    ("datagram", "timeout", "setting"),
    [(v4(bytes(1000)), 30, "ipv4/ipfrag_time"), (v6(bytes(1000)), 60, "ipv6/ip6frag_time")],
    ids=["IPv4", "IPv6"],
)
def test_a_datagram_too_old_does_not_take_new_pieces(datagram: bytes, timeout: float, setting: str) -> None:
    """As old as the kernel of this machine lets it become, unless somebody changed that."""
    first, second = fragment(datagram, 800)
    kernel = Path("/proc/sys/net", setting)
    assert not kernel.exists() or int(kernel.read_text()) == timeout
    for later in (timeout, -timeout):  # a clock set back ages it, too
        reassembler: Reassembler[int] = Reassembler()
        assert not reassembler.add(first, 0.0, 1)
        assert not reassembler.add(second, later, 2)
        assert reassembler.flush() == [[1], [2]]
        assert not reassembler.add(first, 0.0, 1)
        assert reassembler.add(second, later * 0.999, 2)


def test_times_of_two_clocks_are_not_compared() -> None:
    (first, second), other = fragment(v4(bytes(1000)), 800), fragment(v4(bytes(1000), 8), 800)[0]
    reassembler: Reassembler[int] = Reassembler()
    assert not reassembler.add(first, 0.0, 1, "eth0")
    assert not reassembler.add(other, 3600.0, 2, "eth1")
    assert reassembler.expire(3600.0, "eth1") == reassembler.expire(7200.0, "eth1") == []  # that of eth0 is older
    assert reassembler.add(second, 7200.0, 3, "eth1") is not None
    assert reassembler.expire(3629.9, "eth1") == reassembler.expire(None, "eth1") == []
    assert reassembler.expire(3630.0, "eth1") == [[2]]


def test_the_time_of_a_fragment_abandons_no_other_datagram() -> None:
    (first, second), other = fragment(v4(bytes(1000)), 800), fragment(v4(bytes(1000), 8), 800)[0]
    reassembler: Reassembler[int] = Reassembler()
    assert not reassembler.add(first, 0.0, 1)
    assert not reassembler.add(other, 1e9, 2)
    assert reassembler.add(second, 1.0, 3) is not None


_ANY = st.one_of(
    st.binary(max_size=120),
    st.builds(lambda rest: b"\x45\0\0\x28\0\0\x20" + rest, st.binary(min_size=33, max_size=40)),
    st.builds(lambda ext, rest: b"\x60\0\0\0\0\x28" + bytes((ext, 64)) + bytes(32) + rest,
              st.sampled_from([0, 43, 44, 60]), st.binary(min_size=40, max_size=48)),
)  # fmt: skip


def test_it_is_busy_as_long_as_tags_wait_in_it() -> None:
    reassembler: Reassembler[int] = Reassembler()
    assert not reassembler.is_busy
    reassembler.add(b"\x45", 0.0, 1)  # malformed: given up at once
    assert reassembler.is_busy
    assert (reassembler.expire(0.0), reassembler.is_busy) == ([[1]], False)
    for tag, identification in enumerate((7, 8)):
        reassembler.add(fragment(v4(PAYLOAD, identification), 1500)[0], 0.0, tag)
    assert (reassembler.give_up_oldest(), reassembler.expire(0.0)) == (True, [[0]])
    assert (reassembler.give_up_oldest(), reassembler.expire(0.0)) == (True, [[1]])
    assert (reassembler.give_up_oldest(), reassembler.is_busy) == (False, False)


@given(
    st.lists(st.tuples(_ANY, st.floats(min_value=0, max_value=100)), max_size=12),
    st.integers(min_value=0, max_value=90),
)
def test_any_bytes_and_every_tag_comes_back_once(packets: list[tuple[bytes, float]], size: int) -> None:
    reassembler: Reassembler[int] = Reassembler(max_datagrams=3)
    back: list[int] = []
    for tag, (raw, now) in enumerate(packets):
        assert is_fragment(raw) in (True, False)
        whole = reassembler.add(raw, now, tag)
        back += whole.tags if whole else []
        with contextlib.suppress(PacketError):
            assert b"".join(fragment(raw, size)) or not raw
    back += [tag for tags in reassembler.flush() for tag in tags]
    assert sorted(back) == list(range(len(packets)))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4), st.booleans(), st.sampled_from(b"xy")), max_size=14))
def test_what_is_put_together_was_never_ambiguous(pieces: list[tuple[int, int, bool, int]]) -> None:
    """Against a slow model: every byte of every piece seen says the same, and together they fill it."""
    reassembler: Reassembler[int] = Reassembler()
    for tag, (begin, units, more, letter) in enumerate(pieces):
        more = more or not begin  # else it is no fragment
        whole = reassembler.add(piece(begin * 8, bytes((letter,)) * units * 8, more), 0.0, tag)
        if whole:
            length = len(whole.raw) - 20
            for other in whole.tags:
                start, count, _, value = pieces[other]
                assert whole.raw[20 + start * 8 : 20 + (start + count) * 8] == bytes((value,)) * count * 8
            covered = {at for other in whole.tags for at in range(pieces[other][0], sum(pieces[other][:2]))}
            assert len(covered) * 8 == length
