"""Country calling codes (E.164): which lengths and which kinds of numbers each of them has.

Lengths are as old as the metadata, but countries hardly ever change them. Patterns of numbers in use are not kept.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache

from sbc_filter.numbering.country_table import COUNTRIES

_LONGEST = 3  # digits of a country code; no code begins with another one


class NumberKind(StrEnum):
    """What a number is for, as far as its leading digits say."""

    FIXED = "fixed"
    MOBILE = "mobile"
    TOLL_FREE = "toll-free"
    PREMIUM = "premium"
    SERVICE = "service"  # shared cost, personal, company-wide, pager, voicemail
    VOIP = "voip"


def country_of(number: str) -> str | None:
    """The country code that a canonical number begins with; None if that code is not assigned."""
    for size in range(1, _LONGEST + 1):
        if number[:size] in _LENGTHS:
            return number[:size]
    return None


def possible(number: str) -> bool:
    """Whether an E.164 number of this country code and length can exist (A7). The number is canonical, without "+".

    Any digits after the country code will do: new ranges open every year. Always false for short codes, `*` and `#`.
    """
    country = country_of(number)
    if country is None or not number.isdecimal():
        return False
    return len(number) - len(country) in _LENGTHS[country]


def kind_of(number: str) -> NumberKind | None:
    """The kind of a canonical number; None if its leading digits do not say, as with most of North America."""
    country = country_of(number)
    if country is None:
        return None
    for kind, leads in _kinds(country):
        if number.startswith(leads, len(country)):
            return kind
    return None


def expand(spans: str) -> Iterator[str]:
    """The digits that a table writes as `1,30-32`: 1, 30, 31, 32. An empty text is one empty string: any digits."""
    if not spans:
        yield ""
        return
    for span in spans.split(","):
        first, _, last = span.partition("-")
        for each in range(int(first), int(last or first) + 1):
            yield f"{each:0{len(first)}}"


@lru_cache(maxsize=256)
def _kinds(country: str) -> tuple[tuple[NumberKind, tuple[str, ...]], ...]:
    fields = (field.partition("=") for field in COUNTRIES[country].split()[1:])
    return tuple((NumberKind(kind), tuple(expand(spans))) for kind, _, spans in fields)


_LENGTHS = {country: frozenset(map(int, expand(row.partition(" ")[0]))) for country, row in COUNTRIES.items()}
