"""The interface of certificate sources, a source without certificates, and one that asks several in turn.

Each source answers with the PEM as it found it. Certificates are verified elsewhere (S-090).
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from sbc_filter.certificates.failed_fetches import FailedFetches
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.outcomes import Detail

MAX_PEM = 64 * 1024  # bytes of a response or file (S-089)
# Seconds for which a temporary failure is cached: spares a broken server, and is over soon after its repair.
PASSING = 30.0
_ABSENT = 60.0  # seconds for which the absence of a source is cached; only a new configuration changes it


class CertificateSource(Protocol):
    """Gets the certificates behind a URL."""

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Start to get them; returns at once. `done` is called exactly once, from any thread. `party` is whose call
        needs them: sources that are slow have a share for each."""

    def close(self) -> None:
        """Refuse all pending requests, and release threads and processes."""


def certificate_path(directory: Path, url: str) -> Path:
    """The file in `directory` that holds the certificates of `url`."""
    return directory / f"{hashlib.sha256(url.encode()).hexdigest()}.pem"


class RefusingSource:
    """A source without certificates, for runs that must not use the network."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
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
        self._failures = [FailedFetches() for _ in sources[1:]]

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Ask the first source, then the next if that does not have the certificate."""
        self._ask(0, float("inf"), url, done, party)

    def _ask(self, number: int, soonest: float, url: str, done: Callable[[Answer[bytes]], None], party: Party) -> None:
        """Ask source `number`; `soonest` is when the earliest failure of those in front of it expires."""
        failures = self._failures[number - 1] if number else None

        def proceed(answer: Answer[bytes]) -> None:
            if answer.result is not None:
                done(answer)
                return
            if failures is not None:
                failures.put(url, answer, self._clock())
            expires = min(soonest, answer.expires)
            if number + 1 < len(self._sources):
                self._ask(number + 1, expires, url, done, party)
            else:
                done(answer._replace(expires=expires))

        known = failures.get(url, self._clock()) if failures is not None else None
        if known is None:
            self._sources[number].fetch(url, proceed, party)
        else:
            proceed(known)

    def close(self) -> None:
        """Close all sources."""
        for source in self._sources:
            source.close()
