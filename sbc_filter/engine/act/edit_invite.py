"""A decision applied to the message: the edits of a call that continues, or the response to one that does not."""

from collections.abc import Iterator, Sequence

from sbc_filter.engine.answers import response_to, usual_phrase
from sbc_filter.engine.call import asserted, scrub, verstat
from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.call.verstat import DIALECTS, Dialect
from sbc_filter.outcomes import Outcome
from sbc_filter.packet.udp import Datagram
from sbc_filter.rules.model import SIGN, VERIFY, Rule, RuleAction, TreatmentKind
from sbc_filter.sip import field
from sbc_filter.sip.field import HeaderField, StatusLine
from sbc_filter.sip.header import canonical
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.response import Via, build_response

_DATE = ("Date",)


def continue_call(rule: Rule, call: IncomingCall, decision: Decision) -> None:
    """Edit the INVITE of a call that continues."""
    if rule.action is VERIFY:
        _mark(rule, call, decision)
    elif rule.action is SIGN:
        _sign(rule, call.message, decision)
    elif rule.action is RuleAction.STRIP:
        _remove(call.message, rule.strip.headers)


def is_shown_unmarked(rule: Rule, call: IncomingCall) -> bool:
    """Whether the SBC sees the caller that was verified if no header field is changed, because there is no room."""
    party = call.parties.first(rule.verify.caller_from)
    return not call.untrusted or (party is not None and asserted.is_plain(call, party))


def status_of(decision: Decision) -> StatusLine:
    """Status code and phrase of the response: the treatment's if given, else those of the outcome (S-065)."""
    treatment = decision.treatment
    if treatment.kind is TreatmentKind.REDIRECT:
        return field.status(treatment.code or 302, treatment.phrase or "Moved Temporarily")
    code, phrase = response_to(decision.outcome, decision.detail)
    if treatment.code is not None and treatment.code != code:
        code, phrase = treatment.code, usual_phrase(treatment.code)
    return field.status(code, treatment.phrase or phrase)


def refuse_call(rule: Rule, call: IncomingCall, decision: Decision, via: Via, tag: str) -> Datagram | None:
    """The final response to an INVITE that does not continue; None if it would be larger than the INVITE."""
    redirect = decision.treatment.kind is TreatmentKind.REDIRECT
    headers: list[HeaderField] = []
    if redirect:
        headers = [field.contact(_target(rule, call, decision)), *_results(rule, call, decision)]
    elif decision.treatment.reason is not None:
        headers = [field.stated_reason(decision.treatment.reason)]
    return respond(call.message, call.flow, via, status_of(decision), tag, headers, bounded=not redirect)


def respond(
    message: SipMessage,
    flow: Flow,
    via: Via,
    status: StatusLine,
    tag: str | None,
    headers: Sequence[HeaderField] = (),
    *,
    bounded: bool = True,
) -> Datagram | None:
    """A response sent from the address and port that the request was sent to (S-143); None if it does not fit.

    Anyone can forge the source address of a datagram. To make amplification impossible, a response over UDP is never
    larger than the request. Only responses to trusted trunks are not `bounded` (a 302 carries a token). On TCP a source
    address cannot be forged.
    """
    room = len(message.original) if bounded and flow.transport == "udp" else None
    built = build_response(message, via, status, tag, (flow.src, flow.sport), headers, room)
    return Datagram(flow.dst, flow.dport, flow.src, built[1], built[0]) if built is not None else None


def _mark(rule: Rule, call: IncomingCall, decision: Decision) -> None:
    options, message = rule.verify, call.message
    dialect = DIALECTS[options.dialect]
    party = call.parties.first(options.caller_from)
    if decision.verstat is not None and party is not None and party.is_number:
        verstat.mark(call, party, decision.verstat, in_user_part=dialect.in_user_part)
    elif call.untrusted:
        verstat.show(call, party)
    for stated in _attestation(dialect, decision):
        verstat.state(message, stated)
    if not options.identity_keep and decision.outcome is Outcome.PASSED:
        _remove(message, ("Identity",))


def _attestation(dialect: Dialect, decision: Decision) -> Iterator[HeaderField]:
    """Header fields that report the attestation of a verified caller and its origin (S-115); malformed values are left
    out."""
    if decision.indicator is not None:
        indicator = field.attestation(dialect.attestation, decision.indicator)
        if indicator is not None:
            yield indicator
        origin = field.origination(dialect.origination, decision.origid) if decision.origid is not None else None
        if origin is not None:
            yield origin


def _target(rule: Rule, call: IncomingCall, decision: Decision) -> bytes:
    """The target of a 302: that of the INVITE, with the result in it if the rule wants it there (S-122).

    A call whose caller is not a telephone number gets no result (S-110).
    """
    uri = call.message.uri
    verify = rule.verify
    caller = call.parties.first(verify.caller_from)
    if verify.mark_contact and decision.verstat is not None and caller is not None and caller.is_number:
        in_user_part = DIALECTS[rule.verify.dialect].in_user_part
        uri = verstat.marked(uri, decision.verstat, in_user_part=in_user_part)
    return uri


def _results(rule: Rule, call: IncomingCall, decision: Decision) -> Iterator[HeaderField]:
    """The header fields of a 302: the new Identity, or the caller with the result of verification (S-122)."""
    if decision.date is not None:
        yield field.date(decision.date)
    if decision.identity is not None:
        yield field.identity(decision.identity)
    dialect = DIALECTS[rule.verify.dialect]
    party = call.parties.first(rule.verify.caller_from)
    if decision.verstat is not None and party is not None and party.is_number:
        uri = verstat.marked_uri(call.message.buffer, party, decision.verstat, in_user_part=dialect.in_user_part)
        yield field.asserted(uri)
    yield from _attestation(dialect, decision)


def _sign(rule: Rule, message: SipMessage, decision: Decision) -> None:
    _remove(message, rule.sign.remove)
    scrub.remove_assertions(message)
    if decision.identity is not None or decision.preserved:
        _remove_empty(message)
    if decision.date is not None:
        _remove(message, _DATE)  # a Date that is still present is meaningless: A12, A14 and S-056 have been decided
        message.add_header(field.date(decision.date))
    if decision.identity is not None:
        message.add_header(field.identity(decision.identity))
    for preserved in decision.preserved:
        message.add_header(preserved)
    if decision.bypass is not None:
        verstat.state(message, decision.bypass)


def _remove_empty(message: SipMessage) -> None:
    """Remove Identity header fields without a value: a verifier might not look beyond them."""
    for header in message.headers(b"identity"):
        _, value, end = header
        if not message.buffer[value:end].strip():
            message.remove(header)


def _remove(message: SipMessage, names: tuple[str, ...]) -> None:
    for name in names:
        for header in message.headers(canonical(name.encode())):
            message.remove(header)
