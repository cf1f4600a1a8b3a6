"""Compares the applied firewall rules with the plan.

A rule is compared by chain, order, target, protocol, addresses, ports, interface and the kinds of its other matches.
Programs print what those match in forms of their own. What other rules do to a packet before it reaches ours is not
seen: see `docs/placement.md`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from ipaddress import ip_network
from typing import NamedTuple

from sbc_filter.firewall import nft, policy_routing
from sbc_filter.firewall.handed_over import Reading
from sbc_filter.firewall.iptables import WATCHED, families
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.rule_tables import MAIN, IpFamily, call_of


class RuleState(StrEnum):
    """What has become of our rules."""

    APPLIED = "applied"
    MISSING = "missing"
    CHANGED = "changed"
    FOREIGN = "foreign"  # they feed the queue of another filter
    UNKNOWN = "unknown"  # no program could read them


class Finding(NamedTuple):
    """The state, and a sentence for people."""

    state: RuleState
    sentence: str


Shape = Mapping[tuple[str, str], list[tuple[str, ...]]]
"""What is compared, by table and chain."""

_COMPARED = {"-s", "-d", "-i", "-p", "-m", "--ports", "--dports"}
_ADDRESSES = {"-s", "-d"}
_TARGETS = {"-j", "-g"}
_NFT_PORTS = re.compile(r"port (?:\{([^{}]*)\}|(\d+))", re.ASCII)
_NFT_ADDRESS = re.compile(r"(?<=[sd])addr (\S+)", re.ASCII)
_NFT_CHAIN = re.compile(r"^\tchain (\S+) \{\n(.*?)^\t\}", re.MULTILINE | re.DOTALL)
_NFT_PART = re.compile(
    r"[sd]port \S+|[sd]addr \S+|iifname \S+ \S+|(?:jump|goto) \S+|\breturn\b|\bnotrack\b|ct zone set \d+"
    r"|\bhook \S+|\bsnat\b|\btproxy\b|\bdrop\b|\breject\b|\bsocket transparent\b|\bmark set\b",
    re.ASCII,
)


def compared(plan: Plan, reading: Reading) -> Finding:
    """The state of the rules that `reading` shows."""
    if not any(program != policy_routing.PROGRAM for program, _ in reading.listings):
        return Finding(RuleState.UNKNOWN, "no firewall program could read the rules")
    others = sorted(reading.handed_over.keys() - {queue.number for queue in plan.queues})
    if others:
        return Finding(RuleState.FOREIGN, f"the firewall rules feed queue {others[0]}, which another filter reads")
    found = {name: shape for name, shape in _shapes(reading).items() if shape}
    if not found:
        return Finding(RuleState.MISSING, "the firewall rules are not applied")
    if len(found) > 1:
        return Finding(RuleState.CHANGED, f"the firewall rules are applied twice, by {' and '.join(sorted(found))}")
    ((name, shape),) = found.items()
    differences = [_difference(_planned(replace(plan, tracked=tracked), name), shape) for tracked in (False, True)]
    if "" in differences:
        lost = policy_routing.lost(reading.listings) if plan.relay is not None else ""
        if lost:
            return Finding(RuleState.CHANGED, f"the routes to the relay were changed: {lost}")
        return Finding(RuleState.APPLIED, "the firewall rules are applied")
    return Finding(RuleState.CHANGED, f"the firewall rules were changed: {name}, {differences[0]}")


def _difference(planned: Shape, shape: Shape) -> str:
    """The first chain that is not as planned, and its table; "" if all are."""
    for table, chain in {**planned, **shape}:
        if planned.get((table, chain)) != shape.get((table, chain)):
            return f"chain {chain} of table {table}"
    return ""


def _shapes(reading: Reading) -> dict[str, dict[tuple[str, str], list[tuple[str, ...]]]]:
    """The shapes of the rules, by the program that has them; empty ones where it does not have any."""
    found: dict[str, dict[tuple[str, str], list[tuple[str, ...]]]] = {}
    for (program, table), listing in reading.listings.items():
        if program == "nft":
            found["nft"] = _of_nft(listing)
        elif program != policy_routing.PROGRAM:
            family = IpFamily.V6 if program.startswith(IpFamily.V6) else IpFamily.V4
            variant = program.removeprefix(family).removesuffix("-save")
            lines = (line.partition("] ")[2] for line in listing.splitlines() if line.startswith("["))
            found.setdefault(f"iptables{variant}", {}).update(_of_iptables(f"{family} {table}", lines))
    return found


def _planned(plan: Plan, program: str) -> Shape:
    if program == "nft":
        return _of_nft(nft.render(plan))
    planned: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for family in families():
        for table in plan.tables(family):
            if table.name in WATCHED:
                rules = [f"-A {chain} {rule}" for chain, lines in table.chains.items() for rule in lines]
                calls = [f"-A {' '.join(call_of(hook))}" for hook in table.hooks]
                planned.update(_of_iptables(f"{family} {table.name}", iter([*rules, *calls])))
    return planned


def _of_iptables(table: str, lines: Iterator[str]) -> dict[tuple[str, str], list[tuple[str, ...]]]:
    """The shape of our chains, and of the jumps to them, in the order of these lines."""
    found: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for line in lines:
        if MAIN not in line or not line.startswith("-A "):
            continue
        try:
            words = shlex.split(line)
        except ValueError:
            continue  # a comment of another rule
        target = next((at for at, word in enumerate(words) if word in _TARGETS), len(words))
        if any(word.startswith(MAIN) for word in (words[1], *words[target + 1 : target + 2])):
            found.setdefault((table, words[1]), []).append((*sorted(_matches(words[2:target])), *words[target:]))
    return found


def _matches(words: list[str]) -> Iterator[str]:
    for at, word in enumerate(words[:-1]):
        if word in _COMPARED:
            value = words[at + 1]
            negated = "!" if at and words[at - 1] == "!" else ""
            yield f"{negated}{word} {_address(value) if word in _ADDRESSES else value}"


def _address(text: str) -> str:
    """An address or network in one form; what is neither stays as it is, such as a mask with gaps."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text


def _of_nft(listing: str) -> dict[tuple[str, str], list[tuple[str, ...]]]:
    """The shape of our table, as nft lists it or as it is planned."""
    text = _NFT_PORTS.sub(lambda found: "port " + ",".join(re.findall(r"\d+", found[1] or found[2])), listing)
    text = _NFT_ADDRESS.sub(lambda found: f"addr {_address(found[1])}", text)
    return {
        (nft.TABLE, chain): [_nft_rule(line) for line in lines.splitlines() if line.strip()]
        for chain, lines in _NFT_CHAIN.findall(text)
    }


def _nft_rule(line: str) -> tuple[str, ...]:
    queue = [f"queue {number}{' bypass' if 'bypass' in line else ''}" for number in nft.fed(line)]
    return (*_NFT_PART.findall(line), *queue)
