"""Several captures as one: the earliest frame first, each capture in its own order, few files open."""

import bz2
import gzip
import lzma
import os
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from random import Random

import pytest
from support.captures import SECOND, START, block, enhanced, write
from support.processes import descriptors

from sbc_filter.capture import merge
from sbc_filter.capture.frame import CaptureError, Frame
from sbc_filter.capture.merge import Captures, Source


def made(path: Path, *times: int) -> Path:
    """A capture with a frame at each time (seconds); its one byte is the time."""
    return write(path, [Frame(n, float(at), at * SECOND, 1, 0, bytes([at]), 1) for n, at in enumerate(times, 1)])


def sources(paths: Sequence[Path], found: bool = False) -> list[Source]:
    return [Source(str(path), found) for path in paths]


def merged(*paths: Path) -> list[tuple[str, int, int]]:
    """File, number and byte of each frame."""
    with Captures(sources(paths), several=True) as captures:
        frames = [(Path(frame.file).name, frame.number, frame.data[0]) for frame in captures]
        assert captures.faults == []
        assert captures.position == captures.size
        return frames


def test_in_order_of_time_whatever_the_order_of_names(tmp_path: Path) -> None:
    later, earlier = made(tmp_path / "a.pcap", 4, 5), made(tmp_path / "b.pcapng", 1, 2)
    assert merged(later, earlier) == [("b.pcapng", 1, 1), ("b.pcapng", 2, 2), ("a.pcap", 1, 4), ("a.pcap", 2, 5)]


def test_captures_of_the_same_time_alternate(tmp_path: Path) -> None:
    """Of frames with the same time, those of the capture that began first."""
    one, other = made(tmp_path / "one.pcap", 1, 3, 5, 9), made(tmp_path / "other.pcap", 2, 3, 4, 5)
    assert merged(other, one) == [
        ("one.pcap", 1, 1), ("other.pcap", 1, 2), ("one.pcap", 2, 3), ("other.pcap", 2, 3), ("other.pcap", 3, 4),
        ("one.pcap", 3, 5), ("other.pcap", 4, 5), ("one.pcap", 4, 9),
    ]  # fmt: skip


def test_a_capture_out_of_order_keeps_its_order(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one.pcap", 1, 4, 2, 6), made(tmp_path / "other.pcap", 3, 5)
    assert [byte for _, _, byte in merged(one, other)] == [1, 3, 4, 2, 5, 6]
    assert [byte for name, _, byte in merged(one, other) if name == "one.pcap"] == [1, 4, 2, 6]


def test_a_frame_without_a_time_follows_the_one_before_it(tmp_path: Path) -> None:
    timeless = tmp_path / "spb.pcapng"  # a simple packet block between two with times, in microseconds
    simple = block("<", 3, b"\1\0\0\0\x02")
    timeless.write_bytes(START + enhanced("<", 0, 2_000_000, b"\1") + simple + enhanced("<", 0, 8_000_000, b"\3"))
    found = merged(made(tmp_path / "one.pcap", 1, 5), timeless)
    assert [(name, number) for name, number, _ in found] == [
        ("one.pcap", 1), ("spb.pcapng", 1), ("spb.pcapng", 2), ("one.pcap", 2), ("spb.pcapng", 3),
    ]  # fmt: skip


def test_few_files_are_open(tmp_path: Path) -> None:
    """Hourly files one after the other, of which two share a second."""
    paths = [made(tmp_path / f"{at:03}.pcap", at, at + 1) for at in range(200)]
    before, most, frames = len(descriptors(os.getpid())), 0, 0
    with Captures(sources(paths), several=True) as captures:
        for _ in captures:
            frames += 1
            most = max(most, len(descriptors(os.getpid())) - before)
    assert (frames, captures.opened, captures.faults) == (400, 200, [])
    assert most <= 2
    assert len(descriptors(os.getpid())) == before


def test_too_many_at_one_time_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "_MOST_OPEN", 2)
    paths = [made(tmp_path / f"{name}.pcap", 1, 2) for name in "abc"]
    with Captures(sources(paths), several=True) as captures:
        assert [Path(frame.file).name for frame in captures] == ["a.pcap", "b.pcap", "a.pcap", "b.pcap"]
    assert captures.faults == [f"{paths[2]} was not read: it overlaps with 2 others"]


