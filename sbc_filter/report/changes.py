"""Two messages line by line, with what changed within a line marked."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from sbc_filter.report.octets import changed, cut, shown, text_of

_COMPARED = 150  # lines between the first and the last difference: comparing costs the square of their number
_LINES = 400  # of a message that are shown
_CHARACTERS = 100_000  # likewise, with escapes: more than any message that prints has
_LONGEST = 8192  # characters of a line that are shown


class Row(NamedTuple):
    """One line: `=` of both messages, `-` of the first only, `+` of the second only."""

    sign: str
    text: str


def lines_of(message: bytes) -> list[Row]:
    """The lines of one message. A CR or LF that does not end a line is shown as an escape."""
    return _bounded([Row("=", shown(cut(line, _LONGEST))) for line in _ended(_split(message))])


def compare(before: bytes, after: bytes) -> list[Row]:
    """The lines of two messages, in order; a line that changed is two rows, the old one first."""
    old, new = _split(before), _split(after)
    if not old[-1] and not new[-1]:
        old, new = old[:-1], new[:-1]
    start = _common(old, new)
    end = _common_end(old[start:], new[start:])
    rows = [Row("=", shown(cut(line, _LONGEST))) for line in old[:start]]
    rows += _between(old[start : len(old) - end], new[start : len(new) - end])
    rows += [Row("=", shown(cut(line, _LONGEST))) for line in old[len(old) - end :]]
    return _bounded(rows)


def _split(message: bytes) -> list[str]:
    return text_of(message).split("\r\n")


def _ended(lines: list[str]) -> list[str]:
    """The lines without the empty one after the last line end."""
    return lines if lines[-1] else lines[:-1]


def _common_end(old: Sequence[str], new: Sequence[str]) -> int:
    return _common(old[::-1], new[::-1])


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many items both begin with."""
    return next(
        (at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new))
    )


def _between(old: Sequence[str], new: Sequence[str]) -> Iterator[Row]:
    if max(len(old), len(new)) > _COMPARED:
        yield from _replaced(old, new)
        return
    for kind, one, two, three, four in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Row("=", shown(cut(line, _LONGEST))) for line in old[one:two])
        else:
            yield from _replaced(old[one:two], new[three:four])


def _replaced(old: Sequence[str], new: Sequence[str]) -> Iterator[Row]:
    """Lines in the place of others: the first for the first, and so on. What is left over was removed or added."""
    for was, now in zip(old, new, strict=False):
        yield from _line(cut(was, _LONGEST), cut(now, _LONGEST))
    yield from (Row("-", changed(cut(line, _LONGEST))) for line in old[len(new) :])
    yield from (Row("+", changed(cut(line, _LONGEST))) for line in new[len(old) :])


def _line(was: str, now: str) -> tuple[Row, Row]:
    """One line that became another: what they do not have in common is marked."""
    start = _common(was, now)
    end = _common_end(was[start:], now[start:])
    return Row("-", _marked(was, start, end)), Row("+", _marked(now, start, end))


def _marked(line: str, start: int, end: int) -> str:
    stop = len(line) - end
    return shown(line[:start]) + changed(line[start:stop]) + shown(line[stop:])


def _bounded(rows: list[Row]) -> list[Row]:
    """At most `_LINES` rows with `_CHARACTERS`: those of a message with more are counted at its end."""
    used = 0
    for count, row in enumerate(rows):
        used += len(row.text)
        if count == _LINES or used > _CHARACTERS:
            return [*rows[:count], Row("=", f"… {len(rows) - count} more lines")]
    return rows
