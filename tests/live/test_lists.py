"""S-092 live: lists change while `run` filters calls, in all of its processes, and no call waits for it."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from support.listed_calls import PASSED, REVOKED, Issuer, calling, configuration, put
from support.netns import LIVE, eventually
from support.runs import processes, started
from support.web import page_server

from sbc_filter.lab.namespaces import Lab
from sbc_filter.trust.crl_store import CrlStore, StoredCrl

pytestmark = LIVE


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def test_a_file_is_replaced(lab: Lab, issuer: Issuer, tmp_path: Path) -> None:
    """Revoked in every worker, and no more by the next list; one that went back changes nothing, and is said."""
    file = configuration(tmp_path, issuer, 'crls = "list.crl"\ncrl_policy = "hard"')
    with started(lab, file) as (_, log), calling(lab, issuer) as carrier:
        assert carrier.ten() == PASSED
        put(tmp_path / "list.crl", issuer.list(2, issuer.leaf))
        assert eventually(lambda: carrier.ten() == REVOKED)
        put(tmp_path / "list.crl", issuer.list(1))
        assert eventually(lambda: "it is older than the list before, number 2" in log.read_text())
        assert carrier.ten() == REVOKED
        put(tmp_path / "list.crl", issuer.list(3))
        assert eventually(lambda: carrier.ten() == PASSED)
    assert log.read_text().count("it is older") == 1


def test_a_list_is_fetched_and_outlives_a_restart(lab: Lab, issuer: Issuer, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with lab.inside("sbc"):
            web = stack.enter_context(page_server())
        web.pages["/crl"] = issuer.list(2, issuer.leaf)
        file = configuration(tmp_path, issuer, f'crl_urls = "{web.url("/crl")}"', "fetch = true")
        with started(lab, file), calling(lab, issuer) as carrier:
            assert eventually(lambda: carrier.ten() == REVOKED)
    with started(lab, file) as (_, log), calling(lab, issuer) as carrier:
        assert carrier.ten() == REVOKED
        assert eventually(lambda: "the last good one stays in force: fetch-connect" in log.read_text())
        assert carrier.ten() == REVOKED


def test_a_list_that_comes_during_a_reload_is_not_lost(lab: Lab, issuer: Issuer, tmp_path: Path) -> None:
    """One worker has read everything when it comes, and the other takes its time: both go by it afterwards."""
    url = "http://127.0.0.1:1/crl"  # nobody is there
    file = configuration(tmp_path, issuer, f'crl_urls = "{url}"', "fetch = true")
    with started(lab, file) as (process, log), calling(lab, issuer) as carrier:
        assert carrier.ten() == PASSED
        slow = processes(file)["worker 1"]["pid"]
        os.kill(slow, signal.SIGSTOP)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        CrlStore(tmp_path / "cache").keep(StoredCrl(url, False, issuer.list(2, issuer.leaf)))
        time.sleep(2.5)  # whoever watches the folder has told of it
        os.kill(slow, signal.SIGCONT)
        assert eventually(lambda: "reloaded; rules: verify" in log.read_text())
        assert eventually(lambda: carrier.ten() == REVOKED)
