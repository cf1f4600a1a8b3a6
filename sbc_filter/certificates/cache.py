"""A cache of fetched certificates, in memory and on disk, which renews them before they expire."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sbc_filter.certificates.disk_cache import CachedCertificate, DiskCache
from sbc_filter.certificates.failed_fetches import FailedFetches
from sbc_filter.certificates.lifetime import leaf_end
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.engine.verdict import OURS, Answer, Party

_LOG = logging.getLogger(__name__)
STALE = 72 * 3600.0  # seconds; a web server that fails on a Friday evening may be repaired on Monday
MAX_FILES = 20_000  # as many as the workers keep in memory (`engine.memory.certificates.CAPACITY`)
MAX_BYTES = 400 << 20  # 20 KiB for each of `MAX_FILES`; a chain has about 4
_MEMORY = 32 << 20  # bytes of certificates, with their entries: about 7,000 chains of 4 KiB; all are on disk
_KEPT = 0.9  # share of the memory that is kept when room is made, so that the next entries need no room made
_OVERHEAD = 600  # bytes of an entry besides URL and certificate; more than Python needs, so that the bound is kept
_ROUND, _A_ROUND = 10.0, 40  # seconds between two rounds of renewal, and certificates in a round: calls come first
# Seconds for which an expired certificate is used before it is fetched again, as after a permanent failure.
_AGAIN = 300.0


class Web(CertificateSource, Protocol):
    """The source behind the cache."""

    def vouch(self, url: str, /) -> None:
        """Note that this URL has served a certificate before."""


@dataclass(slots=True)
class _Known:
    entry: CachedCertificate
    due: float  # POSIX seconds: when to renew it, if it is in use
    asked: bool  # a call has asked for it since it was fetched
    lasting: bool  # it has been renewed at least once
    failing: bool = False  # its last renewal failed


class CachingSource:
    """Answers from memory or from `directory` (`DiskCache`) until an entry expires, and otherwise asks `web`.

    - A certificate that is in use is fetched again in the background, in the last quarter of its lifetime.
    - When it has expired, the next call waits for a fetch.
    - If either fetch fails, the certificate is used on for at most `stale` seconds, and never after it expires itself.
      Meanwhile the fetch is repeated.
    - Failures are kept in memory only. They never replace a certificate.

    All memory is bounded. When it is full, certificates that were never renewed are removed, oldest first; those that
    were renewed stay until they expire. If the disk fails, the answer is still delivered, but not cached on disk.
    """

    def __init__(
        self,
        web: Web,
        directory: Path,
        clock: Callable[[], float] = time.time,
        *,
        stale: float = STALE,
        max_files: int = MAX_FILES,
        max_bytes: int = MAX_BYTES,
        max_memory: int = _MEMORY,
    ) -> None:
        self._web = web
        self._disk = DiskCache(directory, max_files, max_bytes)
        self._clock = clock
        self._stale = stale
        self._max_memory = max_memory
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._memory = 0  # bytes of them
        self._failures = FailedFetches()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Answer at once from memory or disk; otherwise when `web` has answered."""
        self._begin()
        now = self._clock()
        failure = self._failures.get(url, now)
        with self._lock:
            known = self._find(url, now)
            if known is not None:
                known.asked = True
        if known is not None:
            self._web.vouch(url)
            if now < known.entry.expires:
                done(Answer(known.entry.pem, None, known.entry.expires))
                return
            if known.failing:
                done(_stale(known.entry, now))
                if failure is None:
                    self._fetch(url, True, party)
                return
        elif failure is not None:
            done(failure)
            return
        self._fetch(url, True, party, done)

    def renew(self) -> None:
        """Fetch some of the certificates that are in use and expire soon. A thread calls this every ten seconds."""
        now = self._clock()
        with self._lock:
            self._forget(now)
            due = [
                url
                for url, known in self._known.items()
                if known.asked and now >= known.due and self._failures.get(url, now) is None
            ]
            due.sort(key=lambda url: self._known[url].due)
        for url in due[:_A_ROUND]:
            self._web.vouch(url)
            self._fetch(url, False, OURS)

    def close(self) -> None:
        """Stop renewing, and close `web`."""
        self._closed.set()
        self._web.close()

    def _begin(self) -> None:
        """Start the thread with the first request, so that the object can be made before a fork."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._keep_renewing, name="certificate-cache", daemon=True)
                    self._thread.start()

    def _keep_renewing(self) -> None:
        while not self._closed.wait(_ROUND):
            try:
                self.renew()
            except Exception:
                _LOG.exception("certificates cannot be renewed")

    def _fetch(
        self, url: str, asked: bool, party: Party, done: Callable[[Answer[bytes]], None] = lambda answer: None
    ) -> None:
        """Fetch it; `asked` if a call needs it, not only the renewal."""
        self._web.fetch(url, lambda answer: done(self._learn(url, asked, answer)), party)

    def _learn(self, url: str, asked: bool, answer: Answer[bytes]) -> Answer[bytes]:
        """Store the answer of `web`; returns the answer for the call."""
        now = self._clock()
        end = leaf_end(answer.result) if answer.result is not None else None
        if answer.result is not None and end is not None and now < min(answer.expires, end):
            entry = CachedCertificate(answer.result, min(answer.expires, end), min(answer.expires + self._stale, end))
            with self._lock:
                known = self._find(url, now)
                news = known is None or known.entry != entry  # one fetch may answer several calls
                if news:
                    self._put(url, _Known(entry, _due(entry, now), asked, known is not None), now)
            if news:
                self._write(url, entry, now, known is not None)
            return answer._replace(expires=entry.expires)
        self._failures.put(url, answer, now)
        with self._lock:
            known = self._find(url, now)
            if known is None:
                return answer
            known.failing = True
        return _stale(known.entry, now)

    def _write(self, url: str, entry: CachedCertificate, now: float, lasting: bool) -> None:
        try:
            self._disk.write(url, entry, now, lasting=lasting)
        except OSError as error:
            _LOG.warning("the certificate of %r cannot be kept on disk: %s", url, error)

    # The methods below need the lock.

    def _find(self, url: str, now: float) -> _Known | None:
        """The entry of a URL that may still be used, from memory or disk."""
        known = self._known.get(url)
        if known is not None:
            return known if known.entry.is_of_use(now) else None
        entry = self._disk.read(url, now)
        if entry is None:
            return None
        known = _Known(entry, _due(entry, now), True, False)
        self._put(url, known, now)
        return known

    def _put(self, url: str, known: _Known, now: float) -> None:
        size = _size(url, known)
        before = self._known.get(url)
        if before is None and self._memory + size > self._max_memory:
            self._forget(now)
            self._make_room()
            if self._memory + size > self._max_memory:
                return
        self._memory += size - (_size(url, before) if before is not None else 0)
        self._known[url] = known

    def _forget(self, now: float) -> None:
        for url in [url for url, known in self._known.items() if not known.entry.is_of_use(now)]:
            self._memory -= _size(url, self._known.pop(url))

    def _make_room(self) -> None:
        for url in [url for url, known in self._known.items() if not known.lasting]:  # the oldest first
            if self._memory <= self._max_memory * _KEPT:
                return
            self._memory -= _size(url, self._known.pop(url))


def _size(url: str, known: _Known) -> int:
    return len(url) + len(known.entry.pem) + _OVERHEAD


def _due(entry: CachedCertificate, now: float) -> float:
    """When to renew: at a random time in the last quarter, so that entries of one moment are spread."""
    return entry.expires - max(entry.expires - now, 0.0) * random.uniform(0.1, 0.25)  # noqa: S311


def _stale(entry: CachedCertificate, now: float) -> Answer[bytes]:
    """The answer after a failed renewal. It is valid for a short time only, since the server may recover."""
    return Answer(entry.pem, None, entry.expires if now < entry.expires else min(now + _AGAIN, entry.ends))
