"""Which records an operator asks for."""

import json

import pytest

from sbc_filter.numbering.numbering_plans import plan_named
from sbc_filter.recent.wanted import Wanted, is_number, record_of

RECORD = {
    "time": 1.8e9, "outcome": "invalid", "call_id": "call-1@carrier.example", "trunk": "acme", "orig": "13125550123",
    "dest": ["12155550100"], "token_orig": "12155550177", "token_dest": ["12155550188"], "request_uri": None,
    "raw_ruri": "sip:+1-215-555-0166@192.0.2.1;user=phone", "raw_to": '"215" <sip:12155550100@sbc.example>',
    "raw_from": "<sip:alice@example.org>;tag=f1", "raw_pai": "<tel:+14045550155>, <sip:x@y>",
}  # fmt: skip


def line(**fields: object) -> bytes:
    return json.dumps({**RECORD, **fields}).encode() + b"\n"


@pytest.mark.parametrize(
    "number",
    [
        "13125550123", "+13125550123", "+1 (312) 555-0123", "(312) 555.0123", "3125550123", "011 1 3125550123",
        "tel:+1-312-555-0123", "sip:+13125550123@anywhere.example", "SIP:13125550123@x;user=phone",
        "+1 (0) 312 555 0123",
        "12155550100", "12155550177", "12155550188", "+1 215 555 0166", "tel:+14045550155", "sip:alice@example.org",
    ],
)  # fmt: skip
def test_a_number_in_any_notation_wherever_the_record_has_it(number: str) -> None:
    assert is_number(number)
    assert Wanted(number)(line())


@pytest.mark.parametrize("number", ["13125550124", "0123", "sip:bob@example.org", "2155550199", "+493012345678"])
def test_another_number_is_not_found(number: str) -> None:
    assert not Wanted(number)(line())


def test_a_national_number_of_another_country() -> None:
    french = plan_named("FR")
    assert french is not None
    assert Wanted("01 42 68 53 00", profile=french)(line(orig="33142685300"))
    assert not Wanted("01 42 68 53 00")(line(orig="33142685300"))


def test_a_call_id_also_of_a_record_that_was_cut() -> None:
    assert Wanted(call_id="call-1@carrier.example")(line())
    assert not Wanted(call_id="call-1@carrier.exampl")(line())
    assert Wanted(call_id="x" * 3000)(line(call_id="x" * 1024 + "…"))
    assert Wanted(call_id='"\\\x1b\u00e9"')(line(call_id='"\\\x1b\u00e9"'))
    assert not Wanted(call_id="x" * 3000)(line(call_id="…"))


def test_all_that_is_given_has_to_match() -> None:
    assert Wanted("13125550123", trunk="acme")(line())
    assert not Wanted("13125550123", trunk="other")(line())
    assert not Wanted("13125550123", "call-2@carrier.example")(line())
    assert Wanted()(b"anything")


@pytest.mark.parametrize("text", ["call-1@192.0.2.1", "3848276298220188511@atlanta.example.com", "", "abc", "12-ab"])
def test_what_is_not_a_number(text: str) -> None:
    assert not is_number(text)


@pytest.mark.parametrize("bad", [b"", b"\n", b"{", b"[]", b"7", b'{"a": 1}', b"\xff", b"[" * 100_000, b'{"time":1}'])
def test_what_is_not_a_record(bad: bytes) -> None:
    assert record_of(bad) == {}
    assert not Wanted(call_id="x")(bad)


@pytest.mark.parametrize(
    "damage",
    [{"time": "x"}, {"time": -1}, {"time": 1e300}, {"time": float("nan")}, {"time": 10**400}, {"time": None},
     {"outcome": 7}, {"outcome": ["invalid"]}, {"dest": 7}, {"token_dest": "12155550100"}],
)  # fmt: skip
def test_a_record_with_a_field_that_no_reader_understands_is_not_one(damage: dict[str, object]) -> None:
    assert record_of(line()) == RECORD
    assert record_of(line(**damage)) == {}


def test_characters_that_are_not_unicode() -> None:
    """An argument, or a line of a file, may have unpaired surrogates."""
    assert not Wanted("sip:\ud800@example.org")(line())
    assert Wanted("sip:alice@example.org")(line(raw_to="sip:\udc80@x", raw_pai="sip:\ud800"))


def test_fields_of_other_types_are_no_match() -> None:
    odd = line(orig=5, dest=[None, {"a": 1}], raw_from=["x"], call_id=7, trunk=None, token_dest=[])
    assert not Wanted("99125550100")(odd)
