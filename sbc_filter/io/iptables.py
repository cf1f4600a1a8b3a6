"""Puts a firewall plan in force with iptables and ip6tables, takes it back, and says how it stands.

Each table changes in one transaction, so there is no moment with half of the rules, and applying twice
is the same as once. Only chains named SBC-FILTER… and the calls of them are ever touched.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from sbc_filter.errors import EnvironmentFault
from sbc_filter.io.firewall import FRAGMENT_COMMENT, MAIN, Family, Plan, Table, call_of

_TABLES = ("mangle", "raw")
_CALL = re.compile(rf"-A (\S+ (?:.* )?-[jg] {MAIN}(?:-\S+)?)", re.ASCII)
_CHAIN = re.compile(rf"-N ({MAIN}(?:-\S+)?)", re.ASCII)
_COUNTED = re.compile(rf'\[(\d+):\d+\] -A {MAIN} .*"{FRAGMENT_COMMENT}"', re.ASCII)


def apply(plan: Plan) -> None:
    """Put `plan` in force, in place of an earlier one; raises `EnvironmentFault`, and then changed nothing
    of the table it failed on."""
    probe()
    for family in families():
        for table in plan.tables(family):
            _restore(family, table.name, _replace(family, table))


def remove() -> None:
    """Take back all of it; without harm when there is nothing."""
    probe()
    for family in families():
        for name in _TABLES:
            calls, chains = _ours(family, name)
            if calls or chains:
                _restore(family, name, _withdraw(calls, chains))


def faults() -> list[str]:
    """One sentence for each thing that is wrong with the rules in force; empty when they do their work."""
    found = []
    for family in families():
        listing = _listing(family)
        if f":{MAIN} " not in listing or f" -j {MAIN}\n" not in listing:
            found.append(f"{family}: the rules are not in force: run `sbc-filter firewall apply`")
        passed = sum(map(int, _COUNTED.findall(listing)))
        if passed:
            found.append(
                f"{family}: {passed} UDP fragments passed unfiltered: defragmentation is off;"
                " run `sbc-filter firewall apply`, and load nf_defrag_ipv4 and nf_defrag_ipv6"
            )
    return found


def families() -> list[Family]:
    """Both families, or IPv4 alone on a kernel without IPv6."""
    return list(Family) if Path("/proc/thread-self/net/if_inet6").exists() else [Family.V4]


def probe() -> None:
    """Raise `EnvironmentFault` with one sentence when the rules cannot be put in force here."""
    for family in families():
        if shutil.which(f"{family}-restore") is None:
            raise EnvironmentFault(f"{family} is not installed: install the package iptables")
        chain = f"{MAIN}-PROBE"
        lines = [f":{chain} - [0:0]", f"-A {chain} -p udp -j NFQUEUE --queue-num 0 --queue-bypass"]
        _restore(family, "mangle", [*lines, f"-F {chain}", f"-X {chain}"])


def _replace(family: Family, table: Table) -> list[str]:
    calls, chains = _ours(family, table.name)
    lines = [f":{chain} - [0:0]" for chain in table.chains]  # declared: made or emptied
    lines += [f"-D {call}" for call in calls]
    lines += [f"-A {chain} {rule}" for chain, rules in table.chains.items() for rule in rules]
    lines += [f"-A {' '.join(call_of(hook))}" for hook in table.hooks]
    stale = [chain for chain in chains if chain not in table.chains]
    return lines + [f"-{verb} {chain}" for verb in "FX" for chain in stale]


def _withdraw(calls: list[str], chains: list[str]) -> list[str]:
    return [f"-D {call}" for call in calls] + [f"-{verb} {chain}" for verb in "FX" for chain in chains]


def _ours(family: Family, table: str) -> tuple[list[str], list[str]]:
    """The calls from chains that are not ours, and our chains."""
    rules = _run([family, "-w", "-t", table, "-S"]).splitlines()
    chains = [found[1] for rule in rules if (found := _CHAIN.fullmatch(rule))]
    calls = [found[1] for rule in rules if (found := _CALL.fullmatch(rule))]
    return [call for call in calls if call.split()[0] not in chains], chains


def _listing(family: Family) -> str:
    return _run([f"{family}-save", "-c", "-t", "mangle"])


def _restore(family: Family, table: str, lines: list[str]) -> None:
    text = "\n".join([f"*{table}", *lines, "COMMIT", ""])
    _run([f"{family}-restore", "-w", "--noflush"], text)


def _run(command: list[str], text: str = "") -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=30, check=False, env=environment
        )
    except FileNotFoundError:
        raise EnvironmentFault(f"{command[0]} is not installed: install the package iptables") from None
    except subprocess.TimeoutExpired:
        raise EnvironmentFault(f"{command[0]} did not finish within 30 s: another program holds its lock") from None
    if done.returncode:
        raise EnvironmentFault(_explain(command[0], done.stderr))
    return done.stdout


def _explain(command: str, said: str) -> str:
    line = next((line.strip() for line in said.splitlines() if line.strip()), "failed without a message")
    if "Permission denied" in said or "you must be root" in said:
        return f"{command}: no permission: run as root, or grant CAP_NET_ADMIN ({line})"
    if "unable to initialize table" in said:
        return f"{command}: no permission, or no such table: run as root, load iptable_mangle ({line})"
    if "NFQUEUE" in said:
        return f"{command}: this kernel has no NFQUEUE target: load xt_NFQUEUE and nfnetlink_queue ({line})"
    return f"{command}: {line}"
