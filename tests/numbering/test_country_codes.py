"""Country calling codes: lengths that can exist (A7), and kinds of numbers."""

import phonenumbers
import pytest
from make_numbering import lengths_of, metadata

from sbc_filter.numbering.country_codes import NumberKind, country_of, kind_of, possible
from sbc_filter.numbering.country_table import COUNTRIES


@pytest.mark.parametrize(
    ("number", "can_exist"),
    [
        ("12155550100", True),
        ("121555501", False),  # +1 with eight digits
        ("121555501001", False),  # and with eleven
        ("0012155550100", False),  # an international prefix
        ("5550100", False),  # a local number: 55 is Brazil, whose numbers have eight digits at least
        ("2155550100", False),  # no country
        ("33123456789", True),
        ("3312345678", False),
        ("3300011123456789", False),  # with a portability prefix: nobody calls from such a number
        ("49301", False),
        ("4930123456", True),
        ("80012345678", True),  # international freephone has a country code of its own
        ("78001234567", True),
        ("99912345678", False),
        ("1", False),
        ("", False),
        ("911", False),
        ("*67", False),
        ("1215555010#", False),
        ("1" * 100_000, False),
        ("１２１５５５５０１００", False),
        ("sip:12155550100@h", False),
    ],
)
def test_lengths_that_can_exist(number: str, can_exist: bool) -> None:
    assert possible(number) is can_exist


def test_every_length_of_the_metadata_can_exist() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        data = metadata(region)
        for length in lengths_of(data) if data.country_code != 1 else (10,):
            assert possible(f"{data.country_code}{'2' * length}"), region


def test_no_country_code_begins_with_another() -> None:
    assert [code for code in COUNTRIES if any(code[:size] in COUNTRIES for size in range(1, len(code)))] == []
    assert len(COUNTRIES) >= 200


@pytest.mark.parametrize(
    ("number", "country"),
    [("12155550100", "1"), ("33", "33"), ("35312345678", "353"), ("0", None), ("210", None), ("", None)],
)
def test_the_country_of_a_number(number: str, country: str | None) -> None:
    assert country_of(number) == country


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("33123456789", NumberKind.FIXED),
        ("33612345678", NumberKind.MOBILE),
        ("33800123456", NumberKind.TOLL_FREE),
        ("33891123456", NumberKind.PREMIUM),
        ("33806123456", NumberKind.SERVICE),
        ("33912345678", NumberKind.VOIP),
        ("18005550100", NumberKind.TOLL_FREE),
        ("19005550100", NumberKind.PREMIUM),
        ("12155550100", None),  # fixed or mobile: in North America the number does not say
        ("611800123456", NumberKind.TOLL_FREE),
        ("80012345678", NumberKind.TOLL_FREE),
        ("0", None),
        ("", None),
    ],
)
def test_the_kind_of_a_number(number: str, kind: NumberKind | None) -> None:
    assert kind_of(number) is kind


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_kinds_agree_with_the_library(region: str) -> None:
    """Where the leading digits say a kind, every example of the metadata with these digits is of that kind."""
    kinds = {"fixed_line": "fixed", "mobile": "mobile", "toll_free": "toll-free", "premium_rate": "premium"}
    for name, expected in kinds.items():
        described = getattr(metadata(region), name)
        if described and described.example_number:
            kind = kind_of(f"{metadata(region).country_code}{described.example_number}")
            assert kind in (None, expected)
