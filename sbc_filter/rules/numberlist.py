"""Lists of numbers in rules: `12155550100`, `1215*`, `12155550000-12155559999`, `@file`, `anonymous`, `sip:a@b`."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from sbc_filter.sip.number import canonical_number, canonicaliser

ANONYMOUS = "anonymous"
_canonical_uri = canonicaliser()

ReadList = Callable[[str], str]
"""Text of a list file by the name that stands behind `@`; raises `OSError`."""


class NumberList:
    """Is an identity (see `sip.number`) on the list? None, a caller without a number, is `anonymous`.

    Look-ups do not grow with the list: sets, one set a prefix length, sorted ranges.
    """

    __slots__ = ("_anonymous", "_ends", "_exact", "_prefixes", "_starts")

    def __init__(self, entries: Iterable[str]) -> None:
        exact: set[str] = set()
        prefixes: dict[int, set[str]] = {}
        ranges: list[tuple[int, int, int]] = []
        self._anonymous = False
        for entry in entries:
            if entry == ANONYMOUS:
                self._anonymous = True
            elif ":" in entry:
                exact.add(_uri(entry))
            elif entry.endswith("*"):
                prefix = _digits(entry[:-1], entry) if entry != "*" else ""
                prefixes.setdefault(len(prefix), set()).add(prefix)
            elif "-" in entry and entry.replace("-", "").isdigit() and entry.count("-") == 1:
                ranges.append(_range(entry))
            else:
                exact.add(_digits(entry, entry))
        self._exact = frozenset(exact)
        self._prefixes = tuple((length, frozenset(of_length)) for length, of_length in sorted(prefixes.items()))
        merged = _merge(sorted(ranges))
        self._starts = [(length, start) for length, start, _ in merged]
        self._ends = [end for _, _, end in merged]

    def __call__(self, identity: str | None) -> bool:
        """Whether the identity is on the list."""
        if identity is None:
            return self._anonymous
        if identity in self._exact:
            return True
        if any(identity[:length] in prefixes for length, prefixes in self._prefixes):
            return ":" not in identity
        if self._starts and identity.isdecimal():
            at = bisect_right(self._starts, (len(identity), int(identity))) - 1
            return at >= 0 and self._starts[at][0] == len(identity) and int(identity) <= self._ends[at]
        return False


def read_entries(entries: Iterable[str], read_list: ReadList) -> Iterator[str]:
    """The entries with every `@file` replaced by its lines; `#` begins a comment that a space precedes."""
    for entry in entries:
        if not entry.startswith("@"):
            yield entry
            continue
        try:
            text = read_list(entry[1:])
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the list {entry[1:]!r} cannot be read: {error}") from None
        for line in text.splitlines():
            line = line.strip()
            if line and not line.startswith("#"):
                yield line.partition(" #")[0].strip()


def _digits(text: str, entry: str) -> str:
    number = canonical_number(text)
    if number is None:
        raise ValueError(
            f"{entry!r} is no number: write 12155550100, 1215*, 12155550000-12155559999, @file,"
            " anonymous or sip:user@host"
        )
    return number


def _uri(entry: str) -> str:
    identity = _canonical_uri(entry.encode())
    if identity is None:
        raise ValueError(f"{entry!r} is no URI that names anybody")
    return identity


def _range(entry: str) -> tuple[int, int, int]:
    start, _, end = entry.partition("-")
    if len(start) != len(end) or int(start) > int(end):
        raise ValueError(f"{entry!r} is no range: both ends have as many digits, and the first is the smaller one")
    return len(start), int(start), int(end)


def _merge(ranges: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    merged: list[tuple[int, int, int]] = []
    for length, start, end in ranges:
        if merged and merged[-1][0] == length and start <= merged[-1][2] + 1:
            merged[-1] = (length, merged[-1][1], max(end, merged[-1][2]))
        else:
            merged.append((length, start, end))
    return merged
