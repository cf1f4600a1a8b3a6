"""S-080, S-081, S-085: the TN Authorization List, byte for byte."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.pki import der
from sbc_filter.pki.tnauthlist import MAX_ENTRIES, TnAuthList, encode_tnauthlist, parse_tnauthlist

SPC = "3008 a006 1604 31323334"
ONE = "300f a20d 160b 3132313535353531323132"
RANGE = "3015 a113 3011 160b 3132313535353531303030 0202 03e8"


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (SPC, TnAuthList(("1234",))),
        (ONE, TnAuthList(numbers=frozenset({"12155551212"}))),
        (RANGE, TnAuthList(ranges=(("12155551000", 1000),))),
        ("3010 a006 1604 31323334 a006 1604 3735354a", TnAuthList(("1234", "755J"))),
        ("3007 a205 1603 2a3637", TnAuthList(numbers=frozenset({"*67"}))),
        ("300e a006 1604 31323334 a204 1602 3233", TnAuthList(("1234",), (), frozenset({"23"}))),
        ("300a a108 3006 1601 37 0201 02", TnAuthList(ranges=(("7", 2),))),
        ("300b a109 3007 1601 37 0202 0080", TnAuthList(ranges=(("7", 128),))),
    ],
)
def test_s080_written_and_read(octets: str, value: TnAuthList) -> None:
    assert parse_tnauthlist(bytes.fromhex(octets)) == value
    assert encode_tnauthlist(value) == bytes.fromhex(octets)


@pytest.mark.parametrize("lenient", [False, True])
def test_s080_the_longest(lenient: bool) -> None:
    longest = TnAuthList(("A" * 16,), (("1" * 15, 2**63 - 1),), frozenset({"*" * 15}))
    assert parse_tnauthlist(encode_tnauthlist(longest), lenient=lenient) == longest
    for more in (TnAuthList(("A" * 17,)), TnAuthList((), (("1" * 16, 2),)), TnAuthList((), (("1", 2**63),))):
        with pytest.raises(CertificateError):
            parse_tnauthlist(encode_tnauthlist(more), lenient=lenient)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("", "truncated"),
        ("30", "truncated"),
        ("3000", "0 entries"),
        ("3108 a006 1604 31323334", "not one element with the tag 0x30"),
        ("3008 a006 1604 31323334 00", "not one element with the tag 0x30"),
        ("3008 a006 1604 313233", "truncated"),
        ("3009 a006 1604 31323334 00", "truncated"),
        ("3008 a006 1603 31323334", "not one element with the tag 0x16"),  # one octet too many inside
        ("300b a109 3007 1601 37 0202 0002", "a count that is not minimal"),
        ("300b a109 3007 1601 37 0202 007f", "a count that is not minimal"),
        ("300c a10a 3008 1601 37 0203 000080", "a count that is not minimal"),
        ("3011 a10f 300d 1601 37 0208 0000000000000002", "a count that is not minimal"),
        ("3080 a006 1604 31323334 0000", "a length out of bounds"),  # indefinite: BER, not DER
        ("308108 a006 1604 31323334", "a length that is not minimal"),
        ("3085 0000000008 a006 1604 31323334", "a length out of bounds"),
        ("3008 bf06 1604 31323334", "a tag of more than one octet"),
        ("3008 a306 1604 31323334", "an entry with the tag 0xa3"),
        ("3008 a006 1304 31323334", "not one element with the tag 0x16"),
        ("3004 a002 1600", "an SPC that is not digits and letters"),
        ("3008 a006 1604 3735 2d4a", "an SPC that is not digits and letters"),
        ("3007 a205 1603 2b3132", "a number that is not 1 to 15 of 0-9, # and *"),  # "+"
        ("3004 a202 1600", "a number that is not 1 to 15 of 0-9, # and *"),
        ("3014 a212 1610 31323334353637383930313233343536", "a number that is not 1 to 15 of 0-9, # and *"),
        ("300a a108 3006 1601 37 0201 01", "a range that starts with no digit or counts less than 2"),
        ("300a a108 3006 1601 37 0201 ff", "a range that starts with no digit or counts less than 2"),
        ("300a a108 3006 1601 2a 0201 02", "a range that starts with no digit or counts less than 2"),
        ("3009 a107 3005 1601 37 0200", "a range that is not a number and a count"),
        ("3007 a105 3003 1601 37", "a range that is not a number and a count"),
        ("300d a10b 3009 1601 37 0201 02 0201 02", "a range that is not a number and a count"),
        ("3006 8004 31323334", "an entry with the tag 0x80"),  # implicit tags
        ("300d 820b 3132313535353531323132", "an entry with the tag 0x82"),
        ("3006 1304 3735354a", "an entry with the tag 0x13"),  # S-081: a real certificate of 2023
    ],
)
def test_s080_refused(octets: str, why: str) -> None:
    with pytest.raises(CertificateError) as caught:
        parse_tnauthlist(bytes.fromhex(octets))
    assert (caught.value.outcome, caught.value.detail) == (Outcome.UNTRUSTED, Detail.TNAUTHLIST)
    assert str(caught.value) == f"TNAuthList cannot be read: {why}"


@pytest.mark.parametrize(
    ("code", "spc"),
    [
        (b"12ab", "12AB"),
        (b"12aB", "12AB"),
        (b"12AB", "12AB"),
        (b"755j", "755J"),
        (b"abcd", "ABCD"),
        (b"z", "Z"),
        (b"1234", "1234"),
        (b"a" * 16, "A" * 16),
        (b"0", "0"),
        (b"a" * 17, None),
        (b"", None),
        (b"12 b", None),
        (b"12-b", None),
        ("12\u00e4".encode("latin-1"), None),
        ("12\u00df".encode(), None),  # capitals of these letters would be other letters
        (b"12b\0", None),
    ],
)
def test_s081_an_spc_in_any_letter_case(code: bytes, spc: str | None) -> None:
    """RFC 8226 §9: ServiceProviderCode ::= IA5String. 115 of 19,299 production certificates have small letters."""
    octets = der.encode(0x30, der.encode(0xA0, der.encode(0x16, code)))
    if spc is None:
        with pytest.raises(CertificateError):
            parse_tnauthlist(octets)
    else:
        assert parse_tnauthlist(octets).spcs == (spc,)


def test_s087_an_issuer_encompasses_its_spc_in_any_letter_case() -> None:
    small, capital, other = (
        parse_tnauthlist(der.encode(0x30, der.encode(0xA0, der.encode(0x16, code)))) for code in (b"7j", b"7J", b"8j")
    )
    assert small.encompasses(capital)
    assert capital.encompasses(small)
    assert not small.encompasses(other)


def test_s080_the_entries_are_bounded() -> None:
    numbers = frozenset(str(number) for number in range(100_000, 100_000 + MAX_ENTRIES))
    assert parse_tnauthlist(encode_tnauthlist(TnAuthList(numbers=numbers))).numbers == numbers
    with pytest.raises(CertificateError, match=f"{MAX_ENTRIES + 1} entries"):
        parse_tnauthlist(encode_tnauthlist(TnAuthList(numbers=numbers | {"1"})))


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        ("3006 1304 3735354a", TnAuthList(("755J",))),
        ("3006 8004 31323334", TnAuthList(("1234",))),
        ("300d 820b 3132313535353531323132", TnAuthList(numbers=frozenset({"12155551212"}))),
        (SPC, TnAuthList(("1234",))),
        (RANGE, TnAuthList(ranges=(("12155551000", 1000),))),
        ("300b a109 3007 1601 37 0202 0002", TnAuthList(ranges=(("7", 2),))),
        ("300c a10a 3008 1601 37 0203 000080", TnAuthList(ranges=(("7", 128),))),
        ("3011 a10f 300d 1601 37 0208 0000000000000002", TnAuthList(ranges=(("7", 2),))),
    ],
)
def test_s081_lenient_reads_the_two_wrong_encodings_seen_in_the_field(octets: str, value: TnAuthList) -> None:
    assert parse_tnauthlist(bytes.fromhex(octets), lenient=True) == value


@pytest.mark.parametrize("octets", ["3006 1304 37352d6a", "3002 1300", "3002 8000", "3003 8201 2b", "3004 0c02 3132"])
def test_s081_lenient_is_not_blind(octets: str) -> None:
    with pytest.raises(CertificateError):
        parse_tnauthlist(bytes.fromhex(octets), lenient=True)


@pytest.mark.parametrize(
    ("number", "covered"),
    [
        ("12155551000", True),  # the first of the range
        ("12155551999", True),  # the last one
        ("12155552000", False),
        ("12155550999", False),
        ("1215555100", False),  # another length
        ("121555510000", False),
        ("012155551000", False),
        ("12165551212", True),  # named by itself
        ("*67", True),
        ("*68", False),
        ("", False),
        ("sip:12155551000@example.com", False),
        ("١٢١٥٥٥٥١٠٠٠", False),
        ("9" * 5000, False),
    ],
)
def test_s085_what_is_covered(number: str, covered: bool) -> None:
    listed = TnAuthList((), (("12155551000", 1000), ("98", 50)), frozenset({"12165551212", "*67"}))
    assert listed.covers(number) is covered


def test_s085_a_range_does_not_grow_a_digit() -> None:
    listed = TnAuthList(ranges=(("98", 50),))
    assert [listed.covers(number) for number in ("98", "99", "100", "00", "147")] == [True, True, False, False, False]


@contextmanager
def refused_for(detail: Detail) -> Iterator[None]:
    """Good, or refused for this very reason."""
    found = detail
    try:
        yield
    except CertificateError as error:
        found = error.detail
    assert found is detail


@given(st.binary(max_size=60), st.booleans())
def test_garbage_is_refused_in_one_way_only(data: bytes, lenient: bool) -> None:
    for octets in (data, b"\x30" + bytes((len(data),)) + data):
        with refused_for(Detail.TNAUTHLIST):
            parse_tnauthlist(octets, lenient=lenient)


@given(
    st.lists(st.from_regex(r"[0-9A-Z]{1,16}", fullmatch=True), max_size=3),
    st.lists(st.tuples(st.from_regex(r"[0-9]{1,15}", fullmatch=True), st.integers(2, 2**62)), max_size=3),
    st.frozensets(st.from_regex(r"[0-9#*]{1,15}", fullmatch=True), max_size=3),
)
def test_what_is_written_is_read(spcs: list[str], ranges: list[tuple[str, int]], numbers: frozenset[str]) -> None:
    value = TnAuthList(tuple(spcs), tuple(ranges), numbers)
    if spcs or ranges or numbers:
        assert parse_tnauthlist(encode_tnauthlist(value)) == value
