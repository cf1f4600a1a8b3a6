"""Preservation of tokens that the SBC drops between its two legs: they are put back on the leaving leg.

See S-038, S-076, S-171; A3. The tokens belong to the originator and have to be passed on unaltered (47 CFR 64.6302).

An arrival is a call that goes on to the SBC and comes from a trusted peer, or passed. Other calls do not count: anyone
can write a token that does not verify next to a number of ours, and our own caller's next call would leave with it, or
unsigned. If in doubt, no token is put back, and the call is not signed either.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.decide.sign import tokens_of, unsigned
from sbc_filter.engine.memory.arrivals import Arrival, Arrivals, Key, LocalArrivals
from sbc_filter.engine.record import Record
from sbc_filter.numbering.numbering_plans import Profile
from sbc_filter.outcomes import VERIFICATION_OUTCOMES, Detail, Outcome
from sbc_filter.rules.model import NUMBERS, SESSION_ID, Direction, Rule, VerifyOptions
from sbc_filter.rules.ruleset import treatment
from sbc_filter.sip import field
from sbc_filter.sip.date import parse_date
from sbc_filter.sip.message import SipMessage

RECENT = 60.0  # seconds in which numbers alone identify a call; a caller who redials later is a different call
# RFC 7989 §5, and RFC 7329, which had no `remote`. Upper-case hexadecimal digits are accepted too.
_SESSION = re.compile(rb"([0-9A-Fa-f]{32})[ \t]*(?:;.*)?", re.DOTALL)
_REMOTE = re.compile(rb";[ \t]*remote[ \t]*=[ \t]*([0-9a-f]{32})(?![0-9a-z])", re.IGNORECASE)
_NIL = b"0" * 32
_ARRIVING = VerifyOptions()
"""The sources of the parties of an arriving call."""


class Preserver:
    """Stores arriving calls and finds them again when they leave. One instance serves one thread."""

    def __init__(self, rules: Iterable[Rule], profile: Profile, arrivals: Arrivals | None = None) -> None:
        """`rules`: those that preserve. Every arriving call is stored in `arrivals` under the keys that they use."""
        self._names = sorted({rule.sign.preserve for rule in rules if rule.sign.preserve} - {NUMBERS})
        self._profile = profile
        self._arrivals = LocalArrivals() if arrivals is None else arrivals

    def remember(self, call: IncomingCall, decided: Record | None, monitored: Sequence[Record]) -> None:
        """Store a call that arrives and goes on to the SBC, if it counts as an arrival. `decided` is its record, and
        `monitored` are those of rules in monitor mode.

        A call of a trusted peer without tokens is stored too: it may be the one that leaves.
        """
        if call.place.direction is not Direction.INBOUND:
            return
        if not call.place.trusted and not _passed(decided, monitored):
            return
        message = call.message
        leg = call.place.peer, message.first(b"call-id") or b""
        tokens = tuple(message.buffer[value:end].strip() for _, value, end in message.headers(b"identity"))
        date = message.first(b"date")
        if date is not None and parse_date(date) is None:
            date = None
        arrival = Arrival(leg, call.arrived, tokens, date)
        for name in self._names:
            for key in _arriving(name, message):
                self._arrivals.add(key, arrival)
        numbers = self._numbers(call, _ARRIVING.caller_from, _ARRIVING.called_from)
        if numbers is not None:
            self._arrivals.add(numbers, arrival)

    def decide(self, rule: Rule, call: IncomingCall) -> Decision | None:
        """The decision about a call that leaves without Identity and is, or may be, one that arrived with tokens; None
        if this rule may sign it like any other call."""
        name, message = rule.sign.preserve, call.message
        if name is None or call.place.direction is not Direction.OUTBOUND or tokens_of(call):
            return None
        found = {each.tokens: each for key in _leaving(name, message) for each in self._arrivals.get(key, call.arrived)}
        if not found:
            numbers = self._numbers(call, rule.sign.caller_from, rule.sign.called_from)
            between = self._arrivals.get(numbers, call.arrived) if numbers is not None else ()
            if name == NUMBERS:
                found = {each.tokens: each for each in between if call.arrived - each.arrived <= RECENT}
            if not found and any(each.tokens != () for each in between):
                return unsigned(rule, call, Detail.AMBIGUOUS)
        if len(found) > 1 or None in found:
            return unsigned(rule, call, Detail.AMBIGUOUS)
        for tokens, arrival in found.items():
            if tokens:
                return _put_back(rule, call, tokens, arrival.date)
        return None

    def _numbers(self, call: IncomingCall, caller_from: tuple[str, ...], called_from: tuple[str, ...]) -> Key | None:
        """The key of a call by its two numbers, without routing prefixes (S-043); None if one is missing."""
        caller, called = call.parties.identity(caller_from), call.parties.identity(called_from)
        if caller is None or called is None:
            return None
        subscriber = self._profile.subscriber
        return NUMBERS, f"{subscriber(caller)} {subscriber(called)}".encode()


def _passed(decided: Record | None, monitored: Sequence[Record]) -> bool:
    """Whether a call passed: by the rule that verified it, otherwise by one that verified it in monitor mode."""
    if decided is not None and decided.outcome in VERIFICATION_OUTCOMES:
        return decided.outcome is Outcome.PASSED
    return any(each.outcome is Outcome.PASSED for each in monitored)


def _put_back(rule: Rule, call: IncomingCall, tokens: tuple[bytes, ...], date: bytes | None) -> Decision:
    preserved = [made for made in map(field.preserved, tokens) if made is not None]
    if not preserved:  # no token can be written, but the call has been signed by its originator
        return unsigned(rule, call, Detail.AMBIGUOUS)
    outcome, detail = Outcome.ALREADY_SIGNED, Detail.PRESERVED
    decision = Decision(outcome, detail, treatment(rule, outcome, detail), preserved=tuple(preserved))
    if date is not None and call.message.first(b"date") is None:
        decision.date = parse_date(date)
    return decision


def _arriving(name: str, message: SipMessage) -> Iterator[Key]:
    """The keys under which an arriving INVITE is stored."""
    if name != SESSION_ID:
        yield from _header(name, message)
        return
    for local, _ in _session(message):
        if local != _NIL:
            yield SESSION_ID, local


def _leaving(name: str, message: SipMessage) -> Iterator[Key]:
    """The keys under which a leaving INVITE may have been stored.

    A B2BUA passes on the session identifier of the caller, or has one of its own and sends the caller's as `remote`
    (RFC 7989 §§6, 7).
    """
    if name != SESSION_ID:
        yield from _header(name, message)
        return
    for local, remote in _session(message):
        for each in dict.fromkeys((local, remote)):
            if each != _NIL:
                yield SESSION_ID, each


def _header(name: str, message: SipMessage) -> Iterator[Key]:
    value = message.first(name.encode()) if name != NUMBERS and message.count(name.encode()) == 1 else None
    if value:
        yield name, value


def _session(message: SipMessage) -> Iterator[tuple[bytes, bytes]]:
    """(local, remote) of the single Session-ID; a missing remote is the nil UUID."""
    value = message.first(b"session-id") if message.count(b"session-id") == 1 else None
    local = _SESSION.fullmatch(value) if value is not None else None
    if value is not None and local is not None:
        remote = _REMOTE.search(value)
        yield local[1].lower(), remote[1].lower() if remote else _NIL
