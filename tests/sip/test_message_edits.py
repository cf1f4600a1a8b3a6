"""Edits of a buffer: what is not edited stays."""

from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.sip.message import apply_edits


@given(st.binary(max_size=60), st.data())
def test_every_octet_outside_the_edits_stays(buffer: bytes, data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(buffer)), max_size=8)))
    pairs = list(zip(places[::2], places[1::2], strict=False))
    edits = [(start, end, data.draw(st.binary(max_size=9))) for start, end in pairs]
    expected, position = b"", 0
    for start, end, new in edits:
        expected += buffer[position:start] + new
        position = end
    if len({start for start, _ in pairs}) == len(pairs):  # two at one place have an order of their own
        assert apply_edits(buffer, data.draw(st.permutations(edits))) == expected + buffer[position:]


def test_insertions_at_one_place_keep_their_order_and_a_removal_covers_what_is_inside() -> None:
    assert apply_edits(b"abcdef", [(2, 2, b"1"), (2, 5, b""), (3, 4, b"X"), (2, 2, b"2")]) == b"ab12f"
