"""The execution of decisions: calls are sent on, responded to or dropped, and later responses are changed."""

from collections import Counter

from sbc_filter.counters import CounterName
from sbc_filter.engine.act.edit_invite import continue_call, is_shown_unmarked, status_of
from sbc_filter.engine.act.reasons_received import Complaints
from sbc_filter.engine.act.reasons_sent import Reports
from sbc_filter.engine.act.redirects import Redirects
from sbc_filter.engine.act.uas import Uas
from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.call.network import Flow, Network
from sbc_filter.engine.call.recording import record
from sbc_filter.engine.decide.sign import unsigned
from sbc_filter.engine.decide.verify import ambiguous
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import ACCEPT, Verdict, VerdictKind, as_observed
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.packet.udp import Packet
from sbc_filter.rules.model import REDIRECT, VERIFY, Insertion, Rule, TreatmentKind

_VERDICTS = {
    TreatmentKind.REJECT: VerdictKind.REJECT,
    TreatmentKind.REDIRECT: VerdictKind.REDIRECT,
    TreatmentKind.DROP: VerdictKind.DROP,
}
# Named once: accessing a member of an Enum on the hot path costs as much as a call.
_CONTINUE, _INLINE, _MODIFY = TreatmentKind.CONTINUE, Insertion.INLINE, VerdictKind.MODIFY


class DecisionExecutor:
    """Carries out decisions, and stores what later messages need: redirected calls, Reason fields to add to responses,
    and tokens that a Reason field may be about. A memory that no rule needs is None."""

    def __init__(
        self,
        network: Network,
        uas: Uas,
        count: Counter[CounterName | Detail],
        reports: Reports | None,
        redirects: Redirects | None,
        complaints: Complaints | None,
    ) -> None:
        self._network = network
        self._uas = uas
        self._count = count
        self._reports = reports
        self._redirects = redirects
        self._complaints = complaints
        self.need_responses = reports is not None or complaints is not None

    def is_followed(self, call: IncomingCall, now: float) -> bool:
        """Whether this call was redirected by the engine and is now on its way to its target."""
        return self._redirects is not None and self._redirects.is_followed(call, now)

    def respond(self, message: bytes, flow: Flow, now: float, packet: Packet | None) -> Verdict:
        """A response without the Reason values about this program's tokens, or with the Reason fields that are due.

        It passes unchanged if neither applies or there is no room. Added fields are counted, not recorded.
        """
        if self._complaints is not None:
            relieved = self._complaints.remove(message, flow, self._network, now)
            if relieved is not None:
                if self._network.place(flow).observed:
                    return as_observed(relieved)
                self._count[CounterName.REASON_REMOVED] += 1
                return as_packet_verdict(relieved, packet)
        payload = self._reports.add(message, flow, now) if self._reports is not None else None
        if payload is None or self._network.place(flow).observed:
            return ACCEPT
        if not has_room(packet, payload):
            self._count[CounterName.REASON_NO_ROOM] += 1
            return ACCEPT
        self._count[CounterName.REASON_ADDED] += 1
        return as_packet_verdict(Verdict(_MODIFY, payload), packet)

    def carry_out(
        self, rule: Rule, call: IncomingCall, decision: Decision, packet: Packet | None, now: float
    ) -> Verdict:
        """Edit the INVITE or respond to it, as the treatment says."""
        if decision.treatment.kind is _CONTINUE:
            if not _is_redirected(rule, call, decision):
                return self._continue(rule, call, decision, packet, now)
            decision.treatment = REDIRECT
        kind = _VERDICTS[decision.treatment.kind]
        if kind is VerdictKind.DROP:
            return Verdict(kind, record=record(call, rule, decision, kind, None))
        answers = self._uas.refuse(rule, call, decision, now)
        if kind is VerdictKind.REDIRECT and answers and self._redirects is not None and not call.place.observed:
            self._redirects.expect(call, now)
        return Verdict(kind, None, answers, record(call, rule, decision, kind, status_of(decision).code))

    def _continue(
        self, rule: Rule, call: IncomingCall, decision: Decision, packet: Packet | None, now: float
    ) -> Verdict:
        message = call.message
        marked = True
        continue_call(rule, call, decision)
        payload = message.changed()
        fits = has_room(packet, payload)
        if not fits or (decision.identity is not None and _is_too_large(rule, call, packet, payload)):
            message.undo(call.scrubbed)  # what was removed from an untrusted peer's call stays removed
            if decision.identity is not None or decision.preserved or decision.bypass is not None:
                detail = Detail.TOO_LARGE if fits else Detail.NO_ROOM
                return self.carry_out(rule, call, unsigned(rule, call, detail), packet, now)
            payload = message.changed()
            marked = False
            if rule.action is VERIFY and decision.outcome is Outcome.PASSED and not is_shown_unmarked(rule, call):
                return self.carry_out(rule, call, ambiguous(rule, call, decision), packet, now)
        if not call.place.observed:
            self._expect_responses(rule, call, decision, now)
        kind = _MODIFY if payload is not None else VerdictKind.ACCEPT
        return Verdict(kind, payload, record=record(call, rule, decision, kind, None, marked=marked))

    def _expect_responses(self, rule: Rule, call: IncomingCall, decision: Decision, now: float) -> None:
        """Store what is to be done to the responses to a call that continues."""
        if self._reports is not None and rule.action is VERIFY:
            self._reports.owe(rule, call, decision, now)
        if self._complaints is not None and decision.identity is not None and rule.sign.removes_reason:
            self._complaints.expect(decision.identity, rule.name, decision.x5u, now)


