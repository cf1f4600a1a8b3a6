"""Certificate servers that mean harm, all at once: `sbc-filter run` with DNS, TLS and the resolver as they are.

Each has a name and a call of its own. Beside them go calls of a signer who is known.
"""

import contextlib
import json
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.calls import VERIFY, claims, identity, invite
from support.dns import NameServer, name_server
from support.hostile import Authority, Server, serving
from support.netns import LIVE, NO_MOUNTS, endpoint, eventually, may_mount, three_hosts
from support.processes import heeding_signals
from support.runs import RUN, asked
from support.waiting import LONG

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import Maker, pem
from sbc_filter.lab.namespaces import Lab

pytestmark = [*LIVE, pytest.mark.skipif(os.geteuid() == 0 and not may_mount(), reason=NO_MOUNTS)]

TOTAL, HOLD = 2.0, 4.0  # seconds: what a fetch may take, and how long these calls may wait for it
WEB, MUTE, SELF_SIGNED, EXPIRED, RESET, ABSENT = (f"198.51.100.{number}" for number in (7, 8, 9, 10, 11, 99))
LOOPBACK, METADATA = "127.0.0.1", "169.254.169.254"


class Case(NamedTuple):
    """What a name leads to, and what has to become of a call whose token names it."""

    addresses: Sequence[str]
    path: str
    detail: str | None
    outcome: str = "unfetchable"


CASES = {
    "slow-to-accept": Case([MUTE], "/good.pem", "fetch-timeout"),
    "no-host": Case([ABSENT], "/good.pem", "fetch-timeout"),
    "slow-header": Case([WEB], "/drip-head", "fetch-timeout"),
    "byte-by-byte": Case([WEB], "/drip-body", "fetch-timeout"),
    "silent": Case([WEB], "/hang", "fetch-timeout"),
    "endless": Case([WEB], "/endless", "fetch-too-large"),
    "wrong-length": Case([WEB], "/short", "fetch-connect"),
    "bomb": Case([WEB], "/bomb", "fetch-status"),
    "redirect": Case([WEB], "/to-loopback", "fetch-status"),
    "dns-loopback": Case([LOOPBACK], "/good.pem", "fetch-address"),
    "dns-metadata": Case([METADATA], "/latest/meta-data", "fetch-address"),
    "dns-second": Case([WEB, LOOPBACK], "/good.pem", "fetch-address"),
    "dns-none": Case([], "/good.pem", "fetch-dns"),
    "self-signed": Case([SELF_SIGNED], "/good.pem", "fetch-tls"),
    "expired": Case([EXPIRED], "/good.pem", "fetch-tls"),
    "html": Case([WEB], "/html", "certificate-unreadable", "untrusted"),
    "10000-certificates": Case([WEB], "/10000-certificates", "fetch-too-large"),
    "1000-certificates": Case([WEB], "/1000-certificates", "certificate-unreadable", "untrusted"),
    "fails-at-first": Case([WEB], "/500-then-good", "fetch-status"),
    "reset": Case([RESET], "/good.pem", "fetch-connect"),
    "good": Case([WEB], "/chain.pem", None, "passed"),
    # Asked again, it is this machine: what was checked is what has to be connected to.
    "dns-rebinding": Case([WEB], "/chain.pem", None, "passed"),
}
KNOWN = "known.example"  # of a signer who is known by then
PAUSE, BESIDE = 0.01, 250  # seconds between two calls of that signer, and how many there are beside the others


def addresses(name: str, asked: int) -> Sequence[str]:
    if name == KNOWN:
        return [WEB]
    if name == "dns-rebinding.example" and asked:
        return [LOOPBACK]
    case = CASES.get(name.removesuffix(".example"))
    return case.addresses if case is not None else []  # others are asked for CRLs


class Measured(NamedTuple):
    """What came of it all."""

    records: dict[str, dict[str, Any]]  # by case
    waited: dict[str, float]  # seconds, by case
    beside: int  # calls of the known signer that came out of the filter
    counters: dict[str, int]  # of the filter
    grown: int  # bytes of memory of the filter, at the most


class Seen(NamedTuple):
    """The same, what the servers saw of it, and what became of calls after a restart without them (by case)."""

    measured: Measured
    restarted: dict[str, dict[str, Any]]
    names: NameServer
    web: Server
    inside: Server


