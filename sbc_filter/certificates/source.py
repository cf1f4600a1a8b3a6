"""The interface of certificate sources, a source without certificates, and one that asks several in turn.

Each source answers with the PEM as it found it. Certificates are verified elsewhere (S-090).
"""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from sbc_filter.engine.verdict import Answer
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.outcomes import Detail

MAX_PEM = 64 * 1024  # bytes of a response or file (S-089)
PASSING = 30.0  # seconds for which a temporary failure is cached
_ABSENT = 60.0  # seconds for which the absence of a source is cached
_MAX_FAILURES = 8 << 20  # approximate bytes of the failures that `FirstOf` caches
_LONGEST_FAILURE = 3600.0  # seconds
_OVERHEAD = 400  # bytes of a failure besides its URL


class CertificateSource(Protocol):
    """Gets the certificates behind a URL."""

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Start to get them; returns at once. `done` is called exactly once, from any thread."""

    def close(self) -> None:
        """Refuse all pending requests, and release threads and processes."""


def certificate_path(directory: Path, url: str) -> Path:
    """The file in `directory` that holds the certificates of `url`."""
    return directory / f"{hashlib.sha256(url.encode()).hexdigest()}.pem"


class RefusingSource:
    """A source without certificates, for runs that must not use the network."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Answer FETCH_REFUSED at once."""
        done(Answer(None, Detail.FETCH_REFUSED, self._clock() + _ABSENT))

    def close(self) -> None:
        """Do nothing."""


class FirstOf:
    """Asks one source after the other, until one has a certificate; otherwise the last failure is the answer.

    The failure expires with the earliest failure of any source. Until its own failure expires, a later source is not
    asked again: a folder is read every second, but the command behind it must not run every second.
    """

    def __init__(self, sources: Sequence[CertificateSource], clock: Callable[[], float] = time.time) -> None:
        if not sources:
            raise ValueError("at least one source is needed")
        self._sources = tuple(sources)
        self._clock = clock
        self._lock = threading.Lock()  # of `_failed`
        self._failed: GenerationalCache[tuple[int, str], Answer[bytes]] = GenerationalCache(
            _MAX_FAILURES, _LONGEST_FAILURE
        )

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Ask the first source, then the next if that does not have the certificate."""
        self._ask(0, float("inf"), url, done)

    def _ask(self, turn: int, soonest: float, url: str, done: Callable[[Answer[bytes]], None]) -> None:
        def judge(answer: Answer[bytes]) -> None:
            if answer.result is not None:
                done(answer)
                return
            expires = min(soonest, answer.expires)
            if turn:
                self._remember(turn, url, answer)
            if turn + 1 < len(self._sources):
                self._ask(turn + 1, expires, url, done)
            else:
                done(answer._replace(expires=expires))

        known = self._remembered(turn, url) if turn else None
        if known is None:
            self._sources[turn].fetch(url, judge)
        else:
            judge(known)

    def _remembered(self, turn: int, url: str) -> Answer[bytes] | None:
        with self._lock:
            return self._failed.get((turn, url), self._clock())

    def _remember(self, turn: int, url: str, answer: Answer[bytes]) -> None:
        now = self._clock()
        if answer.expires > now:
            with self._lock:
                if self._failed.get((turn, url), now) is None:
                    self._failed.put(
                        (turn, url), answer, answer.expires, now, len(url) + len(answer.reason) + _OVERHEAD
                    )

    def close(self) -> None:
        """Close all sources."""
        for source in self._sources:
            source.close()
