"""The active rules, an immutable ordered list; and the treatment that a rule has for an outcome.

The conditions of a rule are compiled to predicates: only what the rule asks for is checked, cheap checks first. They
ask about `Facts`: values of the message and its place in the network, never packets.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.pki.x5u import host_of
from sbc_filter.rules.model import (
    CONTINUE,
    VERIFY,
    Conditions,
    Direction,
    Mode,
    RateLimit,
    Rule,
    RuleAction,
    SignOptions,
    Treatment,
    VerifyOptions,
    When,
)
from sbc_filter.rules.number_list import NumberList, NumberLists
from sbc_filter.rules.rate_limits import LocalRates, Rates
from sbc_filter.sip.header import canonical
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
        self.lists: tuple[str, ...] = ()  # those by which the rule matches that `RuleSet.matching` returned last


Predicate = Callable[[Facts], bool]
Named = tuple[str, Predicate]  # a predicate with the key of the condition that it checks
Sources = tuple[str, ...]
LONGEST_VALUE, MOST_VALUES = 256, 8
"""The octets of the longest value in which a pattern of `header` is searched, and the fields of one name that are. The
sender chooses both, and the time of a search may grow with the square of the length."""
_RESTRICTS = (RuleAction.DROP, RuleAction.REJECT, RuleAction.VERIFY)
EVERY_CALLED: Sources = ("ruri", "to")
"""Where rules that refuse calls look for the called party. The caller of a call writes To as it likes."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    watching: Rule  # the same rule in monitor mode, for calls outside `enforce_percent`
    share: int  # out of 10000
    predicates: tuple[Predicate, ...]
    of_place: tuple[Predicate, ...]  # those that do not look at the message
    keys: tuple[str, ...]  # of the conditions that `predicates` check
    listing: tuple[Callable[[Facts], str | None], ...]  # each tells the list by which a call matches


class RuleSet:
    """Rules with their conditions, in the order in which they are tried."""

    def __init__(self, rules: Sequence[tuple[Rule, Conditions]] = (), rates: Rates | None = None) -> None:
        """`rates` counts the calls of rules with a rate; without it this rule set counts by itself."""
        counting = LocalRates() if rates is None else rates
        self.rules = tuple(rule for rule, _ in rules)
        self.conditions = tuple(conditions for _, conditions in rules)
        self._compiled = tuple(_compile(rule, conditions, counting) for rule, conditions in rules)
        self._in_dialog = tuple(each for each in self._compiled if each.rule.verify.in_dialog)
        self.judges_dialogs = bool(self._in_dialog)  # whether any rule verifies INVITEs that have a To tag

    def counted_in(self, rates: Rates) -> "RuleSet":
        """The same rules, with rates counted in `rates`."""
        return RuleSet(tuple(zip(self.rules, self.conditions, strict=True)), rates)

    def matching(self, facts: Facts, secret: bytes, in_dialog: bool = False) -> Iterator[Rule]:
        """The rules that match, in order; the caller stops at the first one that it enforces. `secret`: see
        `sample_of`.

        An INVITE `in_dialog` is matched only by rules that verify such INVITEs. `facts.lists` are the lists by which
        the rule matches, such as `caller @known`.
        """
        for compiled in self._in_dialog if in_dialog else self._compiled:
            for predicate in compiled.predicates:
                if not predicate(facts):
                    break
            else:
                facts.lists = _listed(compiled.listing, facts) if compiled.listing else ()
                yield _sampled(compiled, facts, secret)

    def obstacles(self, facts: Facts, in_dialog: bool = False) -> Iterator[tuple[Rule, str | None]]:
        """Each rule with the key of its first condition that does not match, in order; None for a rule that matches.

        For explanations. The predicates are those of `matching`. A rule that does not judge an INVITE `in_dialog` has
        the key `in_dialog`. A rate is counted, as by `matching`.
        """
        for compiled in self._compiled:
            if in_dialog and not compiled.rule.verify.in_dialog:
                yield compiled.rule, "in_dialog"
                continue
            failed = (at for at, predicate in enumerate(compiled.predicates) if not predicate(facts))
            at = next(failed, None)
            yield compiled.rule, None if at is None else compiled.keys[at]

    def matching_unreadable(self, facts: Facts, secret: bytes, in_dialog: bool) -> Iterator[Rule]:
        """The rules that match an INVITE which cannot be read, in order.

        Of a rule that verifies, conditions on the message do not count. Any other rule with such conditions does not
        match, and no rule that signs does.
        """
        for compiled in self._in_dialog if in_dialog else self._compiled:
            action = compiled.rule.action
            if action is RuleAction.SIGN or (action is not VERIFY and compiled.of_place != compiled.predicates):
                continue
            if all(predicate(facts) for predicate in compiled.of_place):
                yield _sampled(compiled, facts, secret)


