"""What keeps strangers apart: their domains, how often they may ask, whose turn it is."""

import threading
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.waiting import LONG, taken

from sbc_filter.concurrency.fair_queue import FairQueue, QueueSlot
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.web.fairness import Buckets, domain_of


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://example.com/a.pem", "example.com"),
        ("https://A.b.Example.COM:8443/a.pem", "example.com"),
        ("https://x.example.co.uk/a.pem", "example.co.uk"),
        ("https://example.co.uk/a.pem", "example.co.uk"),
        ("https://a.b.c.gouv.fr/", "c.gouv.fr"),
        ("https://a.bt.fr/", "bt.fr"),  # two letters are no category
        ("https://a.com.example/", "com.example"),
        ("https://a.example.com./", "example.com"),
        ("https://198.51.100.7/a.pem", "198.51.100.7"),
        ("https://[2001:db8::7]/a.pem", "2001:db8::7"),
        ("https://localhost/", "localhost"),
        ("no url", ""),
    ],
)
def test_the_domain_of_a_url(url: str, domain: str) -> None:
    assert domain_of(url) == domain


@pytest.mark.parametrize("category", "ac co com edu go gob gouv gov ltd ne net nom or org plc".split())
def test_what_registries_put_between(category: str) -> None:
    assert domain_of(f"https://a.example.{category}.uk/") == f"example.{category}.uk"
    assert domain_of(f"https://a.example.{category}.info/") == f"{category}.info"


def test_a_bucket_fills_again() -> None:
    buckets = Buckets(2.0, 5.0)

    def taken(now: float) -> int:
        number = 0
        while buckets.has("a", now):
            buckets.take("a", now)
            number += 1
        return number

    assert [taken(now) for now in (0.0, 0.0, 0.4, 0.5, 3.5, 100.0)] == [10, 0, 0, 1, 6, 10]
    assert buckets.has("b", 100.0)


def test_a_bucket_whose_clock_goes_back() -> None:
    buckets = Buckets(1.0, 1.0)
    buckets.take("a", 100.0)
    assert not buckets.has("a", 50.0)
    two = Buckets(1.0, 2.0)
    two.take("a", 100.0)
    assert two.has("a", 50.0)


def test_there_is_always_room_for_one() -> None:
    buckets = Buckets(0.01, 1.0)
    assert buckets.has("a", 0.0)
    buckets.take("a", 0.0)
    assert [buckets.has("a", now) for now in (0.0, 99.0, 101.0)] == [False, False, True]


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from("ab")), max_size=100))
def test_never_more_than_the_rate_and_the_burst(steps: list[tuple[float, str]]) -> None:
    buckets, now = Buckets(1.0, 4.0), 0.0
    taken: list[tuple[float, str]] = []
    for pause, key in steps:
        now += pause
        if buckets.has(key, now):
            buckets.take(key, now)
            taken.append((now, key))
    for begin, key in taken:
        assert sum(1 for at, other in taken if other == key and begin <= at < begin + 10) <= 4 + 10


def test_groups_take_turns_and_have_a_share() -> None:
    turns: FairQueue[str] = FairQueue((3,), 2)
    for job in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
        turns.put(QueueSlot(0, job[0]), job)
    first = [turns.take() for _ in range(4)]
    assert first == [
        (QueueSlot(0, "a"), "a1"),
        (QueueSlot(0, "b"), "b1"),
        (QueueSlot(0, "c"), "c1"),
        None,
    ]  # three at work
    turns.done(QueueSlot(0, "c"))
    assert turns.take() == (QueueSlot(0, "a"), "a2")
    turns.done(QueueSlot(0, "b"))
    turns.put(QueueSlot(0, "a"), "a5")
    assert turns.take() == (QueueSlot(0, "b"), "b2")  # a has its share
    turns.done(QueueSlot(0, "b"))
    assert turns.take() is None
    turns.done(QueueSlot(0, "a"))
    assert turns.take() == (QueueSlot(0, "a"), "a3")
    assert len(turns) == 2


