"""The captures of a replay: what the command line names, and the files of the folders among it."""

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sbc_filter.capture.frame import CaptureError
from sbc_filter.capture.merge import Captures, Source
from sbc_filter.errors import UsageFault, reason
from sbc_filter.records.tally import numbered

STANDARD_INPUT = "-"
_DESCRIPTOR = 0
_Inode = tuple[int, int]  # of a file: device and number
_SHOWN = 5  # names in a sentence


class Named(NamedTuple):
    """What a command line names as captures."""

    words: Sequence[str]
    sources: list[Source]
    several: bool  # more than one capture, or a folder: then each record names its file
    twice: list[str]  # sentences about files that have two names
    others: list[str]  # what cannot be a capture, in a folder

    @property
    def paths(self) -> list[Path]:
        """The path of each capture."""
        return [Path(each.name if each.descriptor is None else "/dev/stdin") for each in self.sources]

    def title(self, captures: Captures) -> str:
        """What the report calls the captures."""
        if not self.several:
            return self.sources[0].name
        of = len(self.sources) - len(captures.skipped)
        count = numbered(of, "capture")
        if captures.opened < of:
            count = f"{captures.opened} of {count}"
        return f"{count} in {self.words[0]}" if len(self.words) == 1 else count

    def short_title(self, captures: Captures) -> str:
        """The same without the folder of a single capture."""
        return self.title(captures) if self.several else Path(self.sources[0].name).name

    def remarks(self, captures: Captures) -> Iterator[str]:
        """Sentences about what is not read."""
        yield from self.twice
        names = sorted((*self.others, *captures.skipped))
        if names:
            shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
            yield f"{numbered(len(names), 'file')} not read, hidden or not a capture: {shown}"


def folders_of(words: Sequence[str]) -> list[Path]:
    """The folders that captures are in, each once, in their order: a configuration may lie there."""
    places = [Path(word) for word in words if word != STANDARD_INPUT]
    return list(dict.fromkeys(place if os.path.isdir(place) else place.parent for place in places))


def find_captures(words: Sequence[str], own: Iterable[Path]) -> Named:
    """The captures that the words mean: files, folders, or `-`. What a folder has of `own` is ignored.

    Raises `CaptureError` for a folder that cannot be read, and `UsageFault` if standard input is a terminal.
    """
    named = Named(words, [], len(words) > 1 or os.path.isdir(words[0]), [], [])
    ignored = {_inode(path) for path in own} - {None}  # None: is not there
    names: dict[_Inode, str] = {}
    for source in _sources(words, named.others, ignored):
        inode = _inode(source.name if source.descriptor is None else source.descriptor)
        if inode in names:
            named.twice.append(f"{source.name} is the same file as {names[inode]}: read once")
            continue
        named.sources.append(source)
        if inode is not None:
            names[inode] = source.name
    return named


def opened(named: Named) -> Captures:
    """The captures; `CaptureError` if none of them can be read."""
    captures = Captures(named.sources, several=named.several)
    if not captures.opened:
        has = "; ".join(named.remarks(captures)) or "it has no file"
        raise CaptureError(*(captures.faults or [f"there is no capture in {', '.join(named.words)}: {has}"]))
    return captures


def _sources(words: Sequence[str], others: list[str], ignored: Container[_Inode | None]) -> Iterator[Source]:
    for word in words:
        if word == STANDARD_INPUT:
            if os.isatty(_DESCRIPTOR):
                raise UsageFault("standard input is a terminal: name a file, or send a capture through a pipe")
            yield Source("standard input", descriptor=_DESCRIPTOR)
        elif not os.path.isdir(word):
            yield Source(word)
        else:
            for path in _inside(Path(word)):
                if _inode(path) in ignored:
                    continue
                if path.name.startswith(".") or _is_special(path):
                    others.append(f"{path}/" if os.path.isdir(path) else str(path))
                else:
                    yield Source(str(path), found=True)


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise CaptureError(f"{folder} cannot be read: {reason(error)}") from None


def _is_special(path: Path) -> bool:
    """Whether something other than a regular file is there. What cannot be looked at becomes an error when read."""
    return os.path.exists(path) and not os.path.isfile(path)


def _inode(place: Path | str | int) -> _Inode | None:
    """Which file that is; None if it cannot be looked at."""
    try:
        found = os.stat(place)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
