"""Packets that passed because the socket was full, from the kernel's statistics and the verdicts."""

from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.full_socket import FullSocket
from sbc_filter.live.netlink import QueueStatistics

ACCEPTS, DROPS = QueueSettings(50), QueueSettings(51, fail_open=False)
COUNTERS = {"overruns": 1, "accepted": 20, "modified": 30, "dropped": 10}


def passed(
    *readings: dict[int, QueueStatistics],
    queues: tuple[QueueSettings, ...] = (ACCEPTS,),
    counters: dict[str, int] = COUNTERS,
) -> list[int]:
    waiting = iter(readings)
    socket = FullSocket(queues, lambda: next(waiting))
    return [socket.passed(counters) for _ in range(len(readings) // 2 or 1)]


def at(entered: int, waiting: int = 0, dropped: int = 0) -> QueueStatistics:
    return QueueStatistics(waiting, 65531, 0, dropped, entered)


def test_what_entered_neither_waits_nor_has_a_verdict() -> None:
    assert passed({50: at(100)}, {50: at(100, 5)}) == [35]


def test_what_arrives_in_between_does_not_count_and_takes_nothing_away() -> None:
    assert passed({50: at(60)}, {50: at(63, 3)}, {50: at(70)}, {50: at(70)}, {50: at(70)}, {50: at(71, 1)}) == [
        0,
        10,
        10,
    ]


def test_what_the_other_queue_dropped_did_not_pass() -> None:
    assert passed({50: at(40), 51: at(80, 0, 8)}, {50: at(40), 51: at(80, 0, 9)}, queues=(ACCEPTS, DROPS)) == [51]


def test_the_kernels_counter_wraps_around() -> None:
    assert passed({50: at(5)}, {50: at(5)}, counters={"overruns": 1, "accepted": 2**32 - 2}) == [7]


def test_without_an_overrun_or_a_queue_that_accepts_nothing_is_read() -> None:
    assert passed(counters=COUNTERS | {"overruns": 0}) == [0]
    assert passed(queues=(DROPS,)) == [0]


def test_a_queue_that_is_not_listed_changes_nothing() -> None:
    assert passed({50: at(70)}, {}) == [0]
