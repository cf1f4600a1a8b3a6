"""The files of the certificate cache, as seen by whoever looks at them from outside: `sbc-filter certificates`."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sbc_filter.io.store import MAX_PEM

_MAX_LABEL = 16 * 1024  # bytes
_DIGEST = re.compile(rb"[0-9a-f]{64}\n")


class CachedFile(NamedTuple):
    """A file `*.cached`. What is no entry, or was damaged, has no URL; `expires` in POSIX seconds."""

    path: Path
    url: str | None
    pem: bytes
    expires: float


def cached_path(directory: Path, url: str) -> Path:
    """Where the cache keeps this URL."""
    return directory / f"{hashlib.sha256(url.encode()).hexdigest()}.cached"


def cached_files(directory: Path) -> Iterator[CachedFile]:
    """Every file in order of names, good or not; `OSError` unless there is such a folder."""
    for path in sorted(each for each in directory.iterdir() if each.name.endswith(".cached")):
        yield read_cached(path)


def read_cached(path: Path) -> CachedFile:
    """One file. A line of JSON and the PEM, whose digest is in the JSON or on a line before it, which covers both."""
    damaged = CachedFile(path, None, b"", 0.0)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_LABEL + MAX_PEM + 1)
        seal = _DIGEST.match(content)
        whole = content[seal.end() :] if seal else content
        line, _, pem = whole.partition(b"\n")
        label = json.loads(line)
        sealed = seal[0][:-1].decode() if seal else label["sha256"]
        url, expires = label["url"], float(label["expires"])
        intact = sealed == hashlib.sha256(whole if seal else pem).hexdigest()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return damaged
    good = intact and isinstance(url, str) and path == cached_path(path.parent, url)
    return CachedFile(path, url, pem, expires) if good else damaged
