"""Files of certificates and lists that the configuration names."""

import stat
from collections.abc import Sequence
from pathlib import Path

from sbc_filter.errors import Problem

MAX_FILE = 64 << 20  # bytes
MAX_ANCHORS = 10_000  # in one file


def blamed(problems: Sequence[Problem], key: str) -> bool:
    """Whether something is wrong with this table of the configuration already."""
    return any(problem.key == key or problem.key.startswith(f"{key}.") for problem in problems)


def files_in(path: Path) -> list[Path]:
    """The files of a folder in the order of their names, or the file itself; `OSError`."""
    if stat.S_ISDIR(path.stat().st_mode):
        return sorted(each for each in path.iterdir() if each.is_file())
    return [path]


def read_file(path: Path) -> bytes:
    """All of a file of the operator's; `OSError` when it is absurdly large."""
    with path.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise OSError(0, "it is larger than 64 MiB", str(path))
    return data
