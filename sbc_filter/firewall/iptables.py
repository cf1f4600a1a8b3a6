"""Applies a firewall plan with iptables and ip6tables, removes it, and reports its state.

Each table changes in one transaction, so the rules are never half applied, and applying them twice is the same
as once. Only chains named SBC-FILTER… and the jumps to them are changed.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.plan import FRAGMENT_COMMENT, Plan
from sbc_filter.firewall.rule_tables import MAIN, FirewallTable, IpFamily, call_of
from sbc_filter.system.files import runtime_folder

_TABLES = ("mangle", "raw", "nat", "filter")
WATCHED = ("mangle", "raw")
"""The tables that are compared with the plan again and again."""
_CALL = re.compile(rf"-A (\S+ (?:.* )?-[jg] {MAIN}(?:-\S+)?)", re.ASCII)
_CHAIN = re.compile(rf"-N ({MAIN}(?:-\S+)?)", re.ASCII)
_COUNTED = re.compile(rf'\[(\d+):\d+\] -A {MAIN} .*"{FRAGMENT_COMMENT}"', re.ASCII)
_HANDED_OVER = re.compile(rf"\[(\d+):\d+\] -A {MAIN}\S* .*-j NFQUEUE --queue-num (\d+)", re.ASCII)
_FED = re.compile(rf"-A {MAIN}\S* .*-j NFQUEUE --queue-num (\d+)", re.ASCII)
_NAME_ALONE = re.compile(r"ip6?tables\S* v\S+ \(\w+\):", re.ASCII)  # the first line of some messages
_UNKNOWN = re.compile(r"Extension (\w+) revision \d+ not supported", re.ASCII)
_LOCK = Path("/run/xtables.lock")
# Which families have tables of the legacy kind: to look at those with iptables would make them.
_LEGACY_TABLES = {IpFamily.V4: "ip_tables_names", IpFamily.V6: "ip6_tables_names"}


class Iptables:
    """The iptables programs of one variant: "-legacy", "-nft", or "" for the default of the distribution."""

    def __init__(self, variant: str = "") -> None:
        self._variant = variant

    @property
    def name(self) -> str:
        """The name of the program."""
        return f"iptables{self._variant}"

    @cached_property
    def is_legacy(self) -> bool:
        """Whether its rules are separate from those of nf_tables; false when it is not installed."""
        if self._variant:
            return self._variant == "-legacy"
        return shutil.which(self.name) is not None and "legacy" in _run([self.name, "--version"])

    def apply(self, plan: Plan) -> None:
        """Apply `plan`, in place of an earlier one. After an `EnvironmentFault` the failed table is unchanged."""
        self.probe()
        for family in families():
            planned = {table.name: table for table in plan.tables(family) if table.chains}
            for name in _TABLES:
                if name in planned:
                    self._restore(family, name, self._replace(family, planned[name]))
                else:
                    self._withdraw(family, name)

    def remove(self) -> None:
        """Remove all of our rules; does nothing when there are none."""
        self.probe()
        for family in families():
            for name in _TABLES:
                self._withdraw(family, name)

    def is_in_force(self) -> bool:
        """Whether any of our chains exists. Does not create tables by looking."""
        return any(f":{MAIN} " in saved for saved in self._saved())

    def queues(self) -> frozenset[int]:
        """The numbers of the queues that our rules feed; empty without rules, or when they cannot be read."""
        try:
            return frozenset(int(number) for saved in self._saved() for number in _FED.findall(saved))
        except EnvironmentFault:
            return frozenset()

    def readings(self) -> list[list[str]]:
        """The commands that print our rules and their packet counters. Does not create tables by looking.

        The table `nat` is left out: it may have thousands of rules of container engines.
        """
        return [[save, "-c", "-t", table] for table in WATCHED for save in self._saves(table)]

    def faults(self) -> list[str]:
        """One sentence for each problem of the rules that are applied; empty when they work."""
        found = []
        for family in families():
            program = self._program(family)
            listing = _run([self._program(family, "-save"), "-c", "-t", "mangle"])
            if f":{MAIN} " not in listing or f" -j {MAIN}\n" not in listing:
                found.append(f"{program}: the rules are not applied: run `sbc-filter firewall apply`")
            passed = sum(map(int, _COUNTED.findall(listing)))
            if passed:
                found.append(fragments_passed(program, passed))
        return found

    def listing(self, family: IpFamily, table: str) -> str:
        """A whole table as the save program prints it; "" when there is none, or when it cannot be read."""
        save = self._program(family, "-save")
        try:
            there = shutil.which(save) is not None and self._has(family, table)
            return _run([save, "-t", table]) if there else ""
        except (EnvironmentFault, OSError):
            return ""

    def probe(self) -> None:
        """Raise `EnvironmentFault` with one sentence when the rules cannot be applied here."""
        for family in families():
            if shutil.which(self._program(family, "-restore")) is None:
                raise EnvironmentFault(f"{self._program(family)} is not installed: install the package iptables")
            chain = f"{MAIN}-PROBE"
            lines = [f":{chain} - [0:0]", f"-A {chain} -p udp -j NFQUEUE --queue-num 0 --queue-bypass"]
            self._restore(family, "mangle", [*lines, f"-F {chain}", f"-X {chain}"])

    def show(self, plan: Plan) -> str:
        """The commands that apply the plan, as an engineer would type them."""
        return "\n".join(plan.commands(family, self._program(family)) for family in IpFamily)

    def _saved(self) -> Iterator[str]:
        """What the save program of each family prints."""
        yield from (_run([save]) for save in self._saves())

    def _saves(self, table: str = "mangle") -> Iterator[str]:
        """The save program of each family, without the families that do not have this table."""
        for family in families():
            save = self._program(family, "-save")
            if shutil.which(save) is not None and self._has(family, table):
                yield save

    def _has(self, family: IpFamily, table: str) -> bool:
        """Whether there is such a table: to look at one of the legacy kind would make it."""
        names = Path("/proc/thread-self/net", _LEGACY_TABLES[family])
        return not self.is_legacy or table in _lines(names)

    def _program(self, family: IpFamily, verb: str = "") -> str:
        return f"{family}{self._variant}{verb}"

    def _replace(self, family: IpFamily, table: FirewallTable) -> list[str]:
        calls, chains = self._ours(family, table.name)
        lines = [f":{chain} - [0:0]" for chain in table.chains]  # declared: made or emptied
        lines += [f"-D {call}" for call in calls]
        lines += [f"-A {chain} {rule}" for chain, rules in table.chains.items() for rule in rules]
        lines += [f"{hook.verb} {' '.join(call_of(hook))}" for hook in table.hooks]
        stale = [chain for chain in chains if chain not in table.chains]
        return lines + [f"-{verb} {chain}" for verb in "FX" for chain in stale]

    def _withdraw(self, family: IpFamily, table: str) -> None:
        if not self._has(family, table):
            return
        calls, chains = self._ours(family, table)
        if calls or chains:
            lines = [f"-D {call}" for call in calls] + [f"-{verb} {chain}" for verb in "FX" for chain in chains]
            self._restore(family, table, lines)

    def _ours(self, family: IpFamily, table: str) -> tuple[list[str], list[str]]:
        """The calls from chains that are not ours, and our chains."""
        rules = _run([self._program(family), "-w", "-t", table, "-S"]).splitlines()
        chains = [found[1] for rule in rules if (found := _CHAIN.fullmatch(rule))]
        calls = [found[1] for rule in rules if (found := _CALL.fullmatch(rule))]
        return [call for call in calls if call.split()[0] not in chains], chains

    def _restore(self, family: IpFamily, table: str, lines: list[str]) -> None:
        text = "\n".join([f"*{table}", *lines, "COMMIT", ""])
        _run([self._program(family, "-restore"), "-w", "--noflush"], text)


def families() -> list[IpFamily]:
    """Both families, or IPv4 alone on a kernel without IPv6."""
    return list(IpFamily) if Path("/proc/thread-self/net/if_inet6").exists() else [IpFamily.V4]


def fragments_passed(program: str, passed: int) -> str:
    """The sentence for fragments that the rules saw one by one (S-153)."""
    return (
        f"{program}: {passed} UDP fragments passed unfiltered: defragmentation is off;"
        " run `sbc-filter firewall apply`, and load nf_defrag_ipv4 and nf_defrag_ipv6"
    )


def handed_over(listing: str) -> Counter[int]:
    """The packets that our rules have handed over, by queue; without the queues that they do not feed."""
    found: Counter[int] = Counter()
    for packets, queue in _HANDED_OVER.findall(listing):
        found[int(queue)] += int(packets)
    return found


def run_firewall(command: list[str], text: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a firewall program, with messages in English; `EnvironmentFault` when it is missing or hangs."""
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # a comment of another program's rule may be any octets
            timeout=30,
            check=False,
            env=firewall_environment(),
        )
    except FileNotFoundError:
        package = {"nft": "nftables", "ip": "iproute2"}.get(command[0], "iptables")
        raise EnvironmentFault(f"{command[0]} is not installed: install the package {package}") from None
    except subprocess.TimeoutExpired:
        raise EnvironmentFault(f"{command[0]} did not finish within 30 s: another program holds its lock") from None


