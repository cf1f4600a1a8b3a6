"""S-092, V21: CRLs are fetched while calls run; servers fail, and some lie."""

import errno
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.calls import LAB, NOW, arriving, claims, identity, invite, make_engine, result
from support.chains import MAKER, OTHER, ROOT
from support.renewing import (
    BAD,
    DAY,
    DELTA,
    GOOD,
    HOUR,
    Hosts,
    a_list,
    fetched,
    is_asking,
    is_good,
    without_next_update,
)
from support.web import PageServer, page_server

from sbc_filter.config import configuration_file
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.pki.crl import RevocationList
from sbc_filter.trust.crl_store import MAX_CRL, CrlStore, StoredCrl
from sbc_filter.trust.list_downloads import CEILING, FLOOR
from sbc_filter.trust.trust_files import TrustFiles


def test_a_list_is_fetched_and_every_process_has_it(host: Hosts, web: PageServer) -> None:
    web.pages["/crl"] = a_list(1, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    worker = made.reader()
    assert is_good(made.files.store, BAD)
    made.until(lambda: made.changes)
    for store in (made.files.store, worker.read([], []), made.reader().store):
        assert (is_good(store, GOOD), is_good(store, BAD)) == (True, False)
    assert worker.read([], []) is worker.store  # nothing changed
    fetched(made, web, a_list(2))
    assert is_good(made.files.store, BAD)
    assert (made.changes, made.said) == (2, [])


def test_a_restart_without_the_network(host: Hosts, tmp_path: Path) -> None:
    with page_server() as web:
        web.pages["/crl"] = a_list(1, BAD)
        made = host(f'crl_urls = ["{web.url("/crl")}"]')
        made.until(lambda: made.changes)
    again = made.restarted()
    again.until(lambda: again.said)
    assert again.said[0].startswith(f"{web.url('/crl')}: no good list is available there, the last good one stays")
    assert "fetch-connect" in again.said[0]
    assert not is_good(again.files.store, BAD)
    again.renewal.close()


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (a_list(4), "it is older than the one before, number 5, of 2027-01-15 07:05 UTC"),
        (a_list(9, signer=OTHER.root), "its signer may not sign it: is the signer listed in `crl_signers`?"),
        (
            a_list(9, indirect=False),
            "it has another issuer or scope than the one before, which is still valid",
        ),
        # RFC 5280 §5.2.4, §5.1.2.4, §5.1.2.5: neither takes the place of a list, nor keeps the next one out
        (a_list(9, extensions=DELTA), "it is a delta CRL, which says nothing without its base"),
        (
            a_list(9, begin=NOW + 2 * CEILING + 310),
            "its thisUpdate is in the future: is the clock of this host right?",
        ),
        (without_next_update(a_list(9)), "it has no nextUpdate, so it would count for ever"),
        (b"<html>", "the CRL cannot be read: "),
        (b"", "the CRL cannot be read: "),
        (bytes(MAX_CRL + 1), "fetch-too-large"),
        (302, "fetch-status: status 302"),
        (404, "fetch-status: status 404"),
        (503, "fetch-status: status 503"),
    ],
)
def test_what_does_not_take_its_place(page: bytes | int, why: str, host: Hosts, web: PageServer) -> None:
    web.pages["/crl"] = a_list(5, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    fetched(made, web, page)
    fetched(made, web, page)
    assert [said.partition(" in force: ")[2][: len(why)] for said in made.said] == [why]  # once
    assert not is_good(made.files.store, BAD)
    assert not is_good(made.reader().store, BAD)
    fetched(made, web, a_list(6))
    assert made.said[1:] == [f"{web.url('/crl')}: good again"]
    assert is_good(made.files.store, BAD)
    assert web.asked["/elsewhere"] == 0


def test_another_issuer_takes_over_when_the_list_is_over(host: Hosts, web: PageServer) -> None:
    web.pages["/crl"] = a_list(5, BAD, days=1)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    made.now += DAY + 60
    fetched(made, web, a_list(1, indirect=False))
    assert is_good(made.files.store, BAD)


def test_s092_the_signer_is_in_no_chain(host: Hosts, web: PageServer, tmp_path: Path) -> None:
    signer = MAKER.root("STI-PA CRL")
    (tmp_path / "signer.pem").write_bytes(pem(signer.certificate))
    web.pages["/crl"] = a_list(1, BAD, signer=signer)
    made = host(f'crl_signers = "signer.pem"\ncrl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    assert not is_good(made.files.store, BAD)


def test_a_list_that_nobody_thought_of(host: Hosts, web: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs neither the other lists nor the thread, and is not asked for again at once."""
    parse = RevocationList.parse

    def fails(data: bytes, *check: Any) -> RevocationList:
        if data == b"strange":
            raise RuntimeError
        return parse(data, *check)

    monkeypatch.setattr(RevocationList, "parse", fails)
    web.pages.update({"/strange": b"strange", "/crl": a_list(1, BAD)})
    made = host(f'crl_urls = ["{web.url("/strange")}", "{web.url("/crl")}"]')
    made.until(lambda: made.changes and made.said)
    made.renewal.look()
    assert (web.asked["/strange"], made.said[0].rpartition(": ")[2]) == (1, "RuntimeError()")
    assert not is_good(made.files.store, BAD)


def test_asked_before_it_is_over_and_not_too_often(host: Hosts, web: PageServer) -> None:
    web.pages["/crl"] = a_list(1, days=2 / 24)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    times = []
    for minute in range(180):
        made.now = NOW + 60 * minute
        before = web.asked["/crl"]
        made.renewal.look()
        if is_asking(made):
            made.until(lambda: not is_asking(made))
            assert web.asked["/crl"] == before + 1
            times.append(minute)
    assert times == [60, 90, 105, 115, 125, 135, 145, 155, 165, 175]
    assert (len(times), FLOOR) == (10, 600)


def test_failures_are_tried_again_ever_more_slowly(host: Hosts, web: PageServer) -> None:
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    times = []
    for minute in range(200):
        made.now = NOW + 60 * minute
        made.renewal.look()
        if is_asking(made):
            made.until(lambda: not is_asking(made))
            times.append(minute)
    assert times == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert len(made.said) == 1


@pytest.mark.parametrize(("policy", "later"), [("soft", "passed"), ("hard", "crl-unavailable")])
def test_v21_the_server_is_down(policy: str, later: str, host: Hosts, web: PageServer, tmp_path: Path) -> None:
    """Soft passes by the last good list; hard refuses when that is over, until there is a new one. Both say so."""
    (tmp_path / "lab.pem").write_bytes(pem(LAB.root.certificate))
    page = a_list(1, signer=LAB.root, days=0.25)
    web.pages["/crl"] = page
    made = host(f'anchors = "lab.pem"\ncrl_policy = "{policy}"\ncrl_urls = ["{web.url("/crl")}"]')
    engine = make_engine(trust=made.files.store)

    def call() -> str:
        token = identity(claims(iat=int(made.now), origid=f"4437c7eb-8f7a-4f0e-a863-{int(made.now) % 10**12:012}"))
        record = result(engine, arriving(invite(token, number=int(made.now))), made.now)[2]
        return str(record["detail"] or record["outcome"])

    assert call() == later  # nothing was fetched yet
    made.until(lambda: made.changes)
    engine.set_trust_store(made.files.store)
    made.now += 1
    assert call() == "passed"
    web.pages["/crl"] = 503
    made.now = NOW + 0.25 * DAY - 10
    made.until(lambda: made.said)
    assert call() == "passed"
    made.now += 20
    assert call() == later
    made.renewal.look()
    meaning = "refused (crl-unavailable)" if policy == "hard" else "believed, although it may have been revoked since"
    assert made.said[1:] == [
        f"{web.url('/crl')}: this CRL should have been renewed by 2027-01-15 14:00 UTC: what it speaks for is {meaning}"
    ]
    web.pages["/crl"] = a_list(2, signer=LAB.root)
    made.now += HOUR
    made.until(lambda: made.changes == 2)
    engine.set_trust_store(made.files.store)
    assert call() == "passed"


def test_a_list_is_forgotten_when_nobody_names_it(host: Hosts, web: PageServer) -> None:
    """A URL that the configuration named is, at the next start without it."""
    web.pages["/crl"] = a_list(1, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    settings = (made.folder / "c.toml").read_text()
    (made.folder / "c.toml").write_text(settings.replace("crl_urls", "# crl_urls"))
    again = made.restarted()
    assert not is_good(again.files.store, BAD)
    again.until(lambda: again.changes)
    assert is_good(again.files.store, BAD)
    again.renewal.close()


def test_a_full_disk_keeps_no_list_out(host: Hosts, web: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in force in every process, which is said once, and kept as soon as there is room."""
    kept, full = CrlStore.keep, [True]

    def keep(store: CrlStore, each: StoredCrl) -> None:
        if store.folder.name == "cache" and full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(store.folder))
        kept(store, each)

    monkeypatch.setattr(CrlStore, "keep", keep)
    web.pages["/crl"] = a_list(1, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    worker = made.reader()
    made.until(lambda: made.changes)
    assert not is_good(made.files.store, BAD)
    assert not is_good(worker.read([], [], from_others=True), BAD)
    fetched(made, web, a_list(2, GOOD))
    assert [is_good(worker.read([], [], from_others=True), each) for each in (BAD, GOOD)] == [True, False]
    fetched(made, web, a_list(1, BAD))
    full[0] = False
    fetched(made, web, a_list(4, BAD))
    assert [is_good(worker.read([], [], from_others=True), each) for each in (BAD, GOOD)] == [False, True]
    url = web.url("/crl")
    assert made.said == [
        f"{url}: the list is in force, but cannot be kept in /cache: No space left on device: a restart begins without"
        " it",
        f"{url}: no good list is available there, the last good one stays in force: it is older than the one before,"
        " number 2, of 2027-01-15 07:02 UTC",
        f"{url}: good again",
    ]
    full[0] = True
    fetched(made, web, a_list(5, BAD))
    assert made.said[3:] == made.said[:1]  # it was not so meanwhile
    again = made.restarted()
    assert not is_good(again.files.store, BAD)
    again.renewal.close()


def test_a_list_that_was_ahead_is_used_when_its_time_has_come(host: Hosts, tmp_path: Path) -> None:
    """Also if nothing changes meanwhile: the file lies there."""
    (tmp_path / "ahead.crl").write_bytes(a_list(1, BAD, begin=NOW + 310))
    made = host('crls = "ahead.crl"', "")
    assert is_good(made.files.store, BAD)
    assert [str(each).replace(f"{tmp_path}/", "") for each in made.files.remarks] == [
        "c.toml: trust.crls: ahead.crl: its thisUpdate is in the future: is the clock of this host right?;"
        " it is left out"
    ]
    made.now += 9
    made.renewal.look()
    made.renewal.look()
    assert is_good(made.files.store, BAD)
    made.now += 1
    made.renewal.look()
    made.renewal.look()
    assert not is_good(made.files.store, BAD, made.now)
    assert made.changes == 1


def test_a_replay_goes_by_lists_that_are_newer_than_its_calls(tmp_path: Path) -> None:
    """They are not of the future when it reads them."""
    (tmp_path / "root.pem").write_bytes(pem(ROOT.certificate))
    (tmp_path / "list.crl").write_bytes(a_list(1, BAD, begin=NOW + 2 * DAY))
    (tmp_path / "c.toml").write_text('[trust]\nanchors = "root.pem"\ncrls = "list.crl"\n')
    for read_at, good in ((NOW + 2 * DAY, False), (NOW + DAY, True)):
        files = TrustFiles(configuration_file.load(tmp_path / "c.toml"), live=False, clock=partial(float, read_at))
        assert is_good(files.read([], []), BAD) is good


def test_the_list_of_a_crl_signer_replaces_that_of_an_anchor(host: Hosts, web: PageServer, tmp_path: Path) -> None:
    """On plain http, a genuine list of any anchor would otherwise keep the one out that counts for all."""
    signer = MAKER.root("STI-PA CRL")
    (tmp_path / "signer.pem").write_bytes(pem(signer.certificate))
    web.pages["/crl"] = a_list(7)
    made = host(f'crl_signers = "signer.pem"\ncrl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    fetched(made, web, a_list(1, BAD, signer=signer))
    assert not is_good(made.files.store, BAD)
    fetched(made, web, a_list(8))
    assert not is_good(made.files.store, BAD)
    assert [said.rpartition(": ")[2] for said in made.said] == [
        "it has another issuer or scope than the one before, which is still valid"
    ]


def test_slow_hosts_delay_no_other_list(host: Hosts, web: PageServer) -> None:
    """As many URLs of the operator as there are hang at a time, and the last one is fetched at once."""
    release = threading.Event()
    try:
        web.pages.update({f"/{at}": release for at in range(9)})
        web.pages["/crl"] = a_list(1, BAD)
        urls = ", ".join(f'"{web.url(path)}"' for path in (*(f"/{at}" for at in range(9)), "/crl"))
        made = host(f"crl_urls = [{urls}]")
        made.until(lambda: made.changes)
        assert not is_good(made.files.store, BAD)
        assert made.said == []
    finally:
        release.set()
