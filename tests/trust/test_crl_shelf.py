"""CRLs are read by one process, and mapped by the others."""

import os
import time
from pathlib import Path

import pytest
from support.chains import ROOT
from support.large_lists import many, signed
from support.renewing import BAD, GOOD, Hosts, a_list, is_good

from sbc_filter.pki.crl import RevocationList
from sbc_filter.trust.crl_shelf import CrlShelf, shelf_in_memory
from sbc_filter.trust.trust_files import file_stamp

STAMP = (1, 2, 3)
READ = RevocationList.parse


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the lists that were parsed."""
    found: list[int] = []

    def parse(data: bytes, *check: object) -> RevocationList:
        found.append(len(data))
        return READ(data, *check)  # type: ignore[arg-type]

    monkeypatch.setattr(RevocationList, "parse", parse)
    return found


def test_a_list_is_there_for_the_file_that_was_read(tmp_path: Path) -> None:
    shelf, other = CrlShelf(tmp_path), CrlShelf(tmp_path)
    crl = READ(signed(ROOT, many(1000), number=7))
    assert shelf.get(Path("a"), STAMP) is None
    assert shelf.put(Path("a"), STAMP, crl)
    found = other.get(Path("a"), STAMP)
    assert found is not None
    assert (found.number, len(found), found.issuer) == (7, 1000, crl.issuer)
    assert other.get(Path("a"), (1, 2, 4)) is None
    assert other.get(Path("b"), STAMP) is None
    assert shelf.put(Path("a"), (1, 2, 4), READ(signed(ROOT, [], number=8)))
    assert len(found) == 1000  # of which the file is no longer there
    (file,) = tmp_path.iterdir()
    for octets in (b"", file.read_bytes()[:30], b"x" * 30):
        file.write_bytes(octets)
        assert other.get(Path("a"), (1, 2, 4)) is None


def test_it_is_private_in_memory_and_goes_with_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for home in (None, tmp_path):
        if home is not None:
            monkeypatch.setenv("RUNTIME_DIRECTORY", f"{home}:/other")
        with shelf_in_memory() as shelf:
            assert shelf.folder.parent == (home or Path("/dev/shm"))
            assert shelf.folder.stat().st_mode & 0o777 == 0o700
            assert shelf.put(Path("a"), STAMP, READ(a_list(1)))
        assert not shelf.folder.exists()


def test_what_a_killed_program_left_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """But neither the shelf of one that runs, nor one that was just made, nor anything else."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with shelf_in_memory() as running:
        for name, age in (("sbc-filter-lists-old", 90), ("sbc-filter-lists-new", 0), ("run-old", 90)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "a.compiled").write_bytes(b"x")
            os.utime(tmp_path / name, (time.time() - age, time.time() - age))
        os.utime(running.folder, (1, 1))
        with shelf_in_memory() as shelf:
            assert {each.name for each in tmp_path.iterdir()} == {
                *("sbc-filter-lists-new", "run-old", running.folder.name, shelf.folder.name)
            }


def test_each_list_is_read_once(host: Hosts, tmp_path: Path, parsed: list[int]) -> None:
    """By whoever comes first: at the start, when a file changes, and after a worker was replaced."""
    (tmp_path / "list.crl").write_bytes(a_list(1))
    made = host('crls = "list.crl"', "")
    workers = [made.reader(), made.reader()]
    assert len(parsed) == 1
    made.put("list.crl", a_list(2, BAD))
    assert (len(parsed), made.files.is_shelved) == (2, True)
    for worker in workers:
        assert not is_good(worker.read([], [], from_others=True), BAD)
    assert not is_good(made.reader().store, BAD)
    assert len(parsed) == 2


def test_others_wait_for_the_process_that_reads(host: Hosts, tmp_path: Path, parsed: list[int]) -> None:
    """What has changed meanwhile is not read in the loop of another process: it comes a moment later."""
    (tmp_path / "list.crl").write_bytes(a_list(1, GOOD))
    made = host('crls = "list.crl"', "")
    worker = made.reader()
    (tmp_path / "list.crl").write_bytes(a_list(2, BAD))
    store = worker.read([], [], from_others=True)
    assert (is_good(store, GOOD), is_good(store, BAD), len(parsed)) == (False, True, 1)
    for _ in range(3):
        made.renewal.look()
    assert not is_good(worker.read([], [], from_others=True), BAD)
    assert len(parsed) == 2


def test_without_room_each_process_reads_itself(host: Hosts, tmp_path: Path, parsed: list[int]) -> None:
    (tmp_path / "list.crl").write_bytes(a_list(1))
    made = host('crls = "list.crl"', "")
    worker = made.reader()
    for file in made.shelf.folder.iterdir():
        file.unlink()
    made.shelf.folder.rmdir()
    made.put("list.crl", a_list(2, BAD))
    assert not made.files.is_shelved
    assert not is_good(worker.read([], [], from_others=made.files.is_shelved), BAD)
    assert len(parsed) == 3


def test_the_shelf_has_only_what_is_in_use(host: Hosts, tmp_path: Path) -> None:
    """A folder may get a file of another name every day. A list that is still mapped goes on."""
    (tmp_path / "crls").mkdir()
    (tmp_path / "crls" / "monday.crl").write_bytes(a_list(1, BAD))
    made = host('crls = "crls"', "")
    worker = made.reader()
    (tmp_path / "crls" / "monday.crl").unlink()
    made.put("crls/tuesday.crl", a_list(2, GOOD))
    assert len(list(made.shelf.folder.iterdir())) == 1
    assert [is_good(worker.store, each) for each in (BAD, GOOD)] == [False, True]
    assert [is_good(worker.read([], [], from_others=True), each) for each in (BAD, GOOD)] == [True, False]


def test_lists_of_the_start_come_onto_the_shelf(host: Hosts, tmp_path: Path, parsed: list[int]) -> None:
    (tmp_path / "list.crl").write_bytes(a_list(1, BAD))
    made = host('crls = "list.crl"', "")
    empty = tmp_path / "empty"
    empty.mkdir()
    made.files.put_on(CrlShelf(empty))
    found = CrlShelf(empty).get(tmp_path / "list.crl", file_stamp(tmp_path / "list.crl"))
    assert found is not None
    assert (len(found), len(parsed), made.files.is_shelved) == (1, 1, True)


def test_reading_ahead_reads_the_lists_and_reports_nothing(host: Hosts, tmp_path: Path, parsed: list[int]) -> None:
    """What a reload does first, in another process."""
    (tmp_path / "list.crl").write_bytes(a_list(1, BAD))
    made = host('crls = "list.crl"', "")
    (tmp_path / "list.crl").write_bytes(a_list(2))
    os.utime(tmp_path / "list.crl", ns=(1, 1))
    ahead = made.reader()
    assert len(parsed) == 2
    (tmp_path / "list.crl").write_bytes(b"garbage")
    ahead.read_crls()
    assert len(parsed) == 3
    assert ahead.remarks == ()


def test_a_file_may_be_older_than_1970(tmp_path: Path) -> None:
    shelf, stamp = CrlShelf(tmp_path), (-3_600_000_000_000, 2, 3)
    assert shelf.put(Path("a"), stamp, READ(signed(ROOT, [], number=7)))
    assert shelf.get(Path("a"), stamp) is not None
    assert shelf.get(Path("a"), STAMP) is None
