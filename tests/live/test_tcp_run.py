"""`sbc-filter run` with a relay: SIP over TCP between real hosts, through reloads, killed processes and a stop."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import calls
from support.netns import ADDRESSES, LIVE, eventually
from support.relaying import connected
from support.runs import asked, processes, started
from support.waiting import LONG

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import X5U, Laboratory, Maker, pem
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
SBC = ADDRESSES["core"][4]  # behind the filter
RULE = '[rule.on]\nno-identity = "reject"\nreplayed = "reject"\n'


@pytest.fixture
def made() -> Laboratory:
    return Maker(time.time(), "relay").laboratory()


@pytest.fixture
def file(tmp_path: Path, made: Laboratory) -> Path:
    (tmp_path / "certificates").mkdir()
    certificate_path(tmp_path / "certificates", X5U).write_bytes(made.chain)
    (tmp_path / "root.pem").write_bytes(pem(made.root.certificate))
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "verify.toml").write_text(calls.VERIFY + RULE)
    (tmp_path / "c.toml").write_text(
        f'[network]\nsbc = ["{SBC}"]\n[log]\nrecords = "records.jsonl"\n[relay]\nenabled = true\n'
        '[queue]\nworkers = 2\n[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "certificates"\n'
    )
    return tmp_path / "c.toml"


def call(made: Laboratory, number: int = 1) -> bytes:
    """An INVITE over TCP with a token of its own."""
    claims = calls.claims(iat=int(time.time()), origid=f"4437c7eb-8f7a-4f0e-a863-{number:012}")
    return calls.invite(calls.identity(claims, key=made.leaf.key), number=number).replace(b"IP/2.0/UDP", b"IP/2.0/TCP")


@contextlib.contextmanager
def connection(lab: Lab) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection from the carrier to the SBC, and what the SBC accepted."""
    with between(lab, "carrier", "core") as both:
        yield both


