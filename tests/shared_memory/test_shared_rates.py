"""Rates of rules (DESIGN §5), counted by one process or by all: what a limit lets by, whoever counts, whoever dies."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.synchronize import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dying import dies_after
from support.turns import hold_every_lock, never_in_vain, waited

from sbc_filter.rules.model import RATE_KEYS, RateLimit
from sbc_filter.rules.rate_limits import MAX_KEYS, LocalRates, Rates
from sbc_filter.shared_memory.shared_rates import SharedRates
from sbc_filter.shared_memory.shared_table import FIRST, PATIENCE, WAYS

NOW = 1_800_000_000.0
FORK = multiprocessing.get_context("fork")
HOUR = RateLimit(1000, 3600, "trunk")


# --- what is counted, by either implementation ---


@pytest.fixture(params=["local", "shared"])
def counted(request: pytest.FixtureRequest) -> Iterator[Rates]:
    if request.param == "local":
        yield LocalRates()
        return
    table = SharedRates()
    yield table
    table.close()


@pytest.mark.parametrize("start", [0.0, NOW])
@pytest.mark.parametrize(
    ("over", "seconds", "calls"),
    [
        (2, 1, [(0.0, False), (0.0, False), (0.0, True), (0.4, True), (0.5, False), (0.9, True), (1.0, False)]),
        (1, 60, [(0, False), (59, True), (60, False), (61, True), (120, False)]),
        (3, 1, [(0, False), (100, False), (100, False), (100, False), (100, True)]),  # it saves up no more than 3
        (1, 1, [(10, False), (5, True), (5.75, True), (6, False)]),  # a clock set back refills nothing by itself
        (2.5, 1, [(0, False), (0, False), (0, True), (0.25, False), (0.25, True)]),
        (20, 1, [*((0, False) for _ in range(20)), (0, True), (0.0625, False), (0.0625, True)]),
    ],
)
def test_a_rate(counted: Rates, start: float, over: float, seconds: float, calls: list[tuple[float, bool]]) -> None:
    limit = RateLimit(over, seconds, "peer")
    assert [(at, counted.exceeds("r", limit, "a", start + at)) for at, _ in calls] == calls


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("r", RateLimit(1, 1, "peer"), "a"), ("r", RateLimit(1, 1, "peer"), "b")),
        (("r", RateLimit(1, 1, "peer"), "a"), ("s", RateLimit(1, 1, "peer"), "a")),
        (("r", RateLimit(1, 1, "peer"), "a"), ("r", RateLimit(1, 2, "peer"), "a")),
        (("r", RateLimit(1, 1, "peer"), "a"), ("r", RateLimit(1.5, 1, "peer"), "a")),
        (("r", RateLimit(1, 1, "caller"), "a"), ("r", RateLimit(1, 1, "called"), "a")),
        (("r", RateLimit(1, 1, "caller"), ""), ("r", RateLimit(1, 1, "caller"), "\0")),
        (("r', 1", RateLimit(1, 1, "caller"), "a"), ("r", RateLimit(1, 1, "caller"), "1, 'a")),
        (("r", RateLimit(1, 1, "caller"), "x" * 60_000), ("r", RateLimit(1, 1, "caller"), "x" * 60_001)),
        (("r", RateLimit(1, 1, "caller"), "\udcff"), ("r", RateLimit(1, 1, "caller"), "\udcfe")),
    ],
    ids=["key", "rule", "period", "limit", "kind", "nobody", "quotes", "long", "no text"],
)
def test_what_is_counted_apart(
    counted: Rates, one: tuple[str, RateLimit, str], other: tuple[str, RateLimit, str]
) -> None:
    assert [counted.exceeds(*each, NOW) for each in (one, other, one, other)] == [False, False, True, True]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60).map(sorted), st.integers(1, 5), st.integers(1, 10))
def test_no_more_pass_than_the_bucket_holds_and_gains(times: list[float], over: int, seconds: int) -> None:
    counter, limit = LocalRates(), RateLimit(over, seconds, "peer")
    passed = sum(not counter.exceeds("r", limit, "a", at) for at in times)
    assert passed <= over + (times[-1] - times[0]) * over / seconds + 1e-6
    assert passed >= min(len(times), over)


_CALLS = st.tuples(
    st.sampled_from([RateLimit(1, 1, "peer"), RateLimit(2.5, 3, "caller"), RateLimit(1e6, 1, "caller")]),
    st.sampled_from("abc"),
    st.floats(-5, 5),
)
# So large that no two keys share a bucket: one that is full again gives way there, and a clock set back would miss it.
ONE_TABLE = SharedRates(buckets=1 << 18)
_FRESH = itertools.count()


@given(st.lists(_CALLS, max_size=40))
def test_both_count_alike(calls: list[tuple[RateLimit, str, float]]) -> None:
    """Whatever the clock does."""
    local, rule = LocalRates(), f"rule {next(_FRESH)}"
    for limit, key, at in calls:
        assert ONE_TABLE.exceeds(rule, limit, key, NOW + at) == local.exceeds(rule, limit, key, NOW + at)


def test_the_keys_of_one_process_are_bounded_and_the_one_used_least_goes() -> None:
    counter, limit = LocalRates(maximum=2), RateLimit(1, 1000, "peer")
    calls = [counter.exceeds("r", limit, key, 0.0) for key in ("a", "b", "a", "c", "a", "b")]
    assert calls == [False, False, True, False, True, False]
    many = LocalRates()
    for number in range(MAX_KEYS + 10):
        many.exceeds("r", limit, str(number), 0.0)
    assert len(many._buckets["r", limit]) == MAX_KEYS


# --- a table of fixed size ---


@pytest.fixture
def small() -> Iterator[SharedRates]:
    """One bucket of 16 entries for each kind of key."""
    table = SharedRates(buckets=1)
    yield table
    table.close()


@pytest.mark.parametrize("by", RATE_KEYS)
def test_a_flood_of_keys_of_one_kind_forgets_none_of_another(small: SharedRates, by: str) -> None:
    others = [RateLimit(2, 60, each) for each in RATE_KEYS if each != by]
    assert [small.exceeds("r", limit, "a", NOW) for limit in others for _ in range(3)] == [False, False, True] * 3
    for number in range(1000):
        small.exceeds("flooded", RateLimit(1, 86400, by), str(number), NOW)
    assert all(small.exceeds("r", limit, "a", NOW) for limit in others)


def test_a_flood_of_keys_forgets_none_that_is_at_its_limit(small: SharedRates) -> None:
    """Of one kind, by one rule or another: what has least of its limit spent gives way, not what ends first."""
    limit, slow = RateLimit(3, 1, "caller"), RateLimit(3, 3600, "caller")
    assert [small.exceeds("r", limit, "a", NOW) for _ in range(4)] == [False, False, False, True]
    for number in range(1000):
        assert not small.exceeds("r", limit, f"b{number}", NOW)
        assert not small.exceeds("s", slow, f"c{number}", NOW)
    assert small.exceeds("r", limit, "a", NOW)


def test_what_is_full_again_gives_way_first(small: SharedRates) -> None:
    short, long = RateLimit(1, 1, "peer"), RateLimit(100, 3600, "peer")
    for number in range(WAYS // 2):
        small.exceeds("long", long, str(number), NOW)
        small.exceeds("short", short, str(number), NOW)
    before = small._table.memory[:]
    for number in range(WAYS // 2):  # at this time those of `short` are over, and what is new takes their places
        small.exceeds("new", long, str(number), NOW + 1)
    kept = sum(small._table.find(before[at : at + 16], FIRST) >= 0 for at in range(FIRST, FIRST + WAYS * 32, 32))
    assert kept == WAYS // 2


def test_after_a_clock_was_set_back_the_entries_of_the_future_are_in_nobodys_way(small: SharedRates) -> None:
    limit = RateLimit(1, 60, "peer")
    for number in range(WAYS):
        small.exceeds("r", limit, str(number), NOW + 3600)
    assert not any(small.exceeds("r", limit, f"new {number}", NOW) for number in range(WAYS))
    assert all(small.exceeds("r", limit, f"new {number}", NOW) for number in range(WAYS))


@pytest.mark.parametrize("garbage", [b"\xff", b"\x00", b"\x7f", b"\x80"], ids=lambda each: each.hex())
def test_entries_that_nobody_wrote_are_free(small: SharedRates, garbage: bytes) -> None:
    small._table.memory[FIRST : FIRST + WAYS * 32] = garbage * WAYS * 32
    limit = RateLimit(1, 60, "peer")
    assert not any(small.exceeds("r", limit, str(number), NOW) for number in range(WAYS))
    assert all(small.exceeds("r", limit, str(number), NOW) for number in range(WAYS))


@pytest.mark.parametrize("writes", range(4))
@pytest.mark.parametrize("known", [0, 1])
def test_killed_after_some_writes(small: SharedRates, monkeypatch: pytest.MonkeyPatch, writes: int, known: int) -> None:
    """In a full bucket: the call is counted or not; those before it are, and the others are."""
    limit, finished = RateLimit(4, 3600, "peer"), 0
    for key in ["b", *("a" * known), *map(str, range(WAYS - 1 - known))]:
        for _ in range({"b": 4, "a": 1}.get(key, 3)):
            small.exceeds("r", limit, key, NOW)
    monkeypatch.setattr(small._table, "write", dies_after(writes, small._table.write))
    with contextlib.suppress(InterruptedError):
        for finished in range(6):  # noqa: B007
            small.exceeds("r", limit, "a", NOW)
    monkeypatch.undo()
    assert small.exceeds("r", limit, "b", NOW)
    left = [small.exceeds("r", limit, "a", NOW) for _ in range(5)].count(False)
    assert left in (4 - known - finished, 3 - known - finished)


# --- processes ---


def call_all(table: SharedRates, begin: Barrier, calls: int, passed: "multiprocessing.Queue[int]") -> None:
    begin.wait()
    passed.put(sum(not table.exceeds("r", HOUR, "acme", NOW) for _ in range(calls)))


@pytest.mark.parametrize("calls", [100, 2000], ids=["below the limit", "beyond"])
def test_a_limit_holds_for_all_processes_together(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four at one key: of all their calls together so many are let by as the limit says."""
    never_in_vain(monkeypatch)
    table, begin, passed = SharedRates(), FORK.Barrier(4), FORK.Queue()
    workers = [FORK.Process(target=call_all, args=(table, begin, calls, passed)) for _ in range(4)]
    for worker in workers:
        worker.start()
    total = sum(passed.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(60)
    assert total == min(4 * calls, 1000)
    left = sum(not table.exceeds("r", HOUR, "acme", NOW) for _ in range(1001))
    assert left == 1000 - total
    table.close()


def call_for_ever(table: SharedRates) -> None:
    for number in itertools.count():
        table.exceeds("r", HOUR, f"dying {number % 3}", NOW)


def test_processes_killed_in_the_middle_cost_nothing(small: SharedRates, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same bucket: the others go on, at once, and not one call of theirs is lost or counted twice."""
    never_in_vain(monkeypatch)
    let_by = 0
    for number in range(20):
        process = FORK.Process(target=call_for_ever, args=(small,))
        process.start()
        end = time.monotonic() + 0.01 + number / 2000
        while time.monotonic() < end:
            let_by += not small.exceeds("r", HOUR, "acme", NOW)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert waited(monkeypatch, partial(small.exceeds, "r", HOUR, f"after {number % 3}", NOW))[0] == 0.0
    let_by += sum(not small.exceeds("r", HOUR, "acme", NOW) for _ in range(1001))
    assert let_by == 1000


def test_who_has_the_turn_and_was_stopped_holds_up_a_call_for_a_moment(
    small: SharedRates, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = FORK.Barrier(2)
    process = FORK.Process(target=hold_every_lock, args=(small._table, held))
    process.start()
    held.wait()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    limit = RateLimit(19, 60, "peer")
    seconds, found = waited(monkeypatch, lambda: [small.exceeds("r", limit, "a", NOW) for _ in range(20)])
    process.kill()
    process.join()
    assert found == [*[False] * 19, True]
    assert PATIENCE <= seconds < 2 * PATIENCE  # once, and not for every call
