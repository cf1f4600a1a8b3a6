"""Rules of other programs that stop the filter's own packets, translate SIP, or keep packets from the filter's rules.

Only what is needed is read. A program that is missing or may not read gives no finding: these are warnings.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.iptables import Iptables, families, run_firewall
from sbc_filter.firewall.plan import MAIN, IpFamily, Plan, admission

_HOOKS = ("INPUT", "FORWARD", "OUTPUT")
_REFUSING = ("DROP", "REJECT")
_TRANSLATING = ("DNAT", "REDIRECT")
_NFT_CHAIN = re.compile(r"^table (\w+) (\S+) \{|^\tchain (\S+) \{|type (\w+) hook (\w+) .*?policy (\w+);", re.MULTILINE)
_NFT_DPORT = re.compile(r"dport (\{[^{}]*\}|[\d-]+)")


def host_rules(plan: Plan) -> Iterator[str]:
    """One sentence for each rule or chain that does not go with `plan`."""
    program = Iptables()
    for family in families():
        yield from closed_output(family, program.listing(family, "filter"), plan)
        yield from taken_earlier(family, program.listing(family, "mangle"), plan.ports)
        if not plan.nat:
            yield from translated(family, program.listing(family, "nat"), plan.ports)
    yield from _of_nft(plan)


def closed_output(family: IpFamily, listing: str, plan: Plan) -> Iterator[str]:
    """The table `filter`: whether OUTPUT refuses what no rule accepts, and no rule surely accepts our packets."""
    rules = _rules(listing)
    last = rules.get("OUTPUT", [[]])[-1]
    closed = ":OUTPUT DROP" in listing or (last[:1] == ["-j"] and last[1] in _REFUSING)
    if closed and not any(_accepts(rule, plan) for chain in _reached(rules, ["OUTPUT"]) for rule in rules[chain]):
        yield (
            f"{family}: OUTPUT is closed by default, and rejections of the filter may not get out:"
            f" insert `{admission(family, plan.mark)}`"
        )


_PORT_OPTIONS = ("--dport", "--sport", "--dports", "--sports", "--ports")


def taken_earlier(family: IpFamily, listing: str, ports: Sequence[int]) -> Iterator[str]:
    """The table `mangle`: rules in front of ours after which a packet does not meet ours."""
    rules = _rules(listing)
    for hook in _HOOKS:
        ours = next((at for at, rule in enumerate(rules.get(hook, [])) if _target(rule) == MAIN), None)
        for rule in rules.get(hook, [])[:ours]:
            named = [_value(rule, option) for option in _PORT_OPTIONS]
            if (
                _target(rule) == "ACCEPT"
                and _value(rule, "-p") in ("", "udp", "all")
                and (not any(named) or any(each and _covers(each, ports) for each in named))
            ):
                yield (
                    f"{family}: what the rule `-t mangle -A {hook} {' '.join(rule)}` accepts passes unfiltered:"
                    " remove it, or narrow it"
                )


def translated(family: IpFamily, listing: str, ports: Sequence[int]) -> Iterator[str]:
    """The table `nat`: the first rule that changes where calls go."""
    rules = _rules(listing)
    for chain in _reached(rules, ["PREROUTING"]):
        for rule in rules[chain]:
            to = _value(rule, "--dport") or _value(rule, "--dports")
            if _target(rule) in _TRANSLATING and _value(rule, "-p") in ("", "udp", "all") and _covers(to, ports):
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


def nft_closed(text: str, policy: str, mark: int) -> bool:
    """Whether a chain refuses what no rule accepts, and no rule surely accepts our packets."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("\t\t") and "policy" not in line]
    closed = policy == "drop" or (bool(lines) and lines[-1].removeprefix("counter ").startswith(("drop", "reject")))
    accepting = [line for line in lines if re.search(r"\baccept\b", line)]
    return closed and not any(
        f"{mark:#x}" in line
        or re.match(r"ct state (?:\{[^}]*\bnew\b[^}]*\}|[\w,]*\bnew\b[\w,]*) (?:counter .*)?accept", line)
        for line in accepting
    )


def nft_translates(text: str, ports: Sequence[int]) -> str:
    """The first rule of a table that changes where calls go; "" if there is none."""
    for line in map(str.strip, text.splitlines()):
        if re.search(r"\b(?:dnat|redirect)\b", line) and "tcp dport" not in line and not line.startswith("type "):
            found = _NFT_DPORT.search(line)
            if _covers(found[1].strip("{} ").replace("-", ":") if found else "", ports):
                return line
    return ""


def _of_nft(plan: Plan) -> Iterator[str]:
    chains = printed("nft", "list", "chains")
    for table, chain, policy in nft_chains(chains, "output", "filter"):
        if nft_closed(printed("nft", "list", "chain", *table.split(), chain), policy, plan.mark):
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


def _rules(listing: str) -> dict[str, list[list[str]]]:
    """The rules of each chain in order, as the words that follow its name."""
    found: dict[str, list[list[str]]] = {}
    for line in listing.splitlines():
        if line.startswith("-A "):
            try:
                _, chain, *words = shlex.split(line)
            except ValueError:
                continue
            found.setdefault(chain, []).append(words)
    return found


def _reached(rules: Mapping[str, list[list[str]]], chains: list[str]) -> list[str]:
    """These chains and those to which they lead, as far as they have rules."""
    found = [chain for chain in chains if chain in rules]
    seen = set(found)
    for chain in found:  # grows meanwhile
        for target in map(_target, rules[chain]):
            if target in rules and target not in seen:
                seen.add(target)
                found.append(target)
    return found


def _target(rule: Sequence[str]) -> str:
    return _value(rule, "-j") or _value(rule, "-g")


def _value(rule: Sequence[str], option: str) -> str:
    return rule[rule.index(option) + 1] if option in rule[:-1] else ""


def _accepts(rule: Sequence[str], plan: Plan) -> bool:
    """Whether a rule accepts all of our packets: by our mark, by a new connection, by the port that they come from."""
    if _target(rule) != "ACCEPT" or "!" in rule:
        return False
    for option, value in zip(rule[::2], rule[1::2], strict=False):
        match option:
            case "-p" if value != "udp":
                return False
            case "--ctstate" | "--state" if "NEW" not in value.split(","):
                return False
            case "--mark" if value != f"{plan.mark:#x}/{plan.mark:#x}":
                return False
            case "--sport" | "--sports" if not _covers(value, plan.ports):
                return False
            case "-p" | "-m" | "-j" | "--ctstate" | "--state" | "--mark" | "--sport" | "--sports" | "--comment":
                continue
            case _:
                return False
    return True


def _covers(text: str, ports: Sequence[int]) -> bool:
    """Whether any of `ports` is among those of a match; without a match all are."""
    if not text:
        return True
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition(":")
        if first.isdecimal() and any(int(first) <= port <= int(last or first) for port in ports):
            return True
    return False
