"""The table of calls, column by column: small in the file, and quick to filter.

A column of texts is one text with a line for each call. One with few values is a list of these, and their places.
Times and numbers are differences to the line before.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sbc_filter.engine.record import printable
from sbc_filter.report.contents import Line
from sbc_filter.report.octets import cut
from sbc_filter.report.script_data import script_data

MOST = 100_000  # lines
MOST_OCTETS = 9_500_000  # of all lines in the file
_LONGEST = 64  # characters of a text in the table
_NUMBERS = 33  # octets that the numbers of a line take, roughly
_TEXTS: dict[str, Callable[[Line], str]] = {
    "caller": lambda line: line.caller,
    "called": lambda line: line.called,
    "callId": lambda line: line.call_id,
}
FACETS: dict[str, Callable[[Line], str]] = {
    "result": lambda line: line.result,
    "treatment": lambda line: line.treatment,
    "rule": lambda line: line.rule,
    "peer": lambda line: line.peer,
    "signer": lambda line: line.signer,
    "attestation": lambda line: line.attestation,
    "response": lambda line: line.response,
    "file": lambda line: line.file,
}
"""The columns that can be filtered by value, by their names in the script."""


def columns(lines: Sequence[Line]) -> dict[str, Any]:
    """The data of the table. More lines than fit are left out at the end; `of` says how many there are."""
    kept = lines[: _fitting(lines[:MOST])]
    return {
        "of": len(lines),
        "number": _differences([line.number for line in kept]),
        "time": _differences([round(line.time * 1000) for line in kept]),
        "packet": _differences([line.packet for line in kept]),
        **{name: "\n".join([_text(of(line)) for line in kept]) for name, of in _TEXTS.items()},
        **{name: _facet([_text(of(line)) for line in kept]) for name, of in FACETS.items()},
    }


def _text(text: str) -> str:
    """A text in the table, on one line."""
    return cut(printable(text), _LONGEST)


def _fitting(lines: Sequence[Line]) -> int:
    """How many of the lines fit."""
    used = 0
    names: set[str] = set()
    for count, line in enumerate(lines):
        facets = {_text(of(line)) for of in FACETS.values()} - names
        used += sum(len(script_data(_text(of(line)))) for of in _TEXTS.values()) + _NUMBERS
        used += sum(len(script_data(text)) + 6 for text in facets)
        names |= facets
        if used > MOST_OCTETS:
            return count
    return len(lines)


def _facet(texts: Iterable[str]) -> dict[str, Any]:
    places: dict[str, int] = {}
    at = [places.setdefault(text, len(places)) for text in texts]
    return {"names": list(places), "at": at}


def _differences(numbers: Sequence[int]) -> list[int]:
    return [number - before for before, number in zip((0, *numbers), numbers, strict=False)]
