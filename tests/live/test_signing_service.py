"""Calls signed by way of a service, live: INVITE in, INVITE with the Identity of somebody else out; and without it."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import calls
from support.netns import LIVE, endpoint, running, three_hosts
from support.serving import serving
from support.waiting import LONG

from sbc_filter.assembly.needs import Needs
from sbc_filter.certificates.source import RefusingSource
from sbc_filter.delegates.remote_peer import Service
from sbc_filter.delegates.remote_services import RemoteSigner
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab
from sbc_filter.stir.delegated_signing import RemoteCredential

pytestmark = LIVE
CARRIER = ("192.0.2.7", 5060)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts(plan=Plan()) as made:
        yield made


def engine() -> Engine:
    """A call waits as long as it may."""
    return calls.make_engine(f"{calls.SIGN}hold_ms = 4000\n", credentials={"ours": RemoteCredential("ours")})


def needs(url: str) -> Needs:
    return Needs(RefusingSource(), {"ours": RemoteSigner("ours", Service(url, token="secret", timeout=LONG))})


def test_a_call_is_signed_by_way_of_a_service(lab: Lab, tmp_path: Path) -> None:
    records: list[Record] = []
    with serving(tmp_path) as (process, url, *_):
        source = needs(url)
        with (
            running(lab, engine(), source, sink=records.append) as shell,
            endpoint(lab, "carrier") as carrier,
            endpoint(lab, "sbc") as sbc,
        ):
            sbc.sendto(calls.invite(), CARRIER)
            arrived = carrier.recv(70000)
            assert shell.counters["held"] == 1
            # The service is gone: the next call goes on unsigned, and not by its deadline.
            process.terminate()
            process.wait(LONG)
            sbc.sendto(calls.invite(number=2), CARRIER)
            assert carrier.recv(70000) == calls.invite(number=2)
        source.close()
    assert process.returncode == 0
    kept = [line for line in arrived.split(b"\r\n") if not line.startswith((b"Identity:", b"Date:"))]
    assert b"\r\n".join(kept) == calls.invite()
    assert arrived.count(b"\r\nIdentity: ") == 1
    assert [(record.outcome, record.detail) for record in records] == [
        ("signed", None),
        ("unsigned", "signing-unreachable"),
    ]


def test_a_service_that_is_silent_costs_hold_ms_and_no_other_call(lab: Lab, tmp_path: Path) -> None:
    records: list[Record] = []
    with serving(tmp_path) as (process, url, *_):
        source = needs(url)
        os.kill(process.pid, signal.SIGSTOP)  # its socket takes connections, and nobody answers
        try:
            with (
                running(lab, engine(), source, sink=records.append),
                endpoint(lab, "carrier") as carrier,
                endpoint(lab, "sbc") as sbc,
            ):
                begin = time.monotonic()
                sbc.sendto(calls.invite(), CARRIER)
                for number in range(2, 22):  # signed already: nobody is asked
                    sbc.sendto(calls.invite(calls.identity(), number=number), CARRIER)
                for number in range(2, 22):
                    assert carrier.recv(70000) == calls.invite(calls.identity(), number=number)
                assert carrier.recv(70000) == calls.invite()
                assert time.monotonic() - begin > 3.9
        finally:
            os.kill(process.pid, signal.SIGCONT)
        source.close()
    assert json.loads(records[-1].to_json())["detail"] == "signing-timeout"
