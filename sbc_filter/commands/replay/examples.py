"""Calls that are named as examples of what failed, with the command that explains them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from sbc_filter.calls.call import Call, is_bad
from sbc_filter.calls.listener import Supposed
from sbc_filter.engine.record import Record
from sbc_filter.explanations.explanation import first_sentence
from sbc_filter.explanations.table import explanation_of
from sbc_filter.outcomes import result_name
from sbc_filter.records.tally import numbered
from sbc_filter.report.selection import lacks, urgency
from sbc_filter.system.shell_words import path_word, path_words

_EXAMPLES = 3  # of each result
_MOST = 12  # results that are named
_Place = tuple[int, str | None]  # packet and file


class Examples:
    """A sink of records. It remembers the first packets of each result that is not a good one."""

    def __init__(self, supposed: Supposed = lambda: None) -> None:
        """`supposed`: the record of the call that was decided last, if only its trust anchor is missing."""
        self._supposed = supposed
        self._lacking: Counter[str] = Counter()
        self._count: Counter[str] = Counter()
        self._places: dict[str, list[_Place]] = {}
        self._last: dict[str, _Place] = {}

    def __call__(self, record: Record) -> None:
        """Note what a record says."""
        if not is_bad(record.outcome) or record.packet is None:
            return
        result = result_name(record.outcome, record.detail)
        place = record.packet, record.file
        if self._last.get(result) == place:
            return  # of a rule in monitor mode, and of the one that decided
        self._last[result] = place
        self._count[result] += 1
        self._lacking[result] += lacks(record.outcome, self._supposed() is not None)
        places = self._places.setdefault(result, [])
        if len(places) < _EXAMPLES:
            places.append(place)

    def lines(self, capture: str | None, options: str) -> Iterator[str]:
        """Lines for each result, naming packets; `capture` is the only one, None if there are several."""
        for result, count in _first(self._count, self._lacking):
            packet, file = self._places[result][0]
            others = ", ".join(f"#{number}" for number, other in self._places[result] if other == file)
            where = capture or file or ""
            yield from _lines(result, count, others, f"{path_word(where)} '#{packet}'{options}")


def of_calls(calls: Sequence[Call], captures: Sequence[str], options: str) -> Iterator[str]:
    """The same lines, naming calls by their numbers in the list."""
    count, lacking, first = Counter[str](), Counter[str](), dict[str, list[int]]()
    for call in calls:
        if call.has_failed and call.result is not None:
            count[call.result] += 1
            lacking[call.result] += lacks(call.outcome or "", call.supposed)
            first.setdefault(call.result, []).append(call.number)
    for result, number in _first(count, lacking):
        named = ", ".join(map(str, first[result][:_EXAMPLES]))
        where = path_words(captures)
        yield from _lines(result, number, named, f"{where} {first[result][0]}{options}")


def _first(count: Counter[str], lacking: Counter[str]) -> list[tuple[str, int]]:
    """The results to look at first with their calls, in the order of `urgency`, and the most frequent first."""

    def order(entry: tuple[str, int]) -> tuple[int, int, str]:
        result, number = entry
        return urgency(result.partition(".")[0], lacking[result] == number), -number, result

    return sorted(count.items(), key=order)[:_MOST]


def _lines(result: str, count: int, examples: str, what: str) -> Iterator[str]:
    """The result and its calls, what it means, and the command that says more."""
    calls = f"{numbered(count, 'call')}, for instance {examples}" if count > 1 else f"call {examples}"
    outcome, _, detail = result.partition(".")
    yield f"{result}: {calls}"
    yield f"  {first_sentence(explanation_of(outcome, detail or None).happened)}"
    yield f"  sbc-filter explain {what}"
