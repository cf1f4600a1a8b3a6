"""Records of the live filter: whole lines, a file that is moved away, a disk that is full."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sbc_filter.daemon.worker import open_journal
from sbc_filter.engine.record import Record
from sbc_filter.errors import EnvironmentFault
from sbc_filter.records.journal import Journal

RECORD = Record(1.0, "192.0.2.7:5060", "192.0.2.1:5060", "udp")


def test_one_line_a_record_appended_at_once(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("{}\n")
    journal = Journal(path)
    journal(RECORD)
    assert [json.loads(line).get("src") for line in path.read_text().splitlines()] == [None, "192.0.2.7:5060"]
    journal.close()


def test_a_file_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path, old = tmp_path / "records.jsonl", tmp_path / "records.jsonl.1"
    journal = Journal(path)
    journal(RECORD)
    path.rename(old)
    assert journal.reopen() == f"{path}: reopened"
    journal(RECORD)
    journal(RECORD)
    assert [len(each.read_text().splitlines()) for each in (old, path)] == [1, 2]
    path.unlink()
    path.mkdir()
    assert journal.reopen() == f"{path} cannot be reopened: Is a directory; the records go on into the old file"
    journal(RECORD)
    journal.close()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o640), (0o000, 0o640), (0o077, 0o600)])
def test_a_new_file_is_closed_to_other_users(umask: int, mode: int, tmp_path: Path) -> None:
    """Who called whom is not for everybody on the host; a file that is there keeps the mode that somebody gave it."""
    new, old = tmp_path / "new.jsonl", tmp_path / "old.jsonl"
    old.touch()
    old.chmod(0o644)
    before = os.umask(umask)
    try:
        for path in (new, old):
            Journal(path).close()
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (new, old)] == [mode, 0o644]


def test_standard_output_is_not_reopened() -> None:
    assert Journal(None).reopen() == "the records go to standard output: nothing to reopen"


def test_a_full_disk_is_an_error_each_time() -> None:
    journal = Journal(Path("/dev/full"))
    for _ in range(3):
        with pytest.raises(OSError, match="No space left on device"):
            journal(RECORD)
    journal.close()


@pytest.mark.parametrize("begins_with_a_reader", [True, False])
def test_a_pipe_holds_up_neither_start_nor_calls(tmp_path: Path, begins_with_a_reader: bool) -> None:
    """Without a reader, or with one that stands still, each record that does not fit is an error; with a reader again
    they go on, as whole lines."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    flags = os.O_RDONLY | os.O_NONBLOCK
    reader = os.open(path, flags) if begins_with_a_reader else -1
    journal = Journal(path)
    taken = fill(journal)
    with pytest.raises(BlockingIOError):
        journal(RECORD)
    if begins_with_a_reader:
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            journal(RECORD)
    reader = os.open(path, flags)
    read = b"".join(iter(lambda: os.read(reader, 4096) if readable(reader) else b"", b""))
    journal(RECORD)
    read += os.read(reader, 4096)
    assert [json.loads(line)["src"] for line in read.splitlines()] == ["192.0.2.7:5060"] * (taken + 1)
    assert journal.reopen() == f"{path}: reopened"
    os.close(reader)
    journal.close()


def fill(journal: Journal) -> int:
    """Write until there is no room; how many records were taken."""
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            journal(RECORD)
            taken += 1
    return taken


def readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def test_a_path_that_is_no_place_for_records(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    (tmp_path / "loop").symlink_to("loop")
    for name, why in (
        ("", "Is a directory"),
        ("socket", "No such device or address"),
        ("none/file", "No such file or directory"),
        ("loop", "Too many levels of symbolic links"),
        ("n" * 300, "File name too long"),
    ):
        with pytest.raises(EnvironmentFault, match=f"^{tmp_path / name}: records cannot be written: {why}$"):
            open_journal(tmp_path / name)


def test_processes_do_not_mix_their_lines_in_a_pipe() -> None:
    """Two workers, standard output, and callers who have long Call-IDs: each line is a record of one of them."""
    script = (
        "import sys; from sbc_filter.engine.record import Record; from sbc_filter.records.journal import Journal\n"
        "journal, written = Journal(None), 0\n"
        "record = Record(1.0, sys.argv[1], '', 'udp', call_id='\\xff' * 60000, orig=sys.argv[1])\n"
        "while written < 60:\n"
        "    try: journal(record)\n"
        "    except BlockingIOError: continue  # the reader is slower\n"
        "    written += 1"
    )
    reading, writing = os.pipe()
    writers = [subprocess.Popen([sys.executable, "-c", script, str(at)], stdout=writing) for at in range(3)]
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = [json.loads(line) for line in pipe]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert Counter((each["src"], each["orig"]) for each in lines) == {(at, at): 60 for at in "012"}
    assert {each["call_id"] for each in lines} == {"\xff" * 512 + "…"}


@pytest.mark.parametrize("text", ["a", "\xff", "\U0001f4de", '"'])
def test_no_line_is_longer_than_a_pipe_takes_at_once(tmp_path: Path, text: str) -> None:
    """Whichever fields are long; what is short is as it was."""
    path = tmp_path / "records.jsonl"
    journal = Journal(path)

    def changed(fields: dict[str, Any]) -> Record:
        return RECORD._replace(**fields)

    long = text * 6000
    names = ("method", "call_id", "cseq", "orig", "spc", "attest", "origid", "x5u", "trunk", "rule")
    for record in (
        *(changed({name: long}) for name in names),
        RECORD._replace(dest=(text * 20,) * 500),
        changed({**dict.fromkeys(names, long), "dest": (long,) * 9}),
    ):
        journal(record)
    journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    assert max(map(len, lines)) <= select.PIPE_BUF
    found = [json.loads(line) for line in lines]
    assert [each["src"] for each in found] == [RECORD.src] * 12
    for each, name in zip(found, names, strict=False):
        assert each[name] == text * (len(each[name]) - 1) + "…"
        assert len(each[name]) > 250
    assert found[-2]["dest"] == [text * 20] * 8


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_whoever_reads_no_more_stops_no_call(kind: str) -> None:
    """Standard output that is full, as when the journal stands still: what does not fit is lost, soon; the rest is
    whole, and when somebody reads again nothing is."""
    script = (
        "import sys; from sbc_filter.engine.record import Record; from sbc_filter.records.journal import Journal\n"
        "journal, lost = Journal(None), 0\n"
        "for turn in range(2000):\n"
        "    try: journal(Record(1.0, str(turn), '', 'udp', call_id='x' * 1000))\n"
        "    except OSError: lost += 1\n"
        "print(lost, file=sys.stderr, flush=True)\n"
        "sys.stdin.read()\n"
        "journal(Record(1.0, 'last', '', 'udp'))"
    )
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        reading, writing = (end.detach() for end in socket.socketpair())
    command = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=writing, stderr=pipe, text=True) as writer:
        try:
            os.close(writing)
            assert writer.stderr is not None
            assert select.select([writer.stderr], [], [], 5)[0]
            lost = int(writer.stderr.readline())
            assert os.get_blocking(reading)
            assert writer.stdin is not None
            with os.fdopen(reading, "rb") as reader:
                first = reader.readline()
                for _ in range(20):
                    first += reader.readline()
                writer.stdin.close()
                lines = [*first.splitlines(), *reader.read().splitlines()]
        finally:
            writer.kill()
    read = [json.loads(line)["src"] for line in lines if line.endswith(b"}")]
    assert read == [*map(str, range(len(read) - 1)), "last"]
    assert len(read) - 1 + lost == 2000
    assert lost > 0


def test_half_a_line_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "records.jsonl"
    journal = Journal(path)
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, data: write(number, data[:10]))
    with pytest.raises(OSError, match="only a part"):
        journal(RECORD)
    monkeypatch.setattr(os, "write", write)
    journal(RECORD)
    first, second = path.read_text().splitlines()
    assert (len(first), json.loads(second)["src"]) == (10, "192.0.2.7:5060")
    journal.close()
