"""The files of records, newest record first."""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from sbc_filter.commands.find import record_files as record_files_module
from sbc_filter.commands.find.record_files import Reader, record_files

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.compress, ".bz2": bz2.compress, ".gz": gzip.compress
}  # fmt: skip


def lines(folder: Path, may: bytes = b"") -> list[bytes]:
    reader = Reader(lambda line: may in line)
    return [line for file in record_files(folder / "r.jsonl") for line in reader.lines(file) if line]


def test_the_last_line_first_through_all_rotated_files(tmp_path: Path) -> None:
    """Those of log rotation with numbers and with dates, packed or not; no other file."""
    names = ["r-20270101.jsonl", "r.jsonl-20270102.xz", "r.jsonl.3.bz2", "r.jsonl.2.gz", "r.jsonl.1", "r.jsonl"]
    for at, name in enumerate(names):
        data = b"%d-a\n%d-b\n" % (at, at)
        (tmp_path / name).write_bytes(PACK.get(Path(name).suffix, bytes)(data))
        os.utime(tmp_path / name, (1000 + at, 1000 + at))
    for other in ("r.json", "other.jsonl", "rr.jsonl", "x-r.jsonl"):
        (tmp_path / other).write_bytes(b"no\n")
    (tmp_path / "r.jsonl.folder").mkdir()
    expected = [b"%d-%b" % (at, each) for at in range(5, -1, -1) for each in (b"b", b"a")]
    assert [line.strip() for line in lines(tmp_path)] == expected
    assert [line.strip() for line in lines(tmp_path, b"-b")] == expected[::2]


def test_a_link_without_its_file_hides_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"a\n")
    (tmp_path / "r.jsonl.1").symlink_to("gone")
    os.mkfifo(tmp_path / "r.jsonl.2")
    assert lines(tmp_path) == [b"a"]


def test_lines_across_blocks_and_endless_ones(tmp_path: Path) -> None:
    """Blocks of one MiB: each line is whole, wherever it lies; a line without an end takes no memory."""
    written = [b"%06d " % number + b"x" * (number % 1000) for number in range(8000)]
    (tmp_path / "r.jsonl").write_bytes(b"\n".join(written))
    assert lines(tmp_path) == written[::-1]
    (tmp_path / "r.jsonl").write_bytes(b"first\n" + b"y" * (5 << 20) + b"\nlast\n")
    found = lines(tmp_path)
    assert (found[0], found[-1], len(found)) == (b"last", b"first", 3)


@pytest.mark.parametrize("name", ["r.jsonl.1.gz", "r.jsonl.1.bz2", "r.jsonl.1.xz"])
@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08", b"noise", gzip.compress(b"a\n" * 100_000, mtime=0)[:50]])
def test_a_damaged_file_is_said_and_others_are_read(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "r.jsonl").write_bytes(b"good\n")
    reader = Reader(lambda line: b"good" in line)
    assert [line for file in record_files(tmp_path / "r.jsonl") for line in reader.lines(file)] == [b"good"]
    assert all(problem.startswith(f"{tmp_path / name} cannot be read completely: ") for problem in reader.problems)
    assert bool(reader.problems) is bool(data)  # a file that is empty lacks nothing


