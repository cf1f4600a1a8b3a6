"""Certificates in files, so that no call is lost after a restart or without the network (S-089)."""

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
_MAX_LABEL = 16 * 1024  # bytes; a URL is no longer than the message that it came in
_ABANDONED = 3600.0  # seconds after which an unfinished file was left by a crash; writing one takes milliseconds
_KEPT = 0.9  # share of files and bytes that is kept when room is made, so that it is not made for each new file
_PAUSE = 60.0  # seconds between two attempts to make room in a full folder; each reads the whole folder


class CachedCertificate(NamedTuple):
    """A certificate with its issuers, as fetched: fresh until `expires`, unusable from `ends` on (POSIX seconds)."""

    pem: bytes
    expires: float
    ends: float

    def is_of_use(self, now: float) -> bool:
        """Whether it may be used. An expiry later than is ever written means that a clock was wrong, so it may not."""
        return now < self.ends and self.expires <= now + LONGEST


class DiskCache:
    """Entries by URL, one file each in `directory`; at most about `max_files` files and `max_bytes` bytes.

    A file holds the SHA-256 of the rest, a line of JSON (URL, expiry, end) and the PEM. Any other content is ignored.
    Files are renamed into place, so processes may share the folder. They are not synced to disk: after a power failure
    an incomplete file is ignored.

    Room is made by removing expired entries and entries written without `lasting`, oldest first, so a flood of unknown
    URLs removes only its own. If that is not enough, new entries are not kept.
    The folder is made if it is missing; raises `EnvironmentFault` if that fails.
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
        """The entry of this URL; None when there is none that may be used."""
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
        """Write an entry, if there is room, as a file of `owner` (user, group); `OSError` when the disk fails."""
        label = json.dumps({"url": url, "expires": entry.expires, "ends": entry.ends}).encode()
        rest = label + b"\n" + entry.pem
        content = _digest(rest) + b"\n" + rest
        path = entry_path(self._directory, url)
        with self._lock:
            before = _size(path)
            if before is None and not self._has_room(len(content), now):
                return
            # The time of the file is the earliest at which it may be removed, so `_sweep` need not read it.
            replace_file(path, content, moment=entry.ends if lasting else now, owner=owner)
            self._files += before is None
            self._bytes += len(content) - (before or 0)

    def _has_room(self, size: int, now: float) -> bool:
        if self._fits(size):
            return True
        if time.monotonic() < self._full_until:
            return False
        self._sweep(now)  # other processes write here, too
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
        """Count the files, and make room if needed: unfinished files first, then entries that may be removed by now."""
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
    """The path of the file of this URL, which need not exist."""
    return directory / f"{hashlib.sha256(url.encode()).hexdigest()}.cached"


def entry_files(directory: Path) -> list[Path]:
    """The files of the cache, whether readable or not; `OSError`."""
    return sorted(path for path in directory.iterdir() if path.name.endswith(".cached"))


def read_entry(path: Path) -> tuple[str, CachedCertificate] | None:
    """The URL and the entry in a file; None when the file is damaged."""
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
