"""The maker of records: of a call that was decided, of a message that cannot be read, and of a response."""

from functools import lru_cache

from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import VerdictKind
from sbc_filter.outcomes import Repair
from sbc_filter.rules.model import SIGN, Mode, Rule, VerifyOptions
from sbc_filter.sip.message import SipMessage

_NO_RULE = VerifyOptions()
"""The sources of the parties if no rule matched."""
_NO_CAPTURE = (None, None, None)
"""`packet`, `file` and `unfiltered`: see `Record.of_packet`."""


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
) -> Record:
    """The record of any message: the one place where records are made. `message` is None if it cannot be read."""
    src, dst = endpoints(flow)
    first = decision.first_use
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
        decision.spc,
        decision.attest,
        decision.origid,
        decision.x5u,
        decision.token,
        decision.kind,
        decision.deviations,
        None if first is None else first.call_id,
        None if first is None else first.trunk,
        verstat,
        identities,
        changed,
        decision.request_uri,
        *_NO_CAPTURE,
    )
    return Record._make(values)


def recorded(text: str | None, most: int) -> str | None:
    """What a token says of itself, for a record: None where it is longer than `most` characters or does not print."""
    return text if text is None or (len(text) <= most and text.isprintable()) else None


@lru_cache(maxsize=4096)
def endpoints(flow: Flow) -> tuple[str, str]:
    """Both ends of a flow in the notation of records."""
    return _endpoint(flow.src, flow.sport), _endpoint(flow.dst, flow.dport)


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _header(message: SipMessage | None, name: bytes) -> str | None:
    """The first header field of this name, as text."""
    value = None if message is None else message.first(name)
    return None if value is None else value.decode("utf-8", "replace")
