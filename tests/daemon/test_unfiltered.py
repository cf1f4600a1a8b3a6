"""The count of packets that passed unfiltered, from readings of the rules and the queues."""

import pytest

from sbc_filter.daemon.unfiltered import EnteredSinceBound, Look, Queued, UnfilteredCount, UnrelayedCount


def one(handed_over: int, before: int, after: int | None = None, listener: int = 17) -> Look:
    """A look at a queue with one worker."""
    return Look(
        handed_over,
        Queued((listener,), (before,)),
        Queued((listener,), (before if after is None else after,)),
    )


def two(
    handed_over: int, entered: tuple[int, int], waiting: int = 0, listeners: tuple[int, ...] = (17, 18, 16)
) -> Look:
    """A look at a dispatcher and two workers, without traffic meanwhile."""
    queued = Queued(listeners, entered, waiting)
    return Look(handed_over, queued, queued)


def counted(*looks: Look) -> list[int]:
    count = UnfilteredCount()
    totals = []
    for look in looks:
        count.take(look)
        totals.append(count.total)
    assert count.missed() == 0
    return totals


@pytest.mark.parametrize(
    ("looks", "totals"),
    [
        pytest.param([one(700, 200), one(900, 400)], [0, 0], id="what passed before the first look is not counted"),
        pytest.param([one(0, 0), one(6000, 4096), one(6000, 4096)], [0, 1904, 1904], id="beyond the queue"),
        pytest.param([one(0, 0), one(10, 8, 12), one(12, 12)], [0, 0, 0], id="traffic during a look"),
        pytest.param([one(10, 8, 12), one(20, 20), one(50, 30)], [0, 0, 20], id="traffic at the first look"),
        pytest.param([one(0, 0), one(50, 30), one(60, 35, 45)], [0, 20, 20], id="a lower bound takes nothing away"),
        pytest.param(
            [one(5, 5), one(9, 5, 5), one(2, 5, 6), one(3, 6), one(4, 6)], [0, 4, 5, 5, 6], id="rules applied again"
        ),
        pytest.param([one(5, 0, listener=0), one(9, 0, listener=0)], [0, 4], id="no process has bound the queue"),
        pytest.param([two(0, (0, 0)), two(90, (30, 20), waiting=40)], [0, 0], id="waiting for the dispatcher"),
        pytest.param([two(0, (0, 0)), two(90, (30, 20), waiting=30)], [0, 10], id="beyond the queue of a worker"),
    ],
)
def test_the_count(looks: list[Look], totals: list[int]) -> None:
    assert counted(*looks) == totals


def test_a_look_during_which_a_process_is_replaced_does_not_count() -> None:
    mixed = Look(5000, Queued((17,), (4000,)), Queued((19,), (0,)))
    count = UnfilteredCount()
    for look in (one(0, 0), one(4000, 4000), mixed, one(5010, 10, listener=19), one(5030, 20, listener=19)):
        count.take(look)
    assert count.total == 10
    assert count.missed() == 1000


@pytest.mark.parametrize(
    ("last", "look", "missed"),
    [
        pytest.param(one(100, 100), one(100, 0, listener=0), 0, id="no traffic"),
        pytest.param(one(100, 100), one(130, 0, listener=0), 30, id="all may have passed"),
        pytest.param(one(100, 100), one(130, 20, listener=19), 10, id="twenty are with the new one"),
        pytest.param(two(100, (60, 40)), two(150, (5, 60), listeners=(19, 18, 16)), 25, id="the other worker is known"),
        pytest.param(
            two(100, (50, 40), 10), two(150, (60, 50), 5, listeners=(17, 18, 19)), 35, id="another dispatcher"
        ),
        pytest.param(one(100, 100), one(50, 10, listener=19), 0, id="rules applied again: there is no limit"),
    ],
)
def test_a_replaced_process_leaves_a_limit_and_the_count_goes_on(last: Look, look: Look, missed: int) -> None:
    count = UnfilteredCount()
    count.take(last)
    count.take(look)
    assert (count.total, count.missed(), count.missed()) == (0, missed, 0)
    count.take(look._replace(handed_over=look.handed_over + 7))
    assert (count.total, count.missed()) == (7, 0)


def test_rules_that_were_gone_begin_again() -> None:
    count = UnfilteredCount()
    for look in (one(0, 0), one(30, 10)):
        count.take(look)
    count.forget()
    for look in (one(100, 10), one(101, 10)):
        count.take(look)
    assert (count.total, count.missed()) == (21, 0)


def test_the_kernels_counter_wraps_around() -> None:
    entered = EnteredSinceBound()
    found = [entered(50, 17, count) for count in (2**32 - 1, 3, 2**32 - 1, 0)]
    assert found == [2**32 - 1, 2**32 + 3, 2 * 2**32 - 1, 2 * 2**32]
    assert [entered(51, 18, 9), entered(50, 19, 2), entered(50, 19, 5)] == [9, 2, 5]


def test_a_limit_is_never_below_zero() -> None:
    """Packets that the rules had counted before come into the queue of the next process."""
    count = UnfilteredCount()
    for look in (one(100, 100), one(101, 5, listener=19), one(130, 10, listener=20)):
        count.take(look)
    assert count.missed() == 19


def listing(encrypted: int, new: int, older: int) -> str:
    """As `iptables-save -c` prints it."""
    counts = {
        "TCP connections on TLS and WebSocket ports": encrypted,
        "new TCP connections past the relay": new,
        "TCP packets of connections older than the relay": older,
    }
    return "".join(
        f'[{count}:60] -A SBC-FILTER-TCP -p tcp -m comment --comment "{what}" -j RETURN\n'
        for what, count in counts.items()
    )


def test_each_kind_is_counted_from_the_first_look_on() -> None:
    made = UnrelayedCount()
    assert made.take([listing(5, 6, 7)]) == {}
    assert made.take([listing(5, 6, 7)]) == {}
    assert made.take([listing(6, 8, 10)]) == {"unrelayed-encrypted": 1, "unrelayed-new": 2, "unrelayed-older": 3}
    assert made.take([listing(6, 8, 10), listing(0, 0, 1)]) == {"unrelayed-older": 1}  # IPv6


def test_rules_that_are_applied_again_begin_at_zero() -> None:
    made = UnrelayedCount()
    made.take([listing(5, 6, 7)])
    assert made.take([listing(2, 0, 9)]) == {"unrelayed-encrypted": 2, "unrelayed-older": 2}
    assert made.take([""]) == {}
    assert made.take([listing(1, 1, 1)]) == {"unrelayed-encrypted": 1, "unrelayed-new": 1, "unrelayed-older": 1}
