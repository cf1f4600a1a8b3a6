"""Signing certificates by x5u: parsed and validated once, then one look-up a call (RFC 8224 §6.2 step 3)."""

from collections.abc import Collection

from sbc_filter.engine.memory import Memory
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import Outcome, VerificationError
from sbc_filter.stir.certificate import SigningCertificate
from sbc_filter.stir.trust import TrustStore
from sbc_filter.stir.x5u import check_x5u

CAPACITY = 20_000  # URLs
LONGEST = 30 * 86400.0  # seconds

_Known = SigningCertificate | VerificationError


class CertificateMemory:
    """What is known of each x5u until the answer that brought it expires.

    A chain is validated against the trust store when it is learnt; a reload that changes the trust
    store starts with an empty memory.
    """

    def __init__(self, trust: TrustStore, tolerate: Collection[str] = (), capacity: int = CAPACITY) -> None:
        """`tolerate`: which URLs may be asked for although they break the rules (see `stir.x5u`)."""
        self.trust = trust
        self._tolerate = frozenset(tolerate)
        self._known: Memory[str, _Known] = Memory(capacity, LONGEST)

    def lookup(self, x5u: str, now: float) -> _Known | None:
        """The certificate, why there is none, or None when it has to be asked for, and may be."""
        known = self._known.get(x5u, now)
        if known is None:
            try:
                check_x5u(x5u, self._tolerate)
            except VerificationError as error:
                return error
        return known

    def learn(self, x5u: str, answer: Answer, now: float) -> _Known:
        """Take in what a certificate source answered; a failure is remembered as well."""
        known = self._judge(answer, now)
        self._known.put(x5u, known, answer.expires, now)
        return known

    def _judge(self, answer: Answer, now: float) -> _Known:
        if answer.pem is None:
            assert answer.detail is not None, "an answer carries a certificate or a reason"
            return VerificationError(Outcome.UNFETCHABLE, answer.detail)
        try:
            return self.trust.read(answer.pem, now)
        except VerificationError as error:
            return error
