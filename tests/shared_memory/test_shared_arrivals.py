"""What `preserve` remembers, in one process or in all (S-038): whoever adds, whoever dies, whatever is added.

An arrival is written (number of the call, tokens): `came(1, "a")` is call 1 with one token, "a".
"""

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
from support.calls import CARRIER, NOW, SIGN, VERIFY, added, arriving, identity, invite, leaving, make_engine, result
from support.dying import dies_after
from support.turns import never_in_vain, waited

from sbc_filter.engine.memory.arrivals import CAPACITY, LIFETIME, MOST, Arrival, Arrivals, LocalArrivals, joined
from sbc_filter.shared_memory.shared_arrivals import SharedArrivals, decode, encode
from sbc_filter.shared_memory.shared_table import FIRST

FORK = multiprocessing.get_context("fork")
KEY = ("numbers", b"12155550100 12155550199")
OTHER = ("session-id", b"a" * 32)


def came(call: int, *tokens: str, at: float = NOW, date: bytes | None = None) -> Arrival:
    return Arrival(("192.0.2.7", b"%d" % call), at, tuple(token.encode() for token in tokens), date)


def told(arrivals: tuple[Arrival, ...]) -> list[str]:
    """Their tokens, as a test writes them; a crowd is *."""
    return ["*" if each.tokens is None else " ".join(token.decode() for token in each.tokens) for each in arrivals]


# --- what is remembered, by either implementation ---


@pytest.fixture(params=["local", "shared"])
def memory(request: pytest.FixtureRequest) -> Iterator[Arrivals]:
    if request.param == "local":
        yield LocalArrivals()
        return
    table = SharedArrivals()
    yield table
    table.close()


@pytest.mark.parametrize(
    ("calls", "kept"),
    [
        ([], []),
        ([came(1, "a")], ["a"]),
        ([came(1)], [""]),
        ([came(1, "a"), came(2, "b")], ["a", "b"]),
        ([came(1, "a"), came(2)], ["a", ""]),
        ([came(1, "a"), came(2, "a")], ["a"]),  # a fork
        ([came(1, "a"), came(1, "b")], ["b"]),  # asked again
        ([came(1, "a", "b"), came(2, "a")], ["a b", "a"]),
        ([came(1, "a"), came(2, "b"), came(1, "b")], ["b"]),
        ([came(each, str(each)) for each in range(4)], ["0", "1", "2", "3"]),
        ([came(each, str(each)) for each in range(5)], ["*", "2", "3", "4"]),
        ([came(each, str(each)) for each in range(9)], ["*", "6", "7", "8"]),
        # Who floods a key, and then makes his own calls one, is still one of several.
        ([*(came(each, str(each)) for each in range(6)), came(3, "4"), came(5, "4")], ["*", "4"]),
    ],
)
def test_what_is_kept_under_a_key(memory: Arrivals, calls: list[Arrival], kept: list[str]) -> None:
    for call in calls:
        memory.add(KEY, call)
    assert told(memory.get(KEY, NOW + 1)) == kept
    assert memory.get(OTHER, NOW + 1) == ()
    assert memory.get((OTHER[0], KEY[1]), NOW + 1) == memory.get((KEY[0], OTHER[1]), NOW + 1) == ()


def test_every_byte_comes_back(memory: Arrivals) -> None:
    """The longest that a datagram holds, and what is no text."""
    calls = [
        Arrival(("2001:db8::1", b"\0\xff\r\n"), NOW, (b"", bytes(range(256)), b"x" * 65_000), b"Fri, 15 Jan 2027"),
        Arrival(("", b""), NOW + 0.125, (b"",), b""),
        Arrival(("192.0.2.7", b"c" * 65_000), NOW + 1, (), None),
    ]
    for call in calls:
        memory.add(KEY, call)
    assert memory.get(KEY, NOW + 2) == tuple(calls)


def test_expiry(memory: Arrivals) -> None:
    """Each for itself, also where they came late one after the other."""
    memory.add(KEY, came(1, "a"))
    memory.add(KEY, came(2, "b", at=NOW + 100))
    memory.add(KEY, came(3, "c", at=NOW + 98))  # it had to wait for its certificate
    found = {at: told(memory.get(KEY, NOW + at)) for at in (299.9, LIFETIME, LIFETIME + 97.9, LIFETIME + 98.5, 400)}
    assert found == {299.9: ["a", "b", "c"], 300: ["b", "c"], 397.9: ["b", "c"], 398.5: ["b"], 400: []}


def test_a_clock_that_was_set_back(memory: Arrivals) -> None:
    """Or that goes before another's: what is to come is known for a while, and not until it will have come."""
    memory.add(KEY, came(1, "a"))
    ago = [NOW - 1, NOW - LIFETIME + 0.1, NOW - LIFETIME, NOW - 3600]
    assert [told(memory.get(KEY, now)) for now in ago] == [["a"], ["a"], [], []]
    memory.add(KEY, came(2, "b", at=NOW - 3600))
    assert told(memory.get(KEY, NOW - 3600)) == ["b"]


