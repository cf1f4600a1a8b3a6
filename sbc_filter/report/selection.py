"""Which calls a report shows in full: those that fail, those that change, and samples of the others."""

from collections.abc import Container, Iterable, Iterator, Sequence

from sbc_filter.outcomes import Outcome
from sbc_filter.report.contents import Line

MOST = 2000  # failing and changed calls
SAMPLES = 5  # of each other kind
_FAILING = frozenset(
    {
        Outcome.STALE,
        Outcome.UNFETCHABLE,
        Outcome.UNTRUSTED,
        Outcome.INVALID,
        Outcome.REPLAYED,
        Outcome.UNSIGNED,
        Outcome.UNPARSEABLE,
    }
)


def fails(outcome: str) -> bool:
    """Whether calls of this outcome are calls that fail."""
    return outcome in _FAILING


def lacks(outcome: str, only_anchor_missing: bool) -> bool:
    """Whether such a call could not be judged: its certificate is missing, or nothing is wrong but the trust anchor."""
    return outcome == Outcome.UNFETCHABLE or only_anchor_missing


def urgency(outcome: str, lacking: bool) -> int:
    """The place of a result among those to look at: first what fails, then what could not be judged (all of its calls
    are `lacking`), then calls without a token."""
    return 2 if not fails(outcome) else 1 if lacking else 0


def select(lines: Sequence[Line], kept: Container[int], most: int = MOST, samples: int = SAMPLES) -> list[int]:
    """The places of the calls to show in full, the most important first, of those whose messages are `kept`.

    There may be too many that fail: then each kind gets its turn, so that a frequent one does not displace the others.
    A kind is a result by a rule with a treatment.
    """
    failing: dict[tuple[str, ...], list[int]] = {}
    changing: dict[tuple[str, ...], list[int]] = {}
    others: dict[tuple[str, ...], list[int]] = {}
    for place, line in enumerate(lines):
        if place not in kept:
            continue
        kinds = failing if fails(line.outcome) else changing if line.changed else others
        kinds.setdefault((line.result, line.rule, line.treatment), []).append(place)
    chosen = [place for kinds in (failing, changing) for place in _in_turn(kinds.values())]
    return chosen[:most] + [place for kind in others.values() for place in kind[:samples]]


def _in_turn(kinds: Iterable[list[int]]) -> Iterator[int]:
    """The first of each, then the second of each, and so on."""
    waiting = [iter(kind) for kind in kinds]
    while waiting:
        left = []
        for each in waiting:
            place = next(each, None)
            if place is not None:
                yield place
                left.append(each)
        waiting = left
