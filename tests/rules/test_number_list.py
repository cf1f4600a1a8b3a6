"""Lists of numbers: every form of an entry, what is on them and what is not (DESIGN §5, STANDARDS §4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.rules.number_list import Entries, NumberList

FILES = {
    "numbers.txt": "# our customers\n\n12155550100\n  12155550101  # a comment\r\n1216*\n12175550000-12175550009\n",
    "parties.txt": "anonymous\n*67\n#31# is a comment\nsip:bob@example.com # a URI\n",
}


def read_file(name: str) -> str:
    if name not in FILES:
        raise FileNotFoundError(2, "No such file or directory")
    return FILES[name]


@pytest.mark.parametrize(
    ("entries", "on", "off"),
    [
        ([], [], ["12155550100", None, "", "sip:a@b"]),
        (["12155550100"], ["12155550100"], ["1215555010", "121555501000", "12155550101", "+12155550100", None]),
        (["+1 215-555-1212", "1(215)555.1213"], ["12155551212", "12155551213"], ["+12155551212"]),  # S-041
        (["911"], ["911"], ["9110", "1911"]),  # S-042: service codes are used as they are
        (["*67"], ["*67"], ["67", "*", "*671"]),
        (["#31#"], ["#31#"], ["31"]),
        (["*67*"], ["*67", "*6712155550100"], ["*6", "67"]),
        (["1215*"], ["1215", "12155550100", "1215*67"], ["121", "1216", "", None, "sip:1215@pbx"]),
        (["+1 215*"], ["12155550100"], ["1216"]),
        (["1*", "1215*"], ["1", "1999"], ["2", ""]),
        (["*"], ["1", "*67", "33123456789"], [None, "sip:alice@example.com"]),
        (
            ["12155550000-12155559999"],
            ["12155550000", "12155555555", "12155559999"],
            ["12155549999", "12155560000", "1215555000", "121555500000", "1215555*000", None],
        ),
        (["000-009"], ["000", "007", "009"], ["0", "7", "010", "0007"]),  # digits, not quantities
        (["7-7"], ["7"], ["6", "8"]),
        (["100-200", "150-250", "240-300", "302-303"], ["100", "175", "250", "300", "302"], ["99", "301", "304"]),
        (["100-300", "150-160"], ["149", "155", "300"], ["99", "301"]),
        (["100-199", "200-299"], ["199", "200"], ["099", "300"]),
        (["10-20", "100-200"], ["15", "150"], ["150150", "5", "99", "21"]),
        (["anonymous"], [None], ["anonymous", "12155550100", "sip:anonymous@example.com"]),  # S-045
        (["sip:Alice@EXAMPLE.com"], ["sip:alice@example.com"], ["sip:bob@example.com", "sips:alice@example.com"]),
        (["sip:+12155550100@example.com"], ["12155550100"], ["sip:+12155550100@example.com"]),  # S-040
        (["tel:+1-215-555-0100"], ["12155550100"], []),
        (
            ["@numbers.txt", "12185550100"],
            ["12155550100", "12155550101", "12165550100", "12175550005", "12185550100"],
            ["12155550102", "12175550010", None],
        ),
        (["@parties.txt"], [None, "*67", "sip:bob@example.com"], ["67", "#31#", "sip:alice@example.com"]),
    ],
)
def test_what_is_on_a_list(entries: list[str], on: list[str | None], off: list[str | None]) -> None:
    listed = NumberList(Entries(entries, read_file))
    assert [identity for identity in on if not listed(identity)] == []
    assert [identity for identity in off if listed(identity)] == []


UNUSABLE = "is not a number: write 12155550100, 1215*, 12155550000-12155559999, @file, anonymous or sip:user@host"
NO_RANGE = "is not a range: both ends have as many digits, and the first is the smaller one"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("", f"'' {UNUSABLE}"),
        ("alice", f"'alice' {UNUSABLE}"),
        ("Anonymous", f"'Anonymous' {UNUSABLE}"),
        ("١٢٣", f"'١٢٣' {UNUSABLE}"),  # digits, but none that S-011 knows
        ("1215?", f"'1215?' {UNUSABLE}"),
        ("12+15", f"'12+15' {UNUSABLE}"),
        ("20-10", f"'20-10' {NO_RANGE}"),
        ("10-200", f"'10-200' {NO_RANGE}"),
        ("-10", f"'-10' {NO_RANGE}"),
        ("sip:example.com", "'sip:example.com' is not a URI that identifies a party"),
        ("http://example.com", "'http://example.com' is not a URI that identifies a party"),
        ("sip:anonymous@anonymous.invalid", "'sip:anonymous@anonymous.invalid' is not a URI that identifies a party"),
        ("@none.txt", "the list 'none.txt' cannot be read: No such file or directory"),
        ("²-³", f"'²-³' {UNUSABLE}"),
        ("١-٢", f"'١-٢' {UNUSABLE}"),
    ],
)
def test_what_is_no_entry(entry: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        NumberList(Entries([entry], read_file))
    assert str(caught.value) == sentence


ENTRY = st.one_of(
    st.from_regex(r"[0-9]{1,4}", fullmatch=True),
    st.from_regex(r"[0-9]{0,3}\*", fullmatch=True),
    st.integers(1, 4).flatmap(
        lambda length: st.tuples(*[st.integers(0, 10**length - 1)] * 2).map(
            lambda ends: f"{min(ends):0{length}}-{max(ends):0{length}}"
        )
    ),
    st.just("anonymous"),
)
IDENTITY = st.one_of(st.none(), st.from_regex(r"[0-9]{1,5}", fullmatch=True), st.just("sip:1@h"))


def on_any(entries: list[str], identity: str | None) -> bool:
    """The same question, asked the slow way: entry by entry."""
    for entry in entries:
        if entry == "anonymous":
            found = identity is None
        elif identity is None or ":" in identity:
            found = False
        elif entry.endswith("*"):
            found = identity.startswith(entry[:-1])
        elif "-" in entry:
            start, _, end = entry.partition("-")
            found = len(identity) == len(start) and start <= identity <= end
        else:
            found = identity == entry
        if found:
            return True
    return False


@given(st.lists(ENTRY, max_size=12), st.lists(IDENTITY, min_size=1, max_size=20))
def test_a_list_agrees_with_a_naive_one(entries: list[str], identities: list[str | None]) -> None:
    listed = NumberList(entries)
    assert [listed(identity) for identity in identities] == [on_any(entries, identity) for identity in identities]


@given(st.text(max_size=30))
def test_any_identity_can_be_asked_for(identity: str) -> None:
    listed = NumberList(["12155550100", "1216*", "10-20", "anonymous"])
    assert listed(identity) in (True, False)


def test_s043_a_number_of_any_length_can_be_asked_for() -> None:
    """From: <sip:+111...@h> may be as long as a datagram."""
    assert not NumberList(["12155550000-12155559999"])("1" * 5000)


def test_a_million_numbers() -> None:
    listed = NumberList(str(number) for number in range(12_150_000_000, 12_152_000_000, 2))
    asked = range(12_149_999_000, 12_152_001_000, 997)
    expected = [number % 2 == 0 and 12_150_000_000 <= number < 12_152_000_000 for number in asked]
    assert [listed(str(number)) for number in asked] == expected


def test_a_hundred_thousand_ranges() -> None:
    listed = NumberList(f"{start}-{start + 4}" for start in range(12_150_000_000, 12_151_000_000, 10))
    asked = range(12_149_999_995, 12_150_001_000)
    assert [listed(str(number)) for number in asked] == [n >= 12_150_000_000 and n % 10 < 5 for n in asked]
