"""Makes the tables of `sbc_filter/sip/` that say how each region writes its numbers, from the phonenumbers metadata.

    python tests/make_numbering.py       (make numbering)

`region_table.py` has a row for each region, `country_table.py` one for each country calling code. Both are functions of
the metadata's version alone. Look at the difference before you commit it.

The metadata describes today's numbers digit by digit. Little of that is taken over, because it ages: lengths, prefixes,
and the leading digits of numbers where two readings have to be distinguished.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import phonenumbers
from phonenumbers import PhoneMetadata
from support.digit_patterns import DigitPattern, digit_pattern

NUMBERING = Path(__file__).parent.parent / "sbc_filter" / "numbering"
KINDS = {
    "fixed_line": "fixed",
    "mobile": "mobile",
    "toll_free": "toll-free",
    "premium_rate": "premium",
    "shared_cost": "service",
    "personal_number": "service",
    "pager": "service",
    "uan": "service",
    "voicemail": "service",
    "voip": "voip",
}
"""The types of the metadata, and what we call them."""
BY_HAND = {"US": ("933", "988"), "CA": ("933", "988")}
"""Numbers that the metadata does not call emergency numbers: the test number of 911, and the crisis line."""
NANP = "1"
KIND_DEPTH = 4  # leading digits of a national number by which its kind is known
LEAD_DEPTH = 4  # leading digits that distinguish a national number from an international one
E164_LENGTHS = range(11, 18)  # a number that long may well be an international one


def main() -> None:
    """Write both tables."""
    for name, table in (("region_table", region_table()), ("country_table", country_table())):
        (NUMBERING / f"{name}.py").write_text(table)


def region_table() -> str:
    """The text of `region_table.py`."""
    rows = (f'    "{region}": r"{row(region)}",\n' for region in sorted(phonenumbers.SUPPORTED_REGIONS))
    return f'''"""Numbering plans by region, made by `make numbering`. The fields are those of `numbering_plans`."""

METADATA = "{phonenumbers.__version__}"  # version of phonenumbers
REGIONS = {{
{"".join(rows)}}}
'''


def country_table() -> str:
    """The text of `country_table.py`."""
    by_code: dict[str, list[PhoneMetadata]] = {}
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        data = metadata(region)
        by_code.setdefault(str(data.country_code), []).append(data)
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        shared = PhoneMetadata.metadata_for_nongeo_region(code)
        assert shared is not None
        by_code[str(code)] = [shared]
    rows = (f'    "{code}": "{" ".join(country_row(code, by_code[code]))}",\n' for code in sorted(by_code))
    return f'''"""Lengths and kinds of numbers by country calling code, made by `make numbering`."""

COUNTRIES = {{
{"".join(rows)}}}
'''


def metadata(region: str) -> PhoneMetadata:
    """The metadata of a region."""
    data = PhoneMetadata.metadata_for_region(region)
    assert data is not None
    return data


# Countries.


def country_row(code: str, regions: Sequence[PhoneMetadata]) -> Iterator[str]:
    """The lengths of numbers without the country code, then for each kind the leading digits that only it has."""
    lengths = {length for region in regions for length in possible(region)}
    yield numbers(lengths)
    patterns = [
        (kind, digit_pattern(description.national_number_pattern))
        for region in regions
        for name, kind in KINDS.items()
        if (description := getattr(region, name)) and description.national_number_pattern
    ]
    found: dict[str, list[str]] = {}
    _kinds(patterns, "", found, KIND_DEPTH - 1 if code == NANP else KIND_DEPTH)
    for kind in sorted(found):
        yield f"{kind}={spans(found[kind])}"


def possible(region: PhoneMetadata) -> Iterable[int]:
    """The lengths of its national numbers. In NANP ten digits: 310 with seven cannot be called from abroad."""
    return [10] if region.country_code == int(NANP) else lengths_of(region)


def lengths_of(region: PhoneMetadata) -> tuple[int, ...]:
    """The lengths of its national numbers in the metadata."""
    assert region.general_desc is not None
    return tuple(region.general_desc.possible_length)


def _kinds(patterns: list[tuple[str, DigitPattern]], lead: str, found: dict[str, list[str]], depth: int) -> None:
    alive = [(kind, pattern) for kind, pattern in patterns if pattern.walk(lead)]
    kinds = {kind for kind, _ in alive}
    if len(kinds) == 1:
        found.setdefault(kinds.pop(), []).append(lead)
    elif kinds and len(lead) < depth:
        for digit in "0123456789":
            _kinds(alive, lead + digit, found, depth)


def spans(digits: Iterable[str]) -> str:
    """`1,3-5`: sorted, with runs of the same length in short."""
    runs: list[list[str]] = []
    for each in sorted(digits, key=lambda each: (len(each), each)):
        if runs and len(runs[-1][-1]) == len(each) and int(runs[-1][-1]) + 1 == int(each):
            runs[-1][1:] = [each]
        else:
            runs.append([each])
    return ",".join("-".join(run) for run in runs)


def numbers(lengths: Iterable[int]) -> str:
    """`8-11`: the same of lengths."""
    runs: list[list[int]] = []
    for each in sorted(lengths):
        if runs and runs[-1][-1] + 1 == each:
            runs[-1][1:] = [each]
        else:
            runs.append([each])
    return ",".join("-".join(map(str, run)) for run in runs)


# Regions.


def row(region: str) -> str:
    """The row of a region."""
    data = metadata(region)
    fields = [str(data.country_code)]
    abroad, trunk = data.international_prefix, data.national_prefix_for_parsing
    if abroad:
        fields.append(f"{'i' if abroad.isdigit() else 'I'}={abroad}")
    if trunk:
        fields.append(f"{'t' if trunk.isdigit() else 'T'}={trunk}")
    if data.national_prefix_transform_rule:
        before, _, group = data.national_prefix_transform_rule.partition("\\")
        assert int(group) == re.compile(trunk or "").groups, "only the last group is kept"
        fields.append(f"R={before}")
    fields.append(f"n={leads_of(after_trunk(data))}")
    bare = leads_of(without_trunk(data))
    if bare:
        fields.append(f"b={bare}")
    emergency = emergency_numbers(region)
    if emergency:
        fields.append(f"e={spans(emergency)}")
    assert not any(set(field) & set(' "') for field in fields)
    return " ".join(fields)


def emergency_numbers(region: str) -> list[str]:
    """The emergency numbers of a region."""
    short = PhoneMetadata.short_metadata_for_region(region)
    described = short.emergency if short else None
    found = set(digit_pattern(described.national_number_pattern).numbers()) if described else set()
    return sorted({*found, *BY_HAND.get(region, ())})


def leads_of(leads: Iterable[tuple[int, list[str]]]) -> str:
    """`9/10-11/12:1,3`: lengths with the leading digits of their numbers; with none for any digits."""
    by_leads: dict[str, list[int]] = {}
    for length, found in leads:
        if found:
            by_leads.setdefault(spans(found) if found != [""] else "", []).append(length)
    return "/".join(numbers(lengths) + (f":{leads}" if leads else "") for leads, lengths in by_leads.items())


def after_trunk(data: PhoneMetadata) -> Iterator[tuple[int, list[str]]]:
    """National numbers after their trunk prefix. Leading digits distinguish them from international numbers that begin
    like the prefix: none begins with zero."""
    trunk = data.national_prefix
    zero = not trunk or trunk.startswith("0") or trunk == str(data.country_code)
    for length in possible(data):
        patterns = types(data, length)
        yield length, [""] if zero else [lead for digit in "0123456789" for lead in _leads(patterns, length, digit, 1)]


def without_trunk(data: PhoneMetadata) -> Iterator[tuple[int, list[str]]]:
    """National numbers as they are written without a trunk prefix. Where international numbers without "+" may be as
    long, or begin with a trunk prefix, only leading digits that are in use mean a national one."""
    code, trunk = str(data.country_code), data.national_prefix or ""
    lengths = possible(data)
    for length in lengths:
        patterns = types(data, length)
        leads = sorted(_bare(data, patterns, length, ""))
        if length in E164_LENGTHS:
            leads = [each for lead in leads for each in _leads(patterns, length, lead, LEAD_DEPTH)]
        elif length - len(code) in lengths:
            leads = [each for lead in leads for each in _around(code, patterns, length, lead)]
        elif trunk and not trunk.startswith("0"):
            leads = [each for lead in leads for each in _around(trunk, patterns, length, lead)]
        yield length, list(_merged(leads))


def _around(prefix: str, patterns: list[DigitPattern], length: int, lead: str) -> Iterator[str]:
    """Leading digits that continue `lead`: any, but after this prefix only those in use."""
    if lead.startswith(prefix):
        yield from _leads(patterns, length, lead, len(prefix) + 2)
    elif prefix.startswith(lead):
        for digit in "0123456789":
            yield from _around(prefix, patterns, length, lead + digit)
    else:
        yield lead


def types(data: PhoneMetadata, length: int) -> list[DigitPattern]:
    """The patterns of a region's numbers of this length."""
    whole = lengths_of(data)
    described = (getattr(data, name) for name in KINDS)
    found = (each for each in described if each and length in (each.possible_length or whole))
    return [digit_pattern(each.national_number_pattern) for each in found]


