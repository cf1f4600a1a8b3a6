"""What the operator observes for a time, kept in a file, so that a restart of the filter does not end it."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from sbc_filter.system.files import replace_file

LONGEST = 7 * 86400.0  # seconds: at most so long at a time
_LARGEST = 1 << 20  # bytes; a trunk takes about 50

Ends = dict[str | None, float]
"""When each observation ends, in POSIX seconds, by trunk; None stands for all traffic."""


class ObservationFile:
    """The file at `path`: a list of pairs of trunk and end, in JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Ends:
        """The observations of the file; none if there is no file.

        Raises `OSError` and `ValueError` if it cannot be read. A file that another user made or may write does not
        count, because it would switch off enforcement.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return {}
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
                raise ValueError("it is not a file of this user alone")
            data = file.read(_LARGEST)
        try:
            found = json.loads(data)
            return {_trunk(trunk): _end(end) for trunk, end in found}
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise ValueError("it is not a list of trunks and times") from None

    def write(self, ends: Mapping[str | None, float]) -> None:
        """Replace the file; without observations, remove it. `OSError`."""
        if ends:
            replace_file(self._path, json.dumps([[trunk, end] for trunk, end in ends.items()]).encode(), mode=0o600)
        else:
            self._path.unlink(missing_ok=True)


def _trunk(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _end(value: object) -> float:
    if type(value) not in (int, float):
        raise TypeError
    assert isinstance(value, int | float)
    return float(value)
