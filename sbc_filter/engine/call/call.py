"""One INVITE on its way through the engine: what is known of it, and what was decided."""

from functools import lru_cache

from sbc_filter.engine.call.network import Flow, Place
from sbc_filter.engine.call.parties import Parties
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Action
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import CONTINUE, SIGN, Rule, Treatment, VerifyOptions
from sbc_filter.sip.field import HeaderField
from sbc_filter.sip.message import SipMessage
from sbc_filter.stir.verification import Failure

_NO_RULE = VerifyOptions()
"""Where the parties are read when no rule says it."""


class Case:
    """An INVITE that could be read. `arrived` is in POSIX seconds: freshness counts from there."""

    def __init__(
        self,
        message: SipMessage,
        flow: Flow,
        place: Place,
        parties: Parties,
        arrived: float,
        in_dialog: bool,
        emergency: bool,
        target: str | None,
        scrubbed: int = 0,
    ) -> None:
        self.message = message
        self.call_id = message.first(b"call-id")
        self.flow = flow
        self.place = place
        self.parties = parties
        self.arrived = arrived
        self.in_dialog = in_dialog
        self.emergency = emergency
        self.target = target  # whom the Request-URI names
        self.scrubbed = scrubbed  # edits that removed what an untrusted peer may not claim


class Decision:
    """What a rule decided about a case. `verstat` and `indicator` are what the SBC is told, `identity` is the value of
    an Identity to add, `date` the POSIX seconds of a Date, `preserved` are the Identity fields to put back, `bypass` is
    a header field in place of Identity, `failures` what to report, `deviations` and `notes` what to count."""

    def __init__(
        self,
        outcome: Outcome,
        detail: Detail | None,
        treatment: Treatment = CONTINUE,
        attest: str | None = None,
        origid: str | None = None,
        x5u: str | None = None,
        spc: str | None = None,
        verstat: str | None = None,
        indicator: str | None = None,
        identity: bytes | None = None,
        date: int | None = None,
        preserved: tuple[HeaderField, ...] = (),
        bypass: HeaderField | None = None,
        failures: tuple[Failure, ...] = (),
        deviations: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self.outcome = outcome
        self.detail = detail
        self.treatment = treatment
        self.attest = attest
        self.origid = origid
        self.x5u = x5u
        self.spc = spc
        self.verstat = verstat
        self.indicator = indicator
        self.identity = identity
        self.date = date
        self.preserved = preserved
        self.bypass = bypass
        self.failures = failures
        self.deviations = deviations
        self.notes = notes


def record(
    case: Case, rule: Rule | None, decision: Decision, action: Action, code: int | None, *, marked: bool = True
) -> Record:
    """The record of a decided case; not `marked`: there was no room for the verstat."""
    message, place, parties = case.message, case.place, case.parties
    src, dst = endpoints(case.flow)
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
        case.arrived,
        src,
        dst,
        case.flow.transport,
        place.direction,
        message.method,
        _text(case.call_id),
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


def blank_record(flow: Flow, place: Place, arrived: float, method: str, detail: Detail) -> Record:
    """What a record says of a message that cannot be read."""
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
    """Both ends of a flow as records write them."""
    return _endpoint(flow.src, flow.sport), _endpoint(flow.dst, flow.dport)


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
