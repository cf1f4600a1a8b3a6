"""Patterns of the grammar where Python's own matching is known to differ between versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.sip.grammar import PARAMETERS, PLAIN_ADDRESS, UNCLEAN, cleaned


@pytest.mark.parametrize("text", [b"", b";a", b";a=b", b";a=", b' ; a = "b;\\"c" ;d=<sip:x> ', b";a=[2001:db8::1]"])
def test_parameters(text: bytes) -> None:
    assert PARAMETERS.fullmatch(text) is not None


@pytest.mark.parametrize("text", [b";", b";a;", b";a ; ", b";a=b;\r\n ", b";a=;", b";;a", b";a b", b';a="b'])
def test_what_begins_like_a_parameter_is_none(text: bytes) -> None:
    """Until Python 3.11.4 a possessive group keeps the bytes of a repetition that fails (CPython issue 106052)."""
    assert PARAMETERS.fullmatch(text) is None


@pytest.mark.parametrize("behind", [b";", b";tag=a;", b";tag=", b";tag=a; ", b" ;tag=a"])
def test_a_plain_address_has_whole_parameters_behind_it(behind: bytes) -> None:
    """What is not plain takes the long way, which refuses or reads it."""
    assert PLAIN_ADDRESS.match(b"<sip:+12155550100@h>" + behind + b"\r\n") is None


def test_both_are_linear() -> None:
    """The engine of regular expressions counts no steps; that nothing is repeated shows where quadratic time would
    never end: a megabyte."""
    many = b";a=b" * 250_000
    assert PARAMETERS.fullmatch(many + b";") is None
    assert PLAIN_ADDRESS.match(b"<sip:+12155550100@h>" + many + b";\r\n") is None


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"\x01", b"\t", b"\x7f", b"a", b"\xff"])).map(b"".join))
def test_cleaned_text_has_a_blank_for_each_octet_at_which_some_parser_ends_a_line(text: bytes) -> None:
    assert cleaned(text) == UNCLEAN.sub(b" ", text)


def test_cleaned_text() -> None:
    assert cleaned(b"a\0b\rc\r\nd\ne\tf\x7f\r\r\n") == b"a b c\r\nd\ne\tf  \r\n"
