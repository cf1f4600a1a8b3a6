"""What the processes of `run` may do, when root starts it and it is told to become somebody else."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import calls, keys
from support.netns import LIVE, endpoint, eventually
from support.processes import holds, stop
from support.runs import RUN, asked, processes, started
from support.waiting import LONG

from sbc_filter.daemon import privileges
from sbc_filter.daemon.privileges import NET_ADMIN, NET_RAW
from sbc_filter.lab.certificate_maker import Maker
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
SBC = ("192.0.2.1", 5060)


def _nobody_reads() -> bool:
    tried = ["setpriv", "--reuid=nobody", "--clear-groups", "test", "-r", privileges.__file__]
    return os.geteuid() == 0 and subprocess.run(tried, check=False).returncode == 0


READABLE = pytest.mark.skipif(not _nobody_reads(), reason="needs a folder of the project that everybody may read")


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that nobody owns, and may enter."""
    made = Path(tempfile.mkdtemp(prefix="sbct-"))
    shutil.chown(made, "nobody")
    yield made
    shutil.rmtree(made)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rights(pid: int) -> tuple[int, int]:
    """User and effective capabilities of a process."""
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return int(lines["Uid"].split()[0]), int(lines["CapEff"], 16)


@READABLE
def test_root_is_given_up(lab: Lab, folder: Path) -> None:
    """The user named keeps two capabilities, those that read what strangers sent none; and it works."""
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text('[[rule]]\nname = "refuse"\ncalled = "12155550111"\naction = "reject"\n')
    (folder / "c.toml").write_text(
        '[network]\nsbc = ["192.0.2.1"]\n[process]\nuser = "nobody"\n[log]\nrecords = "records.jsonl"\n'
        '[control]\nsocket = "control"\n[queue]\nworkers = 2\n'
    )
    needed = 1 << NET_ADMIN | 1 << NET_RAW
    with started(lab, folder / "c.toml") as (process, log), endpoint(lab, "carrier") as carrier:
        nobody = pwd.getpwnam("nobody").pw_uid

        def all_rights() -> list[tuple[int, int]]:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a firewall program that has ended
                return sorted(rights(pid) for pid in (process.pid, *children(process.pid)))
            return []

        # `certificates` and `recent`; supervisor, workers and dispatcher; now and then one that reads firewall rules.
        expected = [*[(nobody, 0)] * 2, *[(nobody, needed)] * 4]
        assert eventually(lambda: all_rights() == expected), all_rights()
        assert asked(folder / "c.toml")["queues"].keys() == {
            str(number) for number in range(50, 56)
        }  # of both directions
        assert eventually(lambda: asked(folder / "c.toml")["queues"]["50"].get("unfiltered") == 0)  # they may be read
        carrier.sendto(calls.invite(called="12155550111"), SBC)
        assert carrier.recv(70000).startswith(b"SIP/2.0 403 Forbidden\r\n")
        assert (folder / "records.jsonl").owner() == "nobody"
        (folder / "rules" / "r.toml").write_text("")
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "reloaded; rules: none" in log.read_text()), log.read_text()
    assert "SBC-FILTER" not in lab.run("sbc", "iptables-save")
    assert process.returncode == 0


def test_who_speaks_with_strangers_does_not_know_our_keys(lab: Lab, tmp_path: Path) -> None:
    """Though it comes from a process that does: not the key, and nothing that workers share."""
    maker = Maker(time.time(), "privileges")
    made = maker.laboratory()
    file = keys.configuration(tmp_path, made, f"[credentials.ours]\n{keys.written(tmp_path, made, maker, 0)}")
    secret = keys.KEYS[0].private_numbers().private_value.to_bytes(32, "little")  # as openssl holds it
    with started(lab, file) as (process, _):
        found = {name: holds(each["pid"], secret) for name, each in processes(file).items()}
        found["supervisor"] = holds(process.pid, secret)
    assert found == {"supervisor": True, "worker 1": True, "certificates": False, "recent": False}


def test_a_program_that_the_user_may_not_read_is_said(tmp_path: Path) -> None:
    """As one that root has cloned into its own folder."""
    (tmp_path / "c.toml").write_text('[process]\nuser = "nobody"\n')
    closed = tmp_path / "closed"
    shutil.copytree(Path(privileges.__file__).parent.parent, closed / "sbc_filter", ignore=lambda *_: ["__pycache__"])
    closed.chmod(0o700)
    environment = {**os.environ, "PYTHONPATH": str(closed)}
    done = subprocess.run(
        [*RUN, str(tmp_path / "c.toml")], capture_output=True, text=True, check=False, timeout=LONG, env=environment
    )
    assert "process.user: 'nobody' may not read the program: install it outside of /" in done.stderr
    assert done.returncode == 3


