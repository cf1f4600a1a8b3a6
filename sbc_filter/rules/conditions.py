"""The conditions of a rule, compiled to predicates: only what the rule asks for is checked, cheap checks first.

They ask about `Facts`: values of the message and its place in the network, never packets.
"""

import re
from collections.abc import Callable, Iterator

from sbc_filter.rules.model import Conditions, Direction, RateLimit
from sbc_filter.rules.rate_limits import Rates
from sbc_filter.sip.header_names import canonical
from sbc_filter.sip.message import SipMessage


class Facts:
    """One INVITE as seen by the rules; `now` is its arrival in POSIX seconds.

    `identity(sources)` is the identity from the first of the sources that has a number, else from the first that has
    one. `identities(sources)` are all in all of them.
    """

    def __init__(
        self,
        method: str,
        direction: Direction | None,
        trunk: str | None,
        peer: str,
        transport: str,
        now: float,
        message: SipMessage,
        identity: Callable[[tuple[str, ...]], str | None],
        identities: Callable[[tuple[str, ...]], list[str]],
    ) -> None:
        self.method = method
        self.direction = direction
        self.trunk = trunk
        self.peer = peer
        self.transport = transport
        self.now = now
        self.message = message
        self.identity = identity
        self.identities = identities


Predicate = Callable[[Facts], bool]
Sources = tuple[str, ...]
RATE_KEYS = ("peer", "trunk", "caller", "called")
EVERY_CALLED: Sources = ("ruri", "to")
"""Where rules that refuse calls look for the called party. The caller of a call writes To as it likes."""


def compile_conditions(
    rule: str,
    conditions: Conditions,
    of_place: tuple[Predicate, ...],
    caller_from: Sources,
    called_from: Sources,
    rates: Rates,
    *,
    refuses: bool,
) -> tuple[Predicate, ...]:
    """The predicates of `rule`, all of which have to match, with those `of_place` first. The rate is last, so that it
    counts only calls that match the others.

    For a rule that `refuses` calls, every party in the sources counts: a number on its list must not hide next to
    another one. The sources of `conditions` replace those given.
    """
    caller_from = conditions.caller_from or caller_from
    called_from = conditions.called_from or called_from
    listed_called = EVERY_CALLED if refuses and not conditions.called_from else called_from
    found = (*of_place, *_message_predicates(conditions, caller_from, listed_called, refuses))
    if conditions.rate is None:
        return found
    return (*found, _rate(rule, conditions.rate, caller_from, called_from, rates))


def compile_place(conditions: Conditions) -> tuple[Predicate, ...]:
    """The predicates that do not look at the message."""
    return tuple(_place_predicates(conditions))


def _place_predicates(conditions: Conditions) -> Iterator[Predicate]:
    if conditions.direction is not None:
        direction = conditions.direction
        yield lambda facts: facts.direction is direction
    if conditions.trunk is not None:
        trunk = conditions.trunk
        yield lambda facts: facts.trunk in trunk
    if conditions.time is not None:
        time = conditions.time
        yield lambda facts: time(facts.now)


def _message_predicates(
    conditions: Conditions, caller_from: Sources, called_from: Sources, every: bool
) -> Iterator[Predicate]:
    on_list = _any_on_list if every else _on_list
    if conditions.has_identity is not None:
        yield _present(b"identity", conditions.has_identity)
    for listed, wanted, sources in (
        (conditions.caller, True, caller_from),
        (conditions.not_caller, False, caller_from),
        (conditions.called, True, called_from),
        (conditions.not_called, False, called_from),
    ):
        if listed is not None:
            yield on_list(listed, wanted, sources)
    for name, wanted_value in conditions.header.items():
        key = canonical(name.encode())
        if isinstance(wanted_value, bool):
            yield _present(key, wanted_value)
        else:
            yield _value(key, wanted_value)


def _present(name: bytes, wanted: bool) -> Predicate:
    return lambda facts: (name in facts.message.names()) is wanted


def _on_list(listed: Callable[[str | None], bool], wanted: bool, sources: Sources) -> Predicate:
    return lambda facts: listed(facts.identity(sources)) is wanted


def _any_on_list(listed: Callable[[str | None], bool], wanted: bool, sources: Sources) -> Predicate:
    """Whether any party is on the list; if not `wanted`, whether none is. A call without a party is `anonymous`."""

    def matches(facts: Facts) -> bool:
        found = listed(facts.identity(sources)) or any(listed(each) for each in facts.identities(sources))
        return found is wanted

    return matches


def _value(name: bytes, pattern: "re.Pattern[str]") -> Predicate:
    def matches(facts: Facts) -> bool:
        return any(pattern.search(value.decode("utf-8", "replace")) for value in facts.message.values(name))

    return matches


def _rate(rule: str, limit: RateLimit, caller_from: Sources, called_from: Sources, rates: Rates) -> Predicate:
    keys: dict[str, Callable[[Facts], str | None]] = {
        "peer": lambda facts: facts.peer,
        "trunk": lambda facts: facts.trunk,
        "caller": lambda facts: facts.identity(caller_from),
        "called": lambda facts: facts.identity(called_from),
    }
    key = keys[limit.by]
    return lambda facts: rates.exceeds(rule, limit, key(facts) or "", facts.now)