@pytest.mark.parametrize("unit", [b"\n", b"\0", b"x" * 900 + b"\n"])
def test_a_file_that_unpacks_without_end(tmp_path: Path, unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gibibyte is read at most, of a file of that size at most 200 times as much; here 10 MB."""
    monkeypatch.setattr(record_files_module, "_UNPACKED", 10_000_000)
    packed = gzip.compress(b"good\n" + unit * (20_000_000 // len(unit)))
    (tmp_path / "r.jsonl.1.gz").write_bytes(packed)
    (tmp_path / "r.jsonl").write_bytes(b"good too\n")
    seen = list[bytes]()

    def may(line: bytes) -> bool:
        seen.append(line)
        return b"good" in line

    reader = Reader(may)
    found = [line for file in record_files(tmp_path / "r.jsonl") for line in reader.lines(file)]
    assert found == [b"good too", b"good\n"]
    why = "cannot be read completely: it unpacks to more than 200 times its size"
    assert reader.problems == [f"{tmp_path / 'r.jsonl.1.gz'} {why}"]
    assert sum(map(len, seen)) <= 10_000_000
    assert len(seen) <= 50_000


def test_a_large_file_may_unpack_to_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size counts, so that the time depends on what is there."""
    monkeypatch.setattr(record_files_module, "_UNPACKED", 0)
    written = b"".join(b"%b%b\n" % (sha256(b"%d" % at).digest().hex().encode(), b"x" * 900) for at in range(1000))
    (tmp_path / "r.jsonl.1.gz").write_bytes(gzip.compress(written))
    reader = Reader(lambda _: True)
    (file,) = record_files(tmp_path / "r.jsonl")
    assert len([*reader.lines(file)]) == 1000
    assert (reader.problems, reader.octets) == ([], file.size)


def test_of_more_lines_than_are_kept_the_last_ones_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is said, of a compressed file as of standard input."""
    monkeypatch.setattr(record_files_module, "_KEPT", 2)
    data = b"x1\nx2\ny\nx3\n"
    (tmp_path / "r.jsonl.1.gz").write_bytes(gzip.compress(data))
    reader = Reader(lambda line: b"x" in line)
    (file,) = record_files(tmp_path / "r.jsonl")
    assert [*reader.lines(file)] == [*reader.forwards(io.BytesIO(data))] == [b"x3\n", b"x2\n"]
    what = "has 3 lines that match: only the last 2 count"
    assert reader.problems == [f"{file.path} {what}", f"standard input {what}"]
    assert [*reader.forwards(io.BytesIO(b"x1\nx2"))] == [b"x2", b"x1\n"]
    assert len(reader.problems) == 2


def test_an_xz_file_that_asks_for_much_memory(tmp_path: Path) -> None:
    """As a block may: its header names the size of the dictionary (xz file format §5.3.1), here 4 GiB."""
    packed = lzma.compress(b"good\n", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    head = packed[12:16] + b"\x28" + packed[17:20]
    data = packed[:12] + head + zlib.crc32(head).to_bytes(4, "little") + packed[24:]
    (tmp_path / "r.jsonl.1.xz").write_bytes(data)
    reader = Reader(lambda _: True)
    (file,) = record_files(tmp_path / "r.jsonl")
    assert [*reader.lines(file)] == []
    (problem,) = reader.problems
    assert "it needs more than 128 MiB to unpack" in problem


def test_what_was_unpacked_before_the_damage_is_found(tmp_path: Path) -> None:
    """As of a file that log rotation has not finished."""
    data = b"".join(b"%06d\n" % number for number in range(100_000))
    (tmp_path / "r.jsonl.1.gz").write_bytes(gzip.compress(data)[:-1000])
    reader = Reader(lambda line: line == b"000007\n")
    (file,) = record_files(tmp_path / "r.jsonl")
    assert [*reader.lines(file)] == [b"000007\n"]
    assert reader.problems == [f"{file.path} cannot be read completely: it is cut off"]


def test_what_is_too_old_is_not_read(tmp_path: Path) -> None:
    """The first line of each block of one MiB says whether to go on."""
    (tmp_path / "r.jsonl").write_bytes(b"".join(b"%07d\n" % number for number in range(1_000_000)))
    reader = Reader(lambda _: True, is_old=lambda line: int(line) < 900_000)
    (file,) = record_files(tmp_path / "r.jsonl")
    found = [line for line in reader.lines(file) if line]
    assert (found[0], reader.done, reader.octets) == (b"0999999", True, 1 << 20)
    assert 100_000 < len(found) < 150_000


def test_a_stream_is_read_to_its_end() -> None:
    assert [*Reader(lambda line: b"x" in line).forwards(io.BytesIO(b"x1\ny\nx2\nx3"))] == [b"x3", b"x2\n", b"x1\n"]


def test_progress_counts_the_octets_on_disk(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"a\n" * 700_000)
    (tmp_path / "r.jsonl.1.gz").write_bytes(gzip.compress(b"a\n" * 700_000))
    seen: list[int] = []
    reader = Reader(lambda _: False, seen.append)
    for file in record_files(tmp_path / "r.jsonl"):
        assert [*reader.lines(file)] == []
    assert seen == sorted(seen)
    assert seen[-1] == sum(path.stat().st_size for path in tmp_path.iterdir())
