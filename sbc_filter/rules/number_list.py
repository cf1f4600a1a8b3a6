"""Number lists in rules: `12155550100`, `1215*`, `12155550000-12155559999`, `@file`, `anonymous`, `sip:a@b`."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from sbc_filter.sip.numbers import canonical_number, canonical_uri

ANONYMOUS = "anonymous"
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")

ReadList = Callable[[str], str]
"""Returns the text of a list file by the name after `@`; raises `OSError`."""
Report = Callable[[str], None]
"""Receives a sentence about a fault; if it returns, reading continues."""
# Length, first and last number. They are text: numbers of equal length compare the same way, and `int` refuses a caller
# with thousands of digits, which fits into a datagram.
_Range = tuple[int, str, str]


def refuse(sentence: str) -> None:
    """Report by raising `ValueError`, so that reading stops at the first fault."""
    raise ValueError(sentence)


class Entries:
    """The entries of a rule, with every `@file` replaced by its lines. A space and `#` begin a comment.

    While they are iterated, `report` adds the file and line of the last entry to a sentence.
    """

    def __init__(self, entries: Iterable[str], read_list: ReadList, report: Report = refuse) -> None:
        self._entries = entries
        self._read_list = read_list
        self._report = report
        self._place = ""

    def __iter__(self) -> Iterator[str]:
        for entry in self._entries:
            if entry.startswith("@"):
                yield from self._lines(entry[1:])
            else:
                yield entry

    def by_file(self) -> Iterator[tuple[str, Iterable[str]]]:
        """The same in parts: of each file under its `@name`, of the rule itself under an empty one."""
        for is_file, entries in groupby(self._entries, lambda entry: entry.startswith("@")):
            if is_file:
                yield from ((entry, self._lines(entry[1:])) for entry in entries)
            else:
                yield "", entries

    def report(self, sentence: str) -> None:
        """Report a fault of the entry that was returned last."""
        self._report(self._place + sentence)

    def _lines(self, name: str) -> Iterator[str]:
        try:
            text = self._read_list(name)
        except (OSError, UnicodeDecodeError) as error:
            # the error's own text would repeat the file name
            why = (isinstance(error, OSError) and error.strerror) or error
            self._report(f"the list {name!r} cannot be read: {why}")
            return
        empty = True
        for number, line in enumerate(text.splitlines(), 1):
            entry = line.strip()
            if entry and not entry.startswith("#"):
                empty = False
                self._place = f"{name}, line {number}: "
                yield entry.partition(" #")[0].strip()
        self._place = ""
        if empty:
            self._report(f"the list {name!r} is empty")


class NumberList:
    """A test whether an identity (see `sip.numbers`) is on a list. None, a caller without a number, is `anonymous`.

    The cost of a lookup does not grow with the list: it uses sets, one set per prefix length, and sorted ranges.
    """

    __slots__ = ("_anonymous", "_exact", "_prefixes", "_ranges", "name")

    def __init__(self, entries: Iterable[str], report: Report = refuse, name: str = "") -> None:
        """`name` is `@` and a file, or empty for entries of the rule itself."""
        self.name = name
        exact: set[str] = set()
        prefixes: dict[int, set[str]] = {}
        ranges: list[_Range] = []
        self._anonymous = False
        for entry in entries:
            try:
                if entry == ANONYMOUS:
                    self._anonymous = True
                elif ":" in entry:
                    exact.add(_uri(entry))
                elif entry.endswith("**"):  # would be the prefix of numbers that continue with a star; there are none
                    raise ValueError(_no_number(entry))
                elif entry.endswith("*"):
                    prefix = _digits(entry[:-1], entry) if entry != "*" else ""
                    prefixes.setdefault(len(prefix), set()).add(prefix)
                elif match := _RANGE.fullmatch(entry):
                    ranges.append(_range(match[1], match[2], entry))
                else:
                    exact.add(_digits(entry, entry))
            except ValueError as error:
                report(str(error))
        self._exact = frozenset(exact)
        self._prefixes = tuple((length, frozenset(of_length)) for length, of_length in sorted(prefixes.items()))
        self._ranges: dict[int, tuple[list[str], list[str]]] = {}  # (starts, ends) of the numbers of one length
        for length, start, end in _merge(sorted(ranges)):
            starts, ends = self._ranges.setdefault(length, ([], []))
            starts.append(start)
            ends.append(end)

    def __call__(self, identity: str | None) -> bool:
        """Whether the identity is on the list."""
        if identity is None:
            return self._anonymous
        if identity in self._exact:
            return True
        for length, prefixes in self._prefixes:
            if identity[:length] in prefixes:
                return ":" not in identity
        of_length = self._ranges.get(len(identity))
        if of_length is not None and identity.isascii() and identity.isdecimal():
            starts, ends = of_length
            at = bisect_right(starts, identity) - 1
            return at >= 0 and identity <= ends[at]
        return False

    def name_of(self, identity: str | None) -> str | None:
        """The name of the list, if it has the identity."""
        return self.name if self(identity) else None


class NumberLists:
    """Several lists of one condition, used like one."""

    __slots__ = ("_lists",)

    def __init__(self, lists: Sequence[NumberList]) -> None:
        self._lists = tuple(lists)

    def __call__(self, identity: str | None) -> bool:
        """Whether the identity is on one of the lists."""
        return self.name_of(identity) is not None

    def name_of(self, identity: str | None) -> str | None:
        """The name of the first list that has the identity; None if it is on none."""
        for listed in self._lists:
            if listed(identity):
                return listed.name
        return None


def read_lists(entries: Entries) -> NumberList | NumberLists:
    """The lists of one condition, with their names."""
    lists = [NumberList(each, entries.report, name) for name, each in entries.by_file()]
    return lists[0] if len(lists) == 1 else NumberLists(lists)


def _digits(text: str, entry: str) -> str:
    number = canonical_number(text)
    if number is None:
        raise ValueError(_no_number(entry))
    return number


def _no_number(entry: str) -> str:
    forms = "12155550100, 1215*, 12155550000-12155559999, @file, anonymous or sip:user@host"
    return f"{entry!r} is not a number: write {forms}"


def _uri(entry: str) -> str:
    identity = canonical_uri(entry.encode())
    if identity is None:
        raise ValueError(f"{entry!r} is not a URI that identifies a party")
    return identity


def _range(start: str, end: str, entry: str) -> _Range:
    if not start or len(start) != len(end) or start > end:
        raise ValueError(f"{entry!r} is not a range: both ends have as many digits, and the first is the smaller one")
    return len(start), start, end


def _merge(ranges: list[_Range]) -> list[_Range]:
    merged: list[_Range] = []
    for length, start, end in ranges:
        if merged and merged[-1][0] == length and start <= merged[-1][2]:
            merged[-1] = (length, merged[-1][1], max(end, merged[-1][2]))
        else:
            merged.append((length, start, end))
    return merged
