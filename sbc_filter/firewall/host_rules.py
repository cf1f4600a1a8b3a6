"""Rules of other programs that stop the filter's own packets, translate SIP, or keep packets from the filter's rules.

Only what is needed is read. A program that is missing or may not read gives no finding: these are warnings.
"""

import re
from collections.abc import Iterator, Sequence

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.iptables import Iptables, families, run_firewall
from sbc_filter.firewall.listings import covers, reached, rules_of, target_of, value_of
from sbc_filter.firewall.plan import Plan, admission
from sbc_filter.firewall.rule_tables import IpFamily
from sbc_filter.firewall.taken_earlier import HOOKS, TABLES, base_chains, dropped_earlier, taken_earlier

_REFUSING = ("DROP", "REJECT")
PortAt = tuple[str, int]
"""A port, and at which end packets have it: `--sport` or `--dport`."""
_TRANSLATING = ("DNAT", "REDIRECT")
_NFT_CHAIN = re.compile(r"^table (\w+) (\S+) \{|^\tchain (\S+) \{|type (\w+) hook (\w+) .*?policy (\w+);", re.MULTILINE)
NFT_NEW = re.compile(r"ct state (?:\{[^}]*\bnew\b[^}]*\}|[\w,]*\bnew\b[\w,]*) (?:counter .*)?accept")
_NFT_ACCEPT = re.compile(
    r"(?:(?:meta l4proto|ip protocol) udp )?(?:udp (?P<end>[sd]port) (?P<ports>\{[^{}]*\}|[\d-]+) )?"
    r"(?:counter packets \d+ bytes \d+ )?accept(?: comment .*)?",
    re.ASCII,
)
_NFT_DPORT = re.compile(r"dport (\{[^{}]*\}|[\d-]+)")


def host_rules(plan: Plan, name: str) -> Iterator[str]:
    """One sentence for each rule or chain that does not go with `plan`; the program `name` applies our rules."""
    program = Iptables("-legacy") if name == "iptables-legacy" else Iptables()
    is_nft = name == "nft"
    for family in families():
        yield from closed_output(family, program.listing(family, "filter"), plan)
        for table in TABLES:
            yield from taken_earlier(family, table, program.listing(family, table), plan.ports, is_nft=is_nft)
        if not plan.nat:
            yield from translated(family, program.listing(family, "nat"), plan.ports)
    yield from _of_nft(plan)


def closed_output(family: IpFamily, listing: str, plan: Plan) -> Iterator[str]:
    """The table `filter`: whether OUTPUT refuses what no rule accepts, and no rule surely accepts our packets."""
    rules = rules_of(listing)
    last = rules.get("OUTPUT", [[]])[-1]
    closed = ":OUTPUT DROP" in listing or (last[:1] == ["-j"] and last[1] in _REFUSING)
    needed = _needed(plan)
    for chain in reached(rules, ["OUTPUT"]) if closed else ():
        for rule in rules[chain]:
            needed -= _accepted(rule, plan)
    if closed and needed:
        yield (
            f"{family}: OUTPUT is closed by default, and {_kept_in(needed, plan)} may not get out:"
            f" insert `{admission(family, plan.mark)}`"
        )


def translated(family: IpFamily, listing: str, ports: Sequence[int]) -> Iterator[str]:
    """The table `nat`: the first rule that changes where calls go."""
    rules = rules_of(listing)
    for chain in reached(rules, ["PREROUTING"]):
        for rule in rules[chain]:
            to = value_of(rule, "--dport") or value_of(rule, "--dports")
            if target_of(rule) in _TRANSLATING and value_of(rule, "-p") in ("", "udp", "all") and covers(to, ports):
                yield _untranslated(f"{family}: the rule `-t nat -A {chain} {' '.join(rule)}`")
                return


def nft_chains(listing: str, hook: str, kind: str) -> Iterator[tuple[str, str, str]]:
    """Table with family, name and policy of the chains at a hook, as `nft list chains` lists them.

    Without those that iptables-nft manages: iptables lists them.
    """
    table = chain = ""
    for found in _NFT_CHAIN.finditer(listing):
        if found[1]:
            table = f"{found[1]} {found[2]}"
        elif found[3]:
            chain = found[3]
        elif (found[4], found[5]) == (kind, hook) and not (
            table.split()[0] in ("ip", "ip6") and chain == chain.upper()
        ):
            yield table, chain, found[6]


def nft_closed(text: str, policy: str, plan: Plan) -> bool:
    """Whether a chain refuses what no rule accepts, and its rules do not surely accept all of our packets."""
    lines = nft_lines(text)
    closed = nft_ends_closed(lines, policy)
    needed = _needed(plan)
    for line in lines:
        needed -= _accepted_by_nft(line, plan)
    return closed and bool(needed)


