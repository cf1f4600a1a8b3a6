"""What on this host stands against relayed connections, or no longer applies to them.

Between other hosts, TCP passes FORWARD. Relayed connections end at this host, and pass INPUT and OUTPUT instead.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sbc_filter.firewall.host_rules import nft_chains, printed
from sbc_filter.firewall.interception import ARRIVING, LEAVING, LOCAL
from sbc_filter.firewall.iptables import Iptables, families
from sbc_filter.firewall.listings import covers, reached, rules_of, target_of, value_of
from sbc_filter.firewall.nft import TABLE
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.policy_routing import is_on, valid_mark
from sbc_filter.firewall.rule_tables import MAIN, IpFamily

_REFUSING = ("DROP", "REJECT")
_PORT_OPTIONS = ("--dport", "--sport", "--dports", "--sports", "--ports")
_UNITS = tuple(Path(folder, "systemd/system") for folder in ("/etc", "/usr/lib", "/lib"))
_PLAIN = {"-p", "-m", "-j", "-g", "--dport", "--dports", "--ctstate", "--state", "--mark", "--comment"}


def relay_surroundings(plan: Plan, program: str) -> Iterator[str]:
    """One sentence for each finding; the program `program` applies our rules."""
    yield from valid_mark()
    yield from locked_setting(is_on=is_on())
    iptables = Iptables("-legacy") if program == "iptables-legacy" else Iptables()
    for family in families():
        listing = iptables.listing(family, "filter")
        yield from restricted_forward(family, listing)
        yield from closed_input(family, listing, plan)
        if program != "nft":  # which has a table of its own
            yield from taken_from_relay(family, iptables.listing(family, "mangle"), plan.ports)
    chains = printed("nft", "list", "chains")
    for hook, found in (("forward", _forward), ("input", _closed)):
        for table, chain, policy in nft_chains(chains, hook, "filter"):
            text = printed("nft", "list", "chain", *table.split(), chain)
            if table != TABLE and (policy == "drop" or re.search(r"\b(?:drop|reject)\b", text)):
                yield found(f"nft: chain {chain} of table {table}")


def locked_setting(*, is_on: bool, folders: Sequence[Path] = _UNITS) -> Iterator[str]:
    """One sentence where systemd applies the firewall rules: its unit may not switch on what they need."""
    if not is_on and any((folder / "sbc-filter-firewall.service").exists() for folder in folders):
        yield (
            "net.ipv4.tcp_fwmark_accept is 0, which the unit sbc-filter-firewall may not change, and without it no"
            " rules are applied: put `net.ipv4.tcp_fwmark_accept = 1` into /etc/sysctl.d, and run `sysctl --system`"
        )


def restricted_forward(family: IpFamily, listing: str) -> Iterator[str]:
    """The table `filter`: whether FORWARD refuses anything."""
    rules = rules_of(listing)
    chains = [chain for chain in reached(rules, ["FORWARD"]) if not chain.startswith(MAIN)]
    refusing = any(target_of(rule) in _REFUSING for chain in chains for rule in rules[chain])
    if ":FORWARD DROP" in listing or refusing:
        yield _forward(f"{family}: FORWARD")


def closed_input(family: IpFamily, listing: str, plan: Plan) -> Iterator[str]:
    """The table `filter`: whether INPUT is closed by default, and no rule surely accepts relayed connections."""
    rules = rules_of(listing)
    last = rules.get("INPUT", [[]])[-1]
    closed = ":INPUT DROP" in listing or (last[:1] == ["-j"] and last[1] in _REFUSING)
    accepted = (_accepts(rule, plan) for chain in reached(rules, ["INPUT"]) for rule in rules[chain])
    if closed and not any(accepted):
        bits = f"{LOCAL:#x}/{LOCAL | plan.mark:#x}"
        yield f"{_closed(f'{family}: INPUT')}: insert `{family} -I INPUT -m mark --mark {bits} -j ACCEPT`"


def taken_from_relay(family: IpFamily, listing: str, ports: Sequence[int]) -> Iterator[str]:
    """The table `mangle`: one sentence for each rule that accepts SIP over TCP in front of our rules."""
    rules = rules_of(listing)
    for hook, ours in (("PREROUTING", ARRIVING), ("OUTPUT", LEAVING)):
        lines = rules.get(hook, [])
        first = lines[: next((at for at, rule in enumerate(lines) if target_of(rule) == ours), len(lines))]
        earlier = {**rules, hook: first}
        for chain in reached(earlier, [hook]):
            for rule in () if chain.startswith(MAIN) else earlier[chain]:
                if target_of(rule) == "ACCEPT" and _may_be_sip(rule, ports):
                    named = f"`-t mangle -A {chain} {' '.join(rule)}`"
                    yield f"{family}: what the rule {named} accepts passes the relay: remove it, or narrow it"


def _may_be_sip(rule: Sequence[str], ports: Sequence[int]) -> bool:
    named = [value_of(rule, option) for option in _PORT_OPTIONS]
    return value_of(rule, "-p") in ("", "tcp", "all") and (
        not any(named) or any(each and covers(each, ports) for each in named)
    )


def _accepts(rule: Sequence[str], plan: Plan) -> bool:
    """Whether a rule accepts new connections to all SIP ports, or what goes to the relay, from everywhere."""
    if target_of(rule) != "ACCEPT" or not set(rule[::2]) <= _PLAIN or value_of(rule, "-p") not in ("", "tcp"):
        return False
    state = value_of(rule, "--ctstate") or value_of(rule, "--state")
    mark = value_of(rule, "--mark")
    ports = value_of(rule, "--dport") or value_of(rule, "--dports")
    return (
        (not state or "NEW" in state.split(","))
        and mark in ("", f"{LOCAL:#x}/{LOCAL | plan.mark:#x}")
        and all(covers(ports, [port]) for port in plan.ports)
    )


def _forward(where: str) -> str:
    return (
        f"{where} refuses connections, but relayed ones pass INPUT and OUTPUT instead: repeat there what it demands of"
        " SIP over TCP"
    )


def _closed(where: str) -> str:
    return f"{where} is closed, and relayed connections may not get in"
