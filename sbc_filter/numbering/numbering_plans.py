"""Numbering plans: how each region writes its telephone numbers (RFC 8224 §8.3; S-042, S-043).

`plan_named` makes the plan of a region from its row in `region_table`. The fields of a row, after the country code:

- `i=`, `I=`: the international prefix, in digits or as a pattern.
- `t=`, `T=`: the trunk prefix, in digits or as a pattern.
- `R=`: what replaces the match of that pattern, together with its last group, if the last group matches.
- `n=`: lengths of national numbers without the trunk prefix, `/` between groups. `:` and leading digits limit a group.
- `b=`: the same of national numbers that are written without a trunk prefix.
- `e=`: emergency numbers.

The patterns have bounded repetitions only, so a match takes bounded time, however many digits there are.
"""

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

from sbc_filter.numbering.country_codes import expand, possible
from sbc_filter.numbering.region_table import REGIONS

MAX_DIGITS = 32  # of any number; the longest are French ones with a portability prefix (S-043)
_SHORTEST = 7  # digits of an international number after the prefix
_LONGEST_PREFIX = 10  # digits of an international prefix
_ROUTING = {"FR": 5}  # the metadata has no portability prefixes

Leads = dict[int, tuple[str, ...]]
"""The leading digits of numbers, by the length of the number; an empty tuple stands for any digits."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How a country writes numbers that are not in international form (S-042), and which prefixes it adds to them."""

    name: str
    country: str = ""
    international: tuple[str, ...] = ()  # prefixes that mean "+"
    trunk: str = ""  # prefix of a national number
    national: Leads = field(default_factory=dict)  # national numbers without the trunk prefix
    bare: Leads = field(default_factory=dict)  # national numbers that may be written without it
    routing: int = 0  # digits of the prefix after the country code of a ported number (S-043)
    emergency: tuple[str, ...] = ()
    patterns: "Patterns | None" = None

    def normalise(self, digits: str) -> str:
        """The international form of digits dialled without "+"; unchanged if they cannot be converted."""
        for prefix in self.international:
            if digits.startswith(prefix) and len(digits) >= len(prefix) + _SHORTEST:
                return digits[len(prefix) :]
        if self.patterns is not None:
            found = self.patterns.normalise(digits, self.country, self.national)
            if found:
                return found
        trunk = self.trunk
        if trunk and digits.startswith(trunk):
            national = digits[len(trunk) :]
            leads = self.national.get(len(national))
            if leads is not None and (not leads or national.startswith(leads)):
                return self.country + national
        leads = self.bare.get(len(digits))
        return self.country + digits if leads is not None and (not leads or digits.startswith(leads)) else digits

    def subscriber(self, number: str) -> str:
        """The number without its routing prefix: the called party is the same with and without it."""
        if not self.routing or not number.isdigit() or not number.startswith(self.country):
            return number
        behind = len(self.country) + self.routing
        return self.country + number[behind:] if len(number) - behind in self.national else number


@dataclass(frozen=True, slots=True)
class Patterns:
    """The prefixes of a country that are not one sequence of digits."""

    international: "re.Pattern[str] | None"
    trunk: "re.Pattern[str] | None"
    transform: str | None  # what precedes the last group of `trunk`, if that matches, in place of the whole match

    def normalise(self, digits: str, country: str, lengths: Leads) -> str:
        """The international form of digits with one of these prefixes; empty without one."""
        if self.international is not None and self.international.match(digits):
            return _after_prefix(self.international, digits)
        if self.trunk is None:
            return ""
        match = self.trunk.match(digits)
        if match is None or not match.end():
            return ""
        national = digits[match.end() :]
        last = match[self.trunk.groups] if self.transform is not None else None
        if last is not None:
            national = f"{self.transform}{last}{national}"
        leads = lengths.get(len(national))
        return country + national if leads is not None and (not leads or national.startswith(leads)) else ""


def _after_prefix(pattern: "re.Pattern[str]", digits: str) -> str:
    """What follows an international prefix. Of several prefixes the longest counts that leaves a possible number: in
    Hong Kong `0085221234567` begins with 00, not with 008."""
    for end in range(min(len(digits) - _SHORTEST, _LONGEST_PREFIX), 0, -1):
        if pattern.fullmatch(digits, 0, end) and possible(digits[end:]):
            return digits[end:]
    match = pattern.match(digits)
    return digits[match.end() :] if match and len(digits) >= match.end() + _SHORTEST else ""


@lru_cache(maxsize=512)
def plan_named(name: str) -> Profile | None:
    """The plan of a region (ISO 3166 code, in any letter case), or one of `PROFILES`; None if there is none."""
    row = REGIONS.get(name.upper()) if name.isascii() else None
    return _plan(name.upper(), row) if row is not None else PROFILES.get(name.lower())


def _plan(region: str, row: str) -> Profile:
    country, *fields = row.split()
    values = {each[0]: each[2:] for each in fields}
    return Profile(
        region,
        country,
        (values["i"],) if "i" in values else (),
        values.get("t", ""),
        _leads(values.get("n", "")),
        _leads(values.get("b", "")),
        _ROUTING.get(region, 0),
        tuple(expand(values["e"])) if "e" in values else (),
        Patterns(_pattern(values, "I"), _pattern(values, "T"), values.get("R")) if {"I", "T"} & values.keys() else None,
    )


def _pattern(values: dict[str, str], key: str) -> "re.Pattern[str] | None":
    return re.compile(values[key]) if key in values else None


def _leads(text: str) -> Leads:
    """`8-9/10:1,30-32` as leading digits by length."""
    found: Leads = {}
    for group in filter(None, text.split("/")):
        lengths, _, leads = group.partition(":")
        for length in expand(lengths):
            found[int(length)] = tuple(expand(leads)) if leads else ()
    return found


PROFILES = {
    "e164": Profile("e164", international=("00",)),
    "nanp": replace(_plan("US", REGIONS["US"]), name="nanp"),
    "france": replace(_plan("FR", REGIONS["FR"]), name="france"),
}
NANP = PROFILES["nanp"]
AS_WRITTEN = Profile("as-written")
EMERGENCY = ("911", "112", "933", "urn:service:sos*")
"""The emergency numbers of every region: 911 and its test number, 112 of GSM, and RFC 5031."""


def emergency_of(plan: Profile) -> tuple[str, ...]:
    """The emergency numbers of a plan as `[network].emergency` lists them.

    Without `user=phone` only two or three digits are a number, so a longer or shorter one is listed as a URI, too.
    """
    more = [number for number in plan.emergency if number not in EMERGENCY]
    uris = [f"sip:{number}@*" for number in more if len(number) not in (2, 3)]
    return (*EMERGENCY[:-1], *more, *uris, EMERGENCY[-1])
