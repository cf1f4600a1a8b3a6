"""Certificates in files, so that a restart, or a network that is cut, costs no call (S-089)."""

import hashlib
import json
import logging
import math
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

from sbc_filter.certificates.lifetime import LONGEST
from sbc_filter.certificates.source import MAX_PEM
from sbc_filter.errors import EnvironmentFault
from sbc_filter.system.files import replace_file

_LOG = logging.getLogger(__name__)
_MAX_LABEL = 16 * 1024  # bytes; a URL is bounded by the message it came in
_ABANDONED = 3600.0  # seconds after which a half-written file is nobody's any more
_KEPT = 0.9  # of files and bytes, when there are too many
_PAUSE = 60.0  # seconds between two looks for room in a folder that is full


class CachedCertificate(NamedTuple):
    """A certificate with its issuers as it was fetched; fresh until `expires`, of no use at all from `ends` on (POSIX
    seconds)."""

    pem: bytes
    expires: float
    ends: float

    def is_of_use(self, now: float) -> bool:
        """Whether it may be answered with; not when it expires later than is ever written, for then the clock was wrong
        or is."""
        return now < self.ends and self.expires <= now + LONGEST


class DiskCache:
    """Entries by URL in the files of `directory`, at most about `max_files` and `max_bytes` of them.

    A file is the SHA-256 of all behind it, a line of JSON (URL, expiry, end) and the PEM; what does not read as such
    is no entry. Processes may share the folder, for files are renamed into place; nothing waits for the disk, since
    half a file after a power failure is no entry either. What has ended makes room, and what was written without
    `lasting`, the oldest first: a flood of strangers pushes out strangers. If that is not enough, what is new is not
    kept. The folder is made; raises `EnvironmentFault` when it cannot be.
    """

    def __init__(self, directory: Path, max_files: int, max_bytes: int) -> None:
        self._directory = directory
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._files = self._bytes = 0
        self._full_until = -math.inf  # on the monotonic clock
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep(-math.inf)
        except OSError as error:
            why = error.strerror or error
            raise EnvironmentFault(f"the certificate cache {directory} cannot be used: {why}") from error

    def read(self, url: str, now: float) -> CachedCertificate | None:
        """The entry for this URL, None when there is none of any use."""
        found = read_entry(entry_path(self._directory, url))
        return found[1] if found is not None and found[0] == url and found[1].is_of_use(now) else None

    def write(
        self,
        url: str,
        entry: CachedCertificate,
        now: float,
        *,
        lasting: bool = True,
        owner: tuple[int, int] | None = None,
    ) -> None:
        """Keep it, if there is room, as a file of `owner` (user, group); `OSError` when the disk fails."""
        label = json.dumps({"url": url, "expires": entry.expires, "ends": entry.ends}).encode()
        rest = label + b"\n" + entry.pem
        content = _digest(rest) + b"\n" + rest
        path = entry_path(self._directory, url)
        with self._lock:
            before = _size(path)
            if before is None and not self._has_room(len(content), now):
                return
            # The time of the file is when it may be removed at the earliest: `_sweep` need not read it.
            replace_file(path, content, moment=entry.ends if lasting else now, owner=owner)
            self._files += before is None
            self._bytes += len(content) - (before or 0)

    def _has_room(self, size: int, now: float) -> bool:
        if self._fits(size):
            return True
        if time.monotonic() < self._full_until:
            return False
        self._sweep(now)  # others may have made room, or taken it
        if self._fits(size):
            return True
        self._full_until = time.monotonic() + _PAUSE
        _LOG.warning(
            "the certificate cache %s is full (%d files, %d MiB): new certificates are not kept on disk",
            *(self._directory, self._files, self._bytes >> 20),
        )
        return False

    def _fits(self, size: int) -> bool:
        return self._files < self._max_files and self._bytes + size <= self._max_bytes

    def _sweep(self, now: float) -> None:
        """Count, and make room where there is little: what a crash left behind first, then what may go by now."""
        files: list[tuple[float, int, str]] = []
        self._files = self._bytes = 0
        with os.scandir(self._directory) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                self._files, self._bytes = self._files + 1, self._bytes + status.st_size
                if entry.name.endswith(".cached") and status.st_mtime <= now:
                    files.append((status.st_mtime, status.st_size, entry.path))
                elif entry.name.endswith(".new") and status.st_ctime < time.time() - _ABANDONED:
                    files.append((-math.inf, status.st_size, entry.path))
        for _, size, path in sorted(files):
            if self._files <= self._max_files * _KEPT and self._bytes <= self._max_bytes * _KEPT:
                break
            Path(path).unlink(missing_ok=True)
            self._files, self._bytes = self._files - 1, self._bytes - size


def entry_path(directory: Path, url: str) -> Path:
    """The file of this URL, whether or not there is one."""
    return directory / f"{hashlib.sha256(url.encode()).hexdigest()}.cached"


def entry_files(directory: Path) -> list[Path]:
    """The files that there are, good or not; `OSError`."""
    return sorted(path for path in directory.iterdir() if path.name.endswith(".cached"))


def read_entry(path: Path) -> tuple[str, CachedCertificate] | None:
    """The URL and the entry in a file, None when it holds nothing that was written so."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_LABEL + MAX_PEM + 1)
        digest, _, rest = content.partition(b"\n")
        if digest != _digest(rest):
            return None
        line, _, pem = rest.partition(b"\n")
        label = json.loads(line)
        return str(label["url"]), CachedCertificate(pem, float(label["expires"]), float(label["ends"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _size(path: Path) -> int | None:
    try:
        return path.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return None
