"""The engine: a pure function from packet bytes and a time to a decision, and the memory that it needs.

    packet bytes -> SIP message -> place in the network -> rule -> STIR -> treatment -> edits -> packet bytes

Nothing here raises on account of a packet: every packet gets one `Verdict`, or a `Need` that becomes one.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from hmac import compare_digest
from itertools import chain

from sbc_filter.engine import marking
from sbc_filter.engine.case import Case, Decision, blank_record, record
from sbc_filter.engine.certificates import CertificateMemory
from sbc_filter.engine.editing import continue_call, refuse_call, respond, status_of
from sbc_filter.engine.flow import Flow
from sbc_filter.engine.network import Network, Place
from sbc_filter.engine.parties import Parties
from sbc_filter.engine.record import Record
from sbc_filter.engine.services import apply, unsigned
from sbc_filter.engine.transactions import (
    Held,
    Progress,
    Remembered,
    TransactionKey,
    Transactions,
    message_key,
    transaction_key,
)
from sbc_filter.engine.verdict import Action, Answer, Need, NeedKind, Verdict
from sbc_filter.errors import Detail, MessageError, Outcome, PacketError, VerificationError
from sbc_filter.packet.datagram import Datagram
from sbc_filter.packet.ip import address_text
from sbc_filter.packet.packet import Packet, parse
from sbc_filter.rules.facts import Facts
from sbc_filter.rules.model import REDIRECT, Direction, Insertion, Mode, Rule, TreatmentAction
from sbc_filter.rules.ruleset import RuleSet
from sbc_filter.sip.address import parse_address
from sbc_filter.sip.grammar import OURS, SIP_URI
from sbc_filter.sip.layout import Reader
from sbc_filter.sip.message import SipMessage, apply_edits
from sbc_filter.sip.number import Canonicaliser, canonicaliser
from sbc_filter.sip.response import to_tag, top_via
from sbc_filter.stir.certificate import SigningCertificate
from sbc_filter.stir.credentials import Credential
from sbc_filter.stir.verification import Missing

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
        self._reader = Reader()
        self._transactions = Transactions()
        self._needs = 0

    def process(self, raw: bytes, now: float) -> Verdict | Need:
        """One IP packet in. A verdict's `payload` is the whole new packet."""
        try:
            packet = parse(raw)
        except PacketError as error:
            self.counters[error.detail] += 1
            return _ACCEPT
        ours = OURS.match(packet.payload)
        if ours is None:
            return _ACCEPT
        ports = self._network.ports
        if packet.dport not in ports and packet.sport not in ports:
            return _ACCEPT
        flow = _flow(packet.src_bytes, packet.sport, packet.dst_bytes, packet.dport)
        return self._decide(packet.payload, ours[1], flow, now, packet)

    def decide(self, message: bytes, flow: Flow, now: float) -> Verdict | Need:
        """One SIP message in. A verdict's `payload` is the whole new message."""
        ours = OURS.match(message)
        return _ACCEPT if ours is None else self._decide(message, ours[1], flow, now, None)

    def resume(self, need_id: int, answer: Answer, now: float) -> Verdict | Need:
        """The awaited thing, or why it is not to be had. May end in another `Need`."""
        held = self._transactions.free(need_id)
        if held is None:
            return _ACCEPT
        progress = held.progress
        progress.answers[held.waits_for] = self._certificates.learn(held.waits_for, answer, now)
        return _DROP if held.cancelled else self._walk(progress, now)

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

    def _decide(self, message: bytes, method: bytes, flow: Flow, now: float, packet: Packet | None) -> Verdict | Need:
        if method != b"INVITE" and method.upper() != b"INVITE":
            return self._ack_or_cancel(message, flow, now)
        key = message_key(message, flow)
        known = self._transactions.decided(key, now)
        if known is not None:
            self.counters["retransmission"] += 1
            payload = apply_edits(message, known.edits) if known.edits else None
            return _wrap(Verdict(known.action, payload, known.emit), packet)
        if self._transactions.held and self._transactions.is_held(key):
            self.counters["held-duplicate"] += 1
            return _DROP
        place = self._network.place(flow)
        try:
            case = self._read(message, flow, place, now)
        except MessageError as error:
            return _wrap(_unreadable("INVITE", message, flow, place, now, error), packet)
        if case.in_dialog:
            return _wrap(_pass(case, Detail.IN_DIALOG), packet)
        direction, peer, trunk, _ = place
        facts = Facts("INVITE", direction, trunk, peer, flow.transport, now, case.message, case.parties.identity)
        return self._walk(Progress(key, case, packet, self._rules.matching(facts)), now)

    def _read(self, buffer: bytes, flow: Flow, place: Place, now: float) -> Case:
        """Parse and check an INVITE and remove what an untrusted peer may not claim; `MessageError` if it is broken."""
        message = self._reader.read(buffer, flow.src)
        called = self._canonicalise(message.uri)
        if called is None and message.uri[:3].lower() == b"sip" and SIP_URI.fullmatch(message.uri) is None:
            raise MessageError(Detail.START_LINE, "the Request-URI is broken")
        if not message.has_address(b"from"):
            raise MessageError(Detail.ADDRESS_SYNTAX, "from")
        in_dialog = message.in_dialog
        if _is_stranger(place):
            marking.scrub(message)
        emergency = self._network.is_emergency(called) or (place.trusted and _is_priority(message))
        return Case(
            message, flow, place, Parties(message, self._canonicalise), now, in_dialog, emergency, message.edited
        )

    def _walk(self, progress: Progress, now: float) -> Verdict | Need:
        """Try the rules that match, from where `progress` stands: the first enforced one decides, those in monitor
        mode are only recorded."""
        case = progress.case
        for rule in progress.rules:
            decision = self._apply(rule, progress, now)
            while isinstance(decision, Missing):
                need = self._hold(rule, progress, decision.x5u)
                if need is not None:
                    return need
                decision = self._apply(rule, progress, now)
            if rule.mode is Mode.ENFORCE:
                return self._finish(progress, self._carry_out(rule, case, decision, progress.packet, now), now)
            progress.monitored += (_monitored(rule, case, decision),)
        return self._finish(progress, _pass(case, Detail.NO_RULE), now)

    def _apply(self, rule: Rule, progress: Progress, now: float) -> Decision | Missing:
        def lookup(x5u: str) -> SigningCertificate | VerificationError | None:
            known = (progress.answers.get(x5u) if progress.answers else None) or self._certificates.lookup(x5u, now)
            if known is None and progress.case.emergency:
                return VerificationError(Outcome.UNFETCHABLE, Detail.FETCH_REFUSED)  # never waits (S-137)
            return known

        return apply(rule, progress.case, self._credentials, lookup)

    def _finish(self, progress: Progress, verdict: Verdict, now: float) -> Verdict:
        """Remember the verdict, if anything was decided, and make it one about the packet."""
        if progress.monitored:
            verdict = verdict._replace(monitored=progress.monitored)
        if progress.monitored or (verdict.record is not None and verdict.record.rule is not None):
            edits = progress.case.message.edits if verdict.payload is not None else ()
            self._transactions.decide(progress.key, Remembered(verdict.action, edits, verdict.emit), now)
        return _wrap(verdict, progress.packet)

    def _hold(self, rule: Rule, progress: Progress, x5u: str) -> Need | None:
        """Hold an INVITE until `x5u` is answered; None, and a failure noted, when too many are held."""
        if len(self._transactions.held) >= self._held_limit:
            self.counters["held-limit"] += 1
            progress.answers[x5u] = VerificationError(Outcome.UNFETCHABLE, Detail.HOLD_LIMIT)
            return None
        self._needs += 1
        case = progress.case
        deadline = case.arrived + rule.verify.hold_ms / 1000
        progress.rules = chain((rule,), progress.rules)
        try:
            transaction = transaction_key(case.message, top_via(case.message), case.flow)
        except MessageError:
            transaction = None  # no CANCEL can name it either
        self._transactions.hold(Held(self._needs, x5u, progress, transaction))
        return Need(self._needs, NeedKind.CERTIFICATE, x5u, deadline)

    def _carry_out(self, rule: Rule, case: Case, decision: Decision, packet: Packet | None, now: float) -> Verdict:
        """Edit, or answer, as the treatment says."""
        treatment, message = decision.treatment, case.message
        if treatment.action is TreatmentAction.CONTINUE and rule.insertion is Insertion.REDIRECT and not case.emergency:
            decision = decision._replace(treatment=REDIRECT)
            treatment = REDIRECT
        if treatment.action is TreatmentAction.CONTINUE:
            return self._continue(rule, case, decision, packet, now)
        action = _ACTIONS[treatment.action]
        if action is Action.DROP:
            return Verdict(action, record=record(case, rule, decision, action, None))
        try:
            via = top_via(message)
            answer = refuse_call(rule, case, decision, via, to_tag(self._secret, message, via))
            self._transactions.reject(transaction_key(message, via, case.flow), now)
            answers: tuple[Datagram, ...] = (answer,)
        except MessageError:
            self.counters["unanswerable"] += 1  # no Via to send it to: the call ends all the same
            answers = ()
        return Verdict(action, None, answers, record(case, rule, decision, action, status_of(decision)[0]))

    def _continue(self, rule: Rule, case: Case, decision: Decision, packet: Packet | None, now: float) -> Verdict:
        message = case.message
        continue_call(rule, case, decision)
        payload = message.to_bytes() if message.edited else None
        if payload is not None and packet is not None and len(payload) > packet.room:
            message.undo(case.scrubbed)  # what was removed stays removed
            if decision.identity is not None:
                return self._carry_out(rule, case, unsigned(rule, case, Detail.NO_ROOM), packet, now)
            payload = message.to_bytes() if message.edited else None
        action = Action.MODIFY if payload is not None else Action.ACCEPT
        return Verdict(action, payload, record=record(case, rule, decision, action, None))

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
        except MessageError as error:
            method = "ACK" if buffer.lstrip()[:1] in b"Aa" else "CANCEL"
            return _unreadable(method, buffer, flow, self._network.place(flow), now, error)
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
        return self._cancel(held, key, accepted, ours, now)

    def _cancel(self, held: Held, key: TransactionKey, accepted: Datagram, tag: str, now: float) -> Verdict:
        """200 for the CANCEL, 487 for the INVITE that was held: the SBC sees neither."""
        self.counters["cancel-answered"] += 1
        case = held.progress.case
        terminated = respond(case.message, case.flow, top_via(case.message), (487, "Request Terminated"), tag)
        held.cancelled = True
        self._transactions.reject(key, now)
        self._transactions.decide(held.progress.key, Remembered(Action.REJECT, emit=(terminated,)), now)
        cancelled = Decision(Outcome.PASSED_BY, Detail.CANCELLED)
        made = record(case, None, cancelled, Action.REJECT, 487)
        return Verdict(Action.DROP, emit=(accepted, terminated), record=made)


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