def treatment(
    rule: Rule,
    outcome: Outcome,
    detail: Detail | None,
    *,
    attest: str | None = None,
    spc: str | None = None,
    issuer: str | None = None,
    x5u: str | None = None,
) -> Treatment:
    """The rule's treatment of an outcome: by `when`, then by `on` with the detail, then `on` without, else continue."""
    if not rule.when and not rule.on:
        return CONTINUE
    return stated_treatment(rule, outcome, detail, attest=attest, spc=spc, issuer=issuer, x5u=x5u) or CONTINUE


def stated_treatment(
    rule: Rule,
    outcome: Outcome,
    detail: Detail | None,
    *,
    attest: str | None = None,
    spc: str | None = None,
    issuer: str | None = None,
    x5u: str | None = None,
) -> Treatment | None:
    """The same; None where the rule does not name the outcome."""
    for when in rule.when:
        if _holds(when, outcome, detail, attest, spc, issuer, x5u):
            return when.treatment
    exact = rule.on.get(f"{outcome}.{detail}") if detail else None
    return exact or rule.on.get(outcome)


def _compile(rule: Rule, conditions: Conditions, rates: Rates) -> _Compiled:
    options = rule.sign if rule.action is RuleAction.SIGN else rule.verify
    place = tuple(_place_predicates(conditions))
    refuses = rule.action in (RuleAction.DROP, RuleAction.REJECT)
    named = _predicates(
        rule.name,
        conditions,
        place,
        options.caller_from,
        options.called_from,
        rates,
        refuses=refuses,
        restricts=rule.action in _RESTRICTS,
    )
    share = round(conditions.enforce_percent * 100)
    keys, predicates = tuple(key for key, _ in named), tuple(predicate for _, predicate in named)
    of_place = tuple(predicate for _, predicate in place)
    listing = tuple(_listing(conditions, *_sources_of(conditions, options, refuses), every=refuses))
    return _Compiled(rule, replace(rule, mode=Mode.MONITOR), share, predicates, of_place, keys, listing)


def _sources_of(conditions: Conditions, options: SignOptions | VerifyOptions, refuses: bool) -> tuple[Sources, Sources]:
    """Where the caller and the called party of the conditions are looked for, on lists."""
    caller_from = conditions.caller_from or options.caller_from
    return caller_from, conditions.called_from or (EVERY_CALLED if refuses else options.called_from)


def _predicates(
    rule: str,
    conditions: Conditions,
    of_place: tuple[Named, ...],
    caller_from: Sources,
    called_from: Sources,
    rates: Rates,
    *,
    refuses: bool,
    restricts: bool,
) -> tuple[Named, ...]:
    """The predicates of `rule`, all of which have to match, with those `of_place` first. The rate is last, so that it
    counts only calls that match the others.

    For a rule that `refuses` calls, every party in the sources counts: a number on its list must not hide next to
    another one. For one that `restricts` calls, a value that is too long to be searched matches: it must not be the way
    around the rule. The sources of `conditions` replace those given.
    """
    caller_from = conditions.caller_from or caller_from
    called_from = conditions.called_from or called_from
    listed_called = EVERY_CALLED if refuses and not conditions.called_from else called_from
    found = (*of_place, *_message_predicates(conditions, caller_from, listed_called, refuses, restricts))
    if conditions.rate is None:
        return found
    return (*found, ("rate", _rate(rule, conditions.rate, caller_from, called_from, rates)))


