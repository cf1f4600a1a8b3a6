"""The captures of a replay: what the command line names, with the files of each folder."""

import os
import stat
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sbc_filter.capture.merge import Source
from sbc_filter.errors import UsageFault, reason
from sbc_filter.records.tally import numbered

_STDIN = "-"
_SHOWN = 5  # names in a sentence


class Named(NamedTuple):
    """What the command line names as captures."""

    sources: tuple[Source, ...]
    several: bool  # more than one capture, or a folder
    folders: tuple[Path, ...]  # in which the configuration may be
    twice: tuple[str, ...]  # names of files that have another name above
    others: tuple[str, ...]  # in a folder, and not files

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [Path("/dev/stdin" if each.descriptor is not None else each.name) for each in self.sources]
