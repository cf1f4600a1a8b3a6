"""Numbering plans of all regions, with the examples of the metadata that they are made of (S-042)."""

import itertools
import re
from collections.abc import Iterator

import make_numbering
import phonenumbers
import pytest
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberFormat
from support.digit_patterns import digit_pattern

from sbc_filter.numbering.numbering_plans import EMERGENCY, PROFILES, emergency_of, plan_named
from sbc_filter.numbering.region_table import METADATA, REGIONS
from sbc_filter.sip.numbers import canonicaliser

NOT_THE_LIBRARYS = {
    # The same digits are a shared-cost number of 8 digits after the country code, and a number in the area 55.
    ("BR", "5540041234"): "555540041234",
    # Seven digits in NANP: they can be called within Canada only.
    ("CA", "3101234"): "3101234",
    # The metadata has no way to write these without their country code.
    ("DE", "16412345"): "16412345",
    ("ZM", "630123456"): "630123456",
    # Six digits after the international prefix: as short as a number and a service code.
    ("IR", "00989601"): "980989601",
    # The same digits are a number of 7 digits after the country code, and one of nine digits in Vietnam.
    ("VN", "841992000"): "84841992000",
}
"""Forms of examples that are read as another number than the example, with that number."""


def digits(number: PhoneNumber, form: int) -> str:
    return re.sub(r"\D", "", phonenumbers.format_number(number, form))


def examples(region: str) -> Iterator[PhoneNumber]:
    """One number of each type that the region has."""
    metadata = make_numbering.metadata(region)
    for name in make_numbering.KINDS:
        described = getattr(metadata, name)
        if described and described.example_number:
            text = described.example_number
            yield phonenumbers.parse(f"+{metadata.country_code}{text}")


def forms(region: str) -> Iterator[tuple[str, str]]:
    """How the examples of a region are written without "+", each with the E.164 number. International prefixes that are
    patterns are tried in up to thirty forms."""
    prefixes = digit_pattern(make_numbering.metadata(region).international_prefix or "").numbers()
    tried = list(itertools.islice(prefixes, 30))
    for number in examples(region):
        e164 = digits(number, PhoneNumberFormat.E164)
        yield e164, e164
        yield digits(number, PhoneNumberFormat.NATIONAL), e164
        yield from ((prefix + e164, e164) for prefix in tried)


def test_every_region_of_the_metadata_has_a_plan() -> None:
    assert sorted(REGIONS) == sorted(phonenumbers.SUPPORTED_REGIONS)
    assert len(REGIONS) >= 245


@pytest.mark.parametrize("region", sorted(REGIONS))
def test_the_national_international_and_e164_form_of_a_number_are_one(region: str) -> None:
    plan = plan_named(region)
    assert plan is not None
    found = {(region, form): plan.normalise(form) for form, e164 in forms(region) if plan.normalise(form) != e164}
    assert found == {key: number for key, number in NOT_THE_LIBRARYS.items() if key[0] == region}


@pytest.mark.parametrize("region", sorted(REGIONS))
def test_emergency_numbers_are_not_completed(region: str) -> None:
    plan = plan_named(region)
    assert plan is not None
    assert [plan.normalise(number) for number in plan.emergency] == list(plan.emergency)
    short = PhoneMetadata.short_metadata_for_region(region)
    pattern = (short and short.emergency and short.emergency.national_number_pattern) or "(?!)"
    by_hand = make_numbering.BY_HAND.get(region, ())
    assert [number for number in plan.emergency if not re.fullmatch(pattern, number) and number not in by_hand] == []


@pytest.mark.skipif(phonenumbers.__version__ != METADATA, reason="the tables are made of another version's metadata")
def test_the_tables_are_those_that_make_numbering_makes() -> None:
    for name in ("region_table", "country_table"):
        made = getattr(make_numbering, name)()
        assert (make_numbering.NUMBERING / f"{name}.py").read_text() == made


