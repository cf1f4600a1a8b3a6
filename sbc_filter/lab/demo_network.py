"""The network of the demonstration: carrier, SBC and core as hosts of a laboratory, and the filter on the SBC.

    carrier 192.0.2.7 ---- 192.0.2.1 SBC 198.51.100.1 ---- 198.51.100.7 core      (and the same in IPv6)

User agents (SIPp) on both ends, an ordinary SIP server (Kamailio) on the SBC. Everything is real:
packets, firewall rules, kernel queue. All of it is removed when the context is left.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sbc_filter.certificates.source import certificate_path
from sbc_filter.errors import EnvironmentFault
from sbc_filter.lab import sipp_scenarios
from sbc_filter.lab.certificate_maker import Maker, key_pem, pem
from sbc_filter.lab.laboratory import write
from sbc_filter.lab.namespaces import Lab
from sbc_filter.pki.tnauthlist import TnAuthList
from sbc_filter.stir.credential import Credential, load_credential

CARRIER = {4: "192.0.2.7", 6: "2001:db8:1::7"}
OUTSIDE = {4: "192.0.2.1", 6: "2001:db8:1::1"}  # the SBC, towards the carrier
INSIDE = {4: "198.51.100.1", 6: "2001:db8:2::1"}  # the SBC, towards the core
CORE = {4: "198.51.100.7", 6: "2001:db8:2::7"}
ENDS = {"carrier": (CARRIER, OUTSIDE), "core": (CORE, INSIDE)}
CARRIER_X5U = "https://certificates.carrier.example/shaken.pem"
OUR_X5U = "https://certificates.example.org/shaken.pem"
PLAIN_PORT = 5080  # where ordinary traffic is sent
PROGRAMS = {"sipp": "sip-tester", "kamailio": "kamailio", "ip": "iproute2", "iptables-restore": "iptables"}

_RECEIVED = re.compile(rb"(?:UDP|TCP) message received \[(\d+)\] bytes :\n\n")
_PATIENCE = 180.0  # seconds for a program to start
_MODES = {"udp": "u1", "tcp": "t1"}  # of SIPp, with one socket for all calls

CONFIGURATION = f"""\
[network]
ports = [5060, {PLAIN_PORT}]
sbc = ["{OUTSIDE[4]}", "{OUTSIDE[6]}", "{INSIDE[4]}", "{INSIDE[6]}"]

[trunks.carrier]
addresses = ["{CARRIER[4]}", "{CARRIER[6]}"]

[trunks.core]
addresses = ["{CORE[4]}", "{CORE[6]}"]
trusted = true

[trust]
anchors = ["anchors"]
crls = ["crl.pem"]

[certificates]
directory = "certificates"

[credentials.ours]
key = "keys/shaken.key"
certificate = "keys/shaken.pem"
x5u = "{OUR_X5U}"

[log]
records = "records.jsonl"

[control]
socket = "control"
"""
RELAY = "\n[relay]\nenabled = true\n"
RULES = """\
[[rule]]
name = "verify-carrier"
direction = "inbound"
trunk = "carrier"
action = "verify"

[rule.on]
invalid = "reject"

[[rule]]
name = "sign-to-carrier"
direction = "outbound"
trunk = "carrier"
action = "sign"

