"""Packets that passed because the socket was full, from the kernel's statistics and the verdicts."""

from sbc_filter.counters import CounterName
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.full_socket import FullSocket
from sbc_filter.live.netlink import QueueStatistics

ACCEPTS, DROPS = QueueSettings(50), QueueSettings(51, fail_open=False)
COUNTERS: dict[str, int] = {CounterName.ACCEPTED: 20, CounterName.MODIFIED: 30, CounterName.DROPPED: 10}


def passed(
    *readings: dict[int, QueueStatistics],
    queues: tuple[QueueSettings, ...] = (ACCEPTS,),
    counters: dict[str, int] = COUNTERS,
    overruns: int = 1,
) -> list[int]:
    """What passed of queue 50, after each two readings."""
    waiting = iter(readings)
    socket = FullSocket(queues, lambda: next(waiting))
    verdicts: dict[int, dict[str, int]] = {50: counters, 51: {CounterName.ACCEPTED: 1}}
    return [socket.passed(overruns, verdicts).get(50, 0) for _ in range(len(readings) // 2 or 1)]


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


def test_each_queue_has_its_own_number() -> None:
    readings = iter([{50: at(70), 51: at(80, 0, 8)}] * 2)
    socket = FullSocket((ACCEPTS, QueueSettings(51)), lambda: next(readings))
    assert socket.passed(1, {50: COUNTERS, 51: {CounterName.ACCEPTED: 1}}) == {50: 10, 51: 71}


def test_what_a_queue_dropped_did_not_pass() -> None:
    assert passed({50: at(80, 0, 9), 51: at(80)}, {50: at(80, 0, 9), 51: at(80)}, queues=(ACCEPTS, DROPS)) == [11]


def test_the_kernels_counter_wraps_around() -> None:
    assert passed({50: at(5)}, {50: at(5)}, counters={CounterName.ACCEPTED: 2**32 - 2}) == [7]


def test_without_an_overrun_or_a_queue_that_accepts_nothing_is_read() -> None:
    assert passed(overruns=0) == [0]
    assert passed(queues=(DROPS,)) == [0]


def test_a_queue_that_is_not_listed_changes_nothing() -> None:
    assert passed({50: at(70)}, {}) == [0]
