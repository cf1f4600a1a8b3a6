"""Records of INVITEs: of a call that was decided, and of a message that cannot be read."""

from functools import lru_cache

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.decision import Decision
from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Action
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import SIGN, Rule, VerifyOptions

_NO_RULE = VerifyOptions()
"""The sources of the parties if no rule matched."""


def record(
    call: IncomingCall, rule: Rule | None, decision: Decision, action: Action, code: int | None, *, marked: bool = True
) -> Record:
    """The record of a decided call. `marked` is False if there was no room for the verstat."""
    message, place, parties = call.message, call.place, call.parties
    src, dst = endpoints(call.flow)
    name = mode = mark = None
    caller_from, called_from = _NO_RULE.caller_from, _NO_RULE.called_from
    if rule is not None:
        name, mode = rule.name, rule.mode
        options = rule.sign if rule.action is SIGN else rule.verify
        caller_from, called_from = options.caller_from, options.called_from
    caller, called = parties.identity(caller_from), parties.identity(called_from)
    if marked and caller is not None:
        mark = decision.verstat
    return Record(
        call.arrived,
        src,
        dst,
        call.flow.transport,
        place.direction,
        message.method,
        _text(call.call_id),
        _text(message.first(b"cseq")),
        name,
        mode,
        action,
        decision.outcome,
        decision.detail,
        code,
        caller,
        (called,) if called else (),
        place.trunk,
        decision.spc,
        decision.attest,
        decision.origid,
        decision.x5u,
        mark,
        message.count(b"identity"),
    )


def blank_record(flow: Flow, place: Position, arrived: float, method: str, detail: Detail) -> Record:
    """The record of a message that cannot be parsed."""
    src, dst = endpoints(flow)
    return Record(
        arrived,
        src,
        dst,
        flow.transport,
        place.direction,
        method,
        outcome=Outcome.UNPARSEABLE,
        detail=detail,
        trunk=place.trunk,
    )


@lru_cache(maxsize=4096)
def endpoints(flow: Flow) -> tuple[str, str]:
    """Both ends of a flow in the notation of records."""
    return _endpoint(flow.src, flow.sport), _endpoint(flow.dst, flow.dport)


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
