"""Files read anew while calls go on: all of them or none, and no call is lost over it."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from support import calls
from support.keys import CARRIER, KEYS, X5U, configuration, signed_by, token_of, written
from support.netns import LIVE, endpoint, eventually
from support.runs import commanded_text, says, started
from support.waiting import LONG

from sbc_filter.lab.certificate_maker import Maker
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """A configuration that signs with the first key, and the tables of both credentials."""
    maker = Maker(time.time(), "reload")
    made = maker.laboratory()
    tables = [f"[credentials.ours]\n{written(tmp_path, made, maker, at)}" for at in range(2)]
    more = f'[queue]\nworkers = {request.param}\n[control]\nsocket = "{tmp_path}/control"\n'
    return configuration(tmp_path, made, more + tables[0]), tables


def reload(file: Path) -> "subprocess.CompletedProcess[str]":
    return commanded_text("reload", "--config", str(file))


def test_another_key_at_200_calls_a_second(lab: Lab, files: tuple[Path, list[str]]) -> None:
    """None is lost, none has the URL of one certificate and the signature of the other key;
    each arrives once, and what is sent again after the reload is signed as it was before (S-155)."""
    file, tables = files
    arrived: Counter[tuple[str, bool, bool]] = Counter()
    keys = [key.public_key() for key in KEYS]
    new = X5U.format(1), False, True
    with started(lab, file) as (process, log), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        begin = time.monotonic()
        for number in itertools.count():
            if arrived[new] == 300:
                break
            time.sleep(max(0.0, begin + number / 200 - time.monotonic()))
            if number == 300:
                file.write_text(file.read_text().replace(tables[0], tables[1]))
                process.send_signal(signal.SIGHUP)
            assert number < 200 * LONG
            sbc.sendto(calls.invite(number=number), CARRIER)
            message = carrier.recv(70000)
            assert b"Call-ID: call-%d@" % number in message
            token, x5u = token_of(message)
            arrived[x5u, signed_by(token, keys[0]), signed_by(token, keys[1])] += 1
            if number == 299:
                before = message
            if arrived[new] == 1:  # what is sent again
                sbc.sendto(calls.invite(number=299), CARRIER)
                assert carrier.recv(70000) == before
        assert eventually(lambda: log.read_text().count("reloaded; rules: sign") == 1)
    assert arrived.keys() == {(X5U.format(0), True, False), new}
    assert sum(arrived.values()) == number


def test_what_is_wrong_is_refused_and_said(lab: Lab, files: tuple[Path, list[str]]) -> None:
    file, _ = files
    rules = file.parent / "rules" / "sign.toml"
    good = rules.read_text()
    with started(lab, file) as (process, log), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        rules.write_text(good.replace('"outbound"', '"outwards"'))
        answer = reload(file)
        assert answer.returncode == 1
        assert answer.stderr == (
            f"sbc-filter: {rules}: rule 'sign' (line 1): direction: is 'outwards'; allowed are 'inbound', 'outbound'\n"
            "sbc-filter: reload refused: everything stays as it was\n"
        )
        sbc.sendto(calls.invite(), CARRIER)
        assert token_of(carrier.recv(70000))[1] == X5U.format(0)
        rules.write_text('[[rule]]\nname = "go"\naction = "pass"\n')
        assert reload(file).stdout == "reloaded\n"
        sbc.sendto(calls.invite(number=2), CARRIER)
        assert carrier.recv(70000) == calls.invite(number=2)
        file.write_text(file.read_text().replace("[queue]", "[queue]\nnumber = 60"))
        assert reload(file).stderr.startswith(f"sbc-filter: {file}: [queue] cannot change while the filter runs")
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: log.read_text().count("reload refused") == 3)


def test_addresses_that_take_another_queue_are_refused(lab: Lab, tmp_path: Path) -> None:
    """Without addresses of the SBC one queue serves both directions, with the stricter policy; a second one would be
    bound by nobody, and calls for it dropped."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.toml").write_text('[[rule]]\nname = "go"\naction = "pass"\n')
    file = tmp_path / "c.toml"
    queue = '[queue]\non_overload = { inbound = "accept", outbound = "drop" }\n'
    file.write_text(f'{queue}[network]\nports = [5060]\n[control]\nsocket = "{tmp_path}/control"\n')
    with started(lab, file), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        file.write_text(file.read_text().replace("ports", 'sbc = ["192.0.2.1"]\nports'))
        assert reload(file).stderr == (
            f"sbc-filter: {file}: network.sbc: the queues that it takes cannot change while the filter runs:"
            " restart it\nsbc-filter: reload refused: everything stays as it was\n"
        )
        for sender, receiver, to in ((carrier, sbc, ("192.0.2.1", 5060)), (sbc, carrier, CARRIER)):
            sender.sendto(calls.invite(), to)
            assert receiver.recv(70000) == calls.invite()


def test_firewall_rules_that_fail_are_said(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls go by the new files all the same, so the reload was none that is refused."""
    for program in ("iptables-restore", "ip6tables-restore"):
        (tmp_path / program).write_text(
            f'#!/bin/sh\n[ -e "{tmp_path}/broken" ] && exit 1\nexec {shutil.which(program)} "$@"\n'
        )
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "rules").mkdir()
    file = tmp_path / "c.toml"
    file.write_text(
        f'[network]\nsbc = ["192.0.2.1"]\n[control]\nsocket = "{tmp_path}/control"\n[firewall]\nbackend = "iptables"\n'
    )
    with started(lab, file) as (_, log), endpoint(lab, "carrier") as carrier:
        (tmp_path / "broken").touch()
        (tmp_path / "rules" / "r.toml").write_text('[[rule]]\nname = "no"\naction = "reject"\n')
        assert reload(file).stdout == "reloaded\n"
        assert says(log, "calls follow the new files, but the firewall rules are unchanged: iptables")
        carrier.sendto(calls.invite(), ("192.0.2.1", 5060))
        assert carrier.recv(70000).startswith(b"SIP/2.0 403 Forbidden\r\n")
        (tmp_path / "broken").unlink()


def test_the_status_of_the_service_says_why_a_reload_was_refused(
    lab: Lab, files: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`systemctl reload` prints no reason: `systemctl status` has it, until a reload succeeds."""
    file, _ = files
    rules = file.parent / "rules" / "sign.toml"
    good = rules.read_text()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LONG)

        def status(wanted: str) -> str:
            """The next status that begins like this."""
            while True:
                for line in manager.recv(4096).decode().split("\n"):
                    if line.startswith(f"STATUS={wanted}"):
                        return line

        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with started(lab, file):
            rules.write_text(good.replace('"outbound"', '"outwards"') + '"\\nREADY=1" = 5\n')
            assert reload(file).returncode == 1
            why = f"{rules}: rule 'sign' (line 1): direction: is 'outwards'; allowed are 'inbound', 'outbound'"
            refused = f"STATUS=reload refused, the old files stay in use: {why} (and 1 more)"
            assert status("reload refused").startswith(refused)  # counts follow, once there are any
            assert status("reload refused").startswith(f"{refused}; 0 packets")  # said again with the state
            rules.write_text(good)
            assert reload(file).returncode == 0
            assert status("reloaded") == "STATUS=reloaded; rules: sign"
            assert status("0 packets")
