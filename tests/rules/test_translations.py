"""The map `translations`: its entries, their faults, and the keys of a rule that use it."""

import pytest
from support.calls import VERIFY
from support.growth import LINEAR, growth

from sbc_filter.errors import ConfigurationError
from sbc_filter.rules.model import RequestUriCheck, VerifyOptions
from sbc_filter.rules.number_list import Entries
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.translations import Translations

A, B = "18005550100", "12155550123"
FORM = "write 18005550100 = 12155550123, 1215* = 12155550100 or * = 9991*"


@pytest.mark.parametrize(
    "entry",
    [
        f"{A} {B}",
        f"{A}\t{B}",
        f"{A} = {B}",
        f"{A}={B}",
        f" {A} =  {B} ",
        f"+{A} +{B}",
        "+1 800 555-0100 = (1215) 555.0123",
    ],
)
def test_one_number_to_another(entry: str) -> None:
    translates = Translations([entry])
    assert translates(A, B)
    assert not translates(B, A)
    assert not translates(A, A)
    assert not translates(A, B + "0")
    assert not translates("sip:a@b", B)


@pytest.mark.parametrize(
    ("entry", "explained", "not_explained"),
    [
        (f"* = {B}", [(A, B), ("3900", B), (B, B)], [(A, A), ("sip:a@b", B)]),
        (f"1800* = {B}", [(A, B)], [("18885550100", B), (A, A)]),
        (f"18005550100-18005550109 = {B}", [(A, B), ("18005550109", B)], [("18005550110", B), ("180055501000", B)]),
        ("* = 9991*", [(A, "9991" + A), ("3900", "99913900")], [(A, "9991" + B), (A, A), (A, "9991"), (A, "999")]),
        ("1* = *", [(A, A[1:])], [(A, A), (A, A[2:]), (A, "2" + A[1:])]),
        ("1800* = 49*", [(A, "495550100")], [(A, "495550101"), (A, "499555010"), ("18885550100", "495550100")]),
        ("* = #31#*", [(A, "#31#" + A)], [(A, "31" + A)]),
    ],
)
def test_many_numbers(entry: str, explained: list[tuple[str, str]], not_explained: list[tuple[str, str]]) -> None:
    translates = Translations([entry])
    assert [pair for pair in explained if not translates(*pair)] == []
    assert [pair for pair in not_explained if translates(*pair)] == []


def test_entries_add_up() -> None:
    """Several numbers may arrive as one, and one as several."""
    translates = Translations([f"{A} {B}", f"{A} 12155550124", f"1888* {B}", f"1877* {B}", "1* 91*", "49* 91*"])
    assert translates(A, B)
    assert translates(A, "12155550124")
    assert translates("18885550100", B)
    assert translates("18775550100", B)
    assert translates("12155550199", "912155550199")
    assert translates("4930123456", "9130123456")
    assert not translates("4830123456", "9130123456")


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (A, f"is not a translation: {FORM}"),
        (f"{A} {B} {B}", f"is not a translation: {FORM}"),
        (f"{A} =", f"is not a translation, because '' is not a number: {FORM}"),
        (f"= {B}", f"is not a translation, because '' is not a number: {FORM}"),
        (f"{A} = {B} = {B}", f"is not a translation, because '{B} = {B}' is not a number: {FORM}"),
        (f"{A} sip:a@b", f"is not a translation, because 'sip:a@b' is not a number: {FORM}"),
        (f"anonymous {B}", f"is not a translation, because 'anonymous' is not a number: {FORM}"),
        (f"{A} 1215*", f"is not a translation, because only its right side ends with *: {FORM}"),
        (f"{A} {B}-{B}1", f"is not a translation, because '{B}-{B}1' is not a number: {FORM}"),
        (f"1{'0' * 40} {B}", f"is not a translation, because '1{'0' * 40}' is not a number: {FORM}"),
        (f"x* {B}", "'x*' is not a number"),
        (f"1-22 {B}", "'1-22' is not a range"),
        ("* x*", "is not a translation, because 'x' is not a number"),
    ],
)
def test_faults(entry: str, fault: str) -> None:
    with pytest.raises(ValueError, match="is not") as caught:
        Translations([entry])
    assert fault in str(caught.value)


def test_a_fault_names_file_and_line_and_reading_goes_on() -> None:
    text = f"# map\n\n{A}\n{A} {B}  # ours\nx y\nx* {B}\n"
    faults: list[str] = []
    entries = Entries(["@map.txt"], lambda _: text, faults.append)
    assert Translations(entries, entries.report)(A, B)
    assert faults == [
        f"map.txt, line 3: '{A}' is not a translation: {FORM}",
        f"map.txt, line 5: 'x y' is not a translation, because 'x' is not a number: {FORM}",
        "map.txt, line 6: 'x*' is not a number: write 12155550100, 1215*, 12155550000-12155559999, @file, anonymous or "
        "sip:user@host",
    ]


def options(text: str) -> VerifyOptions:
    return load_rules({"r.toml": f"{VERIFY}[rule.verify]\n{text}\n"}, str)[0].rules[0].verify


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", RequestUriCheck.NOTE),
        ('check_request_uri = "off"', RequestUriCheck.OFF),
        ('check_request_uri = "note"', RequestUriCheck.NOTE),
        ('check_request_uri = "require"', RequestUriCheck.REQUIRE),
        ("check_called = false", RequestUriCheck.OFF),
        ('check_called = false\ncheck_request_uri = "off"', RequestUriCheck.OFF),
    ],
)
def test_check_request_uri(text: str, expected: RequestUriCheck) -> None:
    assert options(text).check_request_uri is expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('check_request_uri = "on"', "check_request_uri: is 'on'; allowed are 'note', 'off', 'require'"),
        (
            'check_called = false\ncheck_request_uri = "note"',
            "check_request_uri: compares the Request-URI with `dest`, which check_called = false does not",
        ),
        (
            f'check_request_uri = "off"\ntranslations = "{A} {B}"',
            "translations: are for check_request_uri, which is off here: leave one of them out",
        ),
        ("translations = []", "translations: is an empty list: add an entry, or leave the key out"),
        ('translations = "@none"', "translations: the list 'none' cannot be read: none"),
        ('translations = "@empty"', "translations: the list 'empty' is empty"),
        ('translations = "@bad"', f"translations: bad, line 2: 'x' is not a translation: {FORM}"),
        ("translations = 5", "translations: has to be a list of strings, not 5"),
    ],
)
def test_problems(text: str, sentence: str) -> None:
    def read(name: str) -> str:
        if name == "none":
            raise OSError("none")
        return {"empty": "# nothing\n", "bad": f"{A} {B}\nx\n"}[name]

    with pytest.raises(ConfigurationError) as caught:
        load_rules({"r.toml": f"{VERIFY}[rule.verify]\n{text}\n"}, read)
    assert [str(each) for each in caught.value.problems] == [f"r.toml: rule 'verify' (line 1): verify.{sentence}"]


def test_a_target_of_any_length_costs_the_same() -> None:
    """Only as many beginnings are tried as entries have lengths: a Request-URI may have thousands of octets."""
    entries = Translations(["* = 9991*", "1215* = 1800*"])
    assert growth(lambda size: [entries("1" * size, "2" * size) for _ in range(200)], 16_000) < LINEAR
    assert entries("12155550100", "999112155550100")
    assert entries("12155550100", "18005550100")
    assert not entries("", "9991")
