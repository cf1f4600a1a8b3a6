"""The files of records, newest record first: the one that is written, and those that log rotation has moved."""

import contextlib
import io
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from sbc_filter.capture.compression import ERRORS, READ, Compression, Decompressed
from sbc_filter.errors import reason

_SUFFIXES = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz"}
_COMPRESSIONS = {_SUFFIXES[each.name]: each for each in READ}
_BLOCK = 1 << 20  # octets that are read at once
_LONGEST = 1 << 13  # octets of a line; one of the filter has 4096
_KEPT = 10_000  # lines of one compressed file that match: it is read from its beginning, and the last ones count
_UNPACKED = 1 << 30  # octets to which every file may unpack; a larger one to `_RATIO` times its size
_RATIO = 200  # records become 10 to 50 times smaller; what becomes much smaller was made to keep its reader busy
_LINE = 200  # octets that a line counts in addition; no record is shorter


class RecordFile(NamedTuple):
    """A file, when it was written last (POSIX seconds), and its octets."""

    path: Path
    changed: float
    size: int


class Reader:
    """Reads lines that `may` matter, newest first; counts the octets read, and notes what could not be read."""

    def __init__(
        self,
        may: Callable[[bytes], bool],
        progress: Callable[[int], None] = lambda _octets: None,
        is_old: Callable[[bytes], bool] = lambda _line: False,
    ) -> None:
        """`progress` gets the octets read so far, of files as they are on disk. Nothing is read behind a line that
        `is_old`: then `done` is true."""
        self._may, self._progress, self._is_old = may, progress, is_old
        self.octets = 0
        self.done = False
        self.problems: list[str] = []

    def lines(self, file: RecordFile) -> Iterator[bytes]:
        """The lines of a file."""
        compression = _COMPRESSIONS.get(file.path.suffix)
        with self._noting(file.path):
            if compression is None:
                yield from self._backwards(file.path)
            else:
                yield from self._last(self._unpacked(file, compression), file.path)

    def forwards(self, file: IO[bytes]) -> Iterator[bytes]:
        """The lines of a stream that cannot be read backwards: the last ones that matter, newest first."""
        return self._last(iter(lambda: file.readline(_LONGEST), b""), "standard input")

    def _last(self, lines: Iterable[bytes], name: Path | str) -> Iterator[bytes]:
        kept, count = deque[bytes](maxlen=_KEPT), 0
        for line in filter(self._may, lines):
            kept.append(line)
            count += 1
        if count > _KEPT:
            self.problems.append(f"{name} has {count} lines that match: only the last {_KEPT} count")
        yield from reversed(kept)

    def _unpacked(self, file: RecordFile, compression: Compression) -> Iterator[bytes]:
        """The lines of a compressed file up to its end, to where it is damaged, or to its limit."""
        left, before = max(_UNPACKED, _RATIO * file.size), self.octets
        with self._noting(file.path), file.path.open("rb") as opened:
            packed = Decompressed(opened, b"", compression)
            unpacked = io.BufferedReader(packed, _BLOCK)
            while line := unpacked.readline(_LONGEST):
                left -= len(line) + _LINE
                if left < 0:
                    self._note(file.path, f"it unpacks to more than {_RATIO} times its size")
                    break
                yield line
                self._count(before + packed.consumed - self.octets)
            if packed.truncated and packed.consumed:
                self._note(file.path, "it is cut off")
        self._count(before + file.size - self.octets)

    @contextlib.contextmanager
    def _noting(self, path: Path) -> Iterator[None]:
        """Note what ends the reading of a file."""
        try:
            yield
        except ERRORS as error:
            self._note(path, reason(error) if isinstance(error, OSError) else "it is damaged")

    def _note(self, path: Path, why: str) -> None:
        self.problems.append(f"{path} cannot be read completely: {why}")

    def _backwards(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            at, rest = file.seek(0, os.SEEK_END), b""
            while at > 0:
                size = min(_BLOCK, at)
                at = file.seek(at - size)
                lines = (file.read(size) + rest).split(b"\n")
                rest = lines.pop(0)[-_LONGEST:] if at else b""  # it may begin in the block before
                self._count(size)
                yield from filter(self._may, reversed(lines))
                if lines and self._is_old(lines[0]):
                    self.done = True
                    return

    def _count(self, octets: int) -> None:
        if octets:
            self.octets += octets
            self._progress(self.octets)


def record_files(path: Path) -> list[RecordFile]:
    """The file of records and those that log rotation has made of it, the last written first; `OSError`.

    For `records.jsonl`: `records.jsonl.1`, `records.jsonl.2.gz`, `records.jsonl-20270115.gz`, `records-20270115.jsonl`.
    """
    found = []
    for each in path.parent.iterdir():
        if _is_rotated(path, each) or each.name == path.name:
            with contextlib.suppress(FileNotFoundError):  # log rotation has just moved it, or it is a dead link
                status = each.stat()
                if stat.S_ISREG(status.st_mode):
                    found.append(RecordFile(each, status.st_mtime, status.st_size))
    return sorted(found, key=lambda file: (-file.changed, file.path))


def _is_rotated(path: Path, other: Path) -> bool:
    name = other.name
    for suffix in _COMPRESSIONS:
        name = name.removesuffix(suffix)
    if name.startswith((f"{path.name}.", f"{path.name}-")) or (name == path.name and other.name != name):
        return True
    return bool(path.suffix) and name.startswith(f"{path.stem}-") and name.endswith(path.suffix)
