"""The operator's files: reads them, and detects changes."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from sbc_filter.assembly.setup import Setup, read_all
from sbc_filter.config.configuration_file import read_configuration
from sbc_filter.errors import ConfigurationError, FilterError
from sbc_filter.trust.crl_shelf import CrlShelf
from sbc_filter.trust.trust_files import TrustFiles

_DEEPEST = 4  # folders in folders; more than a configuration needs, but the search must end
# Paths in the configuration that are not input: files that we write, and folders of other parties' files.
_NOT_READ = frozenset({"folder", "records", "control", "cache", "directory"})


class Files:
    """The files of `run`: a configuration, and optionally other rules than it names."""

    def __init__(self, configuration: Path, rules: Path | None = None) -> None:
        self.configuration = configuration
        self.rules = rules
        self.shelf: CrlShelf | None = None  # where CRLs are exchanged with other processes

    def needed(self) -> Setup:
        """Read everything; `ConfigurationError` with every problem."""
        return read_all(self.configuration, self.rules, shelf=self.shelf)

    def read(self) -> tuple[Setup | None, list[str]]:
        """Read everything; returns the setup, or None and the problems, one sentence each."""
        try:
            return self.needed(), []
        except ConfigurationError as error:
            return None, [str(problem) for problem in error.problems]
        except FilterError as error:
            return None, [str(error)]

    def read_crls(self) -> None:
        """Read the CRLs, so that `read` finds them on the shelf, however large they are."""
        TrustFiles(read_configuration(self.configuration, []), shelf=self.shelf).read_crls()

    def fingerprint(self) -> dict[str, tuple[int, int, int]]:
        """Time, size and inode of each file, by which a change is detected.

        If a file changes while several processes read it, some would use the old and some the new content.
        """
        found: dict[str, tuple[int, int, int]] = {}
        for path in input_files(self.configuration, self.rules):
            try:
                status = path.stat()
            except OSError:
                continue
            found[str(path)] = status.st_mtime_ns, status.st_size, status.st_ino
        return found


def input_files(configuration: Path | None, rules: Path | None) -> Iterator[Path]:
    """The configuration, the rules, and all files and folders that the configuration names, with what is in them."""
    places = [place for place in (configuration, rules) if place is not None]
    try:
        places += _paths(read_configuration(configuration, []))
    except OSError:
        pass
    for place in places:
        yield place
        yield from _below(place)


def _paths(value: object) -> Iterator[Path]:
    """All files and folders that a configuration names."""
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
        return  # the code that reads the folder reports this
    for path in inside:
        yield path
        yield from _below(path, depth + 1)