@contextlib.contextmanager
def between(lab: Lab, start: str, end: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection between two hosts, as they see it."""
    with lab.inside(end):
        server = socket.create_server((ADDRESSES[end][4], 5060))
    server.settimeout(LONG)
    with server, connected(lab, start, ADDRESSES[end][4], 4) as near:
        far, _ = server.accept()
        far.settimeout(LONG)
        with far:
            yield near, far


def message(peer: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        more = peer.recv(65536)
        assert more, got
        got += more
    return got


def is_reset(peer: socket.socket) -> bool:
    try:
        return peer.recv(1) == b"never"
    except ConnectionResetError:
        return True


def relays(file: Path) -> list[int]:
    """Their processes."""
    return [each["pid"] for name, each in processes(file).items() if name.startswith("relay")]


def test_a_call_over_tcp_and_one_that_is_rejected(lab: Lab, file: Path, made: Laboratory) -> None:
    with started(lab, file) as (process, log), connection(lab) as (near, far):
        near.sendall(call(made))
        assert b";verstat=TN-Validation-Passed" in message(far)
        near.sendall(calls.invite(number=2).replace(b"IP/2.0/UDP", b"IP/2.0/TCP"))
        assert message(near).startswith(b"SIP/2.0 428 Use Identity Header\r\n")
        assert len(relays(file)) == 2
        assert eventually(lambda: asked(file)["counters"].get("relay-messages") == 2)
        assert asked(file)["counters"]["relay-connections-now"] == 1
        near.shutdown(socket.SHUT_WR)
        assert far.recv(1) == b""
    assert process.returncode == 0, log.read_text()
    records = [json.loads(line) for line in file.with_name("records.jsonl").read_text().splitlines()]
    assert [(each["transport"], each["outcome"], each["verdict"]) for each in records] == [
        ("tcp", "passed", "modify"),
        ("tcp", "no-identity", "reject"),
    ]


def test_a_reload_keeps_connections(lab: Lab, file: Path, made: Laboratory) -> None:
    with started(lab, file), connection(lab) as (near, far):
        near.sendall(call(made))
        assert b";verstat=TN-Validation-Passed" in message(far)
        (file.parent / "rules" / "verify.toml").write_text(calls.VERIFY + '[rule.on]\nno-identity = "continue"\n')
        reload = [sys.executable, "-P", "-m", "sbc_filter", "reload", "--config", str(file)]
        subprocess.run(reload, check=True, capture_output=True, timeout=LONG)
        near.sendall(calls.invite(number=2).replace(b"IP/2.0/UDP", b"IP/2.0/TCP"))
        assert message(far).startswith(b"INVITE ")
        near.sendall(call(made))
        assert b";verstat=TN-Validation-Passed" in message(far)


def test_a_replay_over_another_connection_is_found(lab: Lab, file: Path, made: Laboratory) -> None:
    """All processes share what has been seen: a token does not serve for another target."""
    once = call(made)
    again = calls.retargeted(once).replace(b"Call-ID: call-1@", b"Call-ID: call-9@")
    with started(lab, file):
        with connection(lab) as (near, far):
            near.sendall(once)
            assert b";verstat=TN-Validation-Passed" in message(far)
        for _ in range(6):  # by both relays, as good as surely
            with connection(lab) as (near, _):
                near.sendall(again)
                assert message(near).startswith(b"SIP/2.0 438 Invalid Identity Header\r\n")


def test_killed_relays_reset_their_connections_and_others_take_over(lab: Lab, file: Path, made: Laboratory) -> None:
    with started(lab, file):
        before = relays(file)
        with connection(lab) as (near, far):
            near.sendall(call(made, 1))
            message(far)
            for process in before:
                os.kill(process, signal.SIGKILL)
            assert is_reset(near)
            assert is_reset(far)
        assert eventually(lambda: len(relays(file)) == 2 and not {*relays(file)} & {*before})
        assert eventually(lambda: _filtered(lab, made))
        assert asked(file)["counters"]["relay-restarts"] == 2


def _filtered(lab: Lab, made: Laboratory) -> bool:
    """Whether a new connection is relayed. Until the rules follow, it goes direct."""
    with connection(lab) as (near, far):
        near.sendall(call(made, int(time.monotonic() * 1000)))
        return b";verstat=TN-Validation-Passed" in message(far)


def test_a_stop_closes_what_is_idle_and_then_tcp_goes_direct(lab: Lab, file: Path, made: Laboratory) -> None:
    with contextlib.ExitStack() as stack:
        with started(lab, file):
            near, far = stack.enter_context(connection(lab))
            near.sendall(call(made))
            message(far)
        assert (near.recv(1), far.recv(1)) == (b"", b"")
    assert "TPROXY" not in lab.run("sbc", "iptables-save")
    with connection(lab) as (near, far):
        sent = call(made, 2)
        near.sendall(sent)
        assert message(far) == sent


@pytest.mark.parametrize("tracked", [False, True], ids=["untracked", "tracked"])
def test_a_stop_while_this_host_sends_a_message(lab: Lab, file: Path, tracked: bool) -> None:
    """The SBC is on the host of the filter, and has called. The message that has begun is still filtered, then both
    sides see an end. Without connection tracking, both are reset, and nothing of the message arrives."""
    file.write_text(file.read_text().replace(SBC, ADDRESSES["sbc"][4]) + '[firewall]\nbackend = "iptables"\n')
    (file.parent / "rules" / "refuse.toml").write_text(
        '[[rule]]\nname = "refuse"\ndirection = "outbound"\ncalled = "12155550111"\naction = "reject"\n'
    )
    rule = "INPUT -p tcp -m conntrack --ctstate ESTABLISHED -j ACCEPT".split()
    passed, refused = (
        calls.invite(number=number, called=called).replace(b"IP/2.0/UDP", b"IP/2.0/TCP")
        for number, called in ((1, "12155550199"), (2, "12155550111"))
    )
    with contextlib.ExitStack() as stack:
        if tracked:
            lab.run("sbc", "iptables", "-A", *rule)
            stack.callback(lab.run, "sbc", "iptables", "-D", *rule)
        process, log = stack.enter_context(started(lab, file))
        near, far = stack.enter_context(between(lab, "sbc", "carrier"))
        near.sendall(passed + refused[:200])
        assert message(far) == passed
        process.terminate()
        assert eventually(lambda: "TPROXY" not in lab.run("sbc", "iptables-save"))
        with contextlib.ExitStack() if tracked else contextlib.suppress(OSError):
            near.sendall(refused[200:])
        if tracked:
            assert message(near).startswith(b"SIP/2.0 403 ")
            assert (near.recv(1), far.recv(1)) == (b"", b"")
        else:
            assert is_reset(near)
            assert is_reset(far)
        assert process.wait(LONG) == 0, log.read_text()
