"""Records of the live filter: whole lines, a file that is moved away, a disk that is full."""

import json
import os
from pathlib import Path

import pytest

from sbc_filter.engine.record import Record
from sbc_filter.ops.journal import Journal

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


def test_standard_output_is_not_reopened() -> None:
    assert Journal(None).reopen() == "the records go to standard output: nothing to reopen"


def test_a_full_disk_is_an_error_each_time() -> None:
    journal = Journal(Path("/dev/full"))
    for _ in range(3):
        with pytest.raises(OSError, match="No space left on device"):
            journal(RECORD)
    journal.close()


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
