"""What a source of certificates is; the one that has none, and the one that asks others in turn.

Each source answers with the PEM as it found it; nothing here judges a certificate (S-090).
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

MAX_PEM = 64 * 1024  # bytes, of whatever a URL stands for (S-089)
PASSING = 30.0  # seconds for which a failure is remembered that may be over soon
_ABSENT = 60.0  # seconds for which it is remembered that there is no source
_MAX_FAILURES = 8 << 20  # bytes, about, of the failures that `FirstOf` remembers
_LONGEST_FAILURE = 3600.0  # seconds
_OVERHEAD = 400  # bytes that one of them takes beside its URL


class CertificateSource(Protocol):
    """Gets the certificates behind a URL."""

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Begin to get them; returns at once. `done` is called exactly once, from any thread."""

    def close(self) -> None:
        """Refuse whatever is still under way, and let go of threads and processes."""


def certificate_path(directory: Path, url: str) -> Path:
    """The file in `directory` that holds the certificates of `url`."""
    return directory / f"{hashlib.sha256(url.encode()).hexdigest()}.pem"


class RefusingSource:
    """Has nothing: for runs that must not touch the network."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Answer FETCH_REFUSED at once."""
        done(Answer(None, Detail.FETCH_REFUSED, self._clock() + _ABSENT))

    def close(self) -> None:
        """Nothing to let go of."""


class FirstOf:
    """Asks one source after the other; the first that has something wins, else the last failure counts.

    A failure holds no longer than each of the sources wants: whichever may have it soonest is asked again first. Those
    behind it are not asked before their own failures are over, so that a folder which is looked at every second does
    not have a command run, or a dead server asked, every second.
    """

    def __init__(self, sources: Sequence[CertificateSource], clock: Callable[[], float] = time.time) -> None:
        if not sources:
            raise ValueError("there has to be a source")
        self._sources = tuple(sources)
        self._clock = clock
        self._lock = threading.Lock()  # of `_failed`
        self._failed: GenerationalCache[tuple[int, str], Answer[bytes]] = GenerationalCache(
            _MAX_FAILURES, _LONGEST_FAILURE
        )

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Ask the first source; what it answers may lead to the next."""
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
        """Close them all."""
        for source in self._sources:
            source.close()
