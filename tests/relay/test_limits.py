"""What one sender, and all of them, may use."""

from sbc_filter.relay.limits import RankedSender, Senders, to_reset


def test_connections_are_counted_by_sender() -> None:
    senders = Senders()
    for sender in ("192.0.2.7", "192.0.2.7", "192.0.2.9"):
        senders.add(sender)
    assert (senders["192.0.2.7"], senders["192.0.2.9"], senders["192.0.2.1"], len(senders)) == (2, 1, 0, 2)
    senders.remove("192.0.2.7")
    senders.remove("192.0.2.9")
    senders.remove("192.0.2.1")
    assert (senders["192.0.2.7"], senders["192.0.2.9"], len(senders)) == (1, 0, 1)


def test_nothing_is_reset_while_there_is_room() -> None:
    assert to_reset({1: ((False, "a"), 50), 2: ((False, "b"), 50)}, 100) == []


def test_the_sender_that_has_most_gives_way() -> None:
    """Not the one with the largest connection."""
    a, b, c = (False, "a"), (False, "b"), (False, "c")
    sizes = {1: (a, 40), 2: (b, 30), 3: (b, 20), 4: (c, 5)}
    assert to_reset(sizes, 94) == [2]
    assert to_reset(sizes, 65) == [2]
    assert to_reset(sizes, 64) == [2, 3]
    assert to_reset(sizes, 5) == [2, 3, 1]
    assert to_reset(sizes, 0) == [2, 3, 1, 4]


def test_senders_of_no_trunk_give_way_first() -> None:
    """Many small ones do not make a trunk the one that has most."""
    sizes = {1: ((True, "trunk"), 70), 2: ((False, "a"), 20), 3: ((False, "b"), 30)}
    assert to_reset(sizes, 90) == [3]
    assert to_reset(sizes, 70) == [3, 2]
    assert to_reset(sizes, 60) == [3, 2, 1]


class Counted(dict[int, tuple[RankedSender, int]]):
    """Counts how often it is asked."""

    asked = 0

    def __getitem__(self, each: int) -> tuple[RankedSender, int]:
        self.asked += 1
        return super().__getitem__(each)


def test_the_work_is_linear_in_the_senders() -> None:
    """No message is handled meanwhile."""
    sizes = Counted({each: ((False, str(each)), 1) for each in range(500)})
    assert len(to_reset(sizes, 0)) == 500
    assert sizes.asked <= 4 * 500
