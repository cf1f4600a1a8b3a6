"""The messages between the supervisor and its child processes (`processes.channel`).

process       receives                                       sends
all           Stop                                           Ready or Failed, LogLine, Heartbeat about once a second
workers       Prepare, Commit, Abort, Renew, Bypass,         Prepared, Committed, Obtained, Reopened,
              Observe, Reopen                                Observing
dispatcher    Alive
certificates                                                 ListsChanged
recent        Keep
"""

from collections.abc import Sequence
from typing import NamedTuple


class Stop(NamedTuple):
    """Exit, after giving held packets their verdicts."""


class Prepare(NamedTuple):
    """Read all files of the operator."""


class Commit(NamedTuple):
    """Switch to the files that were prepared."""


class Abort(NamedTuple):
    """Discard the files that were prepared."""


class Renew(NamedTuple):
    """Read the trust store again: its lists have changed. `shelved`: CRLs lie on the shelf of these processes."""

    shelved: bool


class Bypass(NamedTuple):
    """The bypass tokens, by the file that rules name, that replace Identity from now on."""

    tokens: dict[str, str]


class Observe(NamedTuple):
    """The messages that pass unchanged from now on: all, or those of these trunks. `number` is in the answer."""

    number: int
    everything: bool
    trunks: Sequence[str]


class Reopen(NamedTuple):
    """Reopen the file of records."""


class Keep(NamedTuple):
    """How many calls to keep from now on, the numbering plan, and the names of the trunks."""

    calls: int
    numbering: str
    trunks: Sequence[str]


class Alive(NamedTuple):
    """The workers that take packets, counted from 0."""

    workers: list[int]


class Ready(NamedTuple):
    """The process has started its work."""


class Failed(NamedTuple):
    """The process cannot start, and exits."""

    sentence: str


class LogLine(NamedTuple):
    """A sentence for the operator's log."""

    sentence: str


class Heartbeat(NamedTuple):
    """A sign that the process runs, with its counters by name and its records by `records.tally.Kind`."""

    counters: dict[str, int]
    kinds: Sequence[tuple[Sequence[str], int]]


class Prepared(NamedTuple):
    """The problems of the files; empty if they are good."""

    problems: list[str]


class Committed(NamedTuple):
    """Why the worker did not switch; empty if it did."""

    problems: list[str]


class Obtained(NamedTuple):
    """The problems of credentials that programs supply; empty if there are none."""

    problems: list[str]


class Observing(NamedTuple):
    """The worker follows the order `Observe` of this number."""

    number: int


class Reopened(NamedTuple):
    """The result of reopening the file of records."""

    sentence: str


class ListsChanged(NamedTuple):
    """Files of the trust store have changed. `shelved`: the CRLs among them lie on the shelf, as they were read."""

    shelved: bool


Order = Stop | Prepare | Commit | Abort | Renew | Bypass | Observe | Reopen | Keep | Alive
Report = Ready | Failed | LogLine | Heartbeat | Prepared | Committed | Obtained | Observing | Reopened | ListsChanged
