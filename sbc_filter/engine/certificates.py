"""Signing certificates by x5u: parsed and validated once, then one look-up a call (RFC 8224 §6.2 step 3)."""

from cachetools import TLRUCache

from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import Outcome, VerificationError
from sbc_filter.stir.certificate import SigningCertificate, parse_certificates
from sbc_filter.stir.trust import TrustStore

CAPACITY = 20_000  # URLs

_Known = SigningCertificate | VerificationError


class CertificateMemory:
    """What is known of each x5u until the answer that brought it expires.

    A chain is validated against the trust store when it is learnt; a reload that changes the trust
    store starts with an empty memory. The time is the one given with each call.
    """

    def __init__(self, trust: TrustStore, capacity: int = CAPACITY) -> None:
        self.trust = trust
        self._now = 0.0
        self._known: TLRUCache[str, tuple[_Known, float]] = TLRUCache(
            capacity, ttu=lambda _url, known, _now: known[1], timer=lambda: self._now
        )

    def lookup(self, x5u: str, now: float) -> _Known | None:
        """The certificate, why there is none, or None when it has to be asked for."""
        self._now = now
        known = self._known.get(x5u)
        return known[0] if known else None

    def learn(self, x5u: str, answer: Answer, now: float) -> _Known:
        """Take in what a certificate source answered; a failure is remembered as well."""
        self._now = now
        known = self._judge(answer, now)
        if answer.expires > now:
            self._known[x5u] = (known, answer.expires)
        return known

    def _judge(self, answer: Answer, now: float) -> _Known:
        if answer.pem is None:
            assert answer.detail is not None, "an answer carries a certificate or a reason"
            return VerificationError(Outcome.UNFETCHABLE, answer.detail)
        try:
            return self.trust.validate(parse_certificates(answer.pem), now)
        except VerificationError as error:
            return error
