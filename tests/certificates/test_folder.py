"""A folder of certificates that another system fills, while calls run."""

import json
import logging
import os
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.waiting import LONG

from sbc_filter.certificates.folder import (
    FRESH,
    INDEX,
    MAX_INDEX,
    DirectorySource,
    FolderEntry,
    IndexFault,
    entries,
    how_to_add,
    read_index,
)
from sbc_filter.certificates.source import MAX_PEM, certificate_path
from sbc_filter.engine.verdict import Answer
from sbc_filter.outcomes import Detail

URL, OTHER = "https://certs.example.org/acme.pem", "https://certs.example.org/other.pem"
PEM, NEW = b"-----BEGIN CERTIFICATE-----\nAA==\n", b"-----BEGIN CERTIFICATE-----\nBB==\n"
NOW = 1_700_000_000.0


def clock() -> float:
    return NOW


def ask(source: DirectorySource, url: str = URL) -> Answer[bytes]:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    source.fetch(url, answers.put)
    return answers.get(timeout=LONG)


def put(path: Path, content: bytes | str) -> None:
    """As another system should: written aside, and renamed."""
    aside = path.with_suffix(".new")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(aside, path)


def index(names: dict[str, str]) -> str:
    return json.dumps(names)


def test_a_file_by_the_digest_of_its_url(tmp_path: Path) -> None:
    source = DirectorySource(tmp_path, clock)
    nothing = Answer(None, Detail.FETCH_REFUSED, NOW + FRESH)
    assert ask(source) == nothing
    put(certificate_path(tmp_path, URL), PEM)
    assert ask(source) == Answer(PEM, None, NOW + FRESH)
    put(certificate_path(tmp_path, URL), NEW)
    assert ask(source).result == NEW
    assert ask(source, OTHER) == nothing
    certificate_path(tmp_path, URL).unlink()
    assert ask(source) == nothing
    source.close()


SPELLINGS = {
    # the URL by which another system names a file: whether it is found for URL
    "https://certs.example.org/acme.pem": True,
    "HTTPS://certs.example.org/acme.pem": True,
    "Https://certs.example.org/acme.pem": True,
    "https://CERTS.example.org/acme.pem": False,
    "https://Certs.Example.Org/acme.pem": False,
    "https://certs.example.org/ACME.pem": False,
    "https://certs.example.org/acme.PEM": False,
    "https://certs.example.org:443/acme.pem": False,
    "http://certs.example.org/acme.pem": False,
    "HTTP://certs.example.org/acme.pem": False,
    "https:certs.example.org/acme.pem": False,
    "certs.example.org/acme.pem": False,
}


@pytest.mark.parametrize(("url", "found"), SPELLINGS.items())
def test_a_digest_of_the_url_as_a_token_spells_its_scheme(url: str, found: bool, tmp_path: Path) -> None:
    """RFC 3986 §3.1: the scheme ignores case. Calls ask for it in small letters, whatever their token says."""
    put(certificate_path(tmp_path, url), PEM)
    assert (ask(DirectorySource(tmp_path, clock)).result == PEM) is found


def test_the_plain_spelling_comes_first(tmp_path: Path) -> None:
    put(certificate_path(tmp_path, "HTTPS" + URL[5:]), PEM)
    put(certificate_path(tmp_path, URL), NEW)
    assert ask(DirectorySource(tmp_path, clock)).result == NEW


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "Https", "hTTps"])
def test_an_index_may_spell_the_scheme_in_any_letter_case(scheme: str, tmp_path: Path) -> None:
    put(tmp_path / "acme.pem", PEM)
    put(tmp_path / INDEX, index({scheme + URL[5:]: "acme.pem"}))
    assert ask(DirectorySource(tmp_path, clock)).result == PEM
    assert [entry.url for entry in entries(tmp_path)] == [URL]


def test_nothing_is_believed_for_longer_than_a_second() -> None:
    """Issue 5: new, changed and removed files are in force within about a second."""
    assert FRESH <= 1.0


