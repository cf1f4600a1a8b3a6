"""The files of records, newest record first."""

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

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
    assert reader.problems or not data


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
