"""Fetched certificates on disk, so that a restart does not fetch them all again (S-089)."""

import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import EnvironmentFault
from sbc_filter.io.freshness import LONGEST
from sbc_filter.io.store import MAX_PEM, CertificateSource

_LOG = logging.getLogger(__name__)
_MAX_LABEL = 16 * 1024  # bytes; a URL is bounded by the message it came in
_KEPT = 0.9  # of the files, when there are too many


class _Entry(NamedTuple):
    pem: bytes
    expires: float


class CachingSource:
    """Answers from `directory` what `inner` answered before, until it expires; failures are not kept.

    An entry is a line of JSON (URL, expiry, digest of the rest) and the PEM; whatever does not read as
    such is ignored and replaced. Processes may share the folder: entries are renamed into place. At
    most about `max_files` are kept, those that expire soonest go first. The folder is made; raises
    `EnvironmentFault` when it cannot be. A disk that fails later costs the cache, not the answer.
    """

    def __init__(
        self,
        inner: CertificateSource,
        directory: Path,
        clock: Callable[[], float] = time.time,
        max_files: int = 20_000,
    ) -> None:
        self._inner = inner
        self._directory = directory
        self._clock = clock
        self._max_files = max_files
        self._lock = threading.Lock()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._files = sum(1 for _ in directory.iterdir())
        except OSError as error:
            raise EnvironmentFault(f"the certificate cache {directory} cannot be used: {error}") from error

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        """Answer from disk, here and now, or else ask the inner source and keep what it has."""
        known = self._read(url)
        if known is not None:
            done(Answer(known.pem, None, known.expires))
            return

        def keep(answer: Answer) -> None:
            try:
                if answer.pem is not None:
                    self._keep(url, _Entry(answer.pem, answer.expires))
            except OSError as error:
                _LOG.warning("the certificate of %r cannot be kept in %s: %s", url, self._directory, error)
            finally:
                done(answer)

        self._inner.request(url, keep)

    def close(self) -> None:
        """Close the inner source."""
        self._inner.close()

    def _path(self, url: str) -> Path:
        return self._directory / f"{hashlib.sha256(url.encode()).hexdigest()}.cached"

    def _read(self, url: str) -> _Entry | None:
        try:
            with self._path(url).open("rb") as file:
                content = file.read(_MAX_LABEL + MAX_PEM + 1)
            line, _, pem = content.partition(b"\n")
            label = json.loads(line)
            until = float(label["expires"])
            intact = label["url"] == url and label["sha256"] == hashlib.sha256(pem).hexdigest()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        now = self._clock()
        # Beyond what is ever written, the clock was wrong then or is now.
        return _Entry(pem, until) if intact and now < until <= now + LONGEST else None

    def _keep(self, url: str, entry: _Entry) -> None:
        with self._lock:
            # All who waited for one answer come by here; one of them writes.
            if entry.expires <= self._clock() or self._read(url) == entry:
                return
            path = self._path(url)
            label = {"url": url, "expires": entry.expires, "sha256": hashlib.sha256(entry.pem).hexdigest()}
            if not path.exists():
                self._files += 1
            descriptor, name = tempfile.mkstemp(".new", dir=self._directory)  # mode 0600
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(json.dumps(label).encode() + b"\n" + entry.pem)
                # The time of the file is its expiry: `_sweep` need not read it.
                os.utime(name, (entry.expires, entry.expires))
                os.replace(name, path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            if self._files > self._max_files:
                self._sweep()

    def _sweep(self) -> None:
        """Remove what expires soonest; what a crash left behind has an earlier time than any entry."""
        with os.scandir(self._directory) as entries:
            files = sorted((entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries)
        kept = int(self._max_files * _KEPT)
        for _, path in files[: max(len(files) - kept, 0)]:
            Path(path).unlink(missing_ok=True)
        self._files = min(len(files), kept)
