"""Tokens that the SBC drops between its two legs, put back on the leg that leaves (S-038, S-076, S-171; A3).

They are the originator's, and were to be passed on unaltered (47 CFR 64.6302): also one that did not verify,
which is the next verifier's to judge as well. Of calls that were rejected or dropped nothing is kept: they never
leave. When in doubt nothing is put back, and nothing signed as ours.
"""

import re
from collections.abc import Iterable, Iterator

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.decision import Decision
from sbc_filter.engine.decide.sign import unsigned
from sbc_filter.engine.memory.arrivals import Arrival, Arrivals, Key, LocalArrivals
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import NUMBERS, SESSION_ID, Direction, Rule, VerifyOptions
from sbc_filter.rules.ruleset import treatment
from sbc_filter.sip import field
from sbc_filter.sip.date import parse_date
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbering_plans import Profile

RECENT = 60.0  # seconds in which numbers alone tell a call; who redials later is told from the call before
# RFC 7989 §5, and RFC 7329, which had no `remote`. Hexadecimal digits in upper case are understood too.
_SESSION = re.compile(rb"([0-9A-Fa-f]{32})[ \t]*(?:;.*)?", re.DOTALL)
_REMOTE = re.compile(rb";[ \t]*remote[ \t]*=[ \t]*([0-9a-f]{32})(?![0-9a-z])", re.IGNORECASE)
_NIL = b"0" * 32
_ARRIVING = VerifyOptions()
"""Where the parties of a call that arrives are read."""


class Preserver:
    """Remembers what arrives, finds it again when it leaves. One instance serves one thread."""

    def __init__(self, rules: Iterable[Rule], profile: Profile, arrivals: Arrivals | None = None) -> None:
        """`rules` are those that preserve: by what they tell calls all that arrive are remembered, in `arrivals`."""
        self._names = sorted({rule.sign.preserve for rule in rules if rule.sign.preserve} - {NUMBERS})
        self._profile = profile
        self._arrivals = LocalArrivals() if arrivals is None else arrivals

    def remember(self, call: IncomingCall) -> None:
        """Take note of a call that arrives and goes on to the SBC, also of one without tokens: it may be the very one
        that leaves."""
        if call.place.direction is not Direction.INBOUND:
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
        """The decision about a call that leaves without Identity and is, or may be, one that arrived with some; None
        when it is this rule's to sign as any other."""
        name, message = rule.sign.preserve, call.message
        if name is None or call.place.direction is not Direction.OUTBOUND or message.count(b"identity"):
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
        """Between whom: numbers without what only routes them (S-043)."""
        caller, called = call.parties.identity(caller_from), call.parties.identity(called_from)
        if caller is None or called is None:
            return None
        subscriber = self._profile.subscriber
        return NUMBERS, f"{subscriber(caller)} {subscriber(called)}".encode()


def _put_back(rule: Rule, call: IncomingCall, tokens: tuple[bytes, ...], date: bytes | None) -> Decision:
    preserved = [made for made in map(field.preserved, tokens) if made is not None]
    if not preserved:  # nothing of it is fit to be written, and yet the call is not ours to sign
        return unsigned(rule, call, Detail.AMBIGUOUS)
    outcome, detail = Outcome.ALREADY_SIGNED, Detail.PRESERVED
    decision = Decision(outcome, detail, treatment(rule, outcome, detail), preserved=tuple(preserved))
    if date is not None and call.message.first(b"date") is None:
        decision.date = parse_date(date)
    return decision


def _arriving(name: str, message: SipMessage) -> Iterator[Key]:
    """The keys under which an INVITE that arrives is remembered."""
    if name != SESSION_ID:
        yield from _header(name, message)
        return
    for local, _ in _session(message):
        if local != _NIL:
            yield SESSION_ID, local


def _leaving(name: str, message: SipMessage) -> Iterator[Key]:
    """The keys under which an INVITE that leaves may have been remembered: a B2BUA hands on the identifier of who
    calls, or has one of its own, and the caller's is the other end's (RFC 7989 §§6, 7)."""
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
    """(local, remote) of the one Session-ID; the nil UUID where there is none."""
    value = message.first(b"session-id") if message.count(b"session-id") == 1 else None
    local = _SESSION.fullmatch(value) if value is not None else None
    if value is not None and local is not None:
        remote = _REMOTE.search(value)
        yield local[1].lower(), remote[1].lower() if remote else _NIL
