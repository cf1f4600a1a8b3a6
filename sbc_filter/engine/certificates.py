"""Signing certificates by x5u: parsed and validated once, then one look-up a call (RFC 8224 §6.2 step 3)."""

from collections.abc import Collection

from sbc_filter.engine.memory import Memory
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import Outcome, VerificationError
from sbc_filter.stir.certificate import SigningCertificate
from sbc_filter.stir.trust import TrustStore
from sbc_filter.stir.x5u import check_x5u

CAPACITY = 20_000  # URLs, and as many again that failed
LONGEST = 30 * 86400.0  # seconds
_LONGEST_FAILURE = 3600.0  # seconds; after it, memory is given back

_Known = SigningCertificate | VerificationError


class CertificateMemory:
    """What is known of each x5u until the answer that brought it expires.

    Failures have a memory of their own: whoever thinks up URLs pushes out failures of others, and no certificates.
    A chain is validated against the trust store when it is learnt; a reload that changes the trust
    store starts with an empty memory.
    """

    def __init__(self, trust: TrustStore, tolerate: Collection[str] = (), capacity: int = CAPACITY) -> None:
        """`tolerate`: which URLs may be asked for although they break the rules (see `stir.x5u`)."""
        self.trust = trust
        self._tolerate = frozenset(tolerate)
        self._certificates: Memory[str, SigningCertificate] = Memory(capacity, LONGEST)
        self._failures: Memory[str, VerificationError] = Memory(capacity, _LONGEST_FAILURE)

    def lookup(self, x5u: str, now: float) -> _Known | None:
        """The certificate, why there is none, or None when it has to be asked for, and may be."""
        certificate = self._certificates.get(x5u, now)
        if certificate is not None:
            return certificate
        failure = self._failures.get(x5u, now)
        if failure is None:
            try:
                check_x5u(x5u, self._tolerate)
            except VerificationError as error:
                return error
        return failure

    def learn(self, x5u: str, answer: Answer, now: float) -> _Known:
        """Take in what a certificate source answered; a failure is remembered as well, unless it is over already.

        One that comes beside a certificate, of another fetch or of a deadline, does not take its place.
        """
        try:
            certificate = self._judge(answer, now)
        except VerificationError as error:
            if answer.expires > now:
                self._failures.put(x5u, error, answer.expires, now)
            return error
        self._certificates.put(x5u, certificate, answer.expires, now)
        return certificate

    def __len__(self) -> int:
        return len(self._certificates) + len(self._failures)

    def _judge(self, answer: Answer, now: float) -> SigningCertificate:
        if answer.pem is None:
            assert answer.detail is not None, "an answer carries a certificate or a reason"
            raise VerificationError(Outcome.UNFETCHABLE, answer.detail)
        return self.trust.read(answer.pem, now)
