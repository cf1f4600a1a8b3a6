"""The figures of a report: how many calls by outcome, peer, signer and attestation, and how many over time."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from math import floor
from typing import NamedTuple

from sbc_filter.calls.call import is_bad
from sbc_filter.calls.could_be_signed import COULD_BE_SIGNED
from sbc_filter.engine.record import printable
from sbc_filter.explanations.explanation import Explanation
from sbc_filter.explanations.table import explanation_of
from sbc_filter.outcomes import Outcome
from sbc_filter.report.contents import Line
from sbc_filter.report.octets import cut
from sbc_filter.report.selection import fails, lacks, urgency

SHOWN = 12  # values of a breakdown; the others are one more
_BUCKETS = 60  # at most, over time
_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)  # seconds
_NAMED = {
    "": "no INVITE decided",
}


class Group(StrEnum):
    """What a chart over time distinguishes, from the bottom up."""

    FAILED = "fails"
    BARE = "no token"
    GOOD = "verified or signed"
    OTHER = "not examined"


_GROUPS = {
    Outcome.PASSED: Group.GOOD,
    Outcome.SIGNED: Group.GOOD,
    Outcome.ALREADY_SIGNED: Group.GOOD,
    Outcome.NO_IDENTITY: Group.BARE,
    Outcome.ANONYMOUS: Group.BARE,
}


def group_of(outcome: str) -> Group:
    """The group of an outcome; a call that could be signed has no token."""
    if outcome == COULD_BE_SIGNED:
        return Group.BARE
    if fails(outcome):
        return Group.FAILED
    return _GROUPS.get(Outcome(outcome), Group.OTHER) if outcome else Group.OTHER


class Share(NamedTuple):
    """How many calls have one value."""

    name: str
    value: str | None  # by which the table is filtered; None for the others together
    calls: int
    percent: float
    group: Group | None = None


class Breakdown(NamedTuple):
    """The calls by one of their properties, most frequent first."""

    title: str
    facet: str  # its name in the table
    shares: Sequence[Share]


class Bucket(NamedTuple):
    """The calls of a span of time, by group."""

    start: float  # POSIX seconds
    calls: Counter[Group]


class OverTime(NamedTuple):
    """The calls over time, in spans of equal length (seconds)."""

    width: int
    buckets: Sequence[Bucket]


class Cause(NamedTuple):
    """A result that is not a good one: how many calls have it, what it means, and the first of these calls."""

    result: str
    calls: int
    explanation: Explanation
    examples: Sequence[int]
    fails: bool


def breakdowns(lines: Sequence[Line]) -> list[Breakdown]:
    """The calls by each of their properties; one that says nothing is left out."""
    signed = [line for line in lines if line.signer or line.attestation]
    found = [
        Breakdown("Result", "result", _shares(lines, lambda line: line.result, groups=True)),
        Breakdown("Attestation", "attestation", _shares(signed, lambda line: line.attestation)),
        Breakdown("Peer", "peer", _shares(lines, lambda line: line.peer)),
        Breakdown("Signer", "signer", _shares(signed, lambda line: line.signer)),
        Breakdown("Treatment", "treatment", _shares(lines, lambda line: line.treatment)),
        Breakdown("Rule", "rule", _shares(lines, lambda line: line.rule)),
        Breakdown("Final response", "response", _shares(lines, lambda line: line.response)),
    ]
    return [each for each in found if any(share.value for share in each.shares)]


def _shares(lines: Sequence[Line], of: Callable[[Line], str], groups: bool = False) -> list[Share]:
    counts = Counter(map(of, lines))
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    whole = max(len(lines), 1)
    shares = [
        Share(
            _name(value, "none" if not groups else _NAMED[""]),
            cut(printable(value), 64),
            count,
            100 * count / whole,
            group_of(value.partition(".")[0]) if groups else None,
        )
        for value, count in ordered[:SHOWN]
    ]
    rest = sum(count for _, count in ordered[SHOWN:])
    if rest:
        shares.append(Share(f"{len(ordered) - SHOWN} others", None, rest, 100 * rest / whole))
    return shares


def _name(value: str, otherwise: str) -> str:
    return cut(printable(value), 64) or otherwise


def over_time(lines: Sequence[Line]) -> OverTime:
    """The calls in at most 60 spans; empty without calls."""
    if not lines:
        return OverTime(1, [])
    times = [line.time for line in lines]
    first, last = min(times), max(times)
    width = next((each for each in _WIDTHS if (last - first) / each < _BUCKETS - 1), 0)
    width = width or floor((last - first) / (_BUCKETS - 1)) + 1
    start = floor(first / width) * width
    buckets = [Bucket(start + width * n, Counter()) for n in range(floor((last - start) / width) + 1)]
    for line in lines:
        buckets[floor((line.time - start) / width)].calls[group_of(line.result.partition(".")[0])] += 1
    return OverTime(width, buckets)


def causes(lines: Iterable[Line], examples: int = 3) -> list[Cause]:
    """The results to look at, in the order of `urgency`, and the most frequent first."""
    found: dict[str, list[Line]] = {}
    counts: Counter[str] = Counter()
    lacking: Counter[str] = Counter()
    for line in lines:
        if line.outcome and is_bad(line.outcome):
            counts[line.result] += 1
            lacking[line.result] += lacks(line.outcome, line.only_anchor_missing)
            first = found.setdefault(line.result, [])
            if len(first) < examples:
                first.append(line)

    def order(result: str) -> tuple[int, int, str]:
        return urgency(found[result][0].outcome, lacking[result] == counts[result]), -counts[result], result

    return [
        Cause(
            result,
            counts[result],
            explanation_of(found[result][0].outcome, found[result][0].detail or None),
            [line.number for line in found[result]],
            fails(found[result][0].outcome),
        )
        for result in sorted(counts, key=order)
    ]
