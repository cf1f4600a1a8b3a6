"""The engine as a stateless UAS (RFC 3261 §8.2.7; S-140 to S-145): its own responses, and the requests they cause."""

from collections import Counter
from hmac import compare_digest

from sbc_filter.counters import CounterName
from sbc_filter.engine.act.edit_invite import refuse_call, respond
from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.call.recording import record
from sbc_filter.engine.call.unreadable import UnreadableCall
from sbc_filter.engine.memory.transactions import (
    Held,
    Remembered,
    TransactionKey,
    Transactions,
    call_of,
    transaction_key,
)
from sbc_filter.engine.verdict import ACCEPT, DROP, Verdict, VerdictKind, as_observed
from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.packet.udp import Datagram
from sbc_filter.rules.model import REJECT, Rule
from sbc_filter.sip.address import parse_address
from sbc_filter.sip.field import HeaderField, StatusLine, status
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.response import TAG_LENGTH, Via, to_tag, top_via

_PASSED = Remembered(VerdictKind.ACCEPT)
_OK, _TERMINATED = status(200, "OK"), status(487, "Request Terminated")


class Uas:
    """Responds to INVITEs and recognises their ACKs and CANCELs.

    Both belong to an INVITE if they have its branch and sent-by (RFC 3261 §17.2.3), Call-ID and CSeq number, whatever
    their To tag; see `transaction_key` and `call_of`. An ACK is also recognised by its To tag, an HMAC with `secret`,
    when `transactions` no longer contains its INVITE.
    """

    def __init__(self, secret: bytes, transactions: Transactions, counters: Counter[CounterName | Detail]) -> None:
        self._secret = secret
        self._transactions = transactions
        self._counters = counters

    def refuse(self, rule: Rule, call: IncomingCall, decision: Decision, now: float) -> tuple[Datagram, ...]:
        """The final response to an INVITE that does not continue; empty if its Via names no destination, or if the
        response would be larger than the INVITE."""
        try:
            via = top_via(call.message)
            answer = refuse_call(rule, call, decision, via, to_tag(self._secret, call.message, via))
            self._reject(call.message, via, call.flow, call.place, now)
        except MessageError:
            self._counters[CounterName.UNANSWERABLE] += 1
            return ()
        reason = decision.treatment.reason
        if reason is not None and answer is not None and reason.encode() not in answer.payload:
            self._counters[CounterName.ANSWER_CUT] += 1
        return self._sent(answer)

    def refuse_unreadable(
        self, call: UnreadableCall, status: StatusLine, headers: tuple[HeaderField, ...], now: float
    ) -> tuple[Datagram, ...]:
        """The final response to an INVITE that cannot be read; empty as for `refuse`, or if what a response repeats
        cannot be read either."""
        message = call.rest.message
        try:
            message.check()
            via = top_via(message)
            answer = respond(message, call.flow, via, status, to_tag(self._secret, message, via), headers)
            self._reject(message, via, call.flow, call.place, now)
        except MessageError:
            self._counters[CounterName.UNANSWERABLE] += 1
            return ()
        return self._sent(answer)

    def ack_or_cancel(self, message: SipMessage, flow: Flow, now: float, *, observed: bool = False) -> Verdict:
        """Absorb the ACK of the engine's own response, respond to the CANCEL of a held or answered call, pass all
        others. The CANCEL of a held call that is only observed passes, too: the SBC has the call.

        If the flow is only `observed`, the response to which an ACK belongs has to be remembered: one that was sent
        elsewhere, such as in a captured network, does not make a packet vanish here.

        Raises `MessageError` for a message whose Via or To cannot be parsed.
        """
        via = top_via(message)
        _, start, end = message.require(b"to")[0]
        tag = parse_address(message.buffer, start, end).parameter(b"tag") or b""
        key = transaction_key(message, via, flow)
        refused = self._transactions.is_rejected(key, call_of(message), now)
        if message.method == "ACK":
            # Most ACKs end here: the call was answered by another UAS, whose tags have another length.
            if not refused and (observed or len(tag) != TAG_LENGTH or not self._is_own(tag, message, via)):
                return ACCEPT
            self._counters[CounterName.ACK_ABSORBED] += 1
            return DROP
        held = [] if refused else self._transactions.held_by(key)
        if not refused and not held:
            return ACCEPT
        ours = to_tag(self._secret, message, via)
        accepted = respond(message, flow, via, _OK, ours)
        if held:
            return self._cancel(held, key, accepted, ours, now)
        self._counters[CounterName.CANCEL_ANSWERED] += 1
        return Verdict(VerdictKind.DROP, emit=self._sent(accepted))

    def _reject(self, message: SipMessage, via: Via, flow: Flow, place: Position, now: float) -> None:
        """Store that this transaction was answered, if the answer is sent."""
        if not place.observed:
            self._transactions.reject(transaction_key(message, via, flow), call_of(message), now)

    def _is_own(self, tag: bytes, message: SipMessage, via: Via) -> bool:
        """Whether this program made the To tag, for this transaction."""
        return compare_digest(tag, to_tag(self._secret, message, via).encode())

    def _sent(self, *answers: Datagram | None) -> tuple[Datagram, ...]:
        """The responses without None, which stands for one that did not fit and is counted."""
        fitting = tuple(answer for answer in answers if answer is not None)
        if len(fitting) < len(answers):
            self._counters[CounterName.ANSWER_NO_ROOM] += len(answers) - len(fitting)
        return fitting

    def _cancel(
        self, held: list[Held], key: TransactionKey, accepted: Datagram | None, tag: str, now: float
    ) -> Verdict:
        """Respond 200 to the CANCEL and 487 to the held INVITE; the SBC sees neither request (S-145).

        If a copy of the INVITE was only observed, it is with the SBC, and so the CANCEL has to go there.
        """
        call = held[0].progress.call
        answer = respond(call.message, call.flow, top_via(call.message), _TERMINATED, tag)
        terminated = self._sent(answer)
        observed = [each for each in held if each.progress.call.place.observed]
        for each in held:
            each.cancelled = True
            result = _PASSED if each in observed else Remembered(VerdictKind.REJECT, emit=terminated)
            self._transactions.decide(each.progress.key, result, now)
        cancelled = Decision(Outcome.NOT_EXAMINED, Detail.CANCELLED, REJECT)
        made = record(call, None, cancelled, VerdictKind.REJECT, 487)
        verdict = Verdict(VerdictKind.DROP, emit=self._sent(accepted) + terminated, record=made)
        if observed:
            return as_observed(verdict)
        self._counters[CounterName.CANCEL_ANSWERED] += 1
        self._transactions.reject(key, call_of(call.message), now)
        return verdict