def first_line(said: str) -> str:
    """The first line of a program's error message that says something."""
    lines = filter(None, map(str.strip, said.splitlines()))
    return next((line for line in lines if not _NAME_ALONE.fullmatch(line)), "failed without a message")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _run(command: list[str], text: str = "") -> str:
    done = run_firewall(command, text)
    if done.returncode:
        raise EnvironmentFault(_explain(command[0], done.stderr))
    return done.stdout


def firewall_environment() -> dict[str, str]:
    """The environment of a firewall program. The legacy variant locks a file that belongs to root.

    A user with CAP_NET_ADMIN who cannot write that file locks another one. Concurrent changes of other programs then
    fail with an error of the kernel, and nothing is lost.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    folder = runtime_folder()
    if folder is not None and not os.access(_LOCK if _LOCK.exists() else _LOCK.parent, os.W_OK):
        environment.setdefault("XTABLES_LOCKFILE", str(folder / _LOCK.name))
    return environment


def _explain(command: str, said: str) -> str:
    line = first_line(said)
    if "xtables.lock" in said:
        return f"{command}: no permission for its lock: run as root, or set RUNTIME_DIRECTORY"
    if "Permission denied" in said or "you must be root" in said:
        return f"{command}: no permission: run as root, or grant CAP_NET_ADMIN"
    if "unable to initialize table" in said:
        return f"{command}: no permission, or no such table: run as root, load iptable_mangle ({line})"
    unknown = _UNKNOWN.search(said)
    if unknown is not None and unknown[1] != "NFQUEUE":
        return f"{command}: this kernel has no {unknown[1]}: load xt_{unknown[1]}"
    if "NFQUEUE" in said:
        return f"{command}: this kernel has no NFQUEUE target: load xt_NFQUEUE and nfnetlink_queue ({line})"
    return f"{command}: {line}"
