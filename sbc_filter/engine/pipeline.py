"""The engine: a pure function from packet bytes and a time to a decision, and the memory that it needs.

    packet bytes -> SIP message -> place in the network -> rule -> STIR -> treatment -> edits -> packet bytes

Nothing here raises on account of a packet: every packet gets one `Verdict`, or a `Need` that becomes one.
"""

from collections import Counter
from collections.abc import Mapping
from hmac import compare_digest

from sbc_filter.engine import marking
from sbc_filter.engine.case import Case, Decision, blank_record, record
from sbc_filter.engine.certificates import CertificateMemory
from sbc_filter.engine.editing import continue_call, refuse_call, respond, status_of
from sbc_filter.engine.flow import Flow
from sbc_filter.engine.network import Network, Place
from sbc_filter.engine.parties import Parties
from sbc_filter.engine.record import Record
from sbc_filter.engine.services import apply
from sbc_filter.engine.transactions import Invite, Transactions, message_key, transaction_key
from sbc_filter.engine.verdict import Action, Answer, Need, NeedKind, Verdict
from sbc_filter.errors import Detail, MessageError, Outcome, PacketError, VerificationError
from sbc_filter.packet.datagram import Datagram
from sbc_filter.packet.packet import Packet, parse
from sbc_filter.rules.facts import Facts
from sbc_filter.rules.model import REDIRECT, Direction, Insertion, Mode, Rule, TreatmentAction
from sbc_filter.rules.ruleset import RuleSet
from sbc_filter.sip.address import parse_address
from sbc_filter.sip.grammar import OURS
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.number import Canonicaliser, canonicaliser
from sbc_filter.sip.response import to_tag, top_via
from sbc_filter.stir.certificate import SigningCertificate
from sbc_filter.stir.credentials import Credential
from sbc_filter.stir.verification import CertificateLookup, Missing

_ACCEPT = Verdict(Action.ACCEPT)
_DROP = Verdict(Action.DROP)
_ACTIONS = {
    TreatmentAction.REJECT: Action.REJECT,
    TreatmentAction.REDIRECT: Action.REDIRECT,
    TreatmentAction.DROP: Action.DROP,
}
HELD_LIMIT = 1000  # INVITEs that may wait at one time


