"""What keeps strangers apart: their domains, how often they may ask, whose turn it is."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.waiting import LONG, taken

from sbc_filter.concurrency.fair_queue import FairQueue, Peer, QueueSlot
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


def test_a_peer_leaves_room_in_a_group_to_others() -> None:
    """A flood of slow jobs in one group: of 4, its sender has 1, another of its trunk 1, and another trunk 1."""
    turns: FairQueue[str] = FairQueue((4,), 3, (3, 2), (2, 1))
    for sender in ("66", "66", "67", "68"):
        turns.put(QueueSlot(0, "a", ("", sender)), sender)
    taken = [turns.take(), turns.take(), turns.take()]
    assert taken == [(QueueSlot(0, "a", ("", "66")), "66"), (QueueSlot(0, "a", ("", "67")), "67"), None]
    for sender in ("7", "7"):
        turns.put(QueueSlot(0, "a", ("acme", sender)), sender)
    assert turns.take() == (QueueSlot(0, "a", ("acme", "7")), "7")
    turns.put(QueueSlot(0, "a", ("other", "9")), "9")
    assert turns.take() is None  # three of the group, whoever they are for
    turns.done(QueueSlot(0, "a", ("", "66")))
    assert turns.take() == (QueueSlot(0, "a", ("", "68")), "68")


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


def test_peers_take_turns_and_so_do_the_groups_of_each() -> None:
    """Eight of a flood in two groups of one peer, one of another peer, one of a trunk."""
    turns: FairQueue[str] = FairQueue((9,), 9, (9, 9))
    jobs = {
        QueueSlot(0, "a", ("", "evil")): ["a1", "a2", "a3", "a4"],
        QueueSlot(0, "b", ("", "evil")): ["b1", "b2", "b3", "b4"],
        QueueSlot(0, "c", ("", "other")): ["c1", "c2"],
        QueueSlot(0, "d", ("trunk", "one")): ["d1", "d2"],
    }
    for place, names in jobs.items():
        for name in names:
            turns.put(place, name)
    order = [taken[1] for taken in iter(turns.take, None)]
    assert order == ["a1", "d1", "c1", "d2", "b1", "c2", "a2", "b2", "a3"]
    assert (len(turns), turns.waiting(0)) == (3, 3)


@pytest.mark.parametrize(
    ("peers", "share", "started"),
    [
        ((3, 9), 9, ["a1", "d1", "b1", "a2"]),  # three of all without a trunk
        ((9, 2), 9, ["a1", "d1", "b1", "c1"]),  # two of one peer
        ((9, 9), 1, ["a1", "b1", "d1"]),  # one of one domain: c has the domain of a
    ],
)
def test_the_limits_of_each_level(peers: tuple[int, int], share: int, started: list[str]) -> None:
    turns: FairQueue[str] = FairQueue((9,), share, peers)
    for name in ("a1", "b1", "a2", "b2"):
        turns.put(QueueSlot(0, name[0], ("", "evil")), name)
    turns.put(QueueSlot(0, "a" if share == 1 else "c", ("", "other")), "c1")
    turns.put(QueueSlot(0, "d", ("trunk", "one")), "d1")
    if peers == (3, 9):
        turns.remove(QueueSlot(0, "c", ("", "other")), "c1")
    assert sorted(taken[1] for taken in iter(turns.take, None)) == sorted(started)


@pytest.mark.parametrize(
    ("place", "crowd"),
    [
        (QueueSlot(0, "x", ("trunk", "one")), QueueSlot(0, "a", ("", "evil"))),
        (QueueSlot(0, "x", ("", "other")), QueueSlot(0, "a", ("", "evil"))),
        (QueueSlot(0, "x", ("", "evil")), QueueSlot(0, "a", ("", "evil"))),
        (QueueSlot(0, "a", ("", "evil")), None),
        (QueueSlot(1, "x", ("trunk", "one")), None),
    ],
)
def test_who_gives_way(place: QueueSlot, crowd: QueueSlot | None) -> None:
    turns: FairQueue[str] = FairQueue((1, 1), 1, (1, 1))
    for peer, group, count in (("evil", "a", 3), ("evil", "b", 2), ("other", "c", 2)):
        for number in range(count):
            turns.put(QueueSlot(0, group, ("", peer)), f"{group}{number}")
    assert turns.crowd(place) == crowd
    if crowd is not None:
        assert turns.drop(crowd) == "a2"
        assert len(turns) == 6


def test_invented_peers_make_no_trunk_give_way() -> None:
    turns: FairQueue[str] = FairQueue((1,), 1, (1, 1))
    for number in range(9):
        turns.put(QueueSlot(0, "a", ("", str(number))), "a")
    assert turns.crowd(QueueSlot(0, "x", ("", "other"))) is None
    assert turns.crowd(QueueSlot(0, "x", ("trunk", "one"))) == QueueSlot(0, "a", ("", "0"))


PEERS = st.tuples(st.sampled_from(["", "trunk"]), st.sampled_from("12"))


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abc"), PEERS, st.booleans()), max_size=60))
def test_every_job_of_a_peer_is_done_once_and_the_limits_hold(
    steps: list[tuple[int, str, tuple[str, str], bool]],
) -> None:
    turns: FairQueue[int] = FairQueue((4, 5), 2, (4, 3))
    working: list[QueueSlot] = []
    done: list[int] = []

    def take() -> None:
        while (taken := turns.take()) is not None:
            working.append(taken[0])
            done.append(taken[1])
        for place in working:
            same = [each for each in working if each.lane == place.lane]
            assert len(same) <= (4, 5)[place.lane]
            assert sum(each.group == place.group for each in same) <= 2
            assert sum(each.peer[0] == place.peer[0] for each in same) <= 4
            assert sum(each.peer == place.peer for each in same) <= 3

    for number, (lane, group, peer, finish) in enumerate(steps):
        turns.put(QueueSlot(lane, group, peer), number)
        take()
        if finish and working:
            turns.done(working.pop(0))
    while working:
        turns.done(working.pop(0))
        take()
    assert sorted(done) == list(range(len(steps)))
    assert len(turns) == 0


def pool(work: Callable[[str, Peer], str], **options: Any) -> SingleFlightPool[str]:
    """A pool with one worker, and one waiting job."""
    return SingleFlightPool(work, str, name="test", patience=LONG, workers=1, peers=(1, 1), backlog=3, **options)


class Gate:
    """Work that begins, waits for leave, and is noted with its peer."""

    def __init__(self) -> None:
        self.begun, self.leave = threading.Event(), threading.Event()
        self.done: list[tuple[str, Peer]] = []

    def __call__(self, key: str, peer: Peer) -> str:
        self.begun.set()
        assert self.leave.wait(LONG)
        self.done.append((key, peer))
        return key


EVIL, HONEST = ("", "evil"), ("trunk", "one")


def test_who_asks_first_for_what_others_need_does_not_make_them_wait() -> None:
    """Three jobs of a flood wait, the last of them for the key of another peer: that peer has its own turn."""
    work, answers = Gate(), SimpleQueue[str]()
    single = pool(work)
    single.submit("0", answers.put, EVIL)
    assert work.begun.wait(LONG)
    for key in ("1", "2", "shared"):
        single.submit(key, answers.put, EVIL)
    single.submit("shared", answers.put, HONEST)  # the queue is full: a job of the flood gives way
    assert taken(answers, 0) == []
    work.leave.set()
    assert sorted(taken(answers, 5)) == ["0", "1", "2", "shared", "shared"]
    assert work.done == [("0", EVIL), ("1", EVIL), ("shared", HONEST), ("2", EVIL)]
    single.close()


def test_the_last_jobs_of_a_flood_give_way_until_every_peer_has_its_share() -> None:
    work, flood, others = Gate(), SimpleQueue[str](), SimpleQueue[str]()
    single = pool(work)
    single.submit("0", flood.put, EVIL)
    assert work.begun.wait(LONG)
    for key in "123":
        single.submit(key, flood.put, EVIL)
    single.submit("4", others.put, HONEST)
    assert taken(flood, 1) == ["fetch-refused"]  # 3
    single.submit("5", others.put, ("", "other"))
    assert taken(flood, 1) == ["fetch-refused"]  # 2
    single.submit("6", others.put, ("", "third"))
    assert taken(others, 1) == ["fetch-refused"]
    work.leave.set()
    assert taken(flood, 2) == ["0", "1"]
    assert sorted(taken(others, 2)) == ["4", "5"]
    single.close()


def test_a_job_of_two_peers_is_late_when_the_later_one_is() -> None:
    now = 0.0
    work, answers = Gate(), SimpleQueue[str]()
    single = pool(work, timer=lambda: now)
    single.submit("0", answers.put, EVIL)
    assert work.begun.wait(LONG)
    single.submit("shared", answers.put, EVIL)
    now = LONG
    single.submit("shared", answers.put, HONEST)
    single.submit("on-time", answers.put, EVIL)
    now += 1.0
    work.leave.set()
    assert sorted(taken(answers, 4)) == ["0", "on-time", "shared", "shared"]
    assert ("shared", HONEST) in work.done
    single.close()


def test_a_slow_group_holds_up_nobody_else() -> None:
    """Six of `slow` and one of `quick`, in four threads: two work on the slow ones, the others are free."""
    release = threading.Event()
    answers: SimpleQueue[str] = SimpleQueue()

    def work(key: str, peer: Peer) -> str:
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

    def work(key: str, peer: Peer) -> str:
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

    def admit(key: str, peer: Peer) -> bool:
        admitted.append(key)
        return len(admitted) == 1

    def work(key: str, peer: Peer) -> str:
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