def nft_lines(text: str) -> list[str]:
    """The rules of a chain, as `nft list chain` prints it."""
    return [line.strip() for line in text.splitlines() if line.startswith("\t\t") and "policy" not in line]


def nft_ends_closed(lines: Sequence[str], policy: str) -> bool:
    """Whether a chain refuses what none of these rules accepts."""
    return policy == "drop" or (bool(lines) and lines[-1].removeprefix("counter ").startswith(("drop", "reject")))


def _accepted_by_nft(line: str, plan: Plan) -> set[PortAt]:
    if (f"{plan.mark:#x}" in line and re.search(r"\baccept\b", line)) or NFT_NEW.match(line):
        return _needed(plan)
    found = _NFT_ACCEPT.fullmatch(line)
    if found is None:
        return set()
    ports = (found["ports"] or "").strip("{} ").replace("-", ":")
    return {
        (end, port) for end, port in _needed(plan) if covers(ports, [port]) and (found["end"] or end[2:]) == end[2:]
    }


def nft_translates(text: str, ports: Sequence[int]) -> str:
    """The first rule of a table that changes where calls go; "" if there is none."""
    for line in map(str.strip, text.splitlines()):
        if re.search(r"\b(?:dnat|redirect)\b", line) and "tcp dport" not in line and not line.startswith("type "):
            found = _NFT_DPORT.search(line)
            if covers(found[1].strip("{} ").replace("-", ":") if found else "", ports):
                return line
    return ""


def _of_nft(plan: Plan) -> Iterator[str]:
    chains = printed("nft", "list", "chains")
    for table in dict.fromkeys(table for table, _, hook in base_chains(chains) if hook in HOOKS):
        yield from dropped_earlier(table, printed("nft", "list", "table", *table.split()), plan.ports)
    for table, chain, policy in nft_chains(chains, "output", "filter"):
        if nft_closed(printed("nft", "list", "chain", *table.split(), chain), policy, plan):
            rule = f"nft insert rule {table} {chain} 'meta mark & {plan.mark:#x} == {plan.mark:#x} accept'"
            yield (
                f"nft: chain {chain} of table {table} is closed by default, and rejections of the filter may not get"
                f" out: run `{rule}`"
            )
    if not plan.nat:
        for table in dict.fromkeys(table for table, _, _ in nft_chains(chains, "prerouting", "nat")):
            rule = nft_translates(printed("nft", "list", "table", *table.split()), plan.ports)
            if rule:
                yield _untranslated(f"nft: the rule `{rule}` of table {table}")


def printed(*command: str) -> str:
    """What a program prints; "" when it is missing or fails."""
    try:
        done = run_firewall(list(command))
    except (EnvironmentFault, OSError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _untranslated(rule: str) -> str:
    return (
        f"{rule} translates calls, but [firewall].nat is false, and rejections come from an address that the caller"
        " does not know: set nat = true, and name the SBC's own addresses in [network].sbc"
    )


def _needed(plan: Plan) -> set[PortAt]:
    """What must get out: responses come from our ports, and packets that are sent again go to them or come from them.

    So a rule that accepts what goes to port 5060 does not let out the rejections to a peer with another port.
    """
    return {(end, port) for end in ("--sport", "--dport") for port in plan.ports}


def _kept_in(needed: set[PortAt], plan: Plan) -> str:
    if needed == _needed(plan):
        return "rejections of the filter"
    from_ports = [str(port) for end, port in sorted(needed) if end == "--sport"]
    to_ports = [str(port) for end, port in sorted(needed) if end == "--dport"]
    named = [
        f"{word} {', '.join(ports)}" for word, ports in (("from port", from_ports), ("to port", to_ports)) if ports
    ]
    return f"packets of the filter {' and '.join(named)}"


def _accepted(rule: Sequence[str], plan: Plan) -> set[PortAt]:
    """Which of our packets a rule accepts for sure: by our mark, by a new connection, by one of their ports."""
    found = _needed(plan)
    if target_of(rule) != "ACCEPT" or "!" in rule:
        return set()
    for option, value in zip(rule[::2], rule[1::2], strict=False):
        match option:
            case "-p" if value != "udp":
                return set()
            case "--ctstate" | "--state" if "NEW" not in value.split(","):
                return set()
            case "--mark" if value != f"{plan.mark:#x}/{plan.mark:#x}":
                return set()
            case "--sport" | "--sports" | "--dport" | "--dports":
                found &= {(option.removesuffix("s"), port) for port in plan.ports if covers(value, [port])}
            case "--ports":
                found &= {(end, port) for end, port in found if covers(value, [port])}
            case "-p" | "-m" | "-j" | "--ctstate" | "--state" | "--mark" | "--comment":
                continue
            case _:
                return set()
    return found
