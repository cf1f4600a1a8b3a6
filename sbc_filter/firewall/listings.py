"""Reads what iptables-save prints: rules as words, by chain."""

import shlex
from collections.abc import Mapping, Sequence


def rules_of(listing: str) -> dict[str, list[list[str]]]:
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


def reached(rules: Mapping[str, list[list[str]]], chains: list[str]) -> list[str]:
    """These chains and those to which they lead, as far as they have rules."""
    found = [chain for chain in chains if chain in rules]
    seen = set(found)
    for chain in found:  # grows meanwhile
        for target in map(target_of, rules[chain]):
            if target in rules and target not in seen:
                seen.add(target)
                found.append(target)
    return found


def target_of(rule: Sequence[str]) -> str:
    """The target of a jump, "" if there is none."""
    return value_of(rule, "-j") or value_of(rule, "-g")


def value_of(rule: Sequence[str], option: str) -> str:
    """What follows an option, "" without it."""
    return rule[rule.index(option) + 1] if option in rule[:-1] else ""


def covers(text: str, ports: Sequence[int]) -> bool:
    """Whether any of `ports` is among those of a match; without a match all are."""
    if not text:
        return True
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition(":")
        if first.isdecimal() and any(int(first) <= port <= int(last or first) for port in ports):
            return True
    return False
