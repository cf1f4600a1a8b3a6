"""Calls verified by way of `sbc-filter serve`, live: what it says is written for the SBC; and without it."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import calls
from support.netns import LIVE, endpoint, running, three_hosts
from support.runs import started
from support.serving import Serving, serving
from support.waiting import LONG

from sbc_filter.assembly.needs import Needs
from sbc_filter.certificates.source import RefusingSource
from sbc_filter.delegates.remote_peer import Service
from sbc_filter.delegates.remote_services import RemoteVerifier
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
SBC = ("192.0.2.1", 5060)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts(plan=Plan()) as made:
        yield made


def engine(treatment: str = "") -> Engine:
    """It believes nobody and knows no certificate: who verifies is the service."""
    return calls.make_engine(
        f'{calls.VERIFY}[rule.verify]\nservice = "theirs"\nhold_ms = 4000\n{treatment}', known=False
    )


def needs(service: Serving) -> Needs:
    exchange = Service(service.verification, token="secret", timeout=LONG)
    return Needs(RefusingSource(), {}, verifiers={"theirs": RemoteVerifier("theirs", exchange)})


def call(service: Serving, number: int, **changes: object) -> bytes:
    line = calls.identity(calls.claims(iat=int(time.time()), **changes), key=service.laboratory.leaf.key)
    return calls.invite(line, number=number)


def verstat(message: bytes) -> bytes:
    return message.partition(b";verstat=")[2].partition(b"@")[0].partition(b">")[0]


def exchanged(carrier: socket.socket, sbc: socket.socket, message: bytes) -> bytes:
    """The verstat with which a call arrives."""
    carrier.sendto(message, SBC)
    return verstat(sbc.recv(70000))


def test_s060_calls_are_verified_by_way_of_a_service(lab: Lab, tmp_path: Path) -> None:
    records: list[Record] = []
    with serving(tmp_path) as service:
        source = needs(service)
        with (
            running(lab, engine(), source, sink=records.append) as shell,
            endpoint(lab, "carrier") as carrier,
            endpoint(lab, "sbc") as sbc,
        ):
            true = call(service, 1)
            assert exchanged(carrier, sbc, true) == b"TN-Validation-Passed"
            assert exchanged(carrier, sbc, true) == b"TN-Validation-Passed"  # sent again: from memory
            assert shell.counters["held"] == 1
            forged = calls.invite(calls.identity(calls.claims(iat=int(time.time()))), number=2)
            assert exchanged(carrier, sbc, forged) == b"TN-Validation-Failed"
            assert (
                exchanged(carrier, sbc, calls.retargeted(true.replace(b"call-1@", b"call-3@"))) == b"No-TN-Validation"
            )
            # It is gone: the next call goes on, not validated, and not by its deadline.
            service.process.terminate()
            service.process.wait(LONG)
            assert exchanged(carrier, sbc, call(service, 4)) == b"No-TN-Validation"
        source.close()
    assert [(record.outcome, record.detail) for record in records] == [
        ("passed", None),
        ("invalid", "bad-signature"),
        ("replayed", "token-seen"),
        ("unfetchable", "verification-unreachable"),
    ]


def test_a_service_that_is_silent_costs_hold_ms_and_no_other_call(lab: Lab, tmp_path: Path) -> None:
    records: list[Record] = []
    with serving(tmp_path) as service:
        source = needs(service)
        service.process.send_signal(signal.SIGSTOP)  # its socket takes connections, and nobody answers
        try:
            with (
                running(lab, engine('[rule.on]\n"unfetchable.verification-timeout" = "reject"\n'), source,
                        sink=records.append),
                endpoint(lab, "carrier") as carrier,
                endpoint(lab, "sbc") as sbc,
            ):  # fmt: skip
                begin = time.monotonic()
                carrier.sendto(call(service, 1), SBC)
                for number in range(2, 22):  # not signed: nobody is asked
                    carrier.sendto(calls.invite(number=number), SBC)
                for _ in range(2, 22):
                    assert verstat(sbc.recv(70000)) == b"No-TN-Validation"
                assert carrier.recv(70000).startswith(b"SIP/2.0 436 Bad Identity Info\r\n")
                assert time.monotonic() - begin > 3.9
        finally:
            os.kill(service.process.pid, signal.SIGCONT)
        source.close()
    assert (records[-1].outcome, records[-1].detail) == ("unfetchable", "verification-timeout")


def test_run_and_serve_are_all_that_it_takes(lab: Lab, tmp_path: Path) -> None:
    """Two processes of one program, each with files of its own; only `serve` has an anchor and a certificate."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    (ours / "rules").mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        with lab.inside("sbc"):
            service = stack.enter_context(serving(theirs))
        (ours / "token").write_text("secret")
        rule = f'{calls.VERIFY}[rule.verify]\nservice = "theirs"\nhold_ms = 2000\n'
        (ours / "rules" / "verify.toml").write_text(rule)
        (ours / "c.toml").write_text(
            f'[network]\nsbc = ["{calls.SBC}"]\n[control]\nsocket = "control"\n[log]\nrecords = "records"\n'
            f'[verifiers.theirs]\nservice = "{service.verification}"\ntoken = "token"\n'
        )
        stack.enter_context(started(lab, ours / "c.toml"))
        carrier, sbc = (stack.enter_context(endpoint(lab, host)) for host in ("carrier", "sbc"))
        assert exchanged(carrier, sbc, call(service, 1)) == b"TN-Validation-Passed"
        assert exchanged(carrier, sbc, call(service, 2, attest="B")) == b"TN-Validation-Passed"
    told = [json.loads(line) for line in (ours / "records").read_text().splitlines()]
    assert [(record["outcome"], record["attest"], record["spc"]) for record in told] == [
        ("passed", "A", None),
        ("passed", "B", None),
    ]
