"""Canonical identities: RFC 8224 §8 and the traps of STANDARDS §4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.sip.numbering_plans import PROFILES
from sbc_filter.sip.numbers import canonical_number, canonicaliser


@pytest.mark.parametrize(
    ("uri", "identity"),
    [
        (b"tel:+12155551212", "12155551212"),
        (b"sip:+1-(215)-555-1212@x;user=phone", "12155551212"),  # S-041
        (b"sip:+12155551212;npdi;rn=+16095550000@h;user=phone", "12155551212"),  # S-041 TRAP
        (b"sip:+12155551212;tgrp=a;trunk-context=1@h", "12155551212"),
        (b"tel:+12155551212;ext=5", "12155551212"),
        (b"tel:+12155551212;verstat=TN-Validation-Passed", "12155551212"),
        (b"sip:+12155551212:password@h", "12155551212"),
        (b"sip:%2B12155551212@h", "12155551212"),
        (b"tel:5551212;phone-context=+1215", "12155551212"),  # S-042
        (b"sip:2155551212@h", "12155551212"),
        (b"sip:12155551212@h", "12155551212"),
        (b"sip:01133123456789@h", "33123456789"),
        (b"sip:+1234567890123456@h", "1234567890123456"),  # S-043: no cap at 15 digits
        (b"sip:911@h", "911"),
        (b"sip:15@h", "15"),  # service codes have two or three digits
        (b"sip:5@h", "sip:5@h"),
        (b"sip:1234@h", "sip:1234@h"),
        (b"tel:5", "5"),
        (b"tel:911;phone-context=+1", "911"),  # and are of no prefix
        (b"tel:1212;phone-context=+1215555", "12155551212"),
        (b"tel:*67", "*67"),
        (b"SIP:Al%69ce:secret@EXAMPLE.com:5060;transport=tcp?Subject=x", "sip:alice@example.com"),  # S-044
        (b"sip:1001@pbx", "sip:1001@pbx"),
        (b"urn:service:sos.fire", "urn:service:sos.fire"),
        (b"sip:anonymous@anonymous.invalid", None),  # S-045, S-121
        (b"sip:Anonymous@x", None),
        (b"sip:bob@anonymous.invalid", None),
        (b"sip:bob@Anonymous.INVALID", None),  # host names have no case
        (b"sip:bob@anonymous.invalid.example", "sip:bob@anonymous.invalid.example"),
        (b"tel:+" + b"1" * 32, "1" * 32),  # the longest number
        (b"tel:+" + b"1" * 33, None),
        (b"sip:+" + b"1" * 32 + b"@h", "1" * 32),
        (b"sip:+" + b"1" * 33 + b"@h", f"sip:+{'1' * 33}@h"),
        (b"sip:example.com", None),
        (b"mailto:a@b", None),
    ],
)
def test_identity_of_a_uri(uri: bytes, identity: str | None) -> None:
    assert canonicaliser()(uri) == identity


@pytest.mark.parametrize(
    ("uri", "identity"),
    [
        (b"sip:0123456789@h", "33123456789"),
        (b"sip:0033123456789@h", "33123456789"),
        (b"tel:+33123456789", "33123456789"),
        (b"tel:123456789", "123456789"),  # a national number has its trunk prefix
    ],
)
def test_france(uri: bytes, identity: str) -> None:
    assert canonicaliser(PROFILES["france"])(uri) == identity


@pytest.mark.parametrize(
    ("uri", "identity"),
    [
        (b"tel:0033123456789", "33123456789"),
        (b"tel:33123456789", "33123456789"),
        (b"tel:0123456789", "0123456789"),  # national numbers are as they are written
        (b"tel:2155551212", "2155551212"),
        (b"tel:00123456", "00123456"),  # too short to be an international one
        (b"tel:001234567", "1234567"),
    ],
)
def test_e164(uri: bytes, identity: str) -> None:
    assert canonicaliser(PROFILES["e164"])(uri) == identity


@pytest.mark.parametrize(
    ("profile", "number", "subscriber"),
    [
        ("france", "3300011123456789", "33123456789"),  # S-043
        ("france", "33123456789", "33123456789"),
        ("france", "330001112345678", "330001112345678"),  # a digit less
        ("france", "33000111234567890", "33000111234567890"),  # a digit more
        ("france", "4400011123456789", "4400011123456789"),  # another country's
        ("france", "33000111234567*9", "33000111234567*9"),
        ("nanp", "12155551212", "12155551212"),
        ("e164", "3300011123456789", "3300011123456789"),
    ],
)
def test_s043_the_subscriber_without_what_only_routes(profile: str, number: str, subscriber: str) -> None:
    assert PROFILES[profile].subscriber(number) == subscriber


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+1 215-555-1212", "12155551212"),
        ("12155551212", "12155551212"),
        ("*67", "*67"),
        ("", None),
        ("+", None),
        ("1a", None),
        ("१", None),
        ("+" + "1" * 32, "1" * 32),
        ("+" + "1" * 33, None),
    ],
)
def test_number_of_a_token(text: str, number: str | None) -> None:
    assert canonical_number(text) == number


@given(st.binary(max_size=80))
def test_any_uri_has_an_identity_or_none(uri: bytes) -> None:
    for prefix in (b"", b"sip:", b"tel:", b"sip:+1"):
        identity = canonicaliser()(prefix + uri)
        assert identity is None or identity
