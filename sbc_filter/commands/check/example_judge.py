"""What the engine does with the call of an example: each time a new engine, with the rule of the example enforced."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sbc_filter.assembly.certificate_sources import ask_for
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import Setup
from sbc_filter.capture.frame import Frame
from sbc_filter.capture.replay_shell import Replay
from sbc_filter.capture.tcp.tcp_replay import TcpReplay
from sbc_filter.capture.unseen import Unseen
from sbc_filter.commands.check.example_calls import ExampleFault, content, copies
from sbc_filter.commands.check.example_captures import NotingEngine, frames_of
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.config.settings import ENFORCE
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import ACCEPT, Need, Verdict
from sbc_filter.errors import MessageError, VerificationError, reason
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import PARSE_ERRORS, parse_certificates
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.model import Mode, Rule
from sbc_filter.rules.ruleset import RuleSet
from sbc_filter.rules.trunk_options import parse_endpoint
from sbc_filter.rules.why_not import why_not

_SECRET = b"sbc-filter check"
_LONGEST = 64 * 1024  # bytes of a chain, or of anchors


class Judged(NamedTuple):
    """The result for one call; `before` and `after` are the message as it came, and as it goes on or is answered."""

    record: Record
    before: bytes
    after: bytes
    answered: bool
    packet: int | None
    why: Callable[[str], str]  # of a rule: why it does not match; empty if it matches


Found = Callable[[Judged], None]


class ExampleJudge:
    """Judges the calls of one example; `trust` and `chain` replace those of the configuration."""

    def __init__(self, setup: Setup, rule: Rule, trust: TrustStore | None = None, chain: bytes | None = None) -> None:
        configuration = setup.configuration
        network = replace(configuration.network, mode=ENFORCE)
        self._setup = replace(setup, configuration=replace(configuration, network=network))
        self._rules = _enforcing(setup.rules, rule)
        self._trust = trust
        self._chain = chain

    def judge(self, message: bytes, flow: Flow, at: float, repeated: int) -> Judged:
        """The result for an INVITE that arrives `at` (POSIX seconds), after so many others like it; `ExampleFault`."""
        engine, needs = self._engine(), self._needs(lambda: at)
        verdict, calls = ACCEPT, [*copies(message, repeated), message]
        for call in calls:
            decision = engine.decide(call, flow, at)
            while isinstance(decision, Need):
                decision = engine.resume(decision.id, ask_for(needs, decision), at)
            verdict = decision
        if verdict.record is None:
            raise ExampleFault("the filter does not decide about this message")
        after = verdict.emit[0].payload if verdict.emit else verdict.payload or message
        return Judged(verdict.record, message, after, bool(verdict.emit), None, self._why(engine, calls, flow, at))

    def judge_capture(self, path: Path, packet: int | None, found: Found) -> None:
        """Call `found` with each INVITE of a capture that begins a call, or with that of one `packet`; `ExampleFault`
        and `CaptureError`."""
        engine = self._engine()

        def compare(verdict: Verdict, message: bytes, after: bytes, frame: Frame, at: float) -> None:
            record = verdict.record
            if record is None or record.method != "INVITE":
                return
            if packet == frame.number or (packet is None and record.detail != Detail.IN_DIALOG):
                why = self._why(engine, [message], _flow_of(record), at)
                found(Judged(record, message, after, bool(verdict.emit), frame.number, why))

        noting = NotingEngine(engine, compare)
        ask = partial(ask_for, self._needs(lambda: noting.at))
        ports, apart = self._setup.configuration.network.ports, self._setup.tells_interfaces_apart
        streams = TcpReplay(noting, ask, _ignore, noting.time_of, ports, Unseen(ports), apart)
        run = Replay(noting, ask, _ignore, noting.time_of, interfaces=apart, leaves=False, streams=streams)
        for frame in frames_of(path):
            run.feed(frame)
        run.finish()

    def _engine(self) -> Engine:
        engine = replace(self._setup, rules=self._rules).engine(_SECRET, nothing_waits=True)
        if self._trust is not None:
            engine.set_trust_store(self._trust)
        return engine

    def _needs(self, clock: Callable[[], float]) -> Needs:
        settings = self._setup.configuration.certificates
        return Needs(NotedSource(settings, self._chain, clock, fetch=False), {}, clock)  # services are not asked

    def _why(self, engine: Engine, calls: Sequence[bytes], flow: Flow, at: float) -> Callable[[str], str]:
        def why(name: str) -> str:
            rules, found = RuleSet(tuple(zip(self._rules.rules, self._rules.conditions, strict=True))), ""
            for message in calls:  # each is counted by rates
                try:
                    call, facts = engine.read(message, flow, at)
                except MessageError as error:
                    return f"the message cannot be read: {error.detail}"
                tried = why_not(rules, facts, call.in_dialog)
                found = next((each.reason for each in tried if each.rule.name == name), "")
            return found

        return why


def anchors_from(path: Path, setup: Setup) -> TrustStore:
    """A trust store of the anchors in a file, without CRLs; `ExampleFault`."""
    tolerate = setup.trust.tolerate
    try:
        return TrustStore(parse_certificates(content(path, _LONGEST), tolerate=tolerate), tolerate=tolerate)
    except (VerificationError, *PARSE_ERRORS) as error:
        raise ExampleFault(f"{path} cannot be read: {reason(error)}") from None


def chain_from(path: Path) -> bytes:
    """The chain in a file; `ExampleFault`."""
    return content(path, _LONGEST)


def _enforcing(rules: RuleSet, example_of: Rule) -> RuleSet:
    """The rules, with that of the example enforced for all calls. What else is enforced for some calls only monitors:
    an example must not depend on its Call-ID."""
    found = []
    for rule, conditions in zip(rules.rules, rules.conditions, strict=True):
        mode = rule.mode if conditions.enforce_percent == 100 else Mode.MONITOR
        mode = Mode.ENFORCE if rule is example_of else mode
        found.append((replace(rule, mode=mode), replace(conditions, enforce_percent=100.0)))
    return RuleSet(found)


def _flow_of(record: Record) -> Flow:
    (src, sport), (dst, dport) = parse_endpoint(record.src, 0), parse_endpoint(record.dst, 0)
    return Flow(src, sport, dst, dport, record.transport)


def _ignore(record: Record) -> None:
    """Records are looked at where they are made."""
