"""Where certificates come from, as the configuration says."""

import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.sockets import serving
from support.waiting import LONG, taken

from sbc_filter.assembly import certificate_sources
from sbc_filter.assembly.certificate_sources import ask, certificate_source, worker_source
from sbc_filter.certificates.source import certificate_path
from sbc_filter.config.settings import CertificateSettings
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.outcomes import Detail


@pytest.mark.parametrize(
    ("tolerate", "detail"),
    [((), Detail.X5U_POLICY), (("redirects",), Detail.X5U_POLICY), (("x5u-http",), Detail.FETCH_ADDRESS)],
)
def test_what_is_tolerated_reaches_the_fetcher(tolerate: tuple[str, ...], detail: Detail, tmp_path: Path) -> None:
    """Past the scheme it is the address that stops it: nothing leaves this machine."""
    settings = CertificateSettings(cache=tmp_path, tolerate=frozenset(tolerate))
    source = certificate_source(settings, fetch=True)
    assert ask(source, "http://127.0.0.1/a.pem").detail == detail
    source.close()


URL, OTHER, SLOW = (f"https://certs.example.org/{name}.pem" for name in ("folder", "other", "slow"))


class Others:
    """What is behind the process that all ask; never done with whatever is slow."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        self.asked.append(url)
        if not url.startswith(SLOW):
            done(Answer(b"other", None, time.time() + 60))

    def close(self) -> None:
        pass


def test_a_worker_reads_the_folder_itself_and_asks_for_the_rest(tmp_path: Path) -> None:
    certificate_path(tmp_path, URL).write_bytes(b"file")
    settings = CertificateSettings(directory=tmp_path, fetch=True)
    others = Others()
    source = worker_source(settings, tmp_path / "s")
    with serving(tmp_path / "s", others):
        assert ask(source, OTHER).result == b"other"
        assert ask(source, URL).result == b"file"
    assert others.asked == [OTHER]
    assert ask(source, OTHER).detail == Detail.FETCH_CONNECT
    assert ask(source, URL).result == b"file"  # whatever became of that process
    source.close()


def test_a_folder_alone_needs_no_other_serving(tmp_path: Path) -> None:
    source = worker_source(CertificateSettings(directory=tmp_path), tmp_path / "nobody")
    assert ask(source, URL).detail == Detail.FETCH_REFUSED
    source.close()


def test_what_is_slow_does_not_stand_before_what_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty requests of one peer that get no answer; of another, one for a file, and one for what the other process has
    at hand."""
    monkeypatch.setattr(certificate_sources, "_DEADLINE", LONG)
    certificate_path(tmp_path, URL).write_bytes(b"file")
    settings, never = CertificateSettings(directory=tmp_path, fetch=True), SimpleQueue[Answer[bytes]]()
    source = worker_source(settings, tmp_path / "s")
    with serving(tmp_path / "s", Others()):
        for number in range(50):
            source.fetch(f"{SLOW}{number}", never.put, Party("", "203.0.113.7"))
        assert ask(source, URL).result == b"file"
        assert ask(source, OTHER).result == b"other"
        assert never.empty()
        source.close()
        assert {answer.detail for answer in taken(never, 50)} == {Detail.FETCH_REFUSED}


def test_a_process_without_the_folder(tmp_path: Path) -> None:
    certificate_path(tmp_path, URL).write_bytes(b"file")
    source = certificate_source(CertificateSettings(directory=tmp_path), fetch=False, folder=False)
    assert ask(source, URL).detail == Detail.FETCH_REFUSED
    source.close()
