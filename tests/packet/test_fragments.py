"""Fragments: one screen that shows it, invariants by chance, scapy as an independent oracle."""

import contextlib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet, inet6
from scapy.layers.inet import IP, UDP, IPOption_NOP, IPOption_Router_Alert, IPOption_RR
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)

from sbc_filter.errors import Detail, PacketError
from sbc_filter.packet.fragments import Reassembler, Whole, fragment, is_fragment
from sbc_filter.packet.packet import parse

SCAPY4: Any = inet  # these functions have no types
SCAPY6: Any = inet6
PAYLOAD = bytes(range(256)) * 12
# Only the last is copied to all fragments.
OPTIONS = [IPOption_NOP(), IPOption_RR(routers=["0.0.0.0"]), IPOption_Router_Alert()]


def v4(payload: bytes, identification: int = 7, options: Any = (), flags: str = "") -> bytes:
    head = IP(src="198.51.100.7", dst="203.0.113.10", id=identification, flags=flags, options=list(options))
    return bytes(head / UDP(sport=5061, dport=5060) / payload)


def v6(payload: bytes, *extensions: Any) -> bytes:
    packet = IPv6(src="2001:db8::7", dst="2001:db8::10")
    for extension in extensions:
        packet /= extension
    return bytes(packet / UDP(sport=5061, dport=5060) / payload)


def together(fragments: list[bytes]) -> Whole[int] | None:
    reassembler: Reassembler[int] = Reassembler()
    found = [reassembler.add(raw, 0.0, tag) for tag, raw in enumerate(fragments)]
    assert not any(found[:-1])
    assert reassembler.flush() == ([] if found[-1] else [list(range(len(fragments)))])
    return found[-1]


def test_transcript() -> None:
    whole = v4(PAYLOAD)
    pieces = fragment(whole, 1500)
    assert [(len(raw), IP(raw).frag, str(IP(raw).flags), IP(raw).id) for raw in pieces] == [
        (1500, 0, "MF", 7),
        (1500, 185, "MF", 7),
        (140, 370, "", 7),
    ]
    assert [is_fragment(raw) for raw in (whole, *pieces)] == [False, True, True, True]
    reassembler: Reassembler[str] = Reassembler(timeout=30)
    assert reassembler.add(pieces[2], 0.0, "c") is None
    assert reassembler.add(pieces[0], 0.1, "a") is None
    assert reassembler.add(pieces[0], 0.2, "a again") is None
    assert reassembler.add(pieces[1], 0.3, "b") == (whole, ["c", "a", "a again", "b"], 1500)
    assert reassembler.add(pieces[1], 1.0, "late") is None
    assert reassembler.expire(30.9) == []
    assert reassembler.expire(31.0) == [["late"]]
    assert reassembler.flush() == []


@given(
    st.binary(max_size=300),
    st.integers(min_value=72, max_value=120),
    st.integers(min_value=0, max_value=3),
    st.randoms(use_true_random=False),
)
def test_cut_and_put_together_is_the_same(payload: bytes, size: int, kind: int, chance: random.Random) -> None:
    raw = (
        v4(payload),
        v4(payload, options=OPTIONS),
        v6(payload),
        v6(payload, IPv6ExtHdrHopByHop(), IPv6ExtHdrRouting(addresses=[])),
    )[kind]
    pieces = fragment(raw, size)
    assert all(len(piece) <= size for piece in pieces)
    if len(raw) <= size:
        assert pieces == [raw]
        return
    assert all(is_fragment(piece) for piece in pieces)
    largest = max(map(len, pieces))
    chance.shuffle(pieces)
    whole = together(pieces)
    assert whole is not None
    assert (whole.raw, whole.largest) == (raw, largest)


def test_df_is_cleared_and_an_id_found() -> None:
    raw = v4(PAYLOAD, identification=0, flags="DF")
    pieces = fragment(raw, 576)
    assert pieces == fragment(raw, 576)
    assert {str(IP(piece).flags) for piece in pieces} == {"MF", ""}
    assert len({IP(piece).id for piece in pieces} - {0}) == 1
    whole = together(pieces)
    assert whole is not None
    assert whole.raw == v4(PAYLOAD, identification=IP(pieces[0]).id)


def test_options_with_the_copied_flag_go_everywhere() -> None:
    pieces = fragment(v4(PAYLOAD, options=OPTIONS), 576)
    assert [len(piece) - len(bytes(IP(piece).payload)) for piece in pieces] == [32] + [24] * (len(pieces) - 1)
    assert all(bytes(piece)[20:24] == bytes(IPOption_Router_Alert()) for piece in pieces[1:])
    for piece in pieces:
        copy = IP(piece)
        del copy.chksum, copy.len, copy.ihl
        assert bytes(copy) == piece


@pytest.mark.parametrize("size", [576, 1280, 1499])
def test_scapy_cuts_the_same(size: int) -> None:
    raw = v4(PAYLOAD)
    room = (size - 20) // 8 * 8  # scapy fills the last fragment otherwise when `size` is not a multiple of 8
    assert fragment(raw, 20 + room) == [bytes(piece) for piece in SCAPY4.fragment(IP(raw), fragsize=room)]
    assert [bytes(whole) for whole in SCAPY4.defragment([IP(piece) for piece in fragment(raw, size)])] == [raw]
    six = v6(PAYLOAD)
    assert bytes(SCAPY6.defragment6([IPv6(piece) for piece in fragment(six, size)])) == six


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


def test_a_datagram_too_old_does_not_take_new_pieces() -> None:
    for later in (30.0, -30.0):  # a clock set back ages it, too
        reassembler: Reassembler[int] = Reassembler(timeout=30)
        first, second = fragment(v6(bytes(1000)), 800)
        assert not reassembler.add(first, 0.0, 1)
        assert not reassembler.add(second, later, 2)
        assert reassembler.flush() == [[1], [2]]


@pytest.mark.parametrize(
    ("raw", "size", "detail"),
    [
        (b"", 1500, Detail.PACKET_SYNTAX),
        (b"\x45", 1500, Detail.PACKET_TRUNCATED),
        (v4(PAYLOAD)[:-1], 576, Detail.PACKET_TRUNCATED),
        (b"\x44" + v4(PAYLOAD)[1:], 576, Detail.PACKET_SYNTAX),
        (v4(PAYLOAD), 27, Detail.NO_ROOM),
        (v6(PAYLOAD), 55, Detail.NO_ROOM),
        (fragment(v4(PAYLOAD), 1500)[0], 576, Detail.PACKET_FRAGMENT),
        (fragment(v6(PAYLOAD), 1500)[0], 576, Detail.PACKET_FRAGMENT),
    ],
)
def test_what_cannot_be_cut(raw: bytes, size: int, detail: Detail) -> None:
    with pytest.raises(PacketError) as caught:
        fragment(raw, size)
    assert caught.value.detail is detail


_ANY = st.one_of(
    st.binary(max_size=120),
    st.builds(lambda rest: b"\x45\0\0\x28\0\0\x20" + rest, st.binary(min_size=33, max_size=40)),
    st.builds(lambda ext, rest: b"\x60\0\0\0\0\x28" + bytes((ext, 64)) + bytes(32) + rest,
              st.sampled_from([0, 43, 44, 60]), st.binary(min_size=40, max_size=48)),
)  # fmt: skip


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
