"""Firewall programs that never end, as behind a lock that nobody releases: the filter goes on."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import calls
from support.netns import ADDRESSES, LIVE, endpoint, eventually
from support.runs import asked, started
from support.waiting import LONG

from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
FAKE = """#!/bin/sh
if [ -e {folder}/hang-{name} ]; then echo $$ >> {folder}/hung-{name}; exec sleep 3600; fi
exec {real} "$@"
"""
_CONFIGURATION = (
    '[network]\nsbc = ["192.0.2.1", "2001:db8:1::1"]\n[firewall]\nbackend = "iptables"\n'
    '[log]\nrecords = "records"\n[control]\nsocket = "control"\n'
)
_RULES = '[[rule]]\nname = "no"\naction = "reject"\nanswer = { code = 403 }\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs in front of the real ones: NAME hangs while there is a file `hang-NAME`, and `hung-NAME` has the ids."""
    for name in ("ip", "iptables-restore"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(FAKE.format(folder=tmp_path, name=name, real=shutil.which(name)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "no.toml").write_text(_RULES)
    (tmp_path / "c.toml").write_text(_CONFIGURATION)
    return tmp_path


@pytest.fixture
def manager(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What the service manager hears; its watchdog bites after two seconds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(folder / "notify"))
        made.settimeout(LONG)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        yield made


def is_rejected(lab: Lab, number: int) -> bool:
    with endpoint(lab, "carrier", 4) as carrier:
        carrier.settimeout(LONG)
        carrier.sendto(calls.invite(number=number), (ADDRESSES["sbc"][4], 5060))
        with contextlib.suppress(TimeoutError):
            return carrier.recv(70000).startswith(b"SIP/2.0 403 ")
    return False


def hung(folder: Path) -> list[Path]:
    """The programs that hang or hung."""
    names = ("hung-ip", "hung-iptables-restore")
    return [Path("/proc", number, "cmdline") for name in names for number in (folder / name).read_text().split()]


def runs(program: Path) -> bool:
    with contextlib.suppress(OSError):
        return b"3600" in program.read_bytes()
    return False


def test_programs_that_hang_hold_up_neither_watchdog_nor_status(lab: Lab, folder: Path, manager: socket.socket) -> None:
    """`ip` hangs at the start, `iptables-restore` when the flushed rules are to be applied again."""
    (folder / "hang-ip").touch()
    with started(lab, folder / "c.toml") as (_, log):
        assert eventually((folder / "hung-ip").exists)
        (folder / "hang-ip").unlink()
        assert is_rejected(lab, 1)
        assert eventually(lambda: asked(folder / "c.toml")["firewall"]["state"] == "applied")
        (folder / "hang-iptables-restore").touch()
        lab.run("sbc", "iptables", "-t", "raw", "-F")
        assert eventually((folder / "hung-iptables-restore").exists)
        manager.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while manager.recv(1000):
                pass
        manager.settimeout(LONG)
        assert all(eventually(lambda: manager.recv(1000) == b"WATCHDOG=1") for _ in range(2))
        assert asked(folder / "c.toml")["firewall"]["state"] == "changed"
        assert is_rejected(lab, 2)
        assert all(map(runs, hung(folder))), "the loop went on meanwhile, and not after they were killed"
        (folder / "hang-iptables-restore").unlink()
    assert "stopped" in log.read_text()
    assert not any(map(runs, hung(folder)))
    assert "SBC-FILTER" not in lab.run("sbc", "iptables-save")
