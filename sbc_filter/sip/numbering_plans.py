"""Numbering plans: how each region writes its telephone numbers (RFC 8224 §8.3; S-042, S-043).

`plan_named` makes the plan of a region from its row in `region_table`. The fields of a row, after the country code:

- `i=`, `I=`: the international prefix, in digits or as a pattern.
- `t=`, `T=`: the trunk prefix, in digits or as a pattern. `R=` is what the pattern's match is replaced with.
- `n=`: lengths of national numbers without the trunk prefix, `/` between groups. `:` and leading digits limit a group.
- `b=`: the same of national numbers that are written without a trunk prefix.
- `e=`: emergency numbers.

The patterns have bounded repetitions only, and the numbers that they are matched with at most `MAX_DIGITS` digits.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from sbc_filter.sip.country_codes import expand, possible
from sbc_filter.sip.region_table import REGIONS

MAX_DIGITS = 32  # of any number; the longest are French ones with a portability prefix (S-043)
_SHORTEST = 7  # digits of an international number after the prefix
_LONGEST_PREFIX = 10  # digits of an international prefix
_ROUTING = {"FR": 5}  # the metadata has no portability prefixes

Leads = Mapping[int, tuple[str, ...]]
"""The leading digits of numbers, by the length of the number."""


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
    international_pattern: "re.Pattern[str] | None" = None
    trunk_pattern: "re.Pattern[str] | None" = None
    transform: str = ""  # what the last group of the trunk pattern becomes, if it matches

    def normalise(self, digits: str) -> str:
        """The international form of digits dialled without "+"; unchanged if they cannot be converted."""
        for prefix in self.international:
            if digits.startswith(prefix) and len(digits) >= len(prefix) + _SHORTEST:
                return digits[len(prefix) :]
        if self.international_pattern is not None:
            abroad = _after_prefix(self.international_pattern, digits)
            if abroad:
                return abroad
        national = digits.removeprefix(self.trunk) if self.trunk else ""
        if self.trunk_pattern is not None:
            national = _after_trunk(self.trunk_pattern, self.transform, digits)
        if national and national != digits and _begins(national, self.national):
            return self.country + national
        return self.country + digits if _begins(digits, self.bare) else digits

    def subscriber(self, number: str) -> str:
        """The number without its routing prefix: the called party is the same with and without it."""
        if not self.routing or not number.isdigit() or not number.startswith(self.country):
            return number
        behind = len(self.country) + self.routing
        return self.country + number[behind:] if len(number) - behind in self.national else number


def _begins(digits: str, leads: Leads) -> bool:
    found = leads.get(len(digits))
    return found is not None and digits.startswith(found)


def _after_prefix(pattern: "re.Pattern[str]", digits: str) -> str:
    """What follows an international prefix; empty without one. Of several prefixes the longest counts that leaves a
    possible number: in Hong Kong `0085221234567` begins with 00, not with 008."""
    if len(digits) > MAX_DIGITS or not pattern.match(digits):
        return ""
    for end in range(min(len(digits) - _SHORTEST, _LONGEST_PREFIX), 0, -1):
        if pattern.fullmatch(digits, 0, end) and possible(digits[end:]):
            return digits[end:]
    match = pattern.match(digits)
    return digits[match.end() :] if match and len(digits) >= match.end() + _SHORTEST else ""


def _after_trunk(pattern: "re.Pattern[str]", transform: str, digits: str) -> str:
    """A national number without its trunk prefix and carrier code, or with its area code; empty without a prefix."""
    match = pattern.match(digits) if len(digits) <= MAX_DIGITS else None
    if match is None or not match.end():
        return ""
    rest = digits[match.end() :]
    return match.expand(transform) + rest if transform and match[pattern.groups] is not None else rest


@lru_cache(maxsize=512)
def plan_named(name: str) -> Profile | None:
    """The plan of a region (ISO 3166 code, in any letter case), or one of `PROFILES`; None if there is none."""
    row = REGIONS.get(name.upper()) if name.isascii() else None
    return _plan(name.upper(), row) if row is not None else PROFILES.get(name.lower())


def _plan(region: str, row: str) -> Profile:
    country, *fields = row.split()
    values = {each[0]: each[2:] for each in fields}
    international, trunk = values.get("I"), values.get("T")
    return Profile(
        region,
        country,
        (values["i"],) if "i" in values else (),
        values.get("t", ""),
        _leads(values.get("n", "")),
        _leads(values.get("b", "")),
        _ROUTING.get(region, 0),
        tuple(expand(values["e"])) if "e" in values else (),
        re.compile(international) if international else None,
        re.compile(trunk) if trunk else None,
        values.get("R", ""),
    )


def _leads(text: str) -> Leads:
    """`8-9/10:1,30-32` as leading digits by length; one empty string stands for any digits."""
    found: dict[int, tuple[str, ...]] = {}
    for group in filter(None, text.split("/")):
        lengths, _, leads = group.partition(":")
        for length in expand(lengths):
            found[int(length)] = tuple(expand(leads))
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