class Engine:
    """See the module. One instance serves one thread; `counters` counts what leaves no record."""

    def __init__(
        self,
        rules: RuleSet,
        network: Network,
        certificates: CertificateMemory,
        credentials: Mapping[str, Credential],
        secret: bytes,
        canonicalise: Canonicaliser | None = None,
        held_limit: int = HELD_LIMIT,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._rules = rules
        self._network = network
        self._certificates = certificates
        self._credentials = credentials
        self._secret = secret
        self._canonicalise = canonicalise or canonicaliser()
        self._held_limit = held_limit
        self._transactions = Transactions()
        self._needs = 0

    def process(self, raw: bytes, now: float) -> Verdict | Need:
        """One IP packet in. A verdict's `payload` is the whole new packet."""
        try:
            packet = parse(raw)
        except PacketError as error:
            self.counters[error.detail] += 1
            return _ACCEPT
        if OURS.match(packet.payload) is None:
            return _ACCEPT
        ports = self._network.ports
        if packet.dport not in ports and packet.sport not in ports:
            return _ACCEPT
        flow = Flow(packet.src, packet.sport, packet.dst, packet.dport, "udp")
        return self._decide(packet.payload, flow, now, packet)

    def decide(self, message: bytes, flow: Flow, now: float) -> Verdict | Need:
        """One SIP message in. A verdict's `payload` is the whole new message."""
        return self._decide(message, flow, now, None)

    def resume(self, need_id: int, answer: Answer, now: float) -> Verdict | Need:
        """The awaited thing, or why it is not to be had. May end in another `Need`."""
        held = self._transactions.free(need_id)
        if held is None:
            return _ACCEPT
        held.answers[held.waits_for] = self._certificates.learn(held.waits_for, answer, now)
        if held.cancelled:
            return _DROP
        return self._judge(held, now)

    def learn(self, x5u: str, answer: Answer, now: float) -> None:
        """Take in a certificate that nobody waits for (any more)."""
        self._certificates.learn(x5u, answer, now)

    def release(self, now: float) -> list[tuple[int, Verdict]]:
        """Give up waiting for everything: (need, verdict) of all that is held."""
        released = []
        for need_id in list(self._transactions.held):
            verdict = self.resume(need_id, Answer(None, Detail.FETCH_TIMEOUT, now), now)
            while isinstance(verdict, Need):
                verdict = self.resume(verdict.id, Answer(None, Detail.FETCH_TIMEOUT, now), now)
            released.append((need_id, verdict))
        return released

    def _decide(self, message: bytes, flow: Flow, now: float, packet: Packet | None) -> Verdict | Need:
        ours = OURS.match(message)
        if ours is None:
            return _ACCEPT
        if ours[1].upper() != b"INVITE":
            return self._ack_or_cancel(message, flow, now)
        key = message_key(message, flow)
        verdict = self._transactions.decided(key, now)
        if verdict is not None:
            self.counters["retransmission"] += 1
            return _wrap(verdict, packet)
        if self._transactions.is_held(key):
            self.counters["held-duplicate"] += 1
            return _DROP
        return self._judge(Invite(message, flow, packet, now, key), now)

    def _judge(self, invite: Invite, now: float) -> Verdict | Need:
        """Decide an INVITE, or hold it."""
        place = self._network.place(invite.flow)
        try:
            case = self._read(invite, place)
        except MessageError as error:
            unreadable = blank_record(invite.flow, place, invite.arrived)
            unreadable.method, unreadable.outcome, unreadable.detail = "INVITE", Outcome.UNPARSEABLE, error.detail
            return Verdict(Action.ACCEPT, record=unreadable)
        verdict = self._by_rule(invite, case, now)
        if isinstance(verdict, Need):
            return verdict
        if verdict.record is not None and verdict.record.rule is not None:
            self._transactions.decide(invite.key, Verdict(verdict.action, verdict.payload, verdict.emit), now)
        return _wrap(verdict, invite.packet)

    def _read(self, invite: Invite, place: Place) -> Case:
        """Parse and check an INVITE and remove what an untrusted peer may not claim; `MessageError` if it is broken."""
        message = SipMessage.parse(invite.message)
        message.check()
        if place.direction is Direction.INBOUND and not place.trusted:
            marking.scrub(message)
        emergency = self._network.is_emergency(self._canonicalise(message.uri))
        parties = Parties(message, self._canonicalise)
        return Case(message, invite.flow, place, parties, invite.arrived, message.in_dialog, emergency)

    def _by_rule(self, invite: Invite, case: Case, now: float) -> Verdict | Need:
        """The first enforced rule that matches decides; rules in monitor mode are only recorded."""
        message, place = case.message, case.place
        if case.in_dialog:
            return _pass(case, Detail.IN_DIALOG)
        facts = Facts(
            message.method,
            place.direction,
            place.trunk,
            place.peer,
            invite.flow.transport,
            case.arrived,
            message,
            case.parties.identity,
        )
        monitored: tuple[Record, ...] = ()
        for rule in self._rules.matching(facts):
            decision = apply(rule, case, self._credentials, self._lookup(invite, case, now))
            if isinstance(decision, Missing):
                need = self._hold(invite, case, decision.x5u, rule.verify.hold_ms / 1000)
                if need is not None:
                    return need
                decision = apply(rule, case, self._credentials, self._lookup(invite, case, now))
                assert isinstance(decision, Decision), "what could not be held for has an answer now"
            if rule.mode is Mode.ENFORCE:
                verdict = self._carry_out(rule, case, decision, now)
                return verdict._replace(monitored=monitored) if monitored else verdict
            monitored += (_monitored(rule, case, decision),)
        verdict = _pass(case, Detail.NO_RULE)
        return verdict._replace(monitored=monitored) if monitored else verdict

    def _lookup(self, invite: Invite, case: Case, now: float) -> CertificateLookup:
        def lookup(x5u: str) -> SigningCertificate | VerificationError | None:
            known = invite.answers.get(x5u) or self._certificates.lookup(x5u, now)
            if known is None and case.emergency:
                return VerificationError(Outcome.UNFETCHABLE, Detail.FETCH_REFUSED)  # never waits (S-137)
            return known

        return lookup

    def _hold(self, invite: Invite, case: Case, x5u: str, seconds: float) -> Need | None:
        """Hold an INVITE until `x5u` is answered; None, and a failure noted, when too many are held."""
        if len(self._transactions.held) >= self._held_limit:
            self.counters["held-limit"] += 1
            invite.answers[x5u] = VerificationError(Outcome.UNFETCHABLE, Detail.HOLD_LIMIT)
            return None
        self._needs += 1
        invite.need, invite.waits_for = self._needs, x5u
        invite.deadline = invite.arrived + seconds
        try:
            invite.transaction = transaction_key(case.message, top_via(case.message), invite.flow)
        except MessageError:
            invite.transaction = None  # no CANCEL can name it either
        self._transactions.hold(invite)
        return Need(invite.need, NeedKind.CERTIFICATE, x5u, invite.deadline)

    def _carry_out(self, rule: Rule, case: Case, decision: Decision, now: float) -> Verdict:
        """Edit, or answer, as the treatment says."""
        treatment, message = decision.treatment, case.message
        if treatment.action is TreatmentAction.CONTINUE and rule.insertion is Insertion.REDIRECT and not case.emergency:
            treatment = REDIRECT
            decision = decision._replace(treatment=treatment)
        if treatment.action is TreatmentAction.CONTINUE:
            continue_call(rule, case, decision)
            action = Action.MODIFY if message.edited else Action.ACCEPT
            payload = message.to_bytes() if message.edited else None
            return Verdict(action, payload, record=record(case, rule, decision, action, None))
        action = _ACTIONS[treatment.action]
        if action is Action.DROP:
            return Verdict(action, record=record(case, rule, decision, action, None))
        code, _ = status_of(decision)
        answers: tuple[Datagram, ...] = ()
        try:
            via = top_via(message)
            answers = (refuse_call(rule, case, decision, via, to_tag(self._secret, message, via)),)
            self._transactions.reject(transaction_key(message, via, case.flow), now)
        except MessageError:
            self.counters["unanswerable"] += 1  # no Via to send it to: the call ends all the same
        return Verdict(action, None, answers, record(case, rule, decision, action, code))

    def _ack_or_cancel(self, buffer: bytes, flow: Flow, now: float) -> Verdict:
        """Absorb the ACK of our own answers, answer the CANCEL of what we hold or have answered (S-144, S-145)."""
        try:
            message = SipMessage.parse(buffer)
            message.check()
            via = top_via(message)
            _, start, end = message.require(b"to")[0]
            tag = parse_address(buffer, start, end).parameter(b"tag")
            key = transaction_key(message, via, flow)
            ours = to_tag(self._secret, message, via)
        except MessageError:
            return _ACCEPT
        if message.method == "ACK":
            if tag is None or not compare_digest(tag, ours.encode()):
                return _ACCEPT
            self.counters["ack-absorbed"] += 1
            return _DROP
        accepted = respond(message, flow, via, (200, "OK"), ours)
        if self._transactions.is_rejected(key, now):
            self.counters["cancel-answered"] += 1
            return Verdict(Action.DROP, emit=(accepted,))
        held = self._transactions.held_by(key)
        if held is None or message.method != "CANCEL":
            return _ACCEPT
        return self._cancel(held, accepted, ours, now)

    def _cancel(self, held: Invite, accepted: Datagram, tag: str, now: float) -> Verdict:
        """200 for the CANCEL, 487 for the INVITE that was held: the SBC sees neither."""
        self.counters["cancel-answered"] += 1
        invite = SipMessage.parse(held.message)
        terminated = respond(invite, held.flow, top_via(invite), (487, "Request Terminated"), tag)
        held.cancelled = True
        assert held.transaction is not None, "it was found by this key"
        self._transactions.reject(held.transaction, now)
        self._transactions.decide(held.key, Verdict(Action.REJECT, emit=(terminated,)), now)
        return Verdict(Action.DROP, emit=(accepted, terminated))


def _pass(case: Case, detail: Detail) -> Verdict:
    """No rule decides: only what an untrusted peer may not claim is removed."""
    message = case.message
    action = Action.MODIFY if message.edited else Action.ACCEPT
    payload = message.to_bytes() if message.edited else None
    return Verdict(action, payload, record=record(case, None, Decision(Outcome.PASSED_BY, detail), action, None))


def _monitored(rule: Rule, case: Case, decision: Decision) -> Record:
    """The record of a rule that only watches: `action` and `code` are what it decided, and what did not happen."""
    action = _ACTIONS.get(decision.treatment.action, Action.ACCEPT)
    code = status_of(decision)[0] if action in (Action.REJECT, Action.REDIRECT) else None
    return record(case, rule, decision, action, code)


def _wrap(verdict: Verdict, packet: Packet | None) -> Verdict:
    """A verdict about a message made one about the packet that carried it."""
    if packet is None or verdict.payload is None:
        return verdict
    try:
        payload = packet.replace_payload(verdict.payload)
    except PacketError as error:
        if verdict.record is not None:
            verdict.record.action, verdict.record.detail = Action.ACCEPT, error.detail
        return verdict._replace(action=Action.ACCEPT, payload=None)
    return Verdict(verdict.action, payload, verdict.emit, verdict.record, verdict.monitored)