@lru_cache(maxsize=16384)
def _flow(src: bytes, sport: int, dst: bytes, dport: int) -> Flow:
    return Flow(address_text(src), sport, address_text(dst), dport, "udp")


def _unreadable(method: str, buffer: bytes, flow: Flow, place: Place, now: float, error: MessageError) -> Verdict:
    """What cannot be read is the SBC's to refuse; but nobody's verstat goes with it."""
    made = blank_record(flow, place, now)
    made.method, made.outcome, made.detail = method, Outcome.UNPARSEABLE, error.detail
    if _is_stranger(place):
        scrubbed = marking.scrub_unreadable(buffer)
        if scrubbed != buffer:
            made.action = Action.MODIFY
            return Verdict(Action.MODIFY, scrubbed, record=made)
    return Verdict(Action.ACCEPT, record=made)


def _is_stranger(place: Place) -> bool:
    return place.direction is Direction.INBOUND and not place.trusted


def _is_priority(message: SipMessage) -> bool:
    """Whether a trusted peer marks an emergency call, or the call back from one (RFC 7135, RFC 9027)."""
    if b"resource-priority" not in message.names():
        return False
    values = (message.value(header).lower() for header in message.headers(b"resource-priority"))
    return any(value.strip().startswith(b"esnet.") for line in values for value in line.split(b","))


def _wrap(verdict: Verdict, packet: Packet | None) -> Verdict:
    """A verdict about a message made one about the packet that carried it, in which there is room for it."""
    if packet is None or verdict.payload is None:
        return verdict
    payload = packet.replace_payload(verdict.payload)
    return Verdict(verdict.action, payload, verdict.emit, verdict.record, verdict.monitored)