def reset(listening: socket.socket) -> None:
    """Accept, and end every connection with an RST (SO_LINGER of 0 s)."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listening.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("hostile")
    with three_hosts() as lab, contextlib.ExitStack() as stack:
        for address in (MUTE, SELF_SIGNED, EXPIRED, RESET):
            lab.address("core", f"{address}/24", "to-sbc")
        names, web, inside = _hosts(lab, folder, stack)
        made = Maker(time.time()).laboratory()
        web.files["/chain.pem"] = made.chain
        file = _configure(folder, pem(made.root.certificate))
        with _running(lab, file) as process:
            measured = _measure(lab, process.pid, file, made.leaf.key)
        lab.run("sbc", "ip", "link", "set", "to-core", "down")
        _damage(folder / "cache")
        with _running(lab, file):
            restarted = _again(lab, folder / "records.jsonl", made.leaf.key)
        yield Seen(measured, restarted, names, web, inside)


def _hosts(lab: Lab, folder: Path, stack: contextlib.ExitStack) -> tuple[NameServer, Server, Server]:
    """The name server on the host of the filter, the hostile web server, and one on the loopback interface of the
    filter that nobody should come to."""
    authority, other = Authority(folder), Authority(_made(folder / "other"))
    every = [f"{case}.example" for case in CASES] + [KNOWN]
    good = authority.server(folder / "web.pem", every)
    with lab.inside("sbc"):
        names = stack.enter_context(name_server(("127.0.0.1", 53), addresses))
        inside = stack.enter_context(serving(good, (LOOPBACK, 443)))
    with lab.inside("core"):
        web = stack.enter_context(serving(good, (WEB, 443)))
        stack.enter_context(serving(other.server(folder / "self-signed.pem", every), (SELF_SIGNED, 443)))
        stack.enter_context(serving(authority.server(folder / "expired.pem", every, days=-1), (EXPIRED, 443)))
        stack.enter_context(socket.create_server((MUTE, 443)))
        resetting = stack.enter_context(socket.create_server((RESET, 443)))
    thread = threading.Thread(target=reset, args=(resetting,))
    thread.start()
    stack.callback(thread.join)
    stack.callback(resetting.shutdown, socket.SHUT_RDWR)
    web.redirects["/to-loopback"] = 302, "https://127.0.0.1/good.pem"
    return names, web, inside


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _configure(folder: Path, root: bytes) -> Path:
    (folder / "root.pem").write_bytes(root)
    (_made(folder / "rules") / "verify.toml").write_text(f"{VERIFY}[rule.verify]\nhold_ms = {HOLD * 1000:.0f}\n")
    (folder / "c.toml").write_text(
        """\
[network]
sbc = ["192.0.2.1"]
[trust]
anchors = ["root.pem"]
[certificates]
fetch = true
cache = "cache"
web_ca = "ca.pem"
allowed_networks = ["198.51.100.0/24"]
[log]
records = "records.jsonl"
[control]
socket = "control"
"""
    )
    return folder / "c.toml"


@contextlib.contextmanager
def _running(lab: Lab, file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The program, with a resolver that asks the name server of the laboratory."""
    log = file.with_name("log")
    space = lab.namespace("sbc")
    settings = Path("/etc/netns", space)  # `ip netns exec` puts these files over those of /etc
    settings.mkdir(parents=True)
    try:
        (settings / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", space, *RUN, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=heeding_signals,
                start_new_session=True,
            )
        try:
            assert eventually(lambda: b"listening" in log.read_bytes()), log.read_text()
            yield process
        finally:
            process.terminate()
            process.wait(LONG)
    finally:
        (settings / "resolv.conf").unlink()
        settings.rmdir()


