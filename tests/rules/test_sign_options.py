"""`[rule.sign]`, what most rules leave out: every wrong value is refused with one sentence."""

import pytest
from support.calls import ORIGID

from sbc_filter.errors import ConfigurationError
from sbc_filter.rules.model import SignOptions
from sbc_filter.rules.rule_file import load_rules

DIGEST = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
LISTED = 'numbers = "12155550100"\n'


def options(text: str) -> SignOptions:
    rule = f'[[rule]]\nname = "s"\naction = "sign"\n[rule.sign]\ncredential = "ours"\norigid = "{ORIGID}"\n{text}\n'
    return load_rules({"s.toml": rule}, str, ["ours"])[0].rules[0].sign


def test_all_are_off() -> None:
    default = options("")
    assert (default.trust_sbc_attestation, default.attest_max, default.max_size, default.skips_private) == (
        False,
        "B",
        None,
        False,
    )
    assert (default.removes_reason, default.claims, default.media_keys, default.div) == (False, {}, False, False)


@pytest.mark.parametrize(
    ("text", "key", "sentence"),
    [
        ('attest_max = "A"', "attest_max", "limits what the SBC asks for: it belongs to honour = true"),
        ('honour = true\nattest_max = "D"', "attest_max", "is 'D'; allowed are 'A', 'B', 'C'"),
        ('attest_unlisted = "A"', "attest_unlisted", "is never better than B"),
        (
            'attest_unlisted = "none"',
            "attest_unlisted",
            "is none and there are no `numbers`, so no call would be signed: add them",
        ),
        ("div = true", "div", "signs for your own numbers only: name them in `numbers`"),
        ("max_size = 575", "max_size", "has to be a whole number from 576 to 65535, not 575"),
        ('attest_impossible = "A"', "attest_impossible", "is 'A'; allowed are 'C', 'none'"),
        ('privacy = "drop"', "privacy", "is 'drop'; allowed are 'sign', 'skip'"),
        ('reason = "add"', "reason", "is 'add'; allowed are 'keep', 'remove'"),
        ('media_keys = "yes"', "media_keys", "has to be true or false, not 'yes'"),
        ('crn = "a\\u0007"', "crn", "would never be shown: crn is not a short text"),
        (f'crn = "{"x" * 257}"', "crn", "would never be shown: crn is not a short text"),
        ("rcd = {}", "rcd.nam", "is missing"),
        (f'rcd = {{ nam = "{"x" * 257}" }}', "rcd", "would never be shown: rcd has no nam, or nam is not a short"),
        ('rcd = { nam = "a", name = "b" }', "rcd.name", "is unknown; did you mean 'nam'?"),
        (
            'rcd = { nam = "a", icn = "https://a.example/a.png" }',
            "rcd.icn",
            "and icn_digest need each other: an icon without its digest must not be shown (RFC 9795 §6)",
        ),
        (f'rcd = {{ nam = "a", icn_digest = "{DIGEST}" }}', "rcd.icn", "and icn_digest need each other"),
        (
            f'rcd = {{ nam = "a", icn = "http://a.example/a.png", icn_digest = "{DIGEST}" }}',
            "rcd.icn",
            "'http://a.example/a.png' is not an https URL",
        ),
        (
            'rcd = { nam = "a", icn = "https://a.example/a.png", icn_digest = "sha256-AAAA" }',
            "rcd",
            "would never be shown: rcdi contains a value that is not a digest",
        ),
        (
            'rcd = { nam = "a", icn = "https://a.example/a.png", icn_digest = "md5-AAAA" }',
            "rcd",
            "would never be shown: rcdi contains a value that is not a digest",
        ),
    ],
)
def test_what_is_wrong_is_said(text: str, key: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        options(text)
    (problem,) = caught.value.problems
    assert problem.key == f"rule[1].sign.{key}"
    assert problem.sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ('rcd = { nam = "a" }', {"rcd": {"nam": "a"}}),
        ('crn = "b"', {"crn": "b"}),
        (
            f'crn = "b"\nrcd = {{ nam = "a", icn = "https://a.example/a.png", icn_digest = "{DIGEST}" }}',
            {"crn": "b", "rcd": {"icn": "https://a.example/a.png", "nam": "a"}, "rcdi": {"/icn": DIGEST}},
        ),
    ],
)
def test_s130_the_claims(text: str, claims: dict[str, object]) -> None:
    assert options(text).claims == claims


def test_none_goes_with_a_list_or_with_the_word_of_the_sbc() -> None:
    assert options(f'{LISTED}attest_unlisted = "none"').attest_unlisted == "none"
    assert options('honour = true\nattest_unlisted = "none"').attest_unlisted == "none"
