"""What on this host stands against relayed connections, or no longer applies to them.

Between other hosts, TCP passes FORWARD. Relayed connections end at this host, and pass INPUT and OUTPUT instead.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from sbc_filter.firewall.host_rules import NFT_NEW, nft_chains, nft_ends_closed, nft_lines, printed
from sbc_filter.firewall.interception import ARRIVING, LEAVING, LOCAL
from sbc_filter.firewall.iptables import Iptables, families
from sbc_filter.firewall.listings import covers, reached, rules_of, target_of, value_of
from sbc_filter.firewall.nft import TABLE
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.policy_routing import OPTION, PROGRAM, earlier_rules, is_on, valid_mark
from sbc_filter.firewall.rule_tables import MAIN, IpFamily

_REFUSING = ("DROP", "REJECT")
_PORT_OPTIONS = ("--dport", "--sport", "--dports", "--sports", "--ports")
_NFT_PORTS = re.compile(
    r"tcp dport (\{[^{}]*\}|[\d-]+) (?:ct state new )?(?:counter packets \d+ bytes \d+ )?accept(?: comment .*)?",
    re.ASCII,
)
_TAKING = {"ACCEPT": "accepts", "TPROXY": "takes", "NFQUEUE": "queues", "QUEUE": "queues"}
_UNITS = tuple(Path(folder, "systemd/system") for folder in ("/etc", "/usr/lib", "/lib"))
_PLAIN = {"-p", "-m", "-j", "-g", "--dport", "--dports", "--ctstate", "--state", "--mark", "--comment"}


def relay_surroundings(plan: Plan, program: str) -> Iterator[str]:
    """One sentence for each finding; the program `program` applies our rules."""
    if shutil.which(PROGRAM) is None:
        yield "ip is not installed, and without it no firewall rules are applied: install the package iproute2"
    yield from valid_mark()
    yield from locked_setting(is_on=is_on())
    for each, option in OPTION.items():
        yield from earlier_rules(printed(PROGRAM, option, "rule", "show"), each)
    iptables = Iptables("-legacy") if program == "iptables-legacy" else Iptables()
    for family in families():
        listing = iptables.listing(family, "filter")
        yield from restricted_forward(family, listing)
        yield from closed(family, listing, plan, "INPUT")
        yield from closed(family, listing, plan, "OUTPUT")
        if program != "nft":  # which has a table of its own
            yield from taken_from_relay(family, iptables.listing(family, "mangle"), plan.ports)
    chains = printed("nft", "list", "chains")
    for hook in ("forward", "input", "output"):
        for table, chain, policy in nft_chains(chains, hook, "filter"):
            if table != TABLE:
                text = printed("nft", "list", "chain", *table.split(), chain)
                yield from nft_refuses(hook, table, chain, policy, text, plan)


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


def closed(family: IpFamily, listing: str, plan: Plan, hook: str) -> Iterator[str]:
    """The table `filter`: whether INPUT or OUTPUT is closed by default, and no rule surely accepts relayed
    connections."""
    rules = rules_of(listing)
    last = rules.get(hook, [[]])[-1]
    is_closed = f":{hook} DROP" in listing or (last[:1] == ["-j"] and last[1] in _REFUSING)
    bits = "/".join(map(hex, _bits(hook, plan)))
    accepted = (_accepts(rule, plan, bits) for chain in reached(rules, [hook]) for rule in rules[chain])
    if is_closed and not any(accepted):
        yield f"{_closed(f'{family}: {hook}', hook)}: insert `{family} -I {hook} -m mark --mark {bits} -j ACCEPT`"


def nft_refuses(hook: str, table: str, chain: str, policy: str, text: str, plan: Plan) -> Iterator[str]:
    """A chain of nft: whether FORWARD refuses anything, or another hook is closed, and no rule surely accepts relayed
    connections."""
    where = f"nft: chain {chain} of table {table}"
    if hook == "forward":
        if policy == "drop" or re.search(r"\b(?:drop|reject)\b", text):
            yield _forward(where)
        return
    lines = nft_lines(text)
    value, mask = _bits(hook, plan)
    rule = f"meta mark & {mask:#x} == {value:#x} accept"
    if nft_ends_closed(lines, policy) and not any(_nft_accepts(line, plan, rule) for line in lines):
        yield f"{_closed(where, hook)}: run `nft insert rule {table} {chain} '{rule}'`"


def _nft_accepts(line: str, plan: Plan, rule: str) -> bool:
    """Whether a line accepts new connections to all SIP ports, or is `rule`, perhaps with a counter."""
    found = _NFT_PORTS.fullmatch(line)
    ports = found[1].strip("{} ").replace("-", ":") if found else ""
    return (
        (line.startswith(rule.removesuffix("accept")) and " accept" in line)
        or NFT_NEW.match(line) is not None
        or (found is not None and all(covers(ports, [port]) for port in plan.ports))
    )


def taken_from_relay(family: IpFamily, listing: str, ports: Sequence[int]) -> Iterator[str]:
    """The table `mangle`: one sentence for each rule that takes SIP over TCP in front of our rules."""
    rules = rules_of(listing)
    for hook, ours in (("PREROUTING", ARRIVING), ("OUTPUT", LEAVING)):
        lines = rules.get(hook, [])
        first = lines[: next((at for at, rule in enumerate(lines) if target_of(rule) == ours), len(lines))]
        earlier = {**rules, hook: first}
        for chain in reached(earlier, [hook]):
            for rule in () if chain.startswith(MAIN) else earlier[chain]:
                if target_of(rule) in _TAKING and _may_be_sip(rule, ports):
                    named = f"`-t mangle -A {chain} {' '.join(rule)}` {_TAKING[target_of(rule)]}"
                    yield f"{family}: what the rule {named} passes the relay: remove it, or narrow it"


def _may_be_sip(rule: Sequence[str], ports: Sequence[int]) -> bool:
    named = [value_of(rule, option) for option in _PORT_OPTIONS]
    return value_of(rule, "-p") in ("", "tcp", "all") and (
        not any(named) or any(each and covers(each, ports) for each in named)
    )


def _bits(hook: str, plan: Plan) -> tuple[int, int]:
    """Value and mask of the mark of relayed packets at INPUT or OUTPUT."""
    return (LOCAL, LOCAL | plan.mark) if hook.lower() == "input" else (plan.mark, plan.mark)


def _accepts(rule: Sequence[str], plan: Plan, bits: str) -> bool:
    """Whether a rule accepts new connections to all SIP ports, or what goes to the relay, from everywhere."""
    if target_of(rule) != "ACCEPT" or not set(rule[::2]) <= _PLAIN or value_of(rule, "-p") not in ("", "tcp"):
        return False
    state = value_of(rule, "--ctstate") or value_of(rule, "--state")
    mark = value_of(rule, "--mark")
    ports = value_of(rule, "--dport") or value_of(rule, "--dports")
    return (
        (not state or "NEW" in state.split(","))
        and mark in ("", bits)
        and all(covers(ports, [port]) for port in plan.ports)
    )


def _forward(where: str) -> str:
    return (
        f"{where} refuses connections, but relayed ones pass INPUT and OUTPUT instead: repeat there what it demands of"
        " SIP over TCP"
    )


def _closed(where: str, hook: str) -> str:
    return f"{where} is closed, and relayed connections may not get {'in' if hook.lower() == 'input' else 'out'}"