@pytest.mark.parametrize(
    ("region", "dialled", "number"),
    [
        ("FR", "0123456789", "33123456789"),
        ("fr", "0033123456789", "33123456789"),
        ("FR", "3900", "3900"),
        ("FR", "118712", "118712"),
        ("GB", "02079460958", "442079460958"),
        ("GB", "1800202079460958", "442079460958"),  # a text relay in front of the number
        ("HU", "0612345678", "3612345678"),
        ("RU", "89123456789", "79123456789"),
        ("RU", "9123456789", "79123456789"),
        ("RU", "81012155550100", "12155550100"),  # 8 is the trunk prefix, 810 the international one
        ("ES", "612345678", "34612345678"),
        ("ES", "34612345678", "34612345678"),
        ("SG", "91234567", "6591234567"),
        ("SG", "6591234567", "6591234567"),  # ten digits: a national number of Singapore would begin with 800
        ("SG", "18001234567", "6518001234567"),
        ("SG", "12155550100", "12155550100"),  # eleven digits of another country, and no 1800 of Singapore
        ("IT", "0612345678", "390612345678"),
        ("AU", "0412345678", "61412345678"),
        ("AU", "1300123456", "611300123456"),  # written without a trunk prefix
        ("AU", "1831412345678", "61412345678"),  # after a prefix that hides the caller
        ("AU", "001112155550100", "12155550100"),
        ("BR", "02111961234567", "5511961234567"),  # 21 is a carrier
        ("BR", "002112155550100", "12155550100"),
        ("AR", "01115123456789", "01115123456789"),  # a digit too many
        ("AR", "0111523456789", "5491123456789"),  # 15 after the area code becomes 9 before it
        ("AR", "12155550100", "12155550100"),  # a number of Argentina with eleven digits begins with 9
        ("AG", "4641234", "12684641234"),  # seven digits have the area code of the island
        ("HK", "0085221234567", "85221234567"),
        ("HK", "0018613123456789", "8613123456789"),  # 001 is a carrier's
        ("MX", "5512345678", "525512345678"),
        ("KR", "15881234", "8215881234"),
        ("US", "2155550100", "12155550100"),
        ("US", "12155550100", "12155550100"),
        ("US", "0112155550100", "2155550100"),
        ("US", "1234567890", "1234567890"),  # no area code begins with 1
        ("nanp", "2155550100", "12155550100"),
        ("France", "0123456789", "33123456789"),
    ],
)
def test_how_numbers_are_written_in_a_region(region: str, dialled: str, number: str) -> None:
    plan = plan_named(region)
    assert plan is not None
    assert plan.normalise(dialled) == number


@pytest.mark.parametrize("name", ["", "XX", "F", "FRA", "fr ", "ＦＲ", "ſn", "nan", "as-written"])
def test_other_names_have_no_plan(name: str) -> None:
    assert plan_named(name) is None


def test_the_plan_of_france_is_that_of_the_region() -> None:
    region, france = plan_named("FR"), PROFILES["france"]
    assert region is not None
    for number in ("3300011123456789", "33123456789"):  # S-043
        assert region.subscriber(number) == france.subscriber(number) == "33123456789"


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("e164", EMERGENCY),
        ("nanp", ("911", "112", "933", "988", "urn:service:sos*")),
        ("FR", ("911", "112", "933", "15", "17", "18", "urn:service:sos*")),
        ("SE", ("911", "112", "933", "90000", "sip:90000@*", "urn:service:sos*")),  # too long for a bare service code
    ],
)
def test_the_emergency_numbers_of_a_region_add_to_those_of_all(name: str, listed: tuple[str, ...]) -> None:
    plan = plan_named(name)
    assert plan is not None
    assert emergency_of(plan) == listed


@pytest.mark.parametrize("region", sorted(REGIONS))
def test_any_digits_can_be_dialled(region: str) -> None:
    """The digits come from an attacker: a form that a pattern almost matches takes no longer than others."""
    plan = plan_named(region)
    assert plan is not None
    for digit, length in itertools.product("0189", (1, 6, 7, 10, 31, 32, 33, 100_000)):
        number = plan.normalise(digit * length)
        assert number.isdecimal()
        assert len(number) <= length + 7
    assert canonicaliser(plan)(b"tel:" + b"0" * 33) is None


@pytest.mark.parametrize("pattern", ["1*", "1+", "(1|2", "1{2,}", r"\w", r"(1)\1", "[a-z]", "1)"])
def test_a_pattern_without_bounds_is_refused(pattern: str) -> None:
    """A pattern of the metadata gets into the tables only if it was read as one of digits with bounded repetitions."""
    with pytest.raises(ValueError, match=r"."):
        digit_pattern(pattern)