def test_too_many_that_take_much_memory_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacking gzip takes little."""
    monkeypatch.setattr(merge, "_MOST_LARGE", 2)
    paths = []
    for name, compress in (("a", bz2.compress), ("b", lzma.compress), ("c", gzip.compress), ("d", bz2.compress)):
        paths.append(made(tmp_path / f"{name}.pcap", 1, 2))
        paths[-1].write_bytes(compress(paths[-1].read_bytes()))
    paths.append(made(tmp_path / "e.pcap", 3))
    paths[-1].write_bytes(bz2.compress(paths[-1].read_bytes()))  # after the others
    with Captures(sources(paths), several=True) as captures:
        assert [Path(frame.file).stem for frame in captures] == [*"abcabc", "e"]
    assert captures.faults == [
        f"{paths[3]} was not read: it overlaps with 2 others that are compressed by bzip2 or xz: unpack it first"
    ]


def test_captures_that_wait_take_little_memory(tmp_path: Path) -> None:
    """Each was looked at, for the time of its first frame."""
    count, noise = 40, Random(1).randbytes(200_000)
    paths = [write(tmp_path / f"{n}", [Frame(1, float(n), n * SECOND, 1, 0, noise, len(noise))]) for n in range(count)]
    forms: list[Callable[[bytes], bytes]] = [bz2.compress, lzma.compress, gzip.compress, bytes]
    for path, compress in zip(paths, cycle(forms), strict=False):
        path.write_bytes(compress(path.read_bytes()))
    tracemalloc.start()
    try:
        with Captures(sources(paths), several=True) as captures:
            assert tracemalloc.get_traced_memory()[0] < count * 10_000
            assert len(list(captures)) == count
        assert captures.faults == []
    finally:
        tracemalloc.stop()


def test_what_cannot_be_read_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    good, cut, empty = made(tmp_path / "good.pcap", 1, 9), made(tmp_path / "cut.pcap", 2, 3), tmp_path / "empty.pcap"
    cut.write_bytes(cut.read_bytes()[:-1])
    empty.touch()
    (tmp_path / "none").write_bytes(made(tmp_path / "header.pcap").read_bytes())  # no frame is no fault
    with Captures(sources([tmp_path / "gone", empty, cut, good, tmp_path / "none"]), several=True) as captures:
        assert [frame.data[0] for frame in captures] == [1, 2, 9]
    assert captures.opened == 3
    assert captures.faults == [
        f"{tmp_path}/gone: No such file or directory",
        f"{empty} is empty",
        f"{cut} ends within a packet; everything before it was replayed",
    ]


def test_what_vanishes_before_its_turn_is_named(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one.pcap", 1), made(tmp_path / "other.pcap", 2)
    with Captures(sources([one, other]), several=True) as captures:
        other.unlink()
        assert [frame.data[0] for frame in captures] == [1]
    assert captures.faults == [f"{other}: No such file or directory"]


def test_in_a_folder_other_files_are_no_fault(tmp_path: Path) -> None:
    """Unless their names say that they are captures, or they are captures in a format that is not read."""
    contents = {
        "notes.txt": b"hello",
        "r.jsonl": b'{"time":1}\n',
        "empty": b"",
        "calls.pcap2": b"hello",
        "x.snoop": b"snoop\0\0\0",
        "y.gz": b"",
    }
    contents["y.gz"] = gzip.compress(b"hello", mtime=0)
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with Captures(sources([tmp_path / name for name in contents], found=True), several=True) as captures:
        assert list(captures) == []
    assert captures.skipped == [f"{tmp_path}/{name}" for name in ("notes.txt", "r.jsonl", "empty", "y.gz")]
    assert [fault.split()[0] for fault in captures.faults] == [f"{tmp_path}/calls.pcap2", f"{tmp_path}/x.snoop"]


def test_pipes_are_read_once(tmp_path: Path) -> None:
    files = [made(tmp_path / "one.pcap", 1, 3), made(tmp_path / "other.pcap", 2, 4)]
    ends = []
    for file in files:
        reading, writing = os.pipe()
        os.write(writing, file.read_bytes())
        os.close(writing)
        ends.append(reading)
    named = [Source(f"/dev/fd/{ends[0]}"), Source("standard input", descriptor=ends[1])]
    with Captures(named, several=True) as captures:
        assert [frame.data[0] for frame in captures] == [1, 2, 3, 4]
    os.fstat(ends[1])  # a descriptor of others stays open
    for end in ends:
        os.close(end)


def test_one_capture_is_as_it_was(tmp_path: Path) -> None:
    path = made(tmp_path / "one.pcap", 1, 2)
    with Captures(sources([path]), several=False) as captures:
        assert [(frame.file, frame.number) for frame in captures] == [("", 1), ("", 2)]
        assert captures.position == captures.size == path.stat().st_size
    with pytest.raises(CaptureError, match="No such file"):
        Captures([Source(str(tmp_path / "gone"))], several=False)
