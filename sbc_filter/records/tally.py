"""Records as JSON lines, and their counts as a table for people."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import IO, NamedTuple

from sbc_filter.engine.record import Record
from sbc_filter.outcomes import Detail
from sbc_filter.records.journal import line_of
from sbc_filter.stir.extensions import NOTES
from sbc_filter.system.plain_console import PlainConsole, PlainTable

Sink = Callable[[Record], None]
OBSERVED, UNFILTERED = "observe", "unfiltered"
_OTHERS = frozenset(("ACK", "CANCEL"))  # what has a record beside INVITEs, if it cannot be read
_DEVIATION = "deviation."  # prefix of the engine's counters of deviations


class Kind(NamedTuple):
    """What calls that are counted together have in common."""

    rule: str
    mode: str
    outcome: str
    detail: str
    treatment: str
    code: str


class Tally:
    """Counts records by `Kind`."""

    def __init__(self) -> None:
        self.kinds: Counter[Kind] = Counter()
        self.others = 0
        """ACKs and CANCELs that cannot be read, of `total`."""

    def __call__(self, record: Record) -> None:
        """Count one record."""
        if record.method in _OTHERS and record.mode != "monitor":
            self.others += 1
        self.kinds[
            Kind(
                record.rule or "-",
                _mode(record),
                record.outcome,
                record.detail or "-",
                record.treatment,
                str(record.code or "-"),
            )
        ] += 1

    @property
    def total(self) -> int:
        """The number of records, without those of rules in monitor mode and of responses."""
        return sum(
            count
            for kind, count in self.kinds.items()
            if kind.mode != "monitor" and kind.detail != Detail.REASON_REMOVED
        )

    @property
    def _only_invites(self) -> bool:
        return not self.others and all(kind.detail != Detail.REASON_REMOVED for kind in self.kinds)

    def print(self, console: PlainConsole) -> None:
        """Print a table, most frequent first, and a second table for rules in monitor mode."""
        ordered = sorted(self.kinds.items(), key=lambda entry: (-entry[1], entry[0]))
        for watched in (False, True):
            rows = [entry for entry in ordered if (entry[0].mode == "monitor") is watched]
            if not rows:
                continue
            console.print()
            if watched:
                console.print("Rules in monitor mode would have:")
                console.print()
            counted = "INVITEs" if self._only_invites else "Messages"
            names = [*(name.capitalize() for name in Kind._fields), counted]
            console.print(PlainTable(names, [[*kind, count] for kind, count in rows], right=[counted]))


def _mode(record: Record) -> str:
    """The mode of the rule, or that the call was only observed, or would not be filtered live: then nothing of the rest
    happened."""
    if record.unfiltered is not None and record.mode != "monitor":
        return UNFILTERED
    return OBSERVED if record.would is not None and record.mode != "monitor" else record.mode or "-"


def numbered(count: int, noun: str) -> str:
    """`1 packet`, `2 packets`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def findings(counters: Mapping[str, int]) -> Iterator[str]:
    """What an engine counted in addition to outcomes, one line for each kind, most frequent first.

    Examples: `tolerated: no-date 12, padding 3`, `found beside: rcd-usable 2`.
    """
    for title, found in (
        ("tolerated", deviations(counters)),
        ("found beside", {name: counters[name] for name in NOTES if counters.get(name)}),
    ):
        ordered = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
        if ordered:
            yield f"{title}: " + ", ".join(f"{name} {count}" for name, count in ordered)


def deviations(counters: Mapping[str, int]) -> dict[str, int]:
    """How often an engine counted each deviation, by its name, most frequent first."""
    found = [(name.removeprefix(_DEVIATION), count) for name, count in counters.items() if name.startswith(_DEVIATION)]
    return dict(sorted(found, key=lambda entry: (-entry[1], entry[0])))


def to_lines(file: IO[str]) -> Sink:
    """A sink that writes each record at once as one line of JSON, shortened as in the live filter."""

    def write(record: Record) -> None:
        file.write(line_of(record))
        file.flush()

    return write
