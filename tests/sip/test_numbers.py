"""Canonical identities: RFC 8224 §8 and the traps of STANDARDS §4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.numbering.numbering_plans import PROFILES
from sbc_filter.sip import grammar
from sbc_filter.sip.numbers import NoParty, canonical_number, canonicaliser, dialled, reader


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
        ("1" * 32, "1" * 32),
        ("1" * 33, None),
        ("1-" * 32, "1" * 32),
        ("²", None),
        ("1\0", None),
        ("１２", None),
    ],
)
def test_number_of_a_token(text: str, number: str | None) -> None:
    assert canonical_number(text) == number


NUMBER = "19005550123"
ANONYMOUS, AMBIGUOUS = NoParty.ANONYMOUS, NoParty.AMBIGUOUS


@pytest.mark.parametrize(
    ("uri", "party"),
    [
        # A number, whatever the host and the letter case.
        (b"sip:+19005550123@h", NUMBER),
        (b"sip:+19005550123@anonymous.invalid", NUMBER),
        (b"SIP:+19005550123@anonymous.invalid", NUMBER),
        (b"sip:19005550123@anonymous.invalid", NUMBER),
        (b"sip:9005550123@unknown.invalid", NUMBER),
        (b"sip:%2b19005550123@anonymous.invalid", NUMBER),
        (b"sip:+19005550123;x@anonymous.invalid", NUMBER),
        (b"sip:+1900555%30123@anonymous.invalid", NUMBER),
        (b"sip:911@anonymous.invalid", "911"),
        (b"sip:5550123@anonymous.invalid;user=phone", "5550123"),
        (b"sip:+19005550123@h:65535", NUMBER),
        (b"sip:+19005550123@h:5060?Subject=x", NUMBER),
        (b"TEL:+1-900-555-0123", NUMBER),
        (b"sip:+19005550123@h:999999", NUMBER),
        (b"SIP:+19005550123@h:999999", NUMBER),
        (b"Sips:+19005550123@[h];x", NUMBER),
        # A URI.
        (b"sip:alice@h", "sip:alice@h"),
        (b"sip:5550123@h", "sip:5550123@h"),
        (b"sip:unavailable@carrier.example", "sip:unavailable@carrier.example"),
        (b"sip:alice@invalid.example", "sip:alice@invalid.example"),
        (b"sip:alice@notinvalid", "sip:alice@notinvalid"),
        (b"urn:service:sos", "urn:service:sos"),
        # No party.
        (b"sip:anonymous@anonymous.invalid", ANONYMOUS),
        (b"sips:ANONYMOUS@h", ANONYMOUS),
        (b"sip:%61nonymous@h", ANONYMOUS),
        (b"sip:anonymous:secret@h;user=phone", ANONYMOUS),
        (b"sip:anonymous;x=1@h", ANONYMOUS),
        (b"sip:unavailable@unknown.invalid", ANONYMOUS),
        (b"sip:Restricted@carrier.example", ANONYMOUS),
        (b"sip:alice@Anonymous.INVALID", ANONYMOUS),
        (b"sip:alice@deep.below.invalid.", ANONYMOUS),
        (b"sip:alice@invalid", ANONYMOUS),
        (b"sip:alice1234@unknown.invalid", ANONYMOUS),
        (b"sip:192.0.2.1", ANONYMOUS),
        (b"sip:@sbc.example:5060", ANONYMOUS),
        (b"tel:anonymous", ANONYMOUS),
        (b"tel:Unavailable;phone-context=h", ANONYMOUS),
        (b"mailto:alice@h", ANONYMOUS),
        (b"sip:%C3%A9ric@unknown.invalid", ANONYMOUS),
        # A number that the standard does not allow there, and that some SIP stack shows.
        (b"sip:5550123@anonymous.invalid", AMBIGUOUS),
        (b"sip:+1900555012x@anonymous.invalid", AMBIGUOUS),
        (b"sip:*67@unknown.invalid", AMBIGUOUS),
        (b"sip:;1234567@unknown.invalid", AMBIGUOUS),
        (b"sip::1234567@unknown.invalid", AMBIGUOUS),
        (b"sip:%AB1234567@unknown.invalid", AMBIGUOUS),
        (b"sip:+19005550123@a@b", AMBIGUOUS),
        (b"sip:anonymous@+19005550123@h", AMBIGUOUS),
        (b"sip:+19005550123%00@h", AMBIGUOUS),
        (b"sip:+19005550123%01@h", AMBIGUOUS),
        (b"sip:+19005550123%0a@h", AMBIGUOUS),
        (b"sip:+19005550123%7f@anonymous.invalid", AMBIGUOUS),
        (b"sip:%00+19005550123@h", AMBIGUOUS),
        (b"sip:19005550123\0@h", AMBIGUOUS),
        (b"sip:alice%00@h", AMBIGUOUS),
        (b"sip:anonymous%00@h", AMBIGUOUS),
        (b"sip:alice@h:999999", AMBIGUOUS),
        (b"sip:19005550123@h:999999", AMBIGUOUS),
        (b"sip:+19005550123@h:999999?x", AMBIGUOUS),
        (b"sip:%2b19005550123;x@h]:", AMBIGUOUS),
        (b"sip:anonymous@[h]", AMBIGUOUS),
        (b"sip:+1900555012x@h]:", AMBIGUOUS),
        (b"sip:+19005550123", AMBIGUOUS),
        (b"sip:1(900)555-0123", AMBIGUOUS),
        (b"sip:%2b19005550123", AMBIGUOUS),
        (b"sip:alice;x@h:999999", AMBIGUOUS),
        (b"sip:19005550123?@h:999999", AMBIGUOUS),
        (b"sip:", AMBIGUOUS),
        (b"pres:+19005550123@h", AMBIGUOUS),
        (b"im:%31900%35550123@h", AMBIGUOUS),
        (b"http://19005550123@h", AMBIGUOUS),
        (b"sipx:+1-9-0-0-5-5-5@h", AMBIGUOUS),
        (b"tel:+19005550123?x", AMBIGUOUS),
        (b"tel:%2b19005550123", AMBIGUOUS),
        (b"tel:+19005550123@h", AMBIGUOUS),
        (b"tel:+19005550123\0", AMBIGUOUS),
        (b"tel:alice", AMBIGUOUS),
        (b"tel:", AMBIGUOUS),
        (b"tel:+" + b"1" * 33, AMBIGUOUS),
        (b"sip:+" + b"1" * 300 + b"@anonymous.invalid", AMBIGUOUS),
        # Digits that have another country before them.
        (b"sip:9005550123;phone-context=+49@h;user=phone", "499005550123"),
        (b"tel:19005550123;PHONE-CONTEXT=+49", "4919005550123"),
        (b"tel:9005550123;phone-context=+1", NUMBER),
        (b"tel:5550123;phone-context=+1-900", NUMBER),
        (b"tel:9005550123;phone-context=h", NUMBER),
    ],
)
def test_who_a_uri_says_it_is(uri: bytes, party: str | NoParty) -> None:
    assert reader()(uri) == party
    assert canonicaliser()(uri) == (None if isinstance(party, NoParty) else party)


def test_a_local_number_in_its_own_country_is_read_as_it_is_dialled_there() -> None:
    uri = b"tel:0123456789;phone-context=+33"
    assert reader(PROFILES["france"])(uri) == "33123456789"
    assert reader(PROFILES["e164"])(uri) == "330123456789"
    assert (
        reader(PROFILES["france"])(b"tel:3312345678;phone-context=+33") == "333312345678"
    )  # 33 is no country code here
    assert reader(PROFILES["france"])(b"tel:33123456789;phone-context=+33") == "33123456789"


HOSTS = ["h", "anonymous.invalid", "a.b", "[2001:db8::1]", "[h]", "h:5060", "h:999999", "h:", "::", "[", "h[", "h.:1:2"]


@given(st.text("0123456789", max_size=34), st.sampled_from(HOSTS), st.sampled_from(["", ";user=phone", ";a;b=c", ";"]))
def test_the_usual_form_is_read_as_any_other(digits: str, host: str, parameters: str) -> None:
    """In capitals it does not take the short way, and is the same party."""
    uri = f"sip:+{digits}@{host}{parameters}".encode()
    assert grammar.PLAIN_NUMBER.fullmatch(uri.upper()) is None
    assert reader()(uri) == reader()(b"SIP" + uri[3:])
    plain = grammar.PLAIN_ADDRESS.match(b"<" + uri + b">\r\n")
    assert plain is None or plain[2].decode() == reader()(uri)


@given(st.text('+09*#-.()%:;=@?[]"<> \0\x7fé١', max_size=20), st.sampled_from(["sip:", "SIPS:", "tel:", "im:"]))
def test_a_uri_with_seven_digits_is_never_anonymous(text: str, scheme: str) -> None:
    """A letter in front of them makes them a name: `sip:a1234567@anonymous.invalid`."""
    uri = f"{scheme}{text[:9]}1234567{text[9:]}@anonymous.invalid".encode()
    assert reader()(uri) is not NoParty.ANONYMOUS


@pytest.mark.parametrize(
    ("identity", "digits"),
    [
        ("sip:3900@h", "3900"),
        ("sips:118712@h", "118712"),
        ("sip:alice@h", "sip:alice@h"),
        ("sip:3900", "sip:3900"),
        ("sip:@h", "sip:@h"),
        ("sip:١٢@h", "sip:١٢@h"),
        ("sip:3900;x@h", "sip:3900;x@h"),
        ("12155550100", "12155550100"),
        ("3900@h", "3900"),
    ],
)
def test_the_digits_of_a_uri_that_is_only_digits(identity: str, digits: str) -> None:
    assert dialled(identity) == digits


@given(st.binary(max_size=80))
def test_any_uri_has_an_identity_or_none(uri: bytes) -> None:
    for prefix in (b"", b"sip:", b"tel:", b"sip:+1"):
        identity = canonicaliser()(prefix + uri)
        assert identity is None or identity
