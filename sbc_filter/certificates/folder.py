"""A folder of certificates that another system fills. Files are named by the digest of their URL, or in an index."""

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sbc_filter.certificates.source import MAX_PEM, certificate_path
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.errors import FetchError, reason
from sbc_filter.outcomes import Detail
from sbc_filter.pki.x5u import spellings, with_plain_scheme
from sbc_filter.strict_json import strict_loads
from sbc_filter.system.files import TooLarge, read_file

_LOG = logging.getLogger(__name__)

INDEX = "index.json"
FRESH = 1.0  # seconds for which a file, or its absence, is cached; reading one takes microseconds
_MINUTE = 60.0  # seconds between two complaints
MAX_INDEX = 16 << 20  # bytes; 20,000 URLs take 2 MiB, and are read in about 20 ms, during which calls wait


class IndexFault(ValueError):
    """The index does not map URLs to file names; the message says where and why."""


class FolderEntry(NamedTuple):
    """One file of the folder; `url` is None where only the digest in its name is known."""

    url: str | None
    path: Path


class DirectorySource:
    """A folder that another system keeps up to date: files by `index.json`, or one file per URL (`certificate_path`).

    Answers are valid for `valid` seconds, so new, changed and removed files are noticed without a restart. Rename files
    into place. An index that cannot be read is logged once, and the last good one stays in use.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time, valid: float = FRESH) -> None:
        self._directory = directory
        self._clock = clock
        self._valid = valid
        self._version: tuple[int, int, int] | None = None
        self._index: Mapping[str, str] = {}
        self._complained = -math.inf

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Read the file at once; FETCH_REFUSED if there is none, FETCH_TOO_LARGE beyond `MAX_PEM` bytes."""
        expires = self._clock() + self._valid
        self._refresh()
        name = self._index.get(url)
        # If the index names a file, only that one counts: an old file named by the digest must not replace it.
        path = self._named_by_digest(url) if name is None else self._directory / name
        try:
            answer = Answer(read_pem(path), None, expires)
        except FileNotFoundError:
            answer = Answer(None, Detail.FETCH_REFUSED, expires)
        except OSError as error:
            self._complain(f"{path} for {url!r}: {reason(error)}")
            answer = Answer(None, Detail.FETCH_REFUSED, expires)
        except FetchError as error:
            self._complain(f"{path} for {url!r}: {error}")
            answer = Answer(None, error.detail, expires)
        done(answer)

    def close(self) -> None:
        """Do nothing."""

    def _named_by_digest(self, url: str) -> Path:
        """The file that is named by the digest of this URL, however its name spells the scheme (RFC 3986 §3.1)."""
        paths = [certificate_path(self._directory, each) for each in spellings(url)]
        return next((path for path in paths if path.exists()), paths[0])

    def _complain(self, sentence: str) -> None:
        """Log at most once a minute: callers choose the URLs, and must not fill the log."""
        now = self._clock()
        if not self._complained <= now < self._complained + _MINUTE:
            self._complained = now
            _LOG.warning("%s; further such messages are suppressed for a minute", sentence)

    def _refresh(self) -> None:
        """Read the index again if it has been replaced or changed."""
        try:
            status = os.stat(self._directory / INDEX)
        except OSError:
            self._version, self._index = None, {}
            return
        version = (status.st_ino, status.st_size, status.st_mtime_ns)
        if version != self._version:
            self._version = version
            try:
                self._index = read_index(self._directory)
            except IndexFault as fault:
                _LOG.warning("%s; the last good index stays in use", fault)


def read_pem(path: Path) -> bytes:
    """The content of a file; `OSError`, or `FetchError(FETCH_TOO_LARGE)` beyond `MAX_PEM` bytes."""
    try:
        return read_file(path, MAX_PEM)
    except TooLarge:
        raise FetchError(Detail.FETCH_TOO_LARGE, f"more than {MAX_PEM} bytes") from None


def read_index(directory: Path) -> dict[str, str]:
    """File names by URL, the scheme in small letters; empty without an index. Raises `IndexFault`."""
    path = directory / INDEX
    try:
        content = read_file(path, MAX_INDEX)
    except FileNotFoundError:
        return {}
    except TooLarge as error:
        raise IndexFault(f"{path}: {reason(error)}") from None
    except OSError as error:
        raise IndexFault(f"{path} cannot be read: {reason(error)}") from None
    try:
        found = strict_loads(content)
    except (ValueError, RecursionError) as error:
        raise IndexFault(f"{path}: this is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise IndexFault(f"{path}: must be an object that maps URLs to file names")
    for url, name in found.items():
        if not isinstance(name, str) or name != os.path.basename(name) or name in ("", ".", ".."):
            raise IndexFault(f"{path}: {url!r}: must be the name of a file in this folder, not {name!r}")
    return {with_plain_scheme(url): name for url, name in found.items()}


def how_to_add(directory: Path | None, url: str) -> str:
    """What to do where the folder lacks the certificate of this URL: what it has, and the name that is expected.

    Without a folder, it says how to make one. A folder that cannot be read is as good as an empty one.
    """
    if directory is None:
        return f"put it into a folder as {certificate_path(Path(), url)} (--certificates)"
    with contextlib.suppress(IndexFault):
        name = read_index(directory).get(with_plain_scheme(url))
        if name is not None:
            return f"{directory / INDEX} names {name} for this URL: put it there"
    for path in (certificate_path(directory, each) for each in spellings(url)):
        if path.exists():
            return f"{path} is not a file of at most {MAX_PEM >> 10} KiB that can be read: replace it"
    with contextlib.suppress(OSError):
        count = sum(name != INDEX for name in os.listdir(directory))
        if count:
            files = f"{count} file{'s' if count > 1 else ''}"
            return f"{directory} has {files}, none named for this URL: name it {certificate_path(Path(), url)}"
    return f"put it into {directory} as {certificate_path(Path(), url)}"


def entries(directory: Path) -> Iterator[FolderEntry]:
    """The files of the folder: first those of the index, then the others by name. `OSError`, `IndexFault`."""
    index = read_index(directory)
    named = set(index.values())
    for url, name in sorted(index.items()):
        yield FolderEntry(url, directory / name)
    for path in sorted(directory.glob("*.pem")):
        if path.name not in named:
            yield FolderEntry(None, path)
