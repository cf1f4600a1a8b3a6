"""The map `translations` of a rule that verifies: which called numbers arrive as which others in the Request-URI.

An entry is `from = to`, or `from to` where neither has blanks. `from` is the number in the token: `18005550100`,
`1215*`, `12155550000-12155559999`, or `*` for any. `to` is the number in the Request-URI. If both end with `*`, the
digits there are the same: `* = 9991*` puts 9991 in front of any number.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from sbc_filter.rules.model import RequestUriCheck, VerifyOptions
from sbc_filter.rules.number_list import Entries, NumberList, Report, refuse
from sbc_filter.rules.toml_table import TomlTable
from sbc_filter.sip.numbers import canonical_number

_RANGE = re.compile(r"[0-9]+-[0-9]+")
_FORM = "write 18005550100 = 12155550123, 1215* = 12155550100 or * = 9991*"


class Translations:
    """A test whether one number translates to another. Its cost does not grow with the number of plain entries."""

    __slots__ = ("_pairs", "_prefixes", "_sizes", "_wide")

    def __init__(self, entries: Iterable[str], report: Report = refuse) -> None:
        pairs: set[tuple[str, str]] = set()
        wide: dict[str, list[str]] = {}
        prefixes: dict[str, set[str]] = {}
        for entry in entries:
            try:
                begin, end = _halves(entry)
                if end.endswith("*"):
                    before, after = _prefix(begin, entry), _prefix(end, entry)
                    prefixes.setdefault(after, set()).add(before)
                elif begin.endswith("*") or _RANGE.fullmatch(begin):
                    NumberList((begin,))  # refuses what is not one
                    wide.setdefault(_number(end, entry), []).append(begin)
                else:
                    pairs.add((_number(begin, entry), _number(end, entry)))
            except ValueError as error:
                report(str(error))
        self._pairs = frozenset(pairs)
        self._wide = {end: NumberList(begins) for end, begins in wide.items()}
        self._prefixes = {after: frozenset(before) for after, before in prefixes.items()}
        self._sizes = tuple(sorted(set(map(len, prefixes))))

    def __call__(self, called: str, target: str) -> bool:
        """Whether a call to `called` may have `target` in its Request-URI."""
        if (called, target) in self._pairs:
            return True
        begins = self._wide.get(target)
        if begins is not None and begins(called):
            return True
        return any(self._continues(called, target, size) for size in self._sizes if size < len(target))

    def _continues(self, called: str, target: str, size: int) -> bool:
        """Whether both are the same after prefixes of an entry, that of `target` with `size` digits."""
        rest = target[size:]
        before = self._prefixes.get(target[:size])
        return before is not None and called.endswith(rest) and called[: len(called) - len(rest)] in before


def _halves(entry: str) -> tuple[str, str]:
    begin, equals, end = entry.partition("=")
    if equals:
        return begin.strip(), end.strip()
    words = entry.split()
    if len(words) != 2:
        raise ValueError(f"{entry!r} is not a translation: {_FORM}")
    return words[0], words[1]


def _number(text: str, entry: str) -> str:
    number = canonical_number(text) if not _RANGE.fullmatch(text) else None
    if number is None:
        raise ValueError(f"{entry!r} is not a translation, because {text!r} is not a number: {_FORM}")
    return number


def _prefix(text: str, entry: str) -> str:
    if not text.endswith("*"):
        raise ValueError(f"{entry!r} is not a translation, because only its right side ends with *: {_FORM}")
    return _number(text[:-1], entry) if text != "*" else ""


def read_request_uri(table: TomlTable, options: VerifyOptions, entries: Entries | None) -> VerifyOptions:
    """The options with `check_request_uri` and `translations` added; `entries` are those of the latter key."""
    default = options.check_request_uri if options.check_called else RequestUriCheck.OFF
    check = RequestUriCheck(table.choice("check_request_uri", list(RequestUriCheck), default))
    if check is not RequestUriCheck.OFF and not options.check_called:
        table.problem("check_request_uri", "compares the Request-URI with `dest`, which check_called = false does not")
    if entries is not None and check is RequestUriCheck.OFF:
        table.problem("translations", "are for check_request_uri, which is off here: leave one of them out")
    translations = Translations(entries, entries.report) if entries is not None else None
    return replace(options, check_request_uri=check, translations=translations)
