"""The operator's files: what `run` was told to read, and whether any of it changed."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sbc_filter.assembly.setup import Setup, read_all
from sbc_filter.config.configuration_file import read_configuration
from sbc_filter.errors import ConfigurationError, FilterError

if TYPE_CHECKING:
    pass

_DEEPEST = 4  # folders in folders
# Paths in the configuration that are no files of the operator's: what we write ourselves, and where we look for others.
_NOT_READ = frozenset({"folder", "records", "control", "cache", "directory"})


class Files:
    """What `run` was told to read: a configuration, and perhaps rules from elsewhere than it says."""

    def __init__(self, configuration: Path, rules: Path | None = None) -> None:
        self.configuration = configuration
        self.rules = rules

    def needed(self) -> Setup:
        """Everything; `ConfigurationError` with every problem."""
        return read_all(self.configuration, self.rules)

    def read(self) -> tuple[Setup | None, list[str]]:
        """Everything; or what is wrong with it, one sentence each."""
        try:
            return self.needed(), []
        except ConfigurationError as error:
            return None, [str(problem) for problem in error.problems]
        except FilterError as error:
            return None, [str(error)]

    def fingerprint(self) -> dict[str, tuple[int, int, int]]:
        """By which it is told whether any of the files has changed: time, size and number of each.

        Whoever writes a file while several processes read it would have some go by the old and some by the new one.
        """
        places = [self.configuration, *([self.rules] if self.rules is not None else [])]
        try:
            places += _paths(read_configuration(self.configuration, []))
        except OSError:
            pass
        found: dict[str, tuple[int, int, int]] = {}
        for place in places:
            for path in (place, *_below(place)):
                try:
                    status = path.stat()
                except OSError:
                    continue
                found[str(path)] = status.st_mtime_ns, status.st_size, status.st_ino
        return found


def _paths(value: object) -> Iterator[Path]:
    """All files and folders that are named anywhere in a configuration."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _paths(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _paths(each)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.name not in _NOT_READ:
                yield from _paths(getattr(value, field.name))


def _below(folder: Path, depth: int = 1) -> Iterator[Path]:
    if not os.path.isdir(folder) or depth > _DEEPEST:
        return
    try:
        inside = list(folder.iterdir())
    except OSError:
        return  # who needs what is there says so
    for path in inside:
        yield path
        yield from _below(path, depth + 1)
