"""The table of tokens that processes share (S-057): one of them is first, whoever dies, whatever the file holds."""

import multiprocessing
import os
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from support.turns import hold_every_lock, never_in_vain, waited

from sbc_filter.engine.memory.replays import USE, LocalSeen, Seen
from sbc_filter.errors import EnvironmentFault
from sbc_filter.shared_memory.shared_replays import BUCKETS, SharedSeen
from sbc_filter.shared_memory.shared_table import LOCKS, LOCKS_AT, PATIENCE, WAYS

NOW = 1_800_000_000.0
END = NOW + 65
FORK = multiprocessing.get_context("fork")
PROCESSES, TOKENS, ROUNDS = 4, 10_000, 500
HEADER, BUCKET, ENTRY, SPARE = 4096, 512, 32, 4096  # bytes; the first uses of a bucket take as many as itself


def token(number: int) -> bytes:
    return b"%042d" % number


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seen-50"


# --- what a claim says, of either implementation ---


@pytest.fixture(params=["local", "memory", "file"])
def table(request: pytest.FixtureRequest, path: Path) -> Seen:
    if request.param == "local":
        return LocalSeen()
    return SharedSeen(path if request.param == "file" else None)


def test_s057_a_token_belongs_to_the_call_that_came_first(table: Seen) -> None:
    claims = [(1, b"a"), (1, b"a"), (1, b"b"), (2, b"b"), (2, b"a"), (1, b"a")]
    assert [table.claim(token(number), call, END, NOW) for number, call in claims] == [
        1, 2, 0, 1, 0, 3,
    ]  # fmt: skip


def test_until_it_ends_and_not_longer(table: Seen) -> None:
    assert table.claim(token(1), b"a", END, NOW)
    assert [table.claim(token(1), b"b", at + 65, at) for at in (NOW + 1, END - 0.1, END)] == [0, 0, 1]
    assert not table.claim(token(1), b"a", END + 65, END)  # the new owner's now


def test_a_call_id_of_any_length(table: Seen) -> None:
    long = b"c" * 60_000
    assert table.claim(token(1), long, END, NOW)
    assert not table.claim(token(1), long + b"c", END, NOW)
    assert table.claim(token(1), long, END, NOW)
    assert not table.claim(token(1), b"", END, NOW)


