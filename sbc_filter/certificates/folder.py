"""A folder of certificates that another system fills: a file by the digest of its URL, or by a name in an index."""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sbc_filter.certificates.source import MAX_PEM, certificate_path
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError, reason
from sbc_filter.outcomes import Detail
from sbc_filter.strict_json import strict_loads
from sbc_filter.system.files import TooLarge, read_file

_LOG = logging.getLogger(__name__)

INDEX = "index.json"
FRESH = 1.0  # seconds for which a file is believed, or its absence, before it is looked at again
_MINUTE = 60.0  # seconds
MAX_INDEX = 16 << 20  # bytes; 20,000 URLs are 2 MiB, and read in some 20 milliseconds, in which calls wait


class IndexFault(ValueError):
    """The index is no table of URLs and file names; says where and why."""


class FolderEntry(NamedTuple):
    """One file of the folder; `url` is None where only the digest in its name is known."""

    url: str | None
    path: Path


class DirectorySource:
    """A folder that somebody else keeps up to date: `index.json`, and else one file a URL (`certificate_path`).

    Nothing is believed for longer than `valid` seconds, so what is new, changed or gone is so without a restart. Put
    files there by renaming them. An index that cannot be read is logged, once, and the last good one holds on.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time, valid: float = FRESH) -> None:
        self._directory = directory
        self._clock = clock
        self._valid = valid
        self._version: tuple[int, int, int] | None = None
        self._index: Mapping[str, str] = {}
        self._complained = -math.inf

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Read the file, here and now; FETCH_REFUSED without one, FETCH_TOO_LARGE beyond `MAX_PEM`."""
        expires = self._clock() + self._valid
        self._refresh()
        name = self._index.get(url)
        # What the index names is the file or nothing: a left-over by the digest must not take its place.
        path = certificate_path(self._directory, url) if name is None else self._directory / name
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
        """Nothing to let go of."""

    def _complain(self, sentence: str) -> None:
        """Once a minute: callers choose the URLs, and so how often there is something to complain of."""
        now = self._clock()
        if not self._complained <= now < self._complained + _MINUTE:
            self._complained = now
            _LOG.warning("%s; the like is not told again for a minute", sentence)

    def _refresh(self) -> None:
        """Read the index anew if it is another file than it was, or was written to."""
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
                _LOG.warning("%s; what was read before holds on", fault)


def read_pem(path: Path) -> bytes:
    """What a file holds; `OSError`, or `FetchError(FETCH_TOO_LARGE)` beyond `MAX_PEM`."""
    try:
        return read_file(path, MAX_PEM)
    except TooLarge:
        raise FetchError(Detail.FETCH_TOO_LARGE, f"more than {MAX_PEM} bytes") from None


def read_index(directory: Path) -> dict[str, str]:
    """File names by URL, empty without an index; raises `IndexFault`."""
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
        raise IndexFault(f"{path}: this is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise IndexFault(f"{path}: has to be an object with the names of files by URL")
    for url, name in found.items():
        if not isinstance(name, str) or name != os.path.basename(name) or name in ("", ".", ".."):
            raise IndexFault(f"{path}: {url!r}: has to be the name of a file in this folder, not {name!r}")
    return found


def entries(directory: Path) -> Iterator[FolderEntry]:
    """What is in the folder: the files of the index, and the others by their names. `OSError`, `IndexFault`."""
    index = read_index(directory)
    named = set(index.values())
    for url, name in sorted(index.items()):
        yield FolderEntry(url, directory / name)
    for path in sorted(directory.glob("*.pem")):
        if path.name not in named:
            yield FolderEntry(None, path)