def pass_unexamined(call: IncomingCall, detail: Detail) -> Verdict:
    """The verdict for a call that no rule decides: only the claims of an untrusted peer are removed."""
    payload = call.message.changed()
    kind = VerdictKind.ACCEPT if payload is None else VerdictKind.MODIFY
    return Verdict(kind, payload, record=record(call, None, Decision(Outcome.NOT_EXAMINED, detail), kind, None))


def monitored(rule: Rule, call: IncomingCall, decision: Decision) -> Record:
    """The record of a rule in monitor mode: `verdict` and `code` are what it decided, not what happened."""
    if decision.treatment.kind is _CONTINUE and _is_redirected(rule, call, decision):
        decision.treatment = REDIRECT
    kind = _VERDICTS.get(decision.treatment.kind, VerdictKind.ACCEPT)
    code = status_of(decision).code if kind in (VerdictKind.REJECT, VerdictKind.REDIRECT) else None
    return record(call, rule, decision, kind, code)


def _is_redirected(rule: Rule, call: IncomingCall, decision: Decision) -> bool:
    """Whether a call that continues is answered with a 302 in place of an edit."""
    return rule.insertion is not _INLINE and not call.emergency and decision.outcome is not Outcome.ALREADY_SIGNED


def has_room(packet: Packet | None, payload: bytes | None) -> bool:
    """Whether the packet that carried a message has room for this one."""
    return payload is None or packet is None or len(payload) <= packet.room


def _is_too_large(rule: Rule, call: IncomingCall, packet: Packet | None, payload: bytes | None) -> bool:
    """Whether a signed call exceeds the packet size that the rule allows (A17). Over TCP it is not one packet."""
    if rule.sign.max_size is None or payload is None or call.flow.transport == "tcp":
        return False
    return len(payload) + (packet.start + 8 if packet is not None else 0) > rule.sign.max_size


def as_packet_verdict(verdict: Verdict, packet: Packet | None) -> Verdict:
    """A verdict about a message as a verdict about the packet that carried it, which has to have room for it."""
    if packet is None or verdict.payload is None:
        return verdict
    payload = packet.replace_payload(verdict.payload)
    return Verdict(verdict.kind, payload, verdict.emit, verdict.record, verdict.monitored)