def test_who_surrenders_has_nothing_left_to_give(tmp_path: Path) -> None:
    """Not to a program that it starts, though the kernel gives to root's programs all that there is; nor to one that
    has the set-user-ID bit."""
    program = shutil.copy("/bin/cat", tmp_path)
    Path(program).chmod(0o4755)
    script = (
        "import os, subprocess; from sbc_filter.daemon import privileges; privileges.surrender()\n"
        f"for path in ('/bin/cat', {program!r}): subprocess.run([path, '/proc/self/status'], check=True)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=LONG)
    for name in ("CapPrm", "CapEff", "CapAmb"):
        assert [line for line in done.stdout.splitlines() if line.startswith(name)] == [f"{name}:\t{0:016x}"] * 2


def test_a_user_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[process]\nuser = "who"\n')
    done = subprocess.run([*RUN, str(tmp_path / "c.toml")], capture_output=True, text=True, check=False, timeout=LONG)
    assert done.stderr == "sbc-filter: process.user: there is no user 'who': `sbc-filter install` makes one\n"
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("net_admin", "netfilter queue 50 cannot be bound: another program has it, or CAP_NET_ADMIN is missing: "),
        ("net_raw", "raw sockets are not permitted: run as root, or grant CAP_NET_RAW and CAP_NET_ADMIN"),
    ],
)
def test_a_privilege_that_is_missing_is_said(lab: Lab, tmp_path: Path, missing: str, said: str) -> None:
    """In one sentence, and nobody is started anew for ever."""
    (tmp_path / "c.toml").write_text('[network]\nsbc = ["192.0.2.1"]\n[control]\nsocket = "control"\n')
    run = [each for each in RUN if each != "--firewall"]  # iptables has a sentence of its own
    command = ["setpriv", f"--bounding-set=-{missing}", *run, str(tmp_path / "c.toml")]
    with lab.inside("sbc"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONG)
    assert done.stderr.startswith(f"sbc-filter: {said}")
    assert (done.stderr.count("\n"), done.returncode) == (1, 3)


def test_the_service_manager_is_told(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sd_notify(3): ready, alive as long as the loop turns, and no longer; reloading and ready again; stopping."""
    (tmp_path / "c.toml").write_text('[network]\nsbc = ["192.0.2.1"]\n[control]\nsocket = "control"\n')
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LONG)

        def hear(wanted: str) -> bool:
            try:
                while wanted not in "".join(told):
                    told.append(manager.recv(4096).decode() + "\n")
            except (TimeoutError, BlockingIOError):
                return False
            told.clear()
            return True

        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        with started(lab, tmp_path / "c.toml") as (process, _):
            assert hear("READY=1")
            assert hear("WATCHDOG=1")
            process.send_signal(signal.SIGHUP)
            assert hear("RELOADING=1\nMONOTONIC_USEC=")
            assert hear("READY=1\nSTATUS=reloaded")
            worker = processes(tmp_path / "c.toml")["worker 1"]["pid"]
            os.kill(worker, signal.SIGSTOP)  # it takes its time, at a reload
            process.send_signal(signal.SIGHUP)
            assert hear("RELOADING=1\n")
            assert hear("WATCHDOG=1")
            os.kill(worker, signal.SIGCONT)
            assert hear("READY=1\nSTATUS=reloaded")
            stop(process.pid)  # a loop that is stuck
            manager.settimeout(0.0)
            hear("nothing more")
            told.clear()
            manager.settimeout(1.5)
            assert not hear("WATCHDOG=1")
            os.kill(process.pid, signal.SIGCONT)
            manager.settimeout(LONG)
            assert hear("WATCHDOG=1")
        assert hear("STOPPING=1")


def limit(pid: int, processes: int) -> None:
    """How many there may be of nobody's, as far as this one starts them."""
    nobody = pwd.getpwnam("nobody")
    command = ["prlimit", "--pid", str(pid), f"--nproc={processes}:"]
    subprocess.run(command, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], check=True, timeout=LONG)


def pids(file: Path) -> dict[str, int]:
    """The processes that are ready, by name."""
    return {each["name"]: each["pid"] for each in asked(file)["processes"] if each["ready"]}


@READABLE
def test_the_others_go_on_where_no_process_can_be_started(lab: Lab, folder: Path) -> None:
    (folder / "rules").mkdir()
    (folder / "c.toml").write_text(
        '[network]\nsbc = ["192.0.2.1"]\n[process]\nuser = "nobody"\n[control]\nsocket = "control"\n'
    )
    with (
        started(lab, folder / "c.toml") as (process, log),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
    ):
        before = pids(folder / "c.toml")
        limit(process.pid, 1)
        os.kill(before["certificates"], signal.SIGKILL)
        assert eventually(lambda: "certificates cannot be started: Resource temporarily" in log.read_text())
        carrier.sendto(calls.invite(), SBC)
        assert sbc.recv(70000) == calls.invite()
        limit(process.pid, 100)
        assert eventually(lambda: pids(folder / "c.toml").keys() == before.keys())
        assert pids(folder / "c.toml")["worker 1"] == before["worker 1"]
