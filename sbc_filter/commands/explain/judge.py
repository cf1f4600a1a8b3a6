"""The engine's judgement of one INVITE: each time by a new engine, so that nothing was seen before."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from sbc_filter.assembly.certificate_sources import ask_for
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import Setup
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.commands.replay.supposing import believing
from sbc_filter.config.settings import ENFORCE
from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Need, Verdict
from sbc_filter.errors import MessageError, VerificationError
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, parse_certificates
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.ruleset import Facts, RuleSet
from sbc_filter.rules.why_not import Tried, why_not
from sbc_filter.sip.message import SipMessage

_SECRET = b"sbc-filter explain"  # our To tags are the same in every explanation
DEFAULTS = "the defaults of [rule.verify]"
"""The name of the rule by which a token is judged where no rule of the operator verifies it."""


class Judgement(NamedTuple):
    """The engine's result for one message. Without anchors it is the result as if the chain led to one: `assumed`."""

    record: Record
    verdict: Verdict
    assumed: bool = False


class Judge:
    """Judges messages of one flow at one time (POSIX seconds)."""

    def __init__(self, setup: Setup, flow: Flow, at: float, source: NotedSource) -> None:
        self.setup = setup
        self.at = at
        self._flow = flow
        self._source = source
        self._defaults = default_rules()

    def judge(self, message: bytes) -> Judgement | None:
        """What the filter does, by the operator's rules if there are any; None for a message that is not recorded."""
        return self._decided(message, self._engine(self.setup.rules if self.setup.rules.rules else self._defaults))

    def enforced(self, message: bytes) -> Judgement | None:
        """The same where the configuration says `mode = "observe"`, as if it did not: what would be sent."""
        network = replace(self.setup.configuration.network, mode=ENFORCE)
        setup = replace(self.setup, configuration=replace(self.setup.configuration, network=network))
        return Judge(setup, self._flow, self.at, self._source).judge(message)

    def judge_token(self, message: bytes, *, defaults: bool = False) -> Judgement | None:
        """The result for its tokens, by the operator's rules or the `defaults`; without anchors, `assumed`."""
        rules = self.setup.rules
        return self._judged(message, self._defaults if defaults or not rules.rules else rules)

    def read(self, message: bytes) -> tuple[IncomingCall, Facts] | None:
        """What rules see of the message; None if it cannot be read."""
        try:
            return self._engine(self.setup.rules).read(message, self._flow, self.at)
        except MessageError:
            return None

    def tried(self, facts: Facts, in_dialog: bool) -> list[Tried]:
        """Every rule, and why it does not match."""
        return list(why_not(self.setup.rules, facts, in_dialog))

    def _judged(self, message: bytes, rules: RuleSet) -> Judgement | None:
        found = self._decided(message, self._engine(rules))
        if found is None or self.setup.trust.anchors or found.record.detail != Detail.UNTRUSTED_CHAIN:
            return found
        engine = self._engine(rules)
        engine.set_trust_store(self._assumed())
        assumed = self._decided(message, engine)
        return found if assumed is None else assumed._replace(assumed=True)

    def _engine(self, rules: RuleSet) -> Engine:
        return replace(self.setup, rules=rules).engine(_SECRET, nothing_waits=True)

    def _decided(self, message: bytes, engine: Engine) -> Judgement | None:
        clock: Callable[[], float] = lambda: self.at  # noqa: E731
        needs = Needs(self._source, {}, clock)  # signers and verifiers are not asked
        verdict = engine.decide(message, self._flow, self.at)
        while isinstance(verdict, Need):
            verdict = engine.resume(verdict.id, ask_for(needs, verdict), self.at)
        return None if verdict.record is None else Judgement(verdict.record, verdict)

    def _assumed(self) -> TrustStore:
        """A trust store that believes the chains that were found."""
        trust = self.setup.trust
        anchors: list[Certificate] = []
        for found in self._source.found.values():
            try:
                anchors += parse_certificates(found.pem or b"", tolerate=trust.tolerate)
            except (VerificationError, *PARSE_ERRORS):
                continue
        return believing(trust, anchors)


def default_rules() -> RuleSet:
    """The rules where the operator does not have any: one that verifies, with every default."""
    return load_rules({"": f'[[rule]]\nname = "{DEFAULTS}"\naction = "verify"\n'}, str, [])[0]


def with_only(message: SipMessage, at: int) -> bytes:
    """The message with only this one of its Identity fields, counted from 0."""
    buffer, kept, position = message.buffer, b"", 0
    for place, (line, _, end) in enumerate(message.headers(b"identity")):
        if place != at:
            kept += buffer[position:line]
            position = end
    return kept + buffer[position:]
