"""The operator's files, read again while calls go on."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from sbc_filter.errors import ConfigurationError, FilterError, Problem
from sbc_filter.ops import config
from sbc_filter.ops.certificates import read_trust
from sbc_filter.ops.config import Configuration
from sbc_filter.ops.setup import Setup, read_all
from sbc_filter.ops.trustlist import listed_anchors
from sbc_filter.stir.trust import TrustStore

# What a process has to be made anew for, by table of the configuration.
_FIXED = ("queue", "control", "user")
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

    def trust(self, configuration: Configuration) -> tuple[TrustStore | None, list[str]]:
        """The trust store alone, with the lists of now."""
        problems: list[Problem] = []
        remarks: list[Problem] = []
        trust = read_trust(configuration, problems, listed_anchors(configuration, problems, remarks))
        return (None if problems else trust), [str(each) for each in (*problems, *remarks)]

    def fingerprint(self) -> dict[str, tuple[int, int, int]]:
        """By which it is told whether any of the files has changed: time, size and number of each.

        Whoever writes a file while several processes read it would have some go by the old and some by the new one.
        """
        places = [self.configuration, *([self.rules] if self.rules is not None else [])]
        try:
            places += _paths(config.read(self.configuration, []))
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


def what_cannot_change(old: Configuration, new: Configuration) -> list[str]:
    """One sentence for each table that takes a restart."""
    changed = [name for name in _FIXED if getattr(old, name) != getattr(new, name)]
    return [f"{new.file}: [{name}] cannot change while the filter runs: restart it" for name in changed]


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
    if not folder.is_dir() or depth > _DEEPEST:
        return
    for path in folder.iterdir():
        yield path
        yield from _below(path, depth + 1)
