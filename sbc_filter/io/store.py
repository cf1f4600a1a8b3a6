"""Where certificates come from when this program does not fetch them itself: a folder, nowhere, others in turn.

Each source answers with the PEM as it found it; nothing here judges a certificate (S-090).
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol

from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import Detail, DetailedError

_LOG = logging.getLogger(__name__)

MAX_PEM = 64 * 1024  # bytes, of whatever a URL stands for (S-089)
PASSING = 30.0  # seconds for which a failure is remembered that may be over soon
_ABSENT = 60.0  # seconds after which a file that was not there is looked for again


class CertificateSource(Protocol):
    """Gets the certificates behind a URL."""

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        """Begin to get them; returns at once. `done` is called exactly once, from any thread."""

    def close(self) -> None:
        """Refuse whatever is still under way, and let go of threads and processes."""


class FetchError(DetailedError):
    """No certificate for this URL: outcome `unfetchable`. A `passing` cause may be over soon."""

    def __init__(self, detail: Detail, sentence: str = "", *, passing: bool = False) -> None:
        super().__init__(detail, sentence)
        self.passing = passing


def certificate_path(directory: Path, url: str) -> Path:
    """The file in `directory` that holds the certificates of `url`."""
    return directory / f"{hashlib.sha256(url.encode()).hexdigest()}.pem"


def _bounded(file: IO[bytes]) -> bytes:
    content = file.read(MAX_PEM + 1)
    if len(content) > MAX_PEM:
        raise FetchError(Detail.FETCH_TOO_LARGE)
    return content


class RefusingSource:
    """Has nothing: for runs that must not touch the network."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        """Answer FETCH_REFUSED at once."""
        done(Answer(None, Detail.FETCH_REFUSED, self._clock() + _ABSENT))

    def close(self) -> None:
        """Nothing to let go of."""


class DirectorySource:
    """A folder that somebody else keeps up to date, one file a URL (`certificate_path`).

    A file is believed for `valid` seconds before it is read again. Put files there by renaming them.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time, valid: float = 3600.0) -> None:
        self._directory = directory
        self._clock = clock
        self._valid = valid

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        """Read the file, here and now; FETCH_REFUSED without one, FETCH_TOO_LARGE beyond `MAX_PEM`."""
        path = certificate_path(self._directory, url)
        detail = Detail.FETCH_REFUSED
        try:
            with path.open("rb") as file:
                answer = Answer(_bounded(file), None, self._clock() + self._valid)
        except (OSError, FetchError) as error:
            if isinstance(error, FetchError):
                detail = error.detail
            if not isinstance(error, FileNotFoundError):
                _LOG.warning("%s for %r: %s", path, url, error)
            answer = Answer(None, detail, self._clock() + _ABSENT)
        done(answer)

    def close(self) -> None:
        """Nothing to let go of."""


class FirstOf:
    """Asks one source after the other; the first that has something wins, else the last failure counts.

    Failures are remembered no longer than each of the sources wants: whichever may have it soonest.
    """

    def __init__(self, sources: Sequence[CertificateSource]) -> None:
        if not sources:
            raise ValueError("there has to be a source")
        self._sources = tuple(sources)

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        """Ask the first source; what it answers may lead to the next."""
        self._ask(0, float("inf"), url, done)

    def _ask(self, turn: int, soonest: float, url: str, done: Callable[[Answer], None]) -> None:
        def judge(answer: Answer) -> None:
            if answer.pem is not None:
                done(answer)
                return
            expires = min(soonest, answer.expires)
            if turn + 1 < len(self._sources):
                self._ask(turn + 1, expires, url, done)
            else:
                done(answer._replace(expires=expires))

        self._sources[turn].request(url, judge)

    def close(self) -> None:
        """Close them all."""
        for source in self._sources:
            source.close()
