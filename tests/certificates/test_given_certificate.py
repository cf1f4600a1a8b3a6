"""The file of `--certificate` as a certificate source."""

from pathlib import Path

import pytest

from sbc_filter.assembly.certificate_sources import ask
from sbc_filter.certificates.given_certificate import GivenCertificate
from sbc_filter.certificates.source import certificate_path
from sbc_filter.outcomes import Detail

FIRST, SECOND = "https://a.example/1.pem", "https://b.example/2.pem"


def test_every_url_has_its_content() -> None:
    source = GivenCertificate(Path("c.pem"), b"content")
    assert [ask(source, url).result for url in (FIRST, SECOND)] == [b"content", b"content"]


def test_without_a_file_no_url_has_one() -> None:
    answer = ask(GivenCertificate(None, None), FIRST)
    assert (answer.result, answer.detail) == (None, Detail.FETCH_REFUSED)


def test_one_url_is_what_the_file_is_for() -> None:
    source = GivenCertificate(Path("c.pem"), b"content")
    assert list(source.sentences()) == []
    for _ in range(3):
        ask(source, FIRST)
    assert list(source.sentences()) == []


def test_several_urls_are_a_warning_that_says_what_to_do() -> None:
    source = GivenCertificate(Path("c.pem"), b"content")
    for url in (FIRST, SECOND):
        ask(source, url)
    assert list(source.sentences()) == [
        f"warning: c.pem was taken for the certificate of 2 URLs: {FIRST}, {SECOND}. By it, the tokens of other signers"
        " are invalid.bad-signature. Give each its own instead: put it into a folder as"
        f" {certificate_path(Path(), FIRST)} (--certificates)"
    ]


@pytest.mark.parametrize(
    ("fits", "said"),
    [
        ([], []),
        ([False], ["warning: c.pem did not sign the only token that it was tried for"]),
        ([False, False], ["warning: c.pem did not sign any of the 2 tokens that it was tried for"]),
        ([False, True], []),
        ([True, False], []),
    ],
)
def test_a_certificate_that_signed_no_token_is_a_warning(fits: list[bool], said: list[str]) -> None:
    source = GivenCertificate(Path("c.pem"), b"content")
    for each in fits:
        source.note(fits=each)
    assert list(source.sentences()) == said
    assert source.is_in_doubt is (True not in fits)


def test_a_certificate_that_signed_nothing_has_that_warning_only() -> None:
    """It is not the certificate of any of the URLs."""
    source = GivenCertificate(Path("c.pem"), b"content")
    for url in (FIRST, SECOND):
        ask(source, url)
        source.note(fits=False)
    assert list(source.sentences()) == ["warning: c.pem did not sign any of the 2 tokens that it was tried for"]


def test_a_thousand_tokens_are_tried() -> None:
    source = GivenCertificate(Path("c.pem"), b"content")
    for _ in range(999):
        source.note(fits=False)
    assert source.is_in_doubt
    source.note(fits=False)
    assert not source.is_in_doubt
    assert not GivenCertificate(None, None).is_in_doubt


def test_a_hostile_capture_cannot_make_the_warning_long() -> None:
    source = GivenCertificate(Path("c.pem"), b"content")
    for number in range(2000):
        ask(source, f"https://a.example/{number}/{'x' * 5000}")
    (sentence,) = source.sentences()
    assert "of 1000 or more URLs: https://a.example/0/x" in sentence
    assert len(sentence) < 700
