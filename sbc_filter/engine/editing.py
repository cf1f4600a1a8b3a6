"""A decision carried out on the message: the edits of a call that continues, the answer to one that does not."""

import re
from collections.abc import Iterator, Sequence

from sbc_filter.engine import marking, outcomes
from sbc_filter.engine.case import Case, Decision
from sbc_filter.engine.dialects import DIALECTS, Dialect
from sbc_filter.engine.flow import Flow
from sbc_filter.errors import Outcome
from sbc_filter.packet.datagram import Datagram
from sbc_filter.rules.model import SIGN, VERIFY, Rule, RuleAction, TreatmentAction
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.names import canonical
from sbc_filter.sip.response import Via, build_response

_DATE = ("Date",)
_ORIGID = re.compile(r"[0-9A-Za-z-]{1,64}")  # what a peer wrote goes into a header field of ours only in this form


def continue_call(rule: Rule, case: Case, decision: Decision) -> None:
    """Edit the INVITE of a call that goes on."""
    if rule.action is VERIFY:
        _mark(rule, case, decision)
    elif rule.action is SIGN:
        _sign(rule, case.message, decision)
    elif rule.action is RuleAction.STRIP:
        _remove(case.message, rule.strip.headers)


def status_of(decision: Decision) -> tuple[int, str]:
    """Status code and phrase of the answer: the treatment's own where given, else the outcome's (S-065)."""
    treatment = decision.treatment
    if treatment.action is TreatmentAction.REDIRECT:
        return treatment.code or 302, treatment.phrase or "Moved Temporarily"
    code, phrase = outcomes.answer(decision.outcome, decision.detail)
    if treatment.code is not None and treatment.code != code:
        code, phrase = treatment.code, outcomes.phrase(treatment.code)
    return code, treatment.phrase or phrase


def refuse_call(rule: Rule, case: Case, decision: Decision, via: Via, tag: str) -> Datagram | None:
    """The final answer to an INVITE that does not go on; None where it would be larger than the INVITE."""
    redirect = decision.treatment.action is TreatmentAction.REDIRECT
    headers = []
    if redirect:
        headers = [f"Contact: <{_target(rule, case, decision)}>", *_results(rule, case, decision)]
    elif decision.treatment.reason is not None:
        headers = [f"Reason: {decision.treatment.reason}"]
    return respond(case.message, case.flow, via, status_of(decision), tag, headers, bounded=not redirect)


def respond(
    message: SipMessage,
    flow: Flow,
    via: Via,
    status: tuple[int, str],
    tag: str | None,
    headers: Sequence[str] = (),
    *,
    bounded: bool = True,
) -> Datagram | None:
    """An answer on its way back: from the address and port that the request was sent to (S-143).

    Anyone can write anyone's address into a datagram, and we would be who floods them: so nobody gets more bytes than
    came under their address. Not `bounded` is what trusted trunks alone get (a 302 carries a token); on TCP nobody
    pretends to be another.
    """
    room = len(message.buffer) if bounded and flow.transport == "udp" else None
    built = build_response(message, via, status, tag, (flow.src, flow.sport), headers, room)
    return Datagram(flow.dst, flow.dport, flow.src, built[1], built[0]) if built is not None else None


def _mark(rule: Rule, case: Case, decision: Decision) -> None:
    options, message = rule.verify, case.message
    dialect = DIALECTS[options.dialect]
    if decision.verstat is not None:
        party = case.parties.first(options.caller_from)
        if party is not None:
            trusted = not case.place.is_stranger
            marking.mark(message, party, decision.verstat, trusted=trusted, in_user_part=dialect.in_user_part)
    for name, value in _attestation(dialect, decision):
        marking.state(message, name, value)
    if not options.identity_keep and decision.outcome is Outcome.PASSED:
        _remove(message, ("Identity",))


def _attestation(dialect: Dialect, decision: Decision) -> Iterator[tuple[str, str]]:
    """Header fields that say how far a verified caller is vouched for, and by whom (S-115)."""
    if decision.indicator is not None:
        yield dialect.attestation, decision.indicator
        if decision.origid is not None and _ORIGID.fullmatch(decision.origid):
            yield dialect.origination, decision.origid


def _target(rule: Rule, case: Case, decision: Decision) -> str:
    """Where a 302 leads to: where the INVITE would have gone, with the result where a rule wants it there (S-122)."""
    uri = case.message.uri
    if rule.verify.mark_contact and decision.verstat is not None:
        in_user_part = DIALECTS[rule.verify.dialect].in_user_part
        uri = marking.marked(uri, decision.verstat, in_user_part=in_user_part)
    return uri.decode("ascii", "replace")


def _results(rule: Rule, case: Case, decision: Decision) -> Iterator[str]:
    """What a 302 carries: the new Identity, or the caller with the result of verification (S-122)."""
    if decision.date is not None:
        yield f"Date: {decision.date.decode()}"
    if decision.identity is not None:
        yield f"Identity: {decision.identity.decode()}"
    dialect = DIALECTS[rule.verify.dialect]
    party = case.parties.first(rule.verify.caller_from)
    if decision.verstat is not None and party is not None:
        uri = marking.marked_uri(case.message.buffer, party, decision.verstat, in_user_part=dialect.in_user_part)
        yield f"P-Asserted-Identity: <{uri.decode('utf-8', 'replace')}>"
    for name, value in _attestation(dialect, decision):
        yield f"{name}: {value}"


def _sign(rule: Rule, message: SipMessage, decision: Decision) -> None:
    _remove(message, rule.sign.remove)
    marking.remove_assertions(message)
    if decision.date is not None:
        _remove(message, _DATE)  # only one that says nothing: A12, A14 and S-056 are decided by now
        message.add_header(b"Date: " + decision.date + b"\r\n")
    if decision.identity is not None:
        message.add_header(b"Identity: " + decision.identity + b"\r\n")
    for value in decision.preserved:
        message.add_header(b"Identity: " + value + b"\r\n")
    if decision.bypass is not None:
        marking.state(message, *decision.bypass)


def _remove(message: SipMessage, names: tuple[str, ...]) -> None:
    for name in names:
        for header in message.headers(canonical(name.encode())):
            message.remove(header)
