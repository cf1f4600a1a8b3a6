"""Why a rule does not match a call: its first condition that does not match, as a sentence with both values."""

from collections.abc import Iterator
from typing import NamedTuple

from sbc_filter.rules.model import Conditions, Rule, RuleAction
from sbc_filter.rules.ruleset import EVERY_CALLED, MOST_VALUES, Facts, RuleSet
from sbc_filter.sip.header import canonical

_NO_PARTY = "anonymous"
_SHOWN = 80  # characters of a value; the sender chooses how long it is


class Tried(NamedTuple):
    """One rule, and why it does not match; empty if it matches."""

    rule: Rule
    condition: str = ""
    reason: str = ""


def why_not(rules: RuleSet, facts: Facts, in_dialog: bool = False) -> Iterator[Tried]:
    """Every rule, in order, with its first condition that does not match: the predicates are those of the matcher."""
    for (rule, key), conditions in zip(rules.obstacles(facts, in_dialog), rules.conditions, strict=True):
        yield Tried(rule) if key is None else Tried(rule, key, _reason(rule, conditions, key, facts))


def _reason(rule: Rule, conditions: Conditions, key: str, facts: Facts) -> str:
    if key == "in_dialog":
        return 'the INVITE belongs to a dialog, and the rule does not say in_dialog = "verify"'
    if key == "direction":
        return f"the direction is {facts.direction or 'unknown'}, not {conditions.direction}"
    if key == "trunk":
        return f"the trunk is {facts.trunk or 'unknown'}, not {' or '.join(sorted(conditions.trunk or ()))}"
    if key == "transport":
        return f"the transport is {facts.transport}, not {' or '.join(sorted(conditions.transport or ()))}"
    if key == "time":
        return "the call did not arrive at these times"
    if key == "has_identity":
        return f"the call {'lacks' if conditions.has_identity else 'has'} an Identity"
    if key == "rate":
        return "the rate is not exceeded"
    if key.startswith("header."):
        return _of_header(conditions, key.removeprefix("header."), facts)
    party = facts.identity(_sources(rule, conditions, key)) or _NO_PARTY
    role = key.removeprefix("not_")
    return f"the {role} {party} is {'' if key != role else 'not '}on the list"


def _of_header(conditions: Conditions, name: str, facts: Facts) -> str:
    wanted = conditions.header[name]
    if isinstance(wanted, bool):
        return f"{name} is {'missing' if wanted else 'present'}"
    values = facts.message.values(canonical(name.encode()))
    shown = [_short(value.decode("utf-8", "replace")) for value in values[:MOST_VALUES]]
    return f"{name} is {', '.join(map(repr, shown)) or 'missing'}, and does not match {wanted.pattern!r}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _sources(rule: Rule, conditions: Conditions, key: str) -> tuple[str, ...]:
    options = rule.sign if rule.action is RuleAction.SIGN else rule.verify
    if key.endswith("caller"):
        return conditions.caller_from or options.caller_from
    if conditions.called_from:
        return conditions.called_from
    return EVERY_CALLED if rule.action in (RuleAction.DROP, RuleAction.REJECT) else options.called_from