def test_the_last_bucket_is_as_good_as_the_others(path: Path) -> None:
    """In a process of its own: `mmap.find` of some CPythons ends it where nothing is mapped behind the table."""
    code = (
        "from pathlib import Path; from sbc_filter.shared_memory.shared_replays import SharedSeen\n"
        f"tables = [SharedSeen(Path({str(path)!r} + str(each)), buckets=8) for each in range(20)]\n"
        "for table in tables[::2]: table.close()\n"
        "for table in tables[1::2]:\n"
        f"    assert all(table.claim(b'%042d' % each, b'a', {END}, {NOW}) for each in range(100))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- processes ---


def claim_all(shared: SharedSeen | Path, begin: Barrier, me: int, wins: "multiprocessing.Queue[list[int]]") -> None:
    table = SharedSeen(shared) if isinstance(shared, Path) else shared
    begin.wait()
    call = b"call of process %d" % me
    wins.put([number for number in range(TOKENS) if table.claim(token(number), call, END, NOW)])


@pytest.mark.parametrize("named", [True, False], ids=["each opens the file", "forked"])
def test_one_process_wins_each_token(path: Path, named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    never_in_vain(monkeypatch)
    begin, wins = FORK.Barrier(PROCESSES), FORK.Queue()
    shared = path if named else SharedSeen()
    racers = [FORK.Process(target=claim_all, args=(shared, begin, me, wins)) for me in range(PROCESSES)]
    for racer in racers:
        racer.start()
    won = [number for _ in racers for number in wins.get(timeout=60)]
    for racer in racers:
        racer.join(60)
    assert sorted(won) == list(range(TOKENS))


def claim_for_ever(path: Path) -> None:
    table, number = SharedSeen(path), 1000
    while True:
        number += 1
        table.claim(token(number), b"of the dead", END, NOW)


def test_processes_killed_in_the_middle_cost_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they leave is theirs or nobody's: the others go on, at once, and lose nothing of their own."""
    table = SharedSeen(path)

    def mine_only() -> None:
        assert all(table.claim(token(each), b"mine", END + 1, NOW) for each in range(0, 1000, 10))
        assert not any(table.claim(token(each), b"another", END + 1, NOW) for each in range(0, 1000, 10))

    assert all(table.claim(token(number), b"mine", END + 1, NOW) for number in range(1000))
    for number in range(20):
        process = FORK.Process(target=claim_for_ever, args=(path,))
        process.start()
        time.sleep(0.01 + number / 1000)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert waited(monkeypatch, mine_only)[0] == 0.0  # no turn had to be waited for


def hold_all(path: Path, held: Barrier) -> None:
    hold_every_lock(SharedSeen(path)._table, held)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_who_has_the_lock_and_is_no_more_holds_up_nobody(
    path: Path, end: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel releases the locks of the dead. For one that was stopped a claim waits a moment, then goes on."""
    table = SharedSeen(path)
    held = FORK.Barrier(2)
    process = FORK.Process(target=hold_all, args=(path, held))
    process.start()
    held.wait()
    assert process.pid is not None
    os.kill(process.pid, end)
    if end is signal.SIGKILL:
        process.join()
    seconds, claims = waited(monkeypatch, lambda: [table.claim(token(1), call, END, NOW) for call in (b"a", b"b")])
    process.kill()
    process.join()
    assert claims == [True, False]
    assert seconds == (pytest.approx(2 * PATIENCE, abs=0.01) if end is signal.SIGSTOP else 0.0)
    for _ in range(2):  # taken over, released, and free again
        assert waited(monkeypatch, lambda: table.claim(token(1), b"a", END, NOW) > 0) == (0.0, True)


def claim_one(table: SharedSeen, begin: Barrier, me: int, wins: "multiprocessing.Queue[list[int]]") -> None:
    won = []
    for number in range(ROUNDS):
        begin.wait()
        if table.claim(token(number), b"call of process %d" % me, END, NOW):
            won.append(number)
    wins.put(won)


def test_of_all_that_present_one_token_at_the_same_moment_exactly_one_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round by round: every process waits for the others, then all claim the same token."""
    never_in_vain(monkeypatch)
    table, begin, wins = SharedSeen(), FORK.Barrier(PROCESSES), FORK.Queue()
    racers = [FORK.Process(target=claim_one, args=(table, begin, me, wins)) for me in range(PROCESSES)]
    for racer in racers:
        racer.start()
    won = [number for _ in racers for number in wins.get(timeout=60)]
    for racer in racers:
        racer.join(60)
    assert sorted(won) == list(range(ROUNDS))


# --- the first use ---


def test_the_first_use_stays_that_of_the_first_claim(table: Seen) -> None:
    assert table.first_use(token(1), NOW) == b""
    assert table.claim(token(1), b"a", END, NOW, b"acme\0call-1") == 1
    assert table.claim(token(1), b"a", END, NOW, b"beta\0call-2") == 2
    assert table.claim(token(1), b"b", END, NOW, b"beta\0call-3") == 0
    assert table.claim(token(2), b"b", END, NOW, b"\0call-4") == 1
    assert table.claim(token(3), b"b", END, NOW) == 1
    assert [table.first_use(token(number), NOW) for number in (1, 2, 3)] == [b"acme\0call-1", b"\0call-4", b""]


def test_the_longest_first_use_is_kept_whole(table: Seen) -> None:
    use = b"\0" + b"x" * (USE - 1)
    table.claim(token(1), b"a", END, NOW, use)
    assert table.first_use(token(1), NOW) == use


def test_a_later_token_may_take_the_place_of_a_first_use_but_never_lend_its_own(path: Path) -> None:
    """One bucket: sixteen tokens share four places."""
    table = SharedSeen(path, buckets=1)
    for number in range(WAYS):
        table.claim(token(number), b"a", END + number, NOW, b"\0call-%d" % number)
    found = [table.first_use(token(number), NOW) for number in range(WAYS)]
    assert found == [b""] * 12 + [b"\0call-%d" % number for number in range(12, 16)]
    assert table.claim(token(100), b"a", END + 100, NOW) == 1  # in the place of token 0, and without a use
    assert table.first_use(token(100), NOW) == b""
    assert table.claim(token(0), b"b", END, NOW) == 1  # forgotten
    assert [table.claim(token(number), b"a", END, NOW) for number in range(4, WAYS)] == [2] * 12


def test_processes_and_a_restart_share_first_uses(path: Path) -> None:
    SharedSeen(path).claim(token(1), b"a", END, NOW, b"acme\0call-1")
    assert SharedSeen(path).first_use(token(1), NOW) == b"acme\0call-1"


# --- the file ---


def test_the_file_is_ours_alone(path: Path) -> None:
    SharedSeen(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == HEADER + 2 * BUCKETS * BUCKET + SPARE
    assert path.stat().st_blocks * 512 >= path.stat().st_size  # all of it: a full disk shows at the start


def test_a_restart_forgets_nothing(path: Path) -> None:
    first = SharedSeen(path)
    assert first.claim(token(1), b"a", END, NOW)
    first.close()
    second = SharedSeen(path)
    assert not second.claim(token(1), b"b", END, NOW)
    assert second.claim(token(1), b"a", END, NOW)


def test_in_memory_nobody_else_meets_it() -> None:
    one, other = SharedSeen(), SharedSeen()
    assert one.claim(token(1), b"a", END, NOW)
    assert other.claim(token(1), b"b", END, NOW)


def test_no_two_tables_put_a_token_in_the_same_place() -> None:
    """So no peer can choose tokens that share a bucket and displace one another. One table always does."""
    one, other = SharedSeen(), SharedSeen()
    places = [[table._table.digest(token(number))[:4] for number in range(100)] for table in (one, one, other)]
    assert places[0] == places[1]
    assert not {*places[0]} & {*places[2]}


def remade(header: bytes) -> bytes:
    return header + b"\xff" * (HEADER + 2 * BUCKETS * BUCKET - len(header))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        remade(b""),
        remade(b"sbc-filter seen1" + struct.pack("<II16s", BUCKETS, WAYS, b"k")),  # before its locks were in it
        remade(b"sbc-filter seen2" + struct.pack("<II16s", BUCKETS, WAYS, b"k")),  # of Call-IDs, not of targets
        remade(b"sbc-filter seen3" + struct.pack("<II16s", BUCKETS, WAYS, b"k")),  # without first uses
        remade(b"sbc-filter seen9" + struct.pack("<II16s", BUCKETS, WAYS, b"k")),  # another version
        remade(b"sbc-filter seen4" + struct.pack("<II16s", BUCKETS, WAYS + 1, b"k")),
        remade(b"sbc-filter seen4" + struct.pack("<II16s", 2 * BUCKETS, WAYS, b"k")),
        remade(b"") * 2,
    ],
    ids=["empty", "short", "not ours", "before", "of Call-IDs", "no uses", "version", "ways", "buckets", "too long"],
)
def test_what_is_not_ours_is_made_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    table = SharedSeen(path)
    assert path.stat().st_size == max(len(content), HEADER + 2 * BUCKETS * BUCKET + SPARE)  # never shorter
    assert path.read_bytes()[HEADER : HEADER + 10 * BUCKET] == bytes(10 * BUCKET)
    assert [table.claim(token(1), call, END, NOW) for call in (b"a", b"b")] == [True, False]
    again = SharedSeen(path)
    assert not again.claim(token(1), b"b", END, NOW)


@pytest.mark.parametrize("garbage", [b"\xff", b"\x00", b"\x7f", b"\x41\xda\xd2\x60\x9a"], ids=lambda each: each.hex())
def test_entries_that_nobody_wrote_are_free(path: Path, garbage: bytes) -> None:
    """Not a number, infinity, an end in a thousand years: none of it is in the way, none of it is a token's."""
    SharedSeen(path, buckets=1).close()
    content = path.read_bytes()[:HEADER]
    path.write_bytes((content + garbage * BUCKET)[: HEADER + BUCKET])
    table = SharedSeen(path, buckets=1)
    assert all(table.claim(token(number), b"a", END, NOW) for number in range(WAYS))
    assert not any(table.claim(token(number), b"b", END, NOW) for number in range(WAYS))


def test_an_entry_without_its_end_is_free(path: Path) -> None:
    """The end is written last: so stands what a process leaves that is killed before."""
    table = SharedSeen(path, buckets=1)
    assert table.claim(token(1), b"a", END, NOW)
    with path.open("r+b") as file:
        file.seek(HEADER + ENTRY - 8)
        file.write(bytes(8))
    assert table.claim(token(1), b"b", END, NOW)
    assert not table.claim(token(1), b"a", END, NOW)


def test_in_a_full_table_what_ends_first_gives_way(path: Path) -> None:
    table = SharedSeen(path, buckets=1)
    order = [7, 3, 11, 0, 15, 8, 1, 13, 5, 2, 9, 14, 6, 10, 4, 12]
    assert all(table.claim(token(number), b"a", END + number, NOW) for number in order)
    assert not any(table.claim(token(number), b"b", END, NOW) for number in order)
    assert all(table.claim(token(100 + number), b"a", END + 100, NOW) for number in range(4))
    assert not any(table.claim(token(number), b"b", END, NOW) for number in (*range(4, 16), *range(100, 104)))
    assert table.claim(token(0), b"b", END + 200, NOW)  # forgotten: the price of a bound
    assert path.stat().st_size == HEADER + 2 * BUCKET + SPARE


def test_a_flood_does_not_make_it_grow_nor_fail(path: Path) -> None:
    """64 buckets hold 1024 tokens; of those that came last most are there, since older ones end first."""
    table = SharedSeen(path, buckets=64)
    assert all(table.claim(token(number), b"a", END + number / 1000, NOW) for number in range(20_000))
    assert path.stat().st_size == HEADER + 2 * 64 * BUCKET + SPARE
    assert sum(not table.claim(token(number), b"b", END + 20, NOW) for number in range(19_500, 20_000)) > 400


def test_locks_of_an_earlier_boot_are_free(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may name holders that no kernel knows any more. Who opens it first starts with free locks."""
    SharedSeen(path).close()
    with path.open("r+b") as file:
        file.seek(LOCKS_AT)
        file.write(b"\x01" * (HEADER - LOCKS_AT))
    table = SharedSeen(path)
    seconds, claims = waited(
        monkeypatch, lambda: [table.claim(token(each), b"a", END, NOW) for each in range(3 * WAYS)]
    )
    assert (seconds, set(claims)) == (0.0, {True})


def test_who_opens_the_file_later_leaves_the_locks_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is held stays held: the process that has it is in the middle of a claim."""
    first = SharedSeen(path)
    for number in range(LOCKS):
        assert first._table._locks.take(number)
    second = SharedSeen(path)
    seconds, _ = waited(monkeypatch, lambda: second.claim(token(1), b"a", END, NOW))
    first.close()
    assert seconds == pytest.approx(PATIENCE, abs=0.01)


def test_a_table_closed_in_the_middle_of_a_claim_leaves_nothing_behind(path: Path) -> None:
    """The C library lists the locks that a thread holds: one of memory that is gone would crash the next claim."""
    closed = SharedSeen(path)
    for number in range(LOCKS):
        assert closed._table._locks.take(number)
    closed.close()
    assert SharedSeen(path).claim(token(1), b"a", END, NOW)
    assert SharedSeen(None).claim(token(1), b"a", END, NOW)


def readable(path: Path) -> None:
    path.touch()
    path.chmod(0o644)


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (readable, "it is not a private file of this user: remove it, and a new one is made"),
        (os.mkfifo, "it is not a private file of this user: remove it, and a new one is made"),
        (Path.mkdir, "tokens cannot be kept there: Is a directory"),
        (
            lambda path: path.symlink_to("elsewhere"),
            "tokens cannot be kept there: Too many levels of symbolic links",
        ),
        (
            lambda path: path.parent.rename(path.parent.with_name("gone")),
            "tokens cannot be kept there: No such file or directory",
        ),
    ],
    ids=["readable", "pipe", "folder", "link", "no folder"],
)
def test_a_file_that_cannot_be_trusted_is_refused(path: Path, prepare: Callable[[Path], object], sentence: str) -> None:
    prepare(path)
    with pytest.raises(EnvironmentFault) as caught:
        SharedSeen(path)
    assert str(caught.value) == f"{path}: {sentence}"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    path.touch(0o600)
    os.chown(path, 12345, 12345)
    with pytest.raises(EnvironmentFault):
        SharedSeen(path)