[rule.sign]
credential = "ours"
origid = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"
numbers = ["121555502*"]
"""


class DemoNetwork:
    """A context manager; `call` and `heard` are all that a scene needs. Needs root and `PROGRAMS`."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._folder = Path()
        self._runs = 0
        self.unrelayed = ""
        """Why this host cannot relay TCP; empty if it can."""
        self.lab = Lab("sbcdemo")
        maker = Maker(time.time())
        self.ours = maker.laboratory()
        carrier = maker.leaf(self.ours.issuing, TnAuthList(("5678",)))
        self.carrier_chain = pem(carrier.certificate) + pem(self.ours.issuing.certificate)
        self.carrier: Credential = load_credential("carrier", key_pem(carrier.key), self.carrier_chain, CARRIER_X5U)

    def __enter__(self) -> Self:
        missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
        if missing:
            raise EnvironmentFault(f"programs are missing: run `apt-get install {' '.join(missing)}`")
        try:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sbc-filter-")))
            self._stack.enter_context(self.lab)
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def call(
        self,
        caller_host: str,
        version: int,
        calls: Iterable[tuple[str, str, str]],
        identity: str | None = None,
        refusal: int | None = None,
        rate: int = 50,
        transport: str = "udp",
    ) -> int:
        """Place `calls` (caller, called, token) through the SBC; returns how many ended as expected.

        `identity`: the parameters after the token in the Identity header; None for calls without Identity.
        """
        self._runs += 1
        scenario, lines = self._folder / f"caller-{self._runs}.xml", self._folder / f"caller-{self._runs}.csv"
        scenario.write_text(sipp_scenarios.caller(identity, refusal))
        wanted = list(calls)
        lines.write_text("\n".join(["SEQUENTIAL", *(";".join(fields) for fields in wanted)]) + "\n")
        addresses, gates = ENDS[caller_host]
        statistics = self._folder / f"caller-{self._runs}.stat"
        with self.lab.inside(caller_host):
            done = subprocess.run(
                [
                    *("sipp", _target(gates[version]), "-sf", str(scenario), "-inf", str(lines)),
                    *("-i", addresses[version], "-p", "5070", "-m", str(len(wanted)), "-r", str(rate), "-nostdin"),
                    *("-t", _MODES[transport]),
                    *("-timeout", "40s", "-recv_timeout", "8000", "-trace_stat", "-stf", str(statistics)),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                check=False,
                cwd=self._folder,
                env={**os.environ, "TERM": "dumb"},
            )
        if done.returncode not in (0, 1):
            raise EnvironmentFault(f"sipp: {done.stderr.decode(errors='replace').strip()[-400:]}")
        header, *rows = (line.split(";") for line in statistics.read_text().splitlines())
        return int(rows[-1][header.index("SuccessfulCall(C)")])

    def heard(self, host: str, version: int, method: bytes = b"INVITE", transport: str = "udp") -> list[bytes]:
        """The requests of this method that a host has received, as its socket gave them."""
        log = (self._folder / f"{host}-{version}-{transport}.messages").read_bytes()
        messages = [log[found.end() : found.end() + int(found[1])] for found in _RECEIVED.finditer(log)]
        return [message for message in messages if message.startswith(method + b" ")]

    def records(self) -> list[dict[str, Any]]:
        """What the filter has recorded."""
        path = self._folder / "records.jsonl"
        written, _, _ = path.read_text().rpartition("\n") if path.exists() else ("", "", "")  # not half a record
        return [json.loads(line) for line in written.splitlines()]

    def handed_over(self) -> int:
        """Packets that the kernel has handed to the filter, by the counters of the rules that queue them."""
        total = 0
        for program in ("iptables", "ip6tables"):
            listing = self.lab.run("sbc", program, "-t", "mangle", "-L", "SBC-FILTER-QUEUE", "-v", "-x", "-n")
            total += sum(int(line.split()[0]) for line in listing.splitlines() if "NFQUEUE" in line)
        return total

    def _build(self) -> None:
        lab = self.lab
        lab.host("carrier")
        lab.host("sbc", forwarding=True)
        lab.host("core")
        for host, (addresses, gates) in ENDS.items():
            near, far = ({4: f"{at[4]}/24", 6: f"{at[6]}/64"} for at in (addresses, gates))
            lab.cable((host, near[4], near[6]), ("sbc", far[4], far[6]))
            for version in (4, 6):
                lab.route(host, "default", gates[version])
        lab.wait_until_up()
        self._files()
        self._start_sbc()
        for host, (addresses, _) in ENDS.items():
            for version in (4, 6):
                self._start_called(host, version, addresses[version])
        for version, address in CORE.items():
            self._start_called("core", version, address, "tcp")
        self._start_filter()

    def _files(self) -> None:
        write(self._folder, self.ours, OUR_X5U)
        for path in (self._folder / "rules").iterdir():
            path.unlink()
        (self._folder / "sbc-filter.toml").write_text(CONFIGURATION + RELAY)
        (self._folder / "rules" / "demo.toml").write_text(RULES)
        certificate_path(self._folder / "certificates", CARRIER_X5U).write_bytes(self.carrier_chain)

    def _start_sbc(self) -> None:
        listen = [
            address if version == 4 else f"[{address}]"
            for side in (OUTSIDE, INSIDE)
            for version, address in side.items()
        ]
        relay = {}
        for version in (4, 6):
            relay[CARRIER[version]] = _bracketed(CORE[version])
            relay[CORE[version]] = _bracketed(CARRIER[version])
        file = self._folder / "kamailio.cfg"
        file.write_text(sipp_scenarios.sbc(listen, relay))
        run = self._folder / "kamailio"
        run.mkdir()
        self._start(
            "sbc", "kamailio", "-f", str(file), "-DD", "-E", "-m", "32", "-M", "4", "-Y", str(run), "-w", str(run)
        )
        self._until(lambda: ":5060" in self.lab.run("sbc", "ss", "-lun"), "kamailio")

    def _start_called(self, host: str, version: int, address: str, transport: str = "udp") -> None:
        scenario = self._folder / "called.xml"
        scenario.write_text(sipp_scenarios.CALLED)
        self._start(
            host,
            *("sipp", "-sf", str(scenario), "-i", address, "-p", "5060", "-nostdin", "-t", _MODES[transport]),
            *("-mp", str(10000 + 100 * version + (50 if transport == "tcp" else 0))),
            *("-trace_msg", "-message_file", str(self._folder / f"{host}-{version}-{transport}.messages")),
        )
        listening = "-ltn" if transport == "tcp" else "-lun"
        self._until(lambda: f"{_bracketed(address)}:5060" in self.lab.run(host, "ss", listening), "sipp")

    def _start_filter(self) -> None:
        """Start it with a relay, or without one if it does not start like that."""
        if not self._runs_filter():
            file = self._folder / "sbc-filter.toml"
            settings = file.read_text()
            if RELAY not in settings:
                raise self._not_started("sbc-filter")
            self.unrelayed = self._said("sbc-filter").rstrip().rpartition("\n")[2].removeprefix("sbc-filter: ")
            file.write_text(settings.replace(RELAY, ""))
            if not self._runs_filter():
                raise self._not_started("sbc-filter")

    def _runs_filter(self) -> bool:
        """Whether the filter starts with its configuration."""
        file = str(self._folder / "sbc-filter.toml")
        log, process = self._start("sbc", sys.executable, "-m", "sbc_filter", "run", "--firewall", "--config", file)
        self._until(lambda: b"listening" in log.read_bytes() or process.poll() is not None, "sbc-filter")
        return process.poll() is None

    def _start(self, host: str, *command: str) -> tuple[Path, "subprocess.Popen[bytes]"]:
        self._runs += 1
        program = "sbc-filter" if command[0] == sys.executable else Path(command[0]).name
        log = self._folder / f"{program}-{self._runs}.log"
        with log.open("wb") as file:
            return log, self.lab.start(host, *command, log=file)

    def _until(self, condition: Callable[[], bool], program: str) -> None:
        end = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise self._not_started(program)
            time.sleep(0.05)

    def _not_started(self, program: str) -> EnvironmentFault:
        return EnvironmentFault(f"{program} did not start within {_PATIENCE:g} s: {self._said(program)}")

    def _said(self, program: str) -> str:
        """What a program printed, each time that it was started."""
        logs = sorted(self._folder.glob(f"{program}*.log"), key=lambda path: path.stat().st_mtime)
        return "\n".join(path.read_text(errors="replace")[-800:] for path in logs)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _target(address: str) -> str:
    return f"{_bracketed(address)}:5060"
