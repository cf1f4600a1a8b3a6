"""The files of records, newest record first: the one that is written, and those that log rotation has moved."""

import bz2
import contextlib
import gzip
import lzma
import os
import stat
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from sbc_filter.errors import reason

_OPENERS: dict[str, Callable[[Path], IO[bytes]]] = {
    ".gz": lambda path: cast(IO[bytes], gzip.GzipFile(path)),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError)
_BLOCK = 1 << 20  # octets that are read at once
_LONGEST = 1 << 13  # octets of a line; one of the filter has 4096
_KEPT = 10_000  # lines of one compressed file that match: it is read from its beginning, and the last ones count


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
        opener = _OPENERS.get(file.path.suffix)
        read = self._backwards(file.path) if opener is None else self._unpacked(file, opener)
        try:
            yield from read
        except _DAMAGE as error:
            why = reason(error) if isinstance(error, OSError) else "damaged"
            self.problems.append(f"{file.path} cannot be read completely: {why}")

    def forwards(self, file: IO[bytes]) -> Iterator[bytes]:
        """The lines of a stream that cannot be read backwards: the last ones that matter, newest first."""
        kept: deque[bytes] = deque(maxlen=_KEPT)
        while line := file.readline(_LONGEST):
            if self._may(line):
                kept.append(line)
        yield from reversed(kept)

    def _unpacked(self, file: RecordFile, opener: Callable[[Path], IO[bytes]]) -> Iterator[bytes]:
        with opener(file.path) as opened:
            yield from self.forwards(opened)
        self._count(file.size)

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
    for suffix in _OPENERS:
        name = name.removesuffix(suffix)
    if name.startswith((f"{path.name}.", f"{path.name}-")) or (name == path.name and other.name != name):
        return True
    return bool(path.suffix) and name.startswith(f"{path.stem}-") and name.endswith(path.suffix)