def _place_predicates(conditions: Conditions) -> Iterator[Named]:
    """The predicates that do not look at the message."""
    if conditions.direction is not None:
        direction = conditions.direction
        yield "direction", lambda facts: facts.direction is direction
    if conditions.trunk is not None:
        trunk = conditions.trunk
        yield "trunk", lambda facts: facts.trunk in trunk
    if conditions.transport is not None:
        transport = conditions.transport
        yield "transport", lambda facts: facts.transport in transport
    if conditions.time is not None:
        time = conditions.time
        yield "time", lambda facts: time(facts.now)


def _message_predicates(
    conditions: Conditions, caller_from: Sources, called_from: Sources, every: bool, restricts: bool
) -> Iterator[Named]:
    on_list = _any_on_list if every else _on_list
    if conditions.has_identity is not None:
        yield "has_identity", _present(b"identity", conditions.has_identity)
    for name, listed, wanted, sources in (
        ("caller", conditions.caller, True, caller_from),
        ("not_caller", conditions.not_caller, False, caller_from),
        ("called", conditions.called, True, called_from),
        ("not_called", conditions.not_called, False, called_from),
    ):
        if listed is not None:
            yield name, on_list(listed, wanted, sources)
    for name, wanted_value in conditions.header.items():
        key = canonical(name.encode())
        if isinstance(wanted_value, bool):
            yield f"header.{name}", _present(key, wanted_value)
        else:
            yield f"header.{name}", _value(key, wanted_value, restricts)


def _listing(
    conditions: Conditions, caller_from: Sources, called_from: Sources, *, every: bool
) -> Iterator[Callable[[Facts], str | None]]:
    """For each condition that a list fulfils: the name of that list, for the record of a call that matches."""
    for key, listed, sources in (
        ("caller", conditions.caller, caller_from),
        ("called", conditions.called, called_from),
    ):
        if isinstance(listed, NumberList | NumberLists):
            yield _named(key, listed, sources, every)


def _listed(listing: tuple[Callable[[Facts], str | None], ...], facts: Facts) -> tuple[str, ...]:
    found = [each(facts) for each in listing]
    return tuple([each for each in found if each is not None])


def _named(key: str, lists: NumberList | NumberLists, sources: Sources, every: bool) -> Callable[[Facts], str | None]:
    def name(facts: Facts) -> str | None:
        found = lists.name_of(facts.identity(sources))
        for identity in facts.identities(sources) if every and found is None else ():
            found = lists.name_of(identity)
            if found is not None:
                break
        return None if found is None else f"{key} {found}".rstrip()

    return name


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


def _value(name: bytes, pattern: "re.Pattern[str]", too_long_matches: bool) -> Predicate:
    def matches(facts: Facts) -> bool:
        for number, value in enumerate(facts.message.values(name)):
            if number == MOST_VALUES:
                return too_long_matches
            if len(value) > LONGEST_VALUE:
                if too_long_matches:
                    return True
            elif pattern.search(value.decode("utf-8", "replace")):
                return True
        return False

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


def _sampled(compiled: _Compiled, facts: Facts, secret: bytes) -> Rule:
    """The rule, or the same in monitor mode for calls outside `enforce_percent`."""
    enforced = compiled.share == 10000 or sample_of(facts, secret) < compiled.share
    return compiled.rule if enforced else compiled.watching


def sample_of(facts: Facts, secret: bytes) -> int:
    """A number from 0 to 9999 by Call-ID: the same for all messages of a call, wherever `secret` is the same.

    The caller chooses the Call-ID. Without the secret, of at most 64 bytes, it could choose one that no rule with an
    `enforce_percent` is enforced for.
    """
    call_id = facts.message.first(b"call-id") or b""
    digest = blake2b(call_id, digest_size=8, key=secret, person=b"enforce_percent").digest()
    return int.from_bytes(digest, "big") % 10000


def _holds(
    when: When,
    outcome: Outcome,
    detail: Detail | None,
    attest: str | None,
    spc: str | None,
    issuer: str | None,
    x5u: str | None,
) -> bool:
    return (
        (when.outcome is None or outcome in when.outcome)
        and (when.detail is None or detail in when.detail)
        and (when.attest is None or attest in when.attest)
        and (when.spc is None or spc in when.spc)
        and (when.not_spc is None or spc not in when.not_spc)
        and (when.issuer is None or issuer in when.issuer)
        and (when.x5u_host is None or (host_of(x5u) if x5u else None) in when.x5u_host)
    )
