"""Date values (S-050, S-056), with the standard library as oracle."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.sip.date import format_date, parse_date


def test_the_example_of_rfc_8225() -> None:
    assert format_date(1471375418) == "Tue, 16 Aug 2016 19:23:38 GMT"
    assert parse_date(b"Tue, 16 Aug 2016 19:23:38 GMT") == 1471375418


@given(st.integers(0, 2**33))
def test_agrees_with_the_standard_library(at: int) -> None:
    assert format_date(at) == formatdate(at, usegmt=True)
    assert parse_date(format_date(at).encode()) == at


@pytest.mark.parametrize(
    "value",
    [
        b"Fri, 01 Jan 2010 16:00:00 EST",  # RFC 4475 baddate
        b"Mon, 16 Aug 2016 19:23:38 GMT",  # a Tuesday
        b"Wed, 31 Feb 2016 19:23:38 GMT",
        b"Tue, 16 Aug 2016 24:00:00 GMT",
        b"Tue, 00 Aug 2016 19:23:38 GMT",
        b"",
        b"1471375418",
    ],
)
def test_nonsense_is_no_date(value: bytes) -> None:
    assert parse_date(value) is None
