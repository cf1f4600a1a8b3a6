"""The engine: a pure function from packet bytes and a time to a decision, and the memory that it needs.

    packet bytes -> SIP message -> place in the network -> rule -> STIR -> treatment -> edits -> packet bytes

Nothing here raises on account of a packet: every packet gets one `Verdict`, or a `Need` that becomes one.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain

from sbc_filter.counters import CounterName
from sbc_filter.engine.act.carry_out import DecisionExecutor, as_packet_verdict, has_room, monitored, pass_unexamined
from sbc_filter.engine.act.uas import Uas
from sbc_filter.engine.act.unreadable_calls import UnreadableCalls
from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.call.intake import Intake
from sbc_filter.engine.call.network import Arrival, Flow, Network, Observation, Position
from sbc_filter.engine.decide.apply_rule import apply_rule
from sbc_filter.engine.decide.bypass import bypassed
from sbc_filter.engine.decide.preserve import Preserver
from sbc_filter.engine.decide.verify import VerificationService
from sbc_filter.engine.memory.arrivals import Arrivals
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.memory.replays import LocalSeen, Replays, Seen
from sbc_filter.engine.memory.results import Results
from sbc_filter.engine.memory.shares import party_of
from sbc_filter.engine.memory.transactions import Held, MessageKey, Progress, Remembered, message_key, transaction_key
from sbc_filter.engine.state import EngineState
from sbc_filter.engine.verdict import (
    ACCEPT,
    DROP,
    Answer,
    AnyAnswer,
    Need,
    Request,
    Verdict,
    VerdictKind,
    as_observed,
)
from sbc_filter.errors import MessageError, PacketError, VerificationError
from sbc_filter.numbering.numbering_plans import NANP, Profile
from sbc_filter.outcomes import Detail, Outcome, Repair
from sbc_filter.packet.ip import address_text
from sbc_filter.packet.udp import Packet, parse
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.model import SIGN, VERIFY, Mode, Rule
from sbc_filter.rules.ruleset import Facts, RuleSet
from sbc_filter.sip.lenient.repair import MAX_SIZE
from sbc_filter.sip.lenient.request_start import method_of
from sbc_filter.sip.message import Edits
from sbc_filter.sip.response import top_via
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegated_signing import RemoteCredential

_INVITE, _PLAIN_INVITE, _RESPONSE = b"INVITE", b"INVITE ", b"SIP/2.0 "
# Aliases: on the hot path an Enum member lookup costs as much as a function call.
_ENFORCE = Mode.ENFORCE
_GOES_ON = (VerdictKind.ACCEPT, VerdictKind.MODIFY)
HELD_LIMIT = 1000  # INVITEs that may wait at one time, in fair shares (`engine.memory.shares`)
_COMBINATIONS = 1000  # of deviations that are counted apart


class Engine:
    """See the module. One instance serves one thread."""

    def __init__(
        self,
        rules: RuleSet,
        network: Network,
        certificates: CertificateMemory,
        credentials: Mapping[str, Credential | RemoteCredential],
        secret: bytes,
        profile: Profile = NANP,
        held_limit: int = HELD_LIMIT,
        seen: Seen | None = None,
        arrivals: Arrivals | None = None,
        state: EngineState | None = None,
        nothing_waits: bool = False,
    ) -> None:
        """`secret`, at most 64 bytes and the same in all workers, keys our To tags and the choice of `enforce_percent`.
        `seen` detects replays; `arrivals` is what `preserve` remembers. By default the engine makes its own. `state`
        comes from the engine that this one replaces, which must no longer decide. `nothing_waits`: a need delays no
        call, as in a replay; emergency calls then have certificates looked for, too."""
        self._rules = rules
        self._secret = secret
        self._network = network
        self._ports, self._scrubbed = network.ports, network.scrubbed
        self._held_limit = held_limit
        self._nothing_waits = nothing_waits
        self._intake = Intake(network, profile)
        longest = max((rule.verify.max_age for rule in rules.rules if rule.action is VERIFY), default=0.0)
        self._verifier = VerificationService(Replays(LocalSeen() if seen is None else seen, longest), profile)
        preserving = [rule for rule in rules.rules if rule.sign.preserve is not None]
        self._preserver = Preserver(preserving, profile, arrivals) if preserving else None
        self._tokens: Mapping[str, str] = {}
        # Last: if anything above fails, the other engine's state is untouched.
        self.state = state = EngineState(certificates) if state is None else state
        state.prepare(rules, certificates, credentials)
        self._count, self._deviations, self._repairs = state.counters, state.deviations, state.repairs
        self._transactions, self._certificates = state.transactions, state.certificates
        self._uas = Uas(secret, state.transactions, state.counters)
        self._unreadable_calls = UnreadableCalls(rules, network, self._uas, secret)
        self._executor = DecisionExecutor(
            network, self._uas, state.counters, state.reports, state.redirects, state.complaints
        )

    @property
    def counters(self) -> Counter[str]:
        """Counts of events that leave no record of their own; `deviation.NAME` counts what was tolerated, `repair.NAME`
        what was repaired."""
        found = Counter({str(name): count for name, count in self._count.items()})
        for together, calls in self._deviations.items():
            for deviation in together:
                found[f"deviation.{deviation}"] += calls
        for repair, messages in self._repairs.items():
            found[f"repair.{repair}"] += messages
        if self.state.unread:
            found[CounterName.PASSED_UNREAD] = self.state.unread
        return found

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict | Need:
        """One IP packet in. A verdict's `payload` is the whole new packet. `arrival` is None if nothing is known."""
        try:
            packet = parse(raw)
        except PacketError as error:
            self._count[error.detail] += 1
            return ACCEPT
        payload = packet.payload
        method = _INVITE if payload.startswith(_PLAIN_INVITE) else method_of(payload)
        if method is None and not self._is_needed(payload):
            self.state.unread += 1
            return ACCEPT
        ports = self._ports
        if packet.dport not in ports and packet.sport not in ports:
            return ACCEPT
        ends = packet.ends
        flow = _flow(ends)
        if arrival is not None:
            known, flow = flow, self._network.arrived(flow, arrival)
            if flow is not known:
                # The same bytes by another way may be another peer's: results are not shared between ways.
                ends += repr((flow.hook, flow.interfaces)).encode()
        return self._decide(payload, method, flow, ends, now, packet)

    def decide(self, message: bytes, flow: Flow, now: float) -> Verdict | Need:
        """One SIP message in. A verdict's `payload` is the whole new message."""
        method = method_of(message)
        if method is None and not self._is_needed(message):
            self.state.unread += 1
            return ACCEPT
        return self._decide(message, method, flow, repr(flow).encode(), now, None)

    def read(self, message: bytes, flow: Flow, now: float) -> tuple[IncomingCall, Facts]:
        """What `decide` would see of an INVITE, for explanations; `MessageError`. Nothing is decided or counted."""
        call = self._intake.read(message, flow, now)
        return call, self._intake.facts(call)

    def resume(self, need_id: int, answer: AnyAnswer, now: float) -> Verdict | Need:
        """Continue with the result of a need, or the reason why there is none. May return another `Need`."""
        held = self._transactions.free(need_id)
        if held is None:
            return ACCEPT
        self._add_result(held.progress, held.request, answer, now)
        if held.cancelled:
            return ACCEPT if held.progress.call.place.observed else DROP
        return self._walk(held.progress, now)

    def add_certificate(self, x5u: str, answer: Answer[bytes], now: float) -> None:
        """Store a certificate that no call waits for."""
        self._certificates.add_certificate(x5u, answer, now)

    def add_late(self, need: Need, answer: AnyAnswer, now: float) -> None:
        """Store an answer that came too late for its call, if other calls can use it."""
        Results().add(need.request, answer, self._certificates, now)

    def set_trust_store(self, trust: TrustStore) -> None:
        """Use this trust store from the next call on, also for certificates already known."""
        self._certificates.set_trust_store(trust)

    def replace_credentials(self, credentials: Mapping[str, Credential | RemoteCredential]) -> None:
        """Sign with these from the next call on; they replace those of the same names."""
        self.state.credentials = {**self.state.credentials, **credentials}

    def bypass(self, tokens: Mapping[str, str]) -> None:
        """Send these tokens, keyed by the rules' `token_file`, instead of Identity; if empty, sign calls."""
        self._tokens = tokens

    def observe(self, observed: Observation) -> None:
        """Let these messages pass unchanged from the next one on. Transactions that have begun end as they began."""
        self._network.observe(observed)

    def place(self, flow: Flow) -> Position:
        """What this flow says about each of its messages."""
        return self._network.place(flow)

    def release(self, now: float) -> list[tuple[int, Verdict]]:
        """Give up waiting for everything: (need, verdict) of all that is held."""
        released = []
        for need_id in list(self._transactions.held):
            verdict = self.resume(need_id, Answer(None, Detail.FETCH_TIMEOUT, now), now)
            while isinstance(verdict, Need):
                verdict = self.resume(verdict.id, Answer(None, Detail.FETCH_TIMEOUT, now), now)
            released.append((need_id, verdict))
        return released

    def _is_needed(self, message: bytes) -> bool:
        """Whether these bytes are a response, and responses are needed, or another request that has to be scrubbed."""
        if self._executor.need_responses and message.startswith(_RESPONSE):
            return True
        return self._scrubbed is not None and self._scrubbed.match(message) is not None

    def _decide(
        self, message: bytes, method: bytes | None, flow: Flow, ends: bytes, now: float, packet: Packet | None
    ) -> Verdict | Need:
        """Decide about an INVITE, ACK or CANCEL, or, without `method`, about a response or a request to scrub."""
        if method is None and not message.startswith(_RESPONSE):
            return as_packet_verdict(self._intake.scrubbed(message, flow, _room(packet)), packet)
        if method is None:
            return self._executor.respond(message, flow, now, packet)
        if method != _INVITE:
            return as_packet_verdict(self._follow_up(message, method, flow, now, _room(packet)), packet)
        key = message_key(message, ends)
        known = self._transactions.decided(key, now)
        if known is not None:
            self._count[CounterName.RETRANSMISSION] += 1
            payload = known.edits.applied(message) if known.edits is not None else None
            if not has_room(packet, payload):
                return DROP  # the first copy, which had room, has gone on
            return as_packet_verdict(Verdict(known.kind, payload, known.emit), packet)
        held = self._transactions.held_copy(key) if self._transactions.held else None
        if held is not None:
            self._count[CounterName.HELD_DUPLICATE] += 1
            return ACCEPT if held.progress.call.place.observed else DROP
        try:
            call = self._intake.read(message, flow, now, _room(packet))
        except MessageError as error:
            return as_packet_verdict(self._unreadable(message, flow, key, now, error), packet)
        if call.changed:
            self._note(call.changed)
        if call.in_dialog and not self._rules.judges_dialogs:
            return as_packet_verdict(_undecided(call, Detail.IN_DIALOG), packet)
        if self._executor.is_followed(call, now):
            verdict = _undecided(call, Detail.REDIRECTED)
            edits = call.message.edits() if verdict.payload is not None else None
            self._transactions.decide(key, Remembered(verdict.kind, edits), now)
            return as_packet_verdict(verdict, packet)
        place = call.place
        if place.is_foreign:
            self._count[CounterName.NO_DIRECTION] += 1
            return as_packet_verdict(_undecided(call, Detail.NO_DIRECTION), packet)
        facts = call.facts = self._intake.facts(call)
        return self._walk(Progress(key, call, packet, self._rules.matching(facts, self._secret, call.in_dialog)), now)

    def _follow_up(self, buffer: bytes, method: bytes, flow: Flow, now: float, room: int) -> Verdict:
        """Decide about an ACK or CANCEL."""
        observed = self._network.place(flow).observed
        try:
            message, changed = self._intake.read_follow_up(buffer, flow, room)
            verdict = self._uas.ack_or_cancel(message, flow, now, observed=observed)
        except MessageError as error:
            return self._intake.unreadable_follow_up(method.decode(), buffer, flow, now, error)
        self._note(changed)
        if changed and verdict.kind is VerdictKind.ACCEPT and not observed:
            return verdict._replace(kind=VerdictKind.MODIFY, payload=message.buffer)
        return verdict

    def _unreadable(self, buffer: bytes, flow: Flow, key: MessageKey, now: float, error: MessageError) -> Verdict:
        """Decide about an INVITE that cannot be read."""
        call = self._intake.unreadable(buffer, flow, now, error)
        if call.place.is_foreign:
            self._count[CounterName.NO_DIRECTION] += 1
        verdict = self._unreadable_calls.decide(call, now)
        decided = verdict.monitored or verdict.emit or (verdict.record is not None and verdict.record.rule is not None)
        if call.place.observed:
            verdict = as_observed(verdict)
        if decided:
            edits = Edits(None, verdict.payload) if verdict.payload is not None else None
            self._transactions.decide(key, Remembered(verdict.kind, edits, verdict.emit), now)
        return verdict

    def _note(self, changed: tuple[Repair, ...]) -> None:
        for repair in changed:
            self._repairs[repair] += 1

    def _walk(self, progress: Progress, now: float) -> Verdict | Need:
        """Try the rules that match, from where `progress` stands: the first enforced one decides, those in monitor
        mode are only recorded."""
        call = progress.call
        for rule in progress.rules:
            decision = self._apply(rule, progress, now)
            while not isinstance(decision, Decision):
                need = self._hold(rule, progress, decision, now)
                if need is not None:
                    return need
                decision = self._apply(rule, progress, now)
            if decision.deviations:
                self._deviations[decision.deviations] += 1
                if len(self._deviations) > _COMBINATIONS:
                    _apart(self._deviations)
            for note in decision.notes:
                self._count[note] += 1
            if rule.mode is _ENFORCE:
                return self._finish(progress, self._executor.carry_out(rule, call, decision, progress.packet, now), now)
            progress.monitored += (monitored(rule, call, decision),)
        return self._finish(
            progress, pass_unexamined(call, Detail.IN_DIALOG if call.in_dialog else Detail.NO_RULE), now
        )

    def _apply(self, rule: Rule, progress: Progress, now: float) -> Decision | Request:
        results = progress.results

        def lookup(x5u: str) -> SigningCertificate | VerificationError | None:
            known = results.certificates.get(x5u) if results is not None else None
            if known is None:
                known = self._certificates.lookup(x5u, now)
            if known is None and progress.call.emergency and not self._nothing_waits:
                return VerificationError(Outcome.UNFETCHABLE, Detail.FETCH_REFUSED)  # never waits (S-137)
            return known

        instead = self._instead if self._preserver is not None or self._tokens else None
        return apply_rule(rule, progress.call, self.state.credentials, self._verifier, lookup, results, instead)

    def _instead(self, rule: Rule, call: IncomingCall) -> Decision | None:
        """What to do with an outbound call instead of signing it."""
        found = self._preserver.decide(rule, call) if self._preserver is not None else None
        return bypassed(rule, call, self._tokens) if found is None else found

    def _finish(self, progress: Progress, verdict: Verdict, now: float) -> Verdict:
        """Remember the verdict, if anything was decided, and make it one about the packet."""
        if self._preserver is not None and verdict.kind in _GOES_ON:
            self._preserver.remember(progress.call, verdict.record, progress.monitored)
        if progress.monitored:
            verdict = verdict._replace(monitored=progress.monitored)
        if progress.call.place.observed:
            verdict = as_observed(verdict)
        if progress.monitored or (verdict.record is not None and verdict.record.rule is not None):
            edits = progress.call.message.edits() if verdict.payload is not None else None
            self._transactions.decide(progress.key, Remembered(verdict.kind, edits, verdict.emit), now)
        return as_packet_verdict(verdict, progress.packet)

    def _add_result(self, progress: Progress, request: Request, answer: AnyAnswer, now: float) -> None:
        if progress.results is None:
            progress.results = Results()
        progress.results.add(request, answer, self._certificates, now)

    def _hold(self, rule: Rule, progress: Progress, request: Request, now: float) -> Need | None:
        """Hold an INVITE until `request` has a result. If too many are held, the party that holds most gives way. If it
        is this one, store a failure as the result and return None."""
        call, displaced = progress.call, None
        party = party_of(call.place)
        if len(self._transactions.held) >= self._held_limit:
            self._count[CounterName.HOLD_LIMIT] += 1
            displaced = self._transactions.shares.to_displace(party)
            if displaced is None:
                self._add_result(progress, request, Answer(None, Detail.HOLD_LIMIT, now), now)
                return None
        self.state.needs = number = self.state.needs + 1
        deadline = call.arrived + (rule.sign.hold_ms if rule.action is SIGN else rule.verify.hold_ms) / 1000
        progress.rules = chain((rule,), progress.rules)
        try:
            transaction = transaction_key(call.message, top_via(call.message), call.flow)
        except MessageError:
            transaction = None  # no CANCEL can name it either
        self._transactions.hold(Held(number, request, progress, transaction, party))
        return Need(number, request, deadline, not call.place.observed, displaced, party)


def _room(packet: Packet | None) -> int:
    """The octets of the largest message that can go on in the place of one that arrived."""
    return MAX_SIZE if packet is None else packet.room


def _undecided(call: IncomingCall, detail: Detail) -> Verdict:
    """The verdict for a call that is passed without asking the rules."""
    verdict = pass_unexamined(call, detail)
    return as_observed(verdict) if call.place.observed else verdict


def _apart(deviations: Counter[tuple[str, ...]]) -> None:
    """Count each deviation by itself, where there are too many combinations of them."""
    single: Counter[tuple[str, ...]] = Counter()
    for together, calls in deviations.items():
        for deviation in together:
            single[(deviation,)] += calls
    deviations.clear()
    deviations.update(single)


@lru_cache(maxsize=16384)
def _flow(ends: bytes) -> Flow:
    """The flow of a packet's `ends`."""
    addresses, ports = ends[:-4], ends[-4:]
    half = len(addresses) // 2
    src, dst = address_text(addresses[:half]), address_text(addresses[half:])
    return Flow(src, int.from_bytes(ports[:2], "big"), dst, int.from_bytes(ports[2:], "big"), "udp")
