"""Segments in, octets out: in order, once, and with marks where something begins, ends or is missing."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.growth import LINEAR, growth
from support.tcp import ACK, FIN, RST, SYN, packet

from sbc_filter.capture.tcp.tcp_direction import MAX_SEGMENTS, MAX_WAITING, Early, Mark, Piece, TcpDirection
from sbc_filter.capture.tcp.tcp_segment import Segment, parse_segment

START, MIDDLE, GAP, END = Mark.START, Mark.MIDDLE, Mark.GAP, Mark.END


def segment(sequence: int, data: bytes = b"", flags: int = ACK, cut: int = 0) -> Segment:
    raw = packet(data, sequence, flags)
    made = parse_segment(raw[: len(raw) - cut])
    assert made is not None
    return made


def read(*segments: Segment, direction: TcpDirection | None = None) -> list[Piece]:
    """The pieces; octets that follow each other are one piece."""
    direction = direction or TcpDirection()
    joined: list[Piece] = []
    for each in segments:
        for piece in direction.feed(each, 0.0):
            if isinstance(piece, bytes) and joined and isinstance(joined[-1], bytes):
                joined[-1] += piece
            else:
                joined.append(piece)
    return joined


@pytest.mark.parametrize("first", [0, 99, 2**31 - 3, 2**32 - 1, 2**32 - 2, 2**32 - 4])
def test_a_connection_from_its_syn_to_its_fin(first: int) -> None:
    """Also where the sequence number wraps."""
    segments = [
        segment(first, flags=SYN),
        segment(first + 1),
        segment(first + 1, b"abc"),
        segment(first + 4, b"de", FIN),
    ]
    assert read(*segments) == [START, b"abcde", END]


@pytest.mark.parametrize("first", [100, 2**32 - 3])
@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_segments_in_any_order(order: tuple[int, ...], first: int) -> None:
    parts = [
        segment(first + 1, b"ab"),
        segment(first + 3, b"c"),
        segment(first + 4, b"de"),
        segment(first + 6, b"", FIN),
    ]
    assert read(segment(first, flags=SYN), *(parts[at] for at in order)) == [START, b"abcde", END]


def test_what_is_sent_again_counts_once() -> None:
    direction = TcpDirection()
    again = [segment(1, b"abc"), segment(1, b"abc"), segment(0, flags=SYN), segment(2, b"bcde"), segment(1, b"a")]
    assert read(segment(0, flags=SYN), *again, segment(6, b"f", FIN), *again, direction=direction) == [
        START,
        b"abcdef",
        END,
    ]
    assert direction.conflicts == 0


@pytest.mark.parametrize(
    ("first", "second", "octets"),
    [
        ((1, b"abc"), (1, b"xyz"), b"abc"),  # what was delivered stays
        ((1, b"abc"), (2, b"yzw"), b"abcw"),
        ((3, b"abc"), (3, b"xy"), b"..abc"),  # of two that begin together, the longer one
        ((3, b"abc"), (3, b"xyzw"), b"..xyzw"),
        ((3, b"abc"), (4, b"y"), b"..abc"),
        ((3, b"abc"), (4, b"yzw"), b"..abcw"),  # the one that begins first
        ((4, b"yzw"), (3, b"abc"), b"..abcw"),
        ((4, b"y"), (3, b"abc"), b"..abc"),
    ],
)
def test_of_octets_that_differ_those_count_that_linux_reads(
    first: tuple[int, bytes], second: tuple[int, bytes], octets: bytes
) -> None:
    """tcp_data_queue_ofo of Linux. The difference is counted."""
    direction = TcpDirection()
    filler = [segment(1, b"..")] if octets.startswith(b".") else []
    assert read(segment(0, flags=SYN), segment(*first), segment(*second), *filler, direction=direction) == [
        START,
        octets,
    ]
    assert direction.conflicts == 1


def test_an_octet_that_probes_an_idle_connection_is_no_conflict() -> None:
    direction = TcpDirection()
    assert read(segment(0, flags=SYN), segment(1, b"abc"), segment(3, b"\0"), direction=direction) == [START, b"abc"]
    assert direction.conflicts == 0


def test_a_capture_that_joins_in_the_middle() -> None:
    assert read(segment(500), segment(500, b"abc"), segment(503, b"d")) == [MIDDLE, b"abcd"]
    assert read(segment(500, b"abc"), segment(498, b"xyab")) == [MIDDLE, b"abc", Early(b"xy")]


def test_a_gap_that_the_receiver_acknowledged() -> None:
    """The capture missed it. It may come a second late, as from two mirrors that are not in step."""
    direction = TcpDirection()
    assert read(segment(0, flags=SYN), segment(1, b"ab"), segment(5, b"ef"), direction=direction) == [START, b"ab"]
    direction.acknowledge(7, 10.0)
    assert direction.feed(segment(9, b"ij"), 10.9) == []
    assert direction.feed(segment(13, b"mn"), 11.0) == [GAP, b"ef"]  # what follows is not acknowledged
    assert direction.feed(segment(3, b"cd"), 11.0) == []
    assert direction.feed(segment(7, b"gh"), 99.0) == [b"gh", b"ij"]
    assert direction.finish() == [GAP, b"mn", END]


def test_a_gap_of_which_only_a_part_was_acknowledged_waits() -> None:
    direction = TcpDirection()
    read(segment(0, flags=SYN), segment(1, b"ab"), segment(9, b"ij"), direction=direction)
    direction.acknowledge(5, 0.0)
    assert direction.feed(segment(11, b"kl"), 99.0) == []


def test_little_is_kept_of_what_was_delivered() -> None:
    direction = TcpDirection()
    read(segment(0, flags=SYN), segment(1, bytes(9000)), direction=direction)
    assert direction.size == 4096


def test_a_segment_that_the_capture_has_cut_leaves_a_gap() -> None:
    assert read(segment(0, flags=SYN), segment(1, b"abcd", cut=1), segment(5, b"e")) == [START, b"abc", GAP, b"e"]
    assert read(segment(0, flags=SYN), segment(5, b"e"), segment(1, b"abcd", cut=4)) == [START, GAP, b"e"]
    assert read(segment(9, b"ab", cut=2), segment(11, b"c")) == [MIDDLE, GAP, b"c"]
    assert read(segment(0, flags=SYN), segment(1, b"abcd", FIN, cut=1)) == [START, b"abc", GAP, END]


def test_what_waits_is_bounded() -> None:
    direction = TcpDirection()
    read(segment(0, flags=SYN), direction=direction)
    full = [segment(2 + at * 1024, bytes(1024)) for at in range(MAX_WAITING // 1024)]
    assert read(*full, direction=direction) == []
    assert direction.size == MAX_WAITING
    assert read(segment(2 + MAX_WAITING, b"a"), direction=direction) == [GAP, bytes(MAX_WAITING) + b"a"]
    many = TcpDirection()
    read(segment(0, flags=SYN), direction=many)
    assert read(*(segment(2 + at * 2, b"a") for at in range(MAX_SEGMENTS)), direction=many) == []
    assert read(segment(2 + MAX_SEGMENTS * 2, b"b"), direction=many) == [GAP, b"a"]


def test_ports_that_are_used_again() -> None:
    """With a FIN, without one, with data in the SYN, and without any SYN in the capture."""
    old = [segment(0, flags=SYN), segment(1, b"ab")]
    new = [segment(900_000, flags=SYN), segment(900_001), segment(900_001, b"cd")]
    assert read(*old, segment(3, b"", FIN), *new) == [START, b"ab", END, START, b"cd"]
    assert read(*old, *new) == [START, b"ab", END, START, b"cd"]
    assert read(*old, segment(900_000, b"cd", SYN)) == [START, b"ab", END, START, b"cd"]
    assert read(*old, segment(3, b"", FIN), segment(900_001, b"cd")) == [START, b"ab", END, MIDDLE, b"cd"]
    assert read(*old, segment(2**31, b"cd")) == [START, b"ab", END, MIDDLE, b"cd"]
    assert read(*old, segment(2**31 + 2**30, b"cd")) == [START, b"ab", END, MIDDLE, b"cd"]
    assert read(old[0], segment(7, flags=SYN), segment(8, b"cd")) == [START, END, START, b"cd"]


def test_a_syn_or_rst_that_linux_ignores_changes_nothing() -> None:
    """An attacker who sends one must not make us look elsewhere."""
    old = [segment(0, flags=SYN), segment(1, b"ab")]
    for forged in (segment(2, flags=SYN), segment(900_000, flags=SYN), segment(9, flags=RST), segment(0, flags=RST)):
        assert read(*old, forged, segment(3, b"cd")) == [START, b"abcd"]


def test_a_reset_ends_a_connection() -> None:
    old = [segment(0, flags=SYN), segment(1, b"ab"), segment(3, flags=RST)]
    assert read(*old, segment(1, b"ab")) == [START, b"ab", END]


@given(st.data(), st.binary(min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_any_cutting_repeating_and_reordering_gives_the_same_octets(
    data: st.DataObject, stream: bytes, first: int
) -> None:
    pieces = [
        (begin, data.draw(st.integers(begin + 1, len(stream))))
        for begin in data.draw(st.lists(st.integers(0, len(stream) - 1), max_size=12))
    ]
    pieces += [(at, at + 1) for at in range(len(stream))]
    order = data.draw(st.permutations(pieces))
    direction = TcpDirection()
    segments = [segment(first + 1 + begin, stream[begin:end]) for begin, end in order]
    assert read(segment(first, flags=SYN), *segments, direction=direction) == [START, stream]
    assert direction.conflicts == 0
    direction.finish()
    assert direction.size == 0


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1) | st.integers(990, 1020), st.binary(max_size=9), st.integers(0, 31)))
)
def test_any_segments(segments: list[tuple[int, bytes, int]]) -> None:
    direction = TcpDirection()
    for sequence, data, flags in segments:
        direction.feed(segment(sequence, data, flags), 0.0)
        direction.acknowledge(sequence, 0.0)
        assert direction.size >= 0
    direction.finish()
    assert direction.size == 0


@pytest.mark.parametrize("step", [1, -1, 2])
def test_the_time_is_linear(step: int) -> None:
    """In order, in reverse, and with a gap in front of each octet."""

    def work(size: int) -> None:
        direction = TcpDirection()
        direction.feed(segment(0, flags=SYN), 0.0)
        for at in range(size)[::step]:
            direction.feed(Segment(b"", 2 + at, 0, False, False, False, b"a"), 0.0)
        direction.finish()

    assert growth(work, 8_000) < LINEAR