def test_a_file_by_the_index(tmp_path: Path) -> None:
    source = DirectorySource(tmp_path, clock, valid=100.0)
    put(tmp_path / "acme 2027.pem", PEM)
    put(certificate_path(tmp_path, OTHER), NEW)
    assert ask(source).detail == Detail.FETCH_REFUSED
    put(tmp_path / INDEX, index({URL: "acme 2027.pem"}))
    assert ask(source) == Answer(PEM, None, NOW + 100)
    assert ask(source, OTHER).result == NEW  # the others by their digests, as ever
    put(tmp_path / INDEX, index({URL: "renewed.pem"}))
    put(certificate_path(tmp_path, URL), PEM)
    assert ask(source).detail == Detail.FETCH_REFUSED  # what it names is not there yet, and nothing else counts
    put(tmp_path / "renewed.pem", NEW)
    assert ask(source).result == NEW
    (tmp_path / INDEX).unlink()
    assert ask(source).result == PEM


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"https://a": ', "this is not JSON"),
        ('{"https://a": "a.pem", "https://a": "b.pem"}', "this is not JSON: a key appears twice"),
        (b"\xff\xfe{", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("[]", "must be an object that maps URLs to file names"),
        (b" " * (MAX_INDEX + 1), "it is larger than 16 MiB"),
        ('{"https://a": "../a.pem"}', "'https://a': must be the name of a file in this folder, not '../a.pem'"),
        ('{"https://a": "/etc/passwd"}', "must be the name of a file"),
        ('{"https://a": ".."}', "must be the name of a file"),
        ('{"https://a": ""}', "must be the name of a file"),
        ('{"https://a": 5}', "must be the name of a file in this folder, not 5"),
    ],
)
def test_an_index_that_cannot_be_read_changes_nothing(
    content: str | bytes, sentence: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "acme.pem", PEM)
    put(tmp_path / INDEX, index({URL: "acme.pem"}))
    source = DirectorySource(tmp_path, clock)
    assert ask(source).result == PEM
    put(tmp_path / INDEX, content)
    with caplog.at_level(logging.WARNING):
        assert [ask(source).result for _ in range(3)] == [PEM] * 3
    assert len(caplog.messages) == 1
    assert f"{tmp_path / INDEX}" in caplog.messages[0]
    assert sentence in caplog.messages[0]
    with pytest.raises(IndexFault):
        read_index(tmp_path)


@pytest.mark.parametrize(
    ("size", "detail"), [(MAX_PEM, None), (MAX_PEM + 1, Detail.FETCH_TOO_LARGE), (1 << 20, Detail.FETCH_TOO_LARGE)]
)
def test_a_file_is_bounded(size: int, detail: Detail | None, tmp_path: Path) -> None:
    certificate_path(tmp_path, URL).write_bytes(b"x" * size)
    assert ask(DirectorySource(tmp_path, clock)).detail == detail


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    certificate_path(tmp_path, URL).mkdir()
    assert ask(DirectorySource(tmp_path, clock)).detail == Detail.FETCH_REFUSED
    assert ask(DirectorySource(tmp_path / "nowhere", clock)).detail == Detail.FETCH_REFUSED


def test_callers_do_not_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who writes the URL must not decide how much is logged."""
    times = [NOW]
    source = DirectorySource(tmp_path, lambda: times[-1])
    for number in range(100):
        certificate_path(tmp_path, f"{URL}{number}").mkdir()
    with caplog.at_level(logging.WARNING):
        for moment in (NOW, NOW + 59.9, NOW + 60, NOW - 3600):  # the last: the clock was set back
            times.append(moment)
            for number in range(100):
                assert ask(source, f"{URL}{number}").detail == Detail.FETCH_REFUSED
    assert len(caplog.messages) == 3
    assert caplog.messages[0].endswith(": Is a directory; further such messages are suppressed for a minute")


def test_how_to_add_a_certificate(tmp_path: Path) -> None:
    """A file of another name is not overlooked in silence: the sentence says what is there and what is expected."""
    name = "3e13aa5678f6dabc795c96e7cda51eead55955bdb7746bd3ea081471c36719e7.pem"
    assert how_to_add(None, URL) == f"put it into a folder as {name} (--certificates)"
    assert how_to_add(tmp_path / "absent", URL) == f"put it into {tmp_path}/absent as {name}"
    assert how_to_add(tmp_path, URL) == f"put it into {tmp_path} as {name}"
    (tmp_path / "acme.pem").write_bytes(PEM)
    assert how_to_add(tmp_path, URL) == f"{tmp_path} has 1 file, none named for this URL: name it {name}"
    put(tmp_path / INDEX, index({OTHER: "acme.pem", URL: "absent.pem"}))
    assert how_to_add(tmp_path, URL) == f"{tmp_path}/index.json names absent.pem for this URL: put it there"
    put(tmp_path / INDEX, "{")
    (tmp_path / "other.pem").write_bytes(PEM)
    assert how_to_add(tmp_path, URL) == f"{tmp_path} has 2 files, none named for this URL: name it {name}"
    certificate_path(tmp_path, URL).mkdir()
    refused = f"{tmp_path}/{name} is not a file of at most 64 KiB that can be read: replace it"
    assert how_to_add(tmp_path, URL) == refused


def test_entries(tmp_path: Path) -> None:
    for name in ("b.pem", "a.pem", "notes.txt"):
        (tmp_path / name).write_bytes(PEM)
    put(tmp_path / INDEX, index({URL: "b.pem", OTHER: "absent.pem"}))
    assert list(entries(tmp_path)) == [
        FolderEntry(URL, tmp_path / "b.pem"),
        FolderEntry(OTHER, tmp_path / "absent.pem"),
        FolderEntry(None, tmp_path / "a.pem"),
    ]