_ADDS = st.lists(
    st.tuples(st.sampled_from([KEY, OTHER]), st.integers(0, 7), st.lists(st.sampled_from("abcdef"), max_size=2)),
    max_size=40,
)
TABLE = SharedArrivals()
_FRESH = itertools.count()


@given(_ADDS)
def test_both_remember_alike(adds: list[tuple[tuple[str, bytes], int, list[str]]]) -> None:
    local, run = LocalArrivals(), b"%d " % next(_FRESH)
    for second, ((name, value), call, tokens) in enumerate(adds):
        arrival = came(call, *tokens, at=NOW + 17 * second)
        for each in (local, TABLE):
            each.add((name, run + value), arrival)
        for name, value in (KEY, OTHER):
            key = name, run + value
            assert TABLE.get(key, arrival.arrived) == local.get(key, arrival.arrived)


@given(_ADDS)
def test_nobody_makes_his_tokens_seem_the_only_ones(adds: list[tuple[tuple[str, bytes], int, list[str]]]) -> None:
    """Whatever else arrives under a key, after a call there is that call, or a crowd, beside it."""
    kept = joined((), came(99, "victim"))
    for _, call, tokens in adds:
        kept = joined(kept, came(call, *tokens))
        assert len(kept) <= MOST
        assert told(kept)[0] in ("victim", "*")


_BYTES = st.binary(max_size=40)
_ARRIVAL = st.builds(
    Arrival,
    st.tuples(st.text(max_size=20), _BYTES),
    st.floats(0, 1e10),
    st.none() | st.lists(_BYTES, max_size=4).map(tuple),
    st.none() | _BYTES,
)


@given(st.lists(_ARRIVAL, max_size=5).map(tuple))
def test_the_encoding_loses_nothing(arrivals: tuple[Arrival, ...]) -> None:
    assert tuple(decode(encode(arrivals))) == arrivals


# --- of bounded size ---


def test_the_memory_of_one_process_is_bounded() -> None:
    """By weight: tokens of 30 kB each, more of them than there is room for; the last ones are known."""
    memory, long = LocalArrivals(), "x" * 30_000
    calls = 2 * CAPACITY // len(long)
    for number in range(calls):
        memory.add(key(number), came(number, long))
    kept = [arrivals for part in (memory._known._young, memory._known._old) for _, arrivals, _ in part.values()]
    assert 0 < sum(len(token) for (arrival,) in kept for token in arrival.tokens or ()) <= CAPACITY
    assert told(memory.get(key(calls - 1), NOW)) == [long]


@pytest.fixture
def small() -> Iterator[SharedArrivals]:
    """One shard: 64 KiB of records, 64 keys."""
    table = SharedArrivals(shards=1, shard=512 + 4 * 512 + 65536, buckets=4)
    yield table
    table.close()


def key(number: int) -> tuple[str, bytes]:
    return "session-id", b"%032d" % number


def test_in_a_flood_the_oldest_are_forgotten_first(small: SharedArrivals) -> None:
    """What is known is true; nothing grows."""
    long = "x" * 3000
    for number in range(200):
        small.add(key(number), came(number, f"{number}{long}", at=NOW + number / 10))
        assert told(small.get(key(number), NOW + number / 10)) == [f"{number}{long}"]
    found = [told(small.get(key(number), NOW + 20)) for number in range(200)]
    first = found.index([f"180{long}"])
    assert first == 180
    assert all(each == [f"{number}{long}"] for number, each in enumerate(found) if number >= 180)
    assert all(each in ([], [f"{number}{long}"]) for number, each in enumerate(found))
    assert sum(map(len, found)) <= 65536 // 3000


def test_a_flood_of_keys(small: SharedArrivals) -> None:
    """More than there are entries: the oldest of a bucket give way."""
    for number in range(300):
        small.add(key(number), came(number, str(number), at=NOW + number / 100))
    assert sum(told(small.get(key(number), NOW + 4)) == [str(number)] for number in range(300)) == 64
    assert all(small.get(key(number), NOW + 4) for number in range(295, 300))


def test_what_has_no_room_at_all_is_a_doubt(small: SharedArrivals) -> None:
    small.add(KEY, came(1, "x" * 60_000))
    assert told(small.get(KEY, NOW)) == ["*"]


def test_after_a_clock_was_set_back_the_entries_of_the_future_are_in_nobodys_way(small: SharedArrivals) -> None:
    for number in range(64):
        small.add(key(number), came(number, "a", at=NOW + 3600))
    small.add(KEY, came(1, "b"))
    assert told(small.get(KEY, NOW)) == ["b"]
    assert small.get(key(1), NOW) == ()


@pytest.mark.parametrize("garbage", [b"\xff", b"\x00", b"\x7f", b"\x41\xda\xd2\x60"], ids=lambda each: each.hex())
def test_what_nobody_wrote_is_nobodys(small: SharedArrivals, garbage: bytes) -> None:
    small.add(KEY, came(1, "a"))
    size = len(small._table.memory) - FIRST
    small._table.memory[FIRST:] = (garbage * size)[:size]
    assert small.get(KEY, NOW) == ()
    small.add(KEY, came(1, "b"))
    small.add(OTHER, came(2, "c"))
    assert [told(small.get(each, NOW)) for each in (KEY, OTHER)] == [["b"], ["c"]]