def test_lanes_do_not_wait_for_each_other() -> None:
    turns: FairQueue[str] = FairQueue((1, 1), 1)
    for lane, job in ((1, "a"), (1, "b"), (0, "c"), (0, "d")):
        turns.put(QueueSlot(lane, job), job)
    assert [turns.take() for _ in range(3)] == [(QueueSlot(0, "c"), "c"), (QueueSlot(1, "a"), "a"), None]
    assert [turns.waiting(0), turns.waiting(1), len(turns)] == [1, 1, 2]
    turns.done(QueueSlot(1, "a"))
    assert turns.take() == (QueueSlot(1, "b"), "b")
    turns.clear()
    turns.done(QueueSlot(0, "c"))
    assert turns.take() is None


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abc"), st.booleans()), max_size=60))
def test_every_job_is_done_once_and_the_limits_hold(steps: list[tuple[int, str, bool]]) -> None:
    turns: FairQueue[int] = FairQueue((2, 3), 2)
    working: list[QueueSlot] = []
    done: list[int] = []

    def take() -> None:
        while (taken := turns.take()) is not None:
            working.append(taken[0])
            done.append(taken[1])
        assert all(working.count(place) <= 2 for place in working)
        assert sum(place.lane == 0 for place in working) <= 2
        assert sum(place.lane == 1 for place in working) <= 3

    for number, (lane, group, finish) in enumerate(steps):
        turns.put(QueueSlot(lane, group), number)
        take()
        if finish and working:
            turns.done(working.pop(0))
    while working:
        turns.done(working.pop(0))
        take()
    assert sorted(done) == list(range(len(steps)))


def test_a_slow_group_holds_up_nobody_else() -> None:
    """Six of `slow` and one of `quick`, in four threads: two work on the slow ones, the others are free."""
    release = threading.Event()
    answers: SimpleQueue[str] = SimpleQueue()

    def work(key: str) -> str:
        if key.startswith("slow"):
            release.wait()
        return key

    single: SingleFlightPool[str] = SingleFlightPool(
        work, str, name="test", patience=LONG, workers=4, place=lambda key: QueueSlot(0, key.partition("-")[0]), share=2
    )
    for number in range(6):
        single.submit(f"slow-{number}", answers.put)
    single.submit("quick-0", answers.put)
    assert taken(answers, 1) == ["quick-0"]
    release.set()
    assert sorted(taken(answers, 6)) == [f"slow-{number}" for number in range(6)]
    single.close()


def test_a_full_lane_refuses_and_the_other_does_not() -> None:
    release, at_work = threading.Event(), threading.Barrier(3)
    answers: SimpleQueue[str] = SimpleQueue()

    def work(key: str) -> str:
        if not release.is_set():
            at_work.wait(LONG)
            release.wait()
        return key

    single: SingleFlightPool[str] = SingleFlightPool(
        work,
        lambda detail: detail,
        name="test",
        patience=LONG,
        workers=2,
        backlog=1,
        place=lambda key: QueueSlot(int(key[0]), key),
        lanes=(1, 1),
    )
    single.submit("0a", answers.put)
    single.submit("1a", answers.put)
    at_work.wait(LONG)
    for key in ("0b", "0c", "1b"):
        single.submit(key, answers.put)
    assert taken(answers, 1) == ["fetch-refused"]
    release.set()
    assert sorted(taken(answers, 4)) == ["0a", "0b", "1a", "1b"]
    single.close()


def test_what_is_not_admitted_is_refused_but_joins_what_runs() -> None:
    answers: SimpleQueue[str] = SimpleQueue()
    admitted: list[str] = []
    release = threading.Event()

    def admit(key: str) -> bool:
        admitted.append(key)
        return len(admitted) == 1

    def work(key: str) -> str:
        release.wait()
        return key

    single: SingleFlightPool[str] = SingleFlightPool(work, str, name="test", patience=LONG, workers=1, admit=admit)
    for key in ("a", "a", "b"):
        single.submit(key, answers.put)
    assert taken(answers, 1) == ["fetch-refused"]
    release.set()
    assert taken(answers, 2) == ["a", "a"]
    assert admitted == ["a", "b"]
    single.close()
