"""The maker of records: of a call that was decided, of a message that cannot be read, and of a response."""

import re
from functools import lru_cache

from sbc_filter import __version__
from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.record import Quotes, Record, printable
from sbc_filter.engine.verdict import VerdictKind
from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Repair
from sbc_filter.rules.model import SIGN, Mode, Rule, VerifyOptions
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.response import top_via

_NO_RULE = VerifyOptions()
"""The sources of the parties if no rule matched."""
_NO_CAPTURE = (None, None, None)
"""`packet`, `file` and `unfiltered`: see `Record.of_packet`."""
MAX_EVIDENCE = 256  # octets or characters of a value that explains a record
_VIA = 1024  # octets of the top Via that are searched for its branch
_CUT = "…"
_CUT_OCTETS = _CUT.encode()
# The branch of the first value of a Via without quotes, wherever its parameters are. The group is not possessive:
# Python 3.11.2 would not give back the semicolon in front of the branch (CPython issue 106052).
_PARAMETERS = rb"(?:;(?![ \t]*+branch[ \t]*+=)[^,;\"]*+)*"
_BRANCH = re.compile(rb"[^,;\"]*+" + _PARAMETERS + rb";[ \t]*+branch[ \t]*+=[ \t]*+([^ \t,;\"]*+)", re.IGNORECASE)


def record(
    call: IncomingCall,
    rule: Rule | None,
    decision: Decision,
    verdict: VerdictKind,
    code: int | None,
    *,
    marked: bool = True,
) -> Record:
    """The record of a decided call. `marked` is False if there was no room for the verstat."""
    message, parties = call.message, call.parties
    name = mode = mark = None
    caller_from, called_from = _NO_RULE.caller_from, _NO_RULE.called_from
    if rule is not None:
        name, mode = rule.name, rule.mode
        options = rule.sign if rule.action is SIGN else rule.verify
        caller_from, called_from = options.caller_from, options.called_from
    caller, called = parties.first(caller_from), parties.identity(called_from)
    if marked and caller is not None and caller.is_number:
        mark = decision.verstat
    return make_record(
        call.flow,
        call.place,
        call.arrived,
        message.method,
        message,
        decision,
        verdict,
        rule=name,
        mode=mode,
        code=code,
        orig=None if caller is None else caller.identity,
        dest=(called,) if called else (),
        verstat=mark,
        identities=message.count(b"identity"),
        changed=call.changed,
        lists=() if rule is None or call.facts is None else call.facts.lists,
    )


def make_record(
    flow: Flow,
    place: Position,
    arrived: float,
    method: str,
    message: SipMessage | None,
    decision: Decision,
    verdict: VerdictKind,
    *,
    rule: str | None = None,
    mode: Mode | None = None,
    code: int | None = None,
    orig: str | None = None,
    dest: tuple[str, ...] = (),
    verstat: str | None = None,
    identities: int = 0,
    changed: tuple[Repair, ...] = (),
    lists: tuple[str, ...] = (),
) -> Record:
    """The record of any message: the one place where records are made. `message` is None if it cannot be read."""
    src, dst = endpoints(flow)
    # In the order of the fields: so many keywords would cost 2 µs a call, so many arguments 0.5 µs. Tests go by name.
    values = (
        arrived,
        src,
        dst,
        flow.transport,
        place.direction,
        method,
        _header(message, b"call-id"),
        _header(message, b"cseq"),
        rule,
        mode,
        verdict,
        None,  # `would`: see `as_observed`
        decision.outcome,
        decision.detail,
        decision.treatment.kind,
        code,
        orig,
        dest,
        place.trunk,
        *_token(decision),
        verstat,
        identities,
        changed,
        decision.request_uri,
        *_evidence(decision),
        lists,
        __version__,
        None if message is None else MessageQuotes(message),
        *_NO_CAPTURE,
    )
    return Record._make(values)


def _token(decision: Decision) -> tuple[object, ...]:
    """`spc` to `deviations`, `first_call_id` and `first_trunk`."""
    named = decision.spc, decision.attest, decision.origid, decision.x5u, decision.token, decision.kind
    first = decision.first_use
    return *named, decision.deviations, *((None, None) if first is None else (first.call_id, first.trunk))


def _evidence(decision: Decision) -> tuple[object, ...]:
    """`claimed`, `found`, `token_orig`, `token_dest` and `token_iat`."""
    compared, claims = decision.compared, decision.claims
    claimed, found = (None, None) if compared is None else (_bounded(compared.claimed), _bounded(compared.found))
    if claims is None:
        return claimed, found, None, (), None
    return claimed, found, _bounded(claims.orig), _all_bounded(claims.dest), claims.iat


class MessageQuotes:
    """What a record quotes of a message. It is extracted only if the record is written."""

    __slots__ = ("_message",)

    def __init__(self, message: SipMessage) -> None:
        self._message = message

    def quotes(self) -> Quotes:
        """The quotes, each cut to `MAX_EVIDENCE` octets."""
        message = self._message
        asserted = b", ".join(message.values(b"p-asserted-identity"))
        found = message.uri, message.first(b"to"), message.first(b"from"), asserted, _branch(message)
        return Quotes._make(map(_raw, found))

    def __eq__(self, other: object) -> bool:
        """Whether the same would be quoted, so that equal records are equal."""
        return isinstance(other, MessageQuotes) and self.quotes() == other.quotes()

    def __hash__(self) -> int:
        return hash(self.quotes())


def recorded(text: str | None, most: int) -> str | None:
    """What a token says of itself, for a record: None where it is longer than `most` characters or does not print."""
    return text if text is None or (len(text) <= most and text.isprintable()) else None


@lru_cache(maxsize=4096)
def endpoints(flow: Flow) -> tuple[str, str]:
    """Both ends of a flow in the notation of records."""
    return endpoint(flow.src, flow.sport), endpoint(flow.dst, flow.dport)


def endpoint(address: str, port: int) -> str:
    """An address and its port in the notation of records."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _header(message: SipMessage | None, name: bytes) -> str | None:
    """The first header field of this name, as text."""
    value = None if message is None else message.first(name)
    return None if value is None else value.decode("utf-8", "replace")


def _raw(value: bytes | None) -> bytes | None:
    """The octets of a value as a record keeps them; None for an empty one."""
    if not value:
        return None
    return value if len(value) <= MAX_EVIDENCE else value[:MAX_EVIDENCE] + _CUT_OCTETS


def _bounded(text: str) -> str:
    """What a token, or another text of an attacker, says, as a record shows it."""
    if len(text) <= MAX_EVIDENCE and text.isprintable():
        return text
    shown = printable(text[: MAX_EVIDENCE + 1])
    return shown if len(shown) <= MAX_EVIDENCE else shown[:MAX_EVIDENCE] + _CUT


def _all_bounded(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(texts) == 1 and texts[0].isdecimal() and len(texts[0]) <= MAX_EVIDENCE:
        return texts
    return tuple([_bounded(each) for each in texts])


def _branch(message: SipMessage) -> bytes | None:
    """The branch of the top Via (RFC 3261 §8.1.1.7); None without one, or if it is far back in a long Via."""
    via = message.first(b"via") or b""
    found = _BRANCH.match(via[:_VIA])
    if found is not None:
        return found[1]
    if len(via) > _VIA:
        return None
    try:
        return top_via(message).branch
    except MessageError:
        return None
