"""Fragments: one screen that shows it, invariants by chance, scapy as an independent oracle."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet, inet6
from scapy.layers.inet import IP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from support.fragments import OPTIONS, PAYLOAD, together, v4, v6

from sbc_filter.errors import PacketError
from sbc_filter.outcomes import Detail
from sbc_filter.packet.fragments import fragment, is_fragment

SCAPY4: Any = inet  # these functions have no types
SCAPY6: Any = inet6


def test_transcript() -> None:
    whole = v4(PAYLOAD)
    pieces = fragment(whole, 1500)
    assert [(len(raw), IP(raw).frag, str(IP(raw).flags), IP(raw).id) for raw in pieces] == [
        (1500, 0, "MF", 7),
        (1500, 185, "MF", 7),
        (140, 370, "", 7),
    ]
    assert [is_fragment(raw) for raw in (whole, *pieces)] == [False, True, True, True]


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
