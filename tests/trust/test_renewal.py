"""Anchors and CRLs in files that change while calls run."""

import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.chains import OTHER, ROOT
from support.renewing import BAD, DAY, GOOD, Host, Hosts, a_list, is_good
from support.waiting import LONG

from sbc_filter.lab.certificate_maker import pem
from sbc_filter.trust.renewal import Renewal

FILES = 'anchors = ["anchors"]\ncrls = ["crls"]'


@pytest.fixture
def watched(host: Hosts, tmp_path: Path) -> Host:
    """Nothing is fetched: there are folders of anchors and of CRLs."""
    for folder in ("anchors", "crls"):
        (tmp_path / folder).mkdir()
    (tmp_path / "anchors" / "root.pem").write_bytes(pem(ROOT.certificate))
    (tmp_path / "crls" / "list.crl").write_bytes(a_list(5))
    return host(FILES, "")


def pem_crl(encoded: bytes) -> bytes:
    return x509.load_der_x509_crl(encoded).public_bytes(Encoding.PEM)


def test_a_crl_is_replaced(watched: Host) -> None:
    assert is_good(watched.files.store, BAD)
    watched.put("crls/list.crl", a_list(6, BAD))
    assert not is_good(watched.files.store, BAD)
    watched.put("crls/list.crl", pem_crl(a_list(7)))
    assert is_good(watched.files.store, BAD)
    watched.put("crls/other.crl", a_list(8, BAD))
    assert not is_good(watched.files.store, BAD)
    (watched.folder / "crls" / "other.crl").unlink()
    watched.renewal.look()
    watched.renewal.look()
    assert is_good(watched.files.store, BAD)
    assert (watched.changes, watched.said) == (4, [])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (a_list(4), "it is older than the list before, number 5, of 2027-01-15 07:05 UTC"),
        (b"<html>", "the CRL cannot be read: "),
    ],
)
def test_a_crl_that_is_no_good(data: bytes, why: str, watched: Host) -> None:
    """The last good one stays, and that is said once; other changes are taken in meanwhile."""
    watched.put("crls/list.crl", a_list(5, BAD))
    watched.put("crls/list.crl", data)
    watched.put("crls/list.crl", data)
    watched.put("anchors/another.pem", pem(OTHER.root.certificate))
    assert len(watched.files.store.anchors) == 2
    assert not is_good(watched.files.store, BAD)
    (said,) = watched.said
    assert said.startswith(f"/c.toml: trust.crls: /crls/list.crl: {why}")
    assert said.endswith("; its last good content stays in use")
    watched.put("crls/list.crl", a_list(6))
    assert is_good(watched.files.store, BAD)


def test_anchors_come_and_go(watched: Host) -> None:
    watched.put("anchors/root.pem", pem(OTHER.root.certificate))
    assert (is_good(watched.files.store, GOOD), watched.changes) == (False, 1)
    watched.put("anchors/root.pem", pem(ROOT.certificate))
    assert (is_good(watched.files.store, GOOD), watched.changes) == (True, 2)
    watched.put("anchors/root.pem", b"-----BEGIN")
    (watched.folder / "anchors" / "root.pem").unlink()
    watched.renewal.look()
    watched.renewal.look()
    assert is_good(watched.files.store, GOOD)
    assert watched.said == [
        "/c.toml: trust.anchors: /anchors/root.pem: no certificate in PEM form; its last good content stays in use",
        "/c.toml: trust.anchors: there is no trust anchor left; its last good content stays in use",
    ]
    (watched.folder / "anchors").rmdir()
    watched.renewal.look()
    watched.renewal.look()
    assert is_good(watched.files.store, GOOD)


def test_a_file_that_is_being_written_is_left_alone(watched: Host) -> None:
    whole = a_list(6, BAD)
    for end in (10, 20, len(whole)):
        (watched.folder / "crls" / "list.crl").write_bytes(whole[:end])
        watched.renewal.look()
    assert (watched.said, watched.changes) == ([], 0)
    watched.renewal.look()
    assert (watched.said, watched.changes) == ([], 1)


def test_it_runs_by_itself(watched: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of its own, by the clock."""
    monkeypatch.setattr("sbc_filter.trust.renewal.EVERY", 0.01)
    changed, stop = threading.Event(), threading.Event()
    renewal = Renewal(watched.files, watched.say, changed.set)
    thread = threading.Thread(target=renewal.run, args=(stop,))
    thread.start()
    try:
        (watched.folder / "new").write_bytes(a_list(6, BAD))
        (watched.folder / "new").rename(watched.folder / "crls" / "list.crl")
        assert changed.wait(LONG)
    finally:
        stop.set()
        thread.join(LONG)
    assert not thread.is_alive()
    assert not is_good(watched.files.store, BAD)


def test_a_list_that_is_over_is_said_once_unless_there_is_a_newer_one(watched: Host) -> None:
    watched.put("crls/list.crl", a_list(6, days=1))
    watched.put("crls/newer.crl", a_list(7, days=2))
    watched.now += 1.5 * DAY
    watched.renewal.look()
    assert watched.said == []
    watched.now += DAY
    watched.renewal.look()
    watched.renewal.look()
    assert [said.partition(": what")[0] for said in watched.said] == [
        "/crls/list.crl: this CRL should have been renewed by 2027-01-16 08:00 UTC",
        "/crls/newer.crl: this CRL should have been renewed by 2027-01-17 08:00 UTC",
    ]
