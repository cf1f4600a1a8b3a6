"""Issue 5, show 5: externally managed, `run` goes nowhere: no name is looked up, no connection but to local sockets.

`strace` watches the whole process tree from the first instruction to the last, in a network namespace that has no
route but to its two cables. Three files, one command and one socket answer for three carriers.
"""

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import calls
from support.netns import LIVE, endpoint, eventually
from support.processes import heeding_signals
from support.sockets import serving
from support.waiting import LONG

from sbc_filter.certificates.source import certificate_path
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.lab.certificate_maker import Maker, pem
from sbc_filter.lab.namespaces import Lab
from sbc_filter.outcomes import Detail

STRACE = shutil.which("strace")
_TRACE = "trace=%network"


def _untraceable() -> str:
    if STRACE is None:
        return "needs strace"
    tried = subprocess.run([STRACE, "-e", _TRACE, "true"], capture_output=True, text=True, check=False)
    return f"ptrace is not permitted: {tried.stderr.strip()[:80]}" if tried.returncode else ""


_WHY = _untraceable()
pytestmark = [*LIVE, pytest.mark.skipif(bool(_WHY), reason=_WHY)]

HOST = "certificates.example.org"
BY_FOLDER, BY_INDEX, BY_SOCKET, BY_COMMAND, NOWHERE = (
    f"https://{HOST}/{name}.pem" for name in ("folder", "index", "socket", "command", "nowhere")
)
_CALL = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\((.*)")
_FAMILY = re.compile(r"(?:sa_family|msg_name=\{sa_family)=(\w+)")


class Answering:
    """Another system, behind a socket."""

    def __init__(self, url: str, body: bytes) -> None:
        self._url, self._body = url, body
        self.asked: list[str] = []

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        self.asked.append(url)
        known = url == self._url
        done(Answer(self._body if known else None, None if known else Detail.FETCH_REFUSED, time.time() + 60))

    def close(self) -> None:
        pass


@contextlib.contextmanager
def traced(lab: Lab, file: Path, trace: Path) -> Iterator[None]:
    """`sbc-filter run` under strace."""
    assert STRACE is not None
    log = file.with_name("log")
    program = [sys.executable, "-m", "sbc_filter", "run", "--firewall", "--config", str(file)]
    with lab.inside("sbc"), log.open("wb") as output:
        process = subprocess.Popen(
            [STRACE, "-f", "-qq", "-s", "256", "-e", _TRACE, "-o", str(trace), *program],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=heeding_signals,
        )
    try:
        assert eventually(lambda: b"listening" in log.read_bytes() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:  # strace does not hand a signal on
            subprocess.run(["kill", child], check=False)
        process.wait(LONG)


def went(trace: str) -> set[tuple[str, str]]:
    """(system call, where to) of everything that leaves a process by a socket."""
    found = set()
    for line in trace.splitlines():
        match = _CALL.search(line)
        if match is None:
            continue
        if "127.0.0.1" in match[2] or '"::1"' in match[2]:
            continue  # to itself: see `firewall.tracking`
        family = _FAMILY.search(match[2])
        where = family[1] if family else "connected"
        if where == "AF_UNIX":
            path = re.search(r'sun_path="([^"]*)"', match[2])
            where = f"AF_UNIX {path[1] if path else '?'}"
        found.add((match[1], where))
    return found


def test_what_strace_prints_is_understood() -> None:
    lines = """\
1 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.1")}, 16) = 0
1 sendto(3, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53)}, 28) = 1
1 sendmsg(3, {msg_name={sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, msg_namelen=12}, 0) = 44
2 connect(5, {sa_family=AF_UNIX, sun_path="/run/x.sock"}, 110) = 0
1 sendto(5, "GET /", 5, 0, NULL, 0 <unfinished ...>
1 recvfrom(3, {sa_family=AF_INET}, 16) = 0
"""
    assert went(lines) == {
        ("connect", "AF_INET"),
        ("sendto", "AF_INET6"),
        ("sendmsg", "AF_NETLINK"),
        ("connect", "AF_UNIX /run/x.sock"),
        ("sendto", "connected"),
    }


def test_no_connection_but_to_the_local_socket(lab: Lab, tmp_path: Path) -> None:
    now = time.time()
    made = Maker(now, "external").laboratory()
    folder, answer, socket_path = tmp_path / "certificates", tmp_path / "answer.result", tmp_path / "c.sock"
    folder.mkdir()
    certificate_path(folder, BY_FOLDER).write_bytes(made.chain)
    (folder / "acme.pem").write_bytes(made.chain)
    (folder / "index.json").write_text(f'{{"{BY_INDEX}": "acme.pem"}}')
    answer.write_bytes(made.chain)
    (tmp_path / "root.pem").write_bytes(pem(made.root.certificate))
    (tmp_path / "rules").mkdir()
    patient = calls.VERIFY + "[rule.verify]\nhold_ms = 4000\nverstat = true\n"  # everything is slow under strace
    (tmp_path / "rules" / "verify.toml").write_text(patient)
    script = f'case "$1" in {BY_COMMAND}) cat {answer};; *) exit 1;; esac'
    file = tmp_path / "c.toml"
    file.write_text(
        '[network]\nsbc = ["192.0.2.1"]\n[trust]\nanchors = ["root.pem"]\n[log]\nrecords = "records.jsonl"\n'
        '[certificates]\ndirectory = "certificates"\nsocket = "c.sock"\n'
        f"command = {['/bin/sh', '-c', script, 'sh']!r}\n"
    )
    other = Answering(BY_SOCKET, made.chain)
    trace = tmp_path / "trace"

    def call(number: int, url: str) -> bytes:
        token = calls.identity(calls.claims(iat=int(time.time())), jose={"x5u": url}, key=made.leaf.key)
        carrier.sendto(calls.invite(token, number=number), ("192.0.2.1", 5060))
        return sbc.recv(70000)

    with (
        serving(socket_path, other),
        traced(lab, file, trace),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
    ):
        for number, url in enumerate((BY_FOLDER, BY_INDEX, BY_SOCKET, BY_COMMAND)):
            assert b"verstat=TN-Validation-Passed" in call(number, url), url
        assert b"verstat=No-TN-Validation" in call(9, NOWHERE)
        certificate_path(folder, BY_FOLDER).unlink()
        time.sleep(1.1)
        assert b"verstat=No-TN-Validation" in call(10, BY_FOLDER)  # gone, and so not believed any more
        (folder / "index.json").write_text(f'{{"{NOWHERE}": "acme.pem"}}')
        time.sleep(1.1)
        assert b"verstat=TN-Validation-Passed" in call(11, NOWHERE)  # new, and in force
    assert BY_SOCKET in other.asked
    reached = went(trace.read_text())
    assert ("connect", f"AF_UNIX {socket_path}") in reached
    unix = {where for _, where in reached if where.startswith("AF_UNIX") and where != f"AF_UNIX {socket_path}"}
    assert not [where for where in unix if not _is_own(where, tmp_path)], unix
    assert not [each for each in reached if each[1] in ("AF_INET", "AF_INET6", "AF_PACKET")], reached


def _is_own(where: str, folder: Path) -> bool:
    """A socket of the program itself: between its own processes, or where `status` asks."""
    path = where.removeprefix("AF_UNIX ")
    return (
        path.startswith((str(folder), "/run/sbc-filter/")) or re.fullmatch(r"/tmp/sbc-filter-\w+/\S+", path) is not None
    )
