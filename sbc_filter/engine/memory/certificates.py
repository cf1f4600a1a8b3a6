"""Signing certificates by x5u: parsed and validated once, then one look-up a call (RFC 8224 §6.2 step 3)."""

from collections.abc import Collection

from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import VerificationError
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.outcomes import Outcome
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.pki.x5u import check_x5u

CAPACITY = 20_000  # URLs with an ordinary chain, and as many again that failed
LONGEST = 30 * 86400.0  # seconds
ORDINARY = 4096  # octets of PEM; what is larger takes the place of several
AGAIN = 300.0  # seconds after which a chain that was refused is judged again: it may not have begun
_LONGEST_FAILURE = 3600.0  # seconds; after it, memory is given back

_Known = SigningCertificate | VerificationError


class _Entry:
    """What was answered, and what it was found to be worth by the trust store of that generation, until a time."""

    __slots__ = ("answer", "generation", "known", "until")

    def __init__(self, answer: Answer[bytes], known: _Known, until: float, generation: int) -> None:
        self.answer = answer
        self.known = known
        self.until = until
        self.generation = generation


class CertificateMemory:
    """What is known of each x5u until the answer that brought it expires.

    Failures have a memory of their own: whoever thinks up URLs pushes out failures of others, and no certificates.
    A chain is validated when it is learnt, and again at the first look-up behind `renew`, or behind the time for
    which the judgement holds; nobody has to be asked for it anew.
    """

    def __init__(self, trust: TrustStore, tolerate: Collection[str] = (), capacity: int = CAPACITY) -> None:
        """`tolerate`: which URLs may be asked for although they break the rules (see `pki.x5u`)."""
        self.trust = trust
        self.tolerate = frozenset(tolerate)
        self._certificates: GenerationalCache[str, _Entry] = GenerationalCache(capacity, LONGEST)
        self._failures: GenerationalCache[str, _Entry] = GenerationalCache(capacity, _LONGEST_FAILURE)
        self._generation = 0

    def set_trust_store(self, trust: TrustStore, tolerate: Collection[str] | None = None) -> None:
        """From now on this trust store counts, also for what is known already; and `tolerate`, if given."""
        self.trust = trust
        self._generation += 1
        if tolerate is not None:
            self.tolerate = frozenset(tolerate)

    def lookup(self, x5u: str, now: float) -> _Known | None:
        """The certificate, why there is none, or None when it has to be asked for, and may be."""
        entry = self._certificates.get(x5u, now)
        if entry is None:
            entry = self._failures.get(x5u, now)
        if entry is not None and entry.generation == self._generation and now <= entry.until:
            return entry.known
        try:
            check_x5u(x5u, self.tolerate)
        except VerificationError as error:
            return error
        if entry is None:
            return None
        entry.known, entry.until = self._judge(entry.answer, now)
        entry.generation = self._generation
        return entry.known

    def add_certificate(self, x5u: str, answer: Answer[bytes], now: float) -> _Known:
        """Take in what a certificate source answered; a failure is remembered as well, unless it is over already.

        One that comes beside a certificate, of another fetch or of a deadline, does not take its place.
        """
        known, until = self._judge(answer, now)
        weight = 1 if answer.result is None else 1 + len(answer.result) // ORDINARY
        entry = _Entry(answer, known, until, self._generation)
        if not isinstance(known, VerificationError):
            self._certificates.put(x5u, entry, answer.expires, now, weight)
        elif answer.expires > now:
            self._failures.put(x5u, entry, answer.expires, now, weight)
        return known

    def __len__(self) -> int:
        return len(self._certificates) + len(self._failures)

    def _judge(self, answer: Answer[bytes], now: float) -> tuple[_Known, float]:
        """What an answer is worth, and until when that is so if nothing new becomes known."""
        if answer.result is None:
            assert answer.detail is not None, "an answer carries a certificate or a reason"
            return VerificationError(Outcome.UNFETCHABLE, answer.detail), answer.expires
        try:
            known = self.trust.read(answer.result, now)
        except VerificationError as error:
            return error, now + AGAIN
        return known, known.judged_until
