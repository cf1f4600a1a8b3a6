"""How much a connection may send before others are read."""

from sbc_filter.relay.read_buffer import LEAST, SIZE, ReadBuffer, Share


class Side:
    """A side of a connection that always has more to read."""

    def __init__(self) -> None:
        self.round = 0

    def read(self, share: Share) -> int:
        self.round = share.turn(self.round)
        octets = share.left
        share.take(octets)
        return octets


def test_one_busy_connection_reads_the_same_in_each_round() -> None:
    share, side = Share(), Side()
    assert [side.read(share) for _ in range(4)] == [SIZE] * 4


def test_busy_connections_share_what_one_would_have() -> None:
    share, sides = Share(), [Side() for _ in range(4)]
    assert [side.read(share) for side in sides] == [SIZE, LEAST, LEAST, LEAST]
    assert [side.read(share) for side in sides] == [SIZE // 4] * 4
    assert [sides[0].read(share), sides[0].read(share)] == [SIZE // 4, SIZE]


def test_no_number_of_connections_makes_a_round_much_longer() -> None:
    share, sides = Share(), [Side() for _ in range(256)]
    rounds = [sum(side.read(share) for side in sides) for _ in range(3)]
    assert rounds == [SIZE + 255 * LEAST, 256 * LEAST, 256 * LEAST]
    assert max(rounds) <= 3 * SIZE


def test_a_connection_that_was_idle_takes_no_more_than_is_left() -> None:
    share, first, second, late = Share(), Side(), Side(), Side()
    first.read(share)
    assert (first.read(share), second.read(share), late.read(share)) == (SIZE, LEAST, LEAST)
    assert (first.read(share), late.read(share)) == (SIZE // 3, SIZE // 3)


def test_what_was_read_outlives_the_next_reading() -> None:
    buffer = ReadBuffer()
    buffer.portion(5)[:5] = b"first"
    first = buffer.received(5)
    buffer.portion(6)[:] = b"second"
    assert (first, buffer.received(6)) == (b"first", b"second")
