"""What a process and the one that started it tell each other (`processes.channel`).

all           are told Stop, and say Ready or Failed, Beat about once a second, Said
workers       are told Prepare, Commit or Abort; Renew; Bypass; Reopen, and say Prepared, Committed, Obtained, Reopened
dispatcher    is told Alive
certificates  says ListsChanged
"""

from collections.abc import Sequence
from typing import NamedTuple


class Stop(NamedTuple):
    """End, when what is held has been let go of."""


class Prepare(NamedTuple):
    """Read all files of the operator."""


class Commit(NamedTuple):
    """Go by what was prepared."""


class Abort(NamedTuple):
    """Forget it."""


class Renew(NamedTuple):
    """Read the trust store: its lists are others now."""


class Bypass(NamedTuple):
    """From now on these tokens, by the file that rules name, stand in for Identity."""

    tokens: dict[str, str]


class Reopen(NamedTuple):
    """Begin the file of records anew."""


class Alive(NamedTuple):
    """Which workers, from 0, take packets."""

    workers: list[int]


class Ready(NamedTuple):
    """It does its work from now on."""


class Failed(NamedTuple):
    """It cannot begin, and ends."""

    sentence: str


class LogLine(NamedTuple):
    """What an operator has to know."""

    sentence: str


class Heartbeat(NamedTuple):
    """It lives, and has counted so far: by name, and records by their fate (the fields of `records.tally.Kind`)."""

    counters: dict[str, int]
    kinds: Sequence[tuple[Sequence[str], int]]


class Prepared(NamedTuple):
    """What is wrong with the files, if anything."""

    problems: list[str]


class Committed(NamedTuple):
    """Why it does not go by them, if it does not."""

    problems: list[str]


class Obtained(NamedTuple):
    """What is wrong with what programs answered who are asked for our keys, if anything."""

    problems: list[str]


class Reopened(NamedTuple):
    """What became of the file of records."""

    sentence: str


class ListsChanged(NamedTuple):
    """Files that the trust store is read from are others now."""


Order = Stop | Prepare | Commit | Abort | Renew | Bypass | Reopen | Alive
Report = Ready | Failed | LogLine | Heartbeat | Prepared | Committed | Obtained | Reopened | ListsChanged
