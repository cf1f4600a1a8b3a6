"""The rules of a running filter are flushed, removed and changed by others."""

import contextlib
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import calls
from support.netns import ADDRESSES, LIVE, endpoint, eventually
from support.runs import RUN, asked, says, started

from sbc_filter.assembly.operator_files import Files
from sbc_filter.cli import main
from sbc_filter.daemon.errands import Done, Job
from sbc_filter.daemon.own_firewall_rules import OwnRules, receive_notices
from sbc_filter.daemon.removal_notice import RemovalNotices, announce
from sbc_filter.firewall.backend import backend
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
PLAIN = tuple(each for each in RUN if each != "--firewall")
BACK = "the firewall rules are applied again: calls are filtered"
REMOVED = "the firewall rules were removed by `sbc-filter firewall remove`"


@pytest.fixture(autouse=True)
def _without_rules(lab: Lab) -> Iterator[None]:
    yield
    with lab.inside("sbc"):
        backend().remove()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A filter that rejects every call: what a call meets shows whether it is filtered."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "no.toml").write_text('[[rule]]\nname = "no"\naction = "reject"\nanswer = { code = 403 }\n')
    (tmp_path / "c.toml").write_text(
        '[network]\nsbc = ["192.0.2.1", "2001:db8:1::1", "198.51.100.1", "2001:db8:2::1"]\n'
        '[firewall]\nbackend = "iptables"\n[log]\nrecords = "records"\n[control]\nsocket = "control"\n'
    )
    return tmp_path / "c.toml"


def state(file: Path) -> dict[str, Any]:
    found = asked(file)
    return {**found["firewall"], "counters": {k: v for k, v in found["counters"].items() if "firewall" in k and v}}


def is_filtered(lab: Lab, version: int, number: int) -> bool:
    with endpoint(lab, "carrier", version) as carrier:
        carrier.settimeout(0.5)
        carrier.sendto(calls.invite(number=number), (ADDRESSES["sbc"][version], 5060))
        with contextlib.suppress(TimeoutError):
            return carrier.recv(70000).startswith(b"SIP/2.0 403 ")
    return False


def socket_file() -> Path:
    """That of the filter in this network."""
    return Path("/run", f"sbc-filter-firewall-{os.stat('/proc/thread-self/ns/net').st_ino}.sock")


def command(lab: Lab, *words: str) -> None:
    """A command of ours in the network of the SBC; its own configuration, if any, is among the words."""
    with lab.inside("sbc"):
        subprocess.run([sys.executable, "-P", "-m", "sbc_filter", *words], check=True, capture_output=True)


@pytest.mark.parametrize("program", ["iptables", "ip6tables"])
def test_flushed_rules_are_applied_again_and_said(lab: Lab, file: Path, program: str) -> None:
    with started(lab, file) as (_, log):
        assert eventually(lambda: state(file)["state"] == "applied")
        for table in ("mangle", "raw"):
            lab.run("sbc", program, "-t", table, "-F")
            lab.run("sbc", program, "-t", table, "-X")
        assert eventually(lambda: "applied again, 1 time so far" in log.read_text())
        assert eventually(lambda: state(file)["state"] == "applied")
        for number, version in ((1, 4), (2, 6)):
            assert eventually(lambda n=number, v=version: is_filtered(lab, v, n))  # type: ignore[misc]
        assert state(file) == {
            "state": "applied",
            "problem": None,
            "since": None,
            "restored": 1,
            "counters": {"firewall-lost": 1, "firewall-restored": 1},
        }