def viable(patterns: list[DigitPattern], length: int, lead: str) -> bool:
    """Whether a number of this length begins with these digits."""
    return any(pattern.fits(pattern.walk(lead), length - len(lead)) for pattern in patterns)


def _leads(patterns: list[DigitPattern], length: int, lead: str, depth: int) -> Iterator[str]:
    if viable(patterns, length, lead):
        if len(lead) >= depth:
            yield lead
        else:
            for digit in "0123456789":
                yield from _leads(patterns, length, lead + digit, depth)


def _merged(leads: Iterable[str]) -> Iterator[str]:
    """The same leading digits, with a shorter one in place of all ten that continue it."""
    found = set(leads)
    for size in range(max(map(len, found), default=0), 0, -1):
        for parent in {lead[:-1] for lead in found if len(lead) == size}:
            children = {parent + digit for digit in "0123456789"}
            if children <= found:
                found -= children
                found.add(parent)
    yield from sorted(found)


def _bare(data: PhoneMetadata, patterns: list[DigitPattern], length: int, lead: str) -> list[str]:
    """The leading digits with which all numbers are written without a trunk prefix, as short as possible."""
    if not viable(patterns, length, lead):
        return []
    if not data.national_prefix:
        return [lead]
    written = _format(data, length, lead)
    if written is not None:
        return [lead] if written else []
    if len(lead) == length:
        return []
    children = [digit for digit in "0123456789" if viable(patterns, length, lead + digit)]
    below = {digit: _bare(data, patterns, length, lead + digit) for digit in children}
    if all(below[digit] == [lead + digit] for digit in children):
        return [lead]
    return [each for found in below.values() for each in found]


def _format(data: PhoneMetadata, length: int, lead: str) -> bool | None:
    """Whether numbers with these leading digits are written without the trunk prefix; None if that depends on more."""
    trunk = data.national_prefix or ""
    main = phonenumbers.region_code_for_country_code(data.country_code or 0)
    for each in metadata(main).number_format:
        if not digit_pattern(each.pattern).accepts_length(length):
            continue
        leading = each.leading_digits_pattern
        reached = digit_pattern(leading[-1]).reached(lead) if leading else True
        if reached is None:
            return None
        if reached:
            rule = each.national_prefix_formatting_rule or ""
            return trunk not in rule or bool(each.national_prefix_optional_when_formatting)
    return not metadata(main).number_format


if __name__ == "__main__":
    main()
