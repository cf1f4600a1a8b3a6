"""Judges a call a second time where only the trust anchor is missing: as if the chain of its certificate led to one."""

from collections.abc import Callable, Mapping, Sequence

from sbc_filter.certificates.source import CertificateSource
from sbc_filter.engine.call.network import Arrival, Flow
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import OURS, Answer, AnyAnswer, Need, Party, Verdict
from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, parse_certificates
from sbc_filter.pki.trust_store import TrustStore

_MOST = 2000  # certificates that are taken for anchors
_Again = Callable[[Engine], Verdict | Need]


class NotedCertificates:
    """A certificate source that notes the chains that another one finds."""

    def __init__(self, source: CertificateSource) -> None:
        self._source = source
        self.found: dict[str, bytes] = {}

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Ask the other source."""

        def note(answer: Answer[bytes]) -> None:
            if answer.result is not None and len(self.found) < _MOST:
                self.found[url] = answer.result
            done(answer)

        self._source.fetch(url, note, party)

    def close(self) -> None:
        """Close the other source."""
        self._source.close()


def believing(trust: TrustStore, anchors: Sequence[Certificate]) -> TrustStore:
    """The trust store with these anchors in the place of its own."""
    return TrustStore(anchors, trust.crls, tolerate=trust.tolerate, strict=trust.strict, policies=trust.policies)


class Supposing:
    """An engine for the shells of a replay that observes: what its rules would do is not done.

    A call whose chain leads to no anchor is decided again by a second engine, to which all certificates that were found
    are anchors. If it fails there, too, that is its result. If it passes, only the anchor is missing, and `supposed` is
    the second record. `found` are the chains that are found meanwhile, by their URLs; `trust` says what else counts.
    """

    def __init__(
        self,
        engine: Engine,
        second: Engine,
        ask: Callable[[Need], AnyAnswer],
        found: Mapping[str, bytes],
        trust: TrustStore,
    ) -> None:
        self._engine = engine
        self._second = second
        self._ask = ask
        self._found = found
        self._trust_store = trust
        self._known = 0  # chains that the second engine trusts
        self._anchors: list[Certificate] = []
        self._again: _Again | None = None
        self._now = 0.0
        self.supposed: Record | None = None

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None, /) -> Verdict | Need:
        """Decide on an IP packet."""
        return self._decide(lambda engine: engine.process(raw, now, arrival), now)

    def decide(self, message: bytes, flow: Flow, now: float, /) -> Verdict | Need:
        """Decide on a SIP message."""
        return self._decide(lambda engine: engine.decide(message, flow, now), now)

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
        """Decide with the answer to a need."""
        return self._supposed(self._engine.resume(need_id, answer, now))

    def _decide(self, again: _Again, now: float) -> Verdict | Need:
        self._again, self._now, self.supposed = again, now, None
        return self._supposed(again(self._engine))

    def _supposed(self, decision: Verdict | Need) -> Verdict | Need:
        if isinstance(decision, Need) or decision.record is None:
            return decision
        if decision.record.detail != Detail.UNTRUSTED_CHAIN or self._again is None:
            return decision
        self._trust()
        second = self._again(self._second)
        while isinstance(second, Need):
            second = self._second.resume(second.id, self._ask(second), self._now)
        if second.record is None or second.record.detail == Detail.UNTRUSTED_CHAIN:
            return decision
        if second.record.outcome == Outcome.PASSED:
            self.supposed = second.record
            return decision
        return decision._replace(record=second.record)

    def _trust(self) -> None:
        """Have the second engine trust what was found since."""
        if len(self._found) == self._known:
            return
        for pem in list(self._found.values())[self._known :]:
            try:
                self._anchors += parse_certificates(pem, tolerate=self._trust_store.tolerate)
            except (VerificationError, *PARSE_ERRORS):
                continue
        self._known = len(self._found)
        self._second.set_trust_store(believing(self._trust_store, self._anchors))