def test_any_bit_that_differs_makes_a_record_nobodys(small: SharedArrivals) -> None:
    small.add(KEY, came(1, "abc", date=b"d"))
    begin = FIRST + 512 + 4 * 512
    memory, size = small._table.memory, 28 + len(encode((came(1, "abc", date=b"d"),)))
    for at in range(begin, begin + size):
        memory[at] ^= 1
        assert small.get(KEY, NOW) == ()
        memory[at] ^= 1
    assert told(small.get(KEY, NOW)) == ["abc"]


@pytest.mark.parametrize("writes", range(6))
@pytest.mark.parametrize("known", [False, True])
def test_killed_after_some_writes(
    small: SharedArrivals, monkeypatch: pytest.MonkeyPatch, writes: int, known: bool
) -> None:
    """It is there or it is not; what was there before still is, of this key and of others."""
    small.add(OTHER, came(5, "o"))
    if known:
        small.add(KEY, came(1, "a"))
    monkeypatch.setattr(small._table, "write", dies_after(writes, small._table.write))
    dead = False
    try:
        small.add(KEY, came(2, "b"))
    except InterruptedError:
        dead = True
    monkeypatch.undo()
    before = ["a"] * known
    assert dead is (writes < (4 if known else 6))
    assert told(small.get(KEY, NOW)) in (before, [*before, "b"])
    assert dead or told(small.get(KEY, NOW)) == [*before, "b"]
    assert told(small.get(OTHER, NOW)) == ["o"]
    small.add(KEY, came(3, "c"))
    assert told(small.get(KEY, NOW)) in ([*before, "c"], [*before, "b", "c"])
    assert told(small.get(OTHER, NOW)) == ["o"]


# --- processes ---


def add_all(table: SharedArrivals, begin: Barrier, me: int) -> None:
    begin.wait()
    for number in range(300):
        table.add(key(number), came(me, f"token of {me}"))


def test_all_that_arrive_at_one_time_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes with a call each for every key: none of them is lost, so none is the only one."""
    never_in_vain(monkeypatch)
    table, begin = SharedArrivals(), FORK.Barrier(4)
    workers = [FORK.Process(target=add_all, args=(table, begin, me)) for me in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    everybody = [f"token of {me}" for me in range(4)]
    assert all(sorted(told(table.get(key(number), NOW))) == everybody for number in range(300))
    table.close()


def add_for_ever(table: SharedArrivals, shared: tuple[str, bytes]) -> None:
    for number in itertools.count():
        token = f"{number:05}" * 3
        table.add(shared if number % 2 else key(number % 9), came(number, token, token))


def test_processes_killed_in_the_middle_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No half of a record is ever read, and no arrival of the others' is lost, if only one waits for one's turn."""
    never_in_vain(monkeypatch)
    table = SharedArrivals(shards=1, shard=256 << 20)  # so much that nothing is forgotten here, on any machine
    for number in range(20):
        mine, theirs = key(1000 + number), key(2000 + number)
        process = FORK.Process(target=add_for_ever, args=(table, theirs))
        process.start()
        table.add(mine, came(1, "mine"))
        table.add(theirs, came(1_000_000, "mine"))  # another call than any that the process adds
        end = time.monotonic() + 0.01 + number / 2000
        while time.monotonic() < end:
            assert told(table.get(mine, NOW)) == ["mine"]
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        seconds, found = waited(monkeypatch, partial(table.get, theirs, NOW))
        assert seconds == 0.0
        assert {"mine", "*"} & set(told(found))
        others = [each.tokens for each in found if each.tokens and each.tokens != (b"mine",)]
        assert all(one == other == one[:-10] * 3 for one, other in others)
    assert all(told(table.get(key(1000 + number), NOW)) == ["mine"] for number in range(20))
    table.close()


# --- by the engine ---


def test_the_leg_that_leaves_passes_another_engine() -> None:
    """What arrived at one is put back by the other, from the moment on in which the first gave its verdict."""
    table = SharedArrivals()
    trusted = f'[trunks.carrier]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    rules = f'{trusted}{VERIFY}{SIGN}preserve = "session-id"\n'
    one, other = (make_engine(rules, arrivals=table) for _ in range(2))
    session, theirs, others = f"Session-ID: {'a' * 32}", identity(), "Identity: other"
    assert result(one, arriving(invite(session, theirs)))[0] in ("accept", "modify")
    message = invite(session, number=2)
    action, out, record = result(other, leaving(message))
    assert (action, out, record["detail"]) == ("modify", added(message, theirs), "preserved")
    result(other, arriving(invite(session, others, number=5)))
    assert result(one, leaving(invite(session, number=3)))[2]["detail"] == "ambiguous"
    table.close()