def _memory(session: int) -> int:
    """The most bytes of memory that the processes of a session have had together."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(process.name)) == session:
                lines = (process / "status").read_text().splitlines()  # without VmHWM if it has just ended
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return total


class _Caller:
    """Sends calls and notes when they come out of the filter."""

    def __init__(self, carrier: socket.socket, sbc: socket.socket, key: Any) -> None:
        self._carrier, self._sbc, self._key = carrier, sbc, key
        self._sent: dict[int, float] = {}
        self.took: dict[int, float] = {}

    def call(self, number: int, url: str) -> None:
        own = claims(iat=int(time.time()), origid=f"{number:08x}-8f7a-4f0e-a863-f53a0e60251a")
        message = invite(identity(own, jose={"x5u": url}, key=self._key), number=number)
        self._sent[number] = time.monotonic()
        self._carrier.sendto(message, ("192.0.2.1", 5060))

    def collect(self, calls: int) -> None:
        """Until so many calls are there in all."""
        while len(self.took) < calls:
            payload = self._sbc.recv(70000)
            number = int(payload.partition(b"Call-ID: call-")[2].partition(b"@")[0])
            self.took[number] = time.monotonic() - self._sent[number]


def _records(file: Path, numbers: dict[str, int]) -> dict[str, dict[str, Any]]:
    """The record of each call, by case; they are written when the packets have gone on."""
    found: dict[str, dict[str, Any]] = {}

    def complete() -> bool:
        for record in map(json.loads, file.read_text().rpartition("\n")[0].splitlines()):
            found[record["call_id"]] = record
        return all(f"call-{number}@carrier.example" in found for number in numbers.values())

    assert eventually(complete), found
    return {case: found[f"call-{number}@carrier.example"] for case, number in numbers.items()}


def _measure(lab: Lab, session: int, file: Path, key: Any) -> Measured:
    numbers = {case: 10_000 + number for number, case in enumerate(CASES)}
    with endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        caller = _Caller(carrier, sbc, key)
        collecting = threading.Thread(target=caller.collect, args=(1 + BESIDE + len(CASES),))
        known = f"https://{KNOWN}/chain.pem"
        caller.call(0, known)
        caller.collect(1)
        before = _memory(session)
        for case, number in numbers.items():
            caller.call(number, f"https://{case}.example{CASES[case].path}")
        caller.call(1000, known)
        collecting.start()
        for number in range(1001, 1000 + BESIDE):
            time.sleep(PAUSE)
            caller.call(number, known)
        collecting.join()
        after = _memory(session)
    return Measured(
        _records(file.with_name("records.jsonl"), numbers),
        {case: caller.took[number] for case, number in numbers.items()},
        sum(1000 <= number < 1000 + BESIDE for number in caller.took),
        asked(file)["counters"],
        after - before,
    )


def _damage(cache: Path) -> None:
    """A bit of one file is flipped, another file is cut off."""
    good = certificate_path(cache, "https://good.example/chain.pem").with_suffix(".cached")
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    good.write_bytes(content)
    rebinding = certificate_path(cache, "https://dns-rebinding.example/chain.pem").with_suffix(".cached")
    rebinding.write_bytes(rebinding.read_bytes()[:-100])


def _again(lab: Lab, file: Path, key: Any) -> dict[str, dict[str, Any]]:
    """The records of three calls."""
    numbers = {"known": 20_000, "good": 20_001, "dns-rebinding": 20_002}
    with endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        caller = _Caller(carrier, sbc, key)
        for case, number in numbers.items():
            caller.call(number, f"https://{case}.example/chain.pem")
        caller.collect(len(numbers))
    return _records(file, numbers)


@pytest.mark.parametrize("name", CASES)
def test_what_becomes_of_the_call(seen: Seen, name: str) -> None:
    record, case = seen.measured.records[name], CASES[name]
    assert (record["outcome"], record.get("detail")) == (case.outcome, case.detail)
    if case.detail == "fetch-timeout":
        assert seen.measured.waited[name] > TOTAL / 2  # which connecting alone may take


def test_nobody_came_to_this_machine(seen: Seen) -> None:
    assert seen.inside.connections == 0


def test_names_are_resolved_once(seen: Seen) -> None:
    """Twice the names whose certificate was lost, for the filter was started twice."""
    asked = {name: times for name, times in seen.names.asked.items() if name.endswith(".example")}
    assert asked == {KNOWN: 1} | {f"{case}.example": 2 if case in ("good", "dns-rebinding") else 1 for case in CASES}


def test_a_fetch_ends_before_the_calls_that_wait_for_it_go_on(seen: Seen) -> None:
    """All of them were told what became of it."""
    assert "deadlines" not in seen.measured.counters


def test_other_calls_do_not_notice(seen: Seen) -> None:
    """None of them was held, but the first, whose certificate was fetched."""
    assert seen.measured.beside == BESIDE
    assert seen.measured.counters["held"] == 1 + len(CASES)


def test_after_a_restart_without_the_network(seen: Seen) -> None:
    """A known signer's calls pass by the certificate on disk; of files that were damaged nothing is believed."""
    assert {case: (record["outcome"], record.get("detail")) for case, record in seen.restarted.items()} == {
        "known": ("passed", None),
        "good": ("unfetchable", "fetch-connect"),
        "dns-rebinding": ("unfetchable", "fetch-address"),
    }


def test_memory_is_bounded(seen: Seen) -> None:
    assert seen.measured.grown < 48 << 20
    assert seen.web.poured < 100