def test_an_operator_who_flushes_in_a_loop(lab: Lab, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three times, then the filter leaves it at an alarm; when the loop ends and the rules are back, it says so."""
    stop = threading.Event()

    def flush() -> None:
        while not stop.wait(0.05):
            lab.run("sbc", "iptables", "-t", "mangle", "-F")

    with started(lab, file) as (_, log):
        loop = threading.Thread(target=flush)
        loop.start()
        try:
            assert eventually(lambda: "after they were applied again 3 times in 10 minutes" in log.read_text())
        finally:
            stop.set()
            loop.join()
        assert log.read_text().count("warning: the firewall rules") == 4
        found = state(file)
        assert (found["restored"], found["counters"]["firewall-missing"]) == (3, 1)
        assert main(["status", "--config", str(file)]) == 0
        assert "firewall rules: changed for " in capsys.readouterr().out
        with lab.inside("sbc"):
            assert main(["firewall", "apply", "--config", str(file)]) == 0
        assert eventually(lambda: BACK in log.read_text())
        assert is_filtered(lab, 4, 1)


@pytest.mark.parametrize("with_configuration", [True, False])
def test_removal_by_command_sticks(lab: Lab, file: Path, with_configuration: bool) -> None:
    """Also if the command finds no configuration of this filter. A reload keeps it, `firewall apply` ends it."""
    named = ["--config", str(file)] if with_configuration else []
    with started(lab, file) as (_, log):
        command(lab, "firewall", "remove", *named)
        assert eventually(lambda: f"warning: {REMOVED}: calls pass unfiltered until" in log.read_text())
        assert not is_filtered(lab, 4, 1)
        assert main(["reload", "--config", str(file)]) == 0
        assert says(log, "warning: the firewall rules stay removed")
        assert state(file)["problem"] == REMOVED
        assert state(file)["restored"] == 0
        assert "SBC-FILTER" not in lab.run("sbc", "iptables-save")
        command(lab, "firewall", "apply", "--config", str(file))
        assert eventually(lambda: BACK in log.read_text())
        assert is_filtered(lab, 4, 2)
        lab.run("sbc", "iptables", "-t", "mangle", "-F")
        assert eventually(lambda: "applied again, 1 time so far" in log.read_text())


def test_a_notice_of_another_user_does_not_count(lab: Lab, file: Path) -> None:
    """Else any user of the host could have flushed rules stay flushed."""
    with started(lab, file) as (_, log):
        with lab.inside("sbc"):
            sender, name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket_file()
        with sender:
            child = os.fork()
            if child == 0:
                os.setuid(65534)
                with contextlib.suppress(PermissionError):
                    sender.sendto(b"remove", str(name))
                    os._exit(1)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            name.chmod(0o666)  # even if it could be reached
            child = os.fork()
            if child == 0:
                os.setuid(65534)
                os._exit(sender.sendto(b"remove", str(name)) != len(b"remove"))
            assert os.waitpid(child, 0)[1] == 0
        lab.run("sbc", "iptables", "-t", "mangle", "-F")
        assert eventually(lambda: "applied again, 1 time so far" in log.read_text())


def test_rules_of_another_unit_are_only_watched(lab: Lab, file: Path) -> None:
    """As systemd has it: `run`, and `firewall apply` in a unit of its own."""
    with started(lab, file, PLAIN) as (_, log):
        command(lab, "firewall", "apply", "--config", str(file))
        assert eventually(lambda: state(file)["state"] == "applied")
        lab.run("sbc", "ip6tables", "-t", "raw", "-F")
        sentence = (
            "warning: the firewall rules were changed: iptables, chain SBC-FILTER of table ip6tables raw: calls may"
        )
        assert eventually(lambda: sentence in log.read_text())
        found = state(file)
        assert (found["state"], found["restored"], found["counters"]["firewall-missing"]) == ("changed", 0, 1)
        command(lab, "firewall", "apply", "--config", str(file))
        assert eventually(lambda: BACK in log.read_text())


def test_a_name_that_root_has_given_to_something_else_is_no_reason_not_to_start(lab: Lab, file: Path) -> None:
    with lab.inside("sbc"):
        name = socket_file()
    name.mkdir()
    try:
        with started(lab, file) as (_, log):
            assert says(log, "`sbc-filter firewall remove` will not last while this filter runs")
            assert is_filtered(lab, 4, 1)
        assert name.is_dir()
    finally:
        name.rmdir()


def test_the_socket_is_gone_after_the_end_and_one_that_a_crash_left_is_replaced(lab: Lab, file: Path) -> None:
    with lab.inside("sbc"):
        name = socket_file()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as crashed:
        crashed.bind(str(name))
    with started(lab, file) as (_, log):
        assert name.stat().st_mode == stat.S_IFSOCK | 0o600
        assert eventually(lambda: state(file)["state"] == "applied")
        assert "will not last" not in log.read_text()
    assert not name.exists()


def test_a_removal_that_has_only_begun_is_not_taken_for_undone(lab: Lab) -> None:
    """The look that still finds the rules may have come before they were removed; the next one finds them gone; and
    only after that they may be back by hand."""
    with lab.inside("sbc"):
        rules = OwnRules("iptables", print, receive_notices())
        with contextlib.closing(rules):
            assert not rules.was_removed(applied=True)
            assert announce(removed=True) == ""
            seen = [rules.was_removed(applied=applied) for applied in (True, True, False, False, True)]
            assert seen == [True, True, True, True, False]
            assert not rules.was_removed(applied=False)
            announce(removed=True)
            announce(removed=False)
            assert not rules.was_removed(applied=False)
        assert announce(removed=True) == ""  # no filter runs


def test_a_removal_that_fails_is_revoked(lab: Lab, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lab.inside("sbc"):
        notices = RemovalNotices()
        with contextlib.closing(notices):
            assert main(["firewall", "remove", "--config", str(file)]) == 0
            assert notices.latest() is True
            monkeypatch.setenv("PATH", str(tmp_path))
            assert main(["firewall", "remove", "--config", str(file)]) == 3
            assert notices.latest() is False
            assert notices.latest() is None


def test_a_removal_while_the_rules_are_being_applied_sticks(lab: Lab, file: Path) -> None:
    """A reload may wait for the lock of a firewall program, in which the removal overtakes it."""

    class Overtaken:
        def run(self, job: Job, done: Done, /) -> None:
            raise AssertionError("nothing has vanished")

        def finish(self, job: Job, /) -> str:
            announce(removed=True)
            job(said.append)
            return ""

    said: list[str] = []
    with lab.inside("sbc"), OwnRules("iptables", said.append, receive_notices()) as rules:
        rules.work_in(Overtaken())
        rules.apply(Files(file, None).needed())
        assert said == ["warning: the firewall rules stay removed: `sbc-filter firewall apply` applies them"]
        assert "SBC-FILTER" not in lab.run("sbc", "iptables-save")
