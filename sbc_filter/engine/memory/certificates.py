"""Signing certificates by x5u: parsed and validated once, then one lookup per call (RFC 8224 §6.2 step 3).

Invariants:

- A URL may have an entry in both caches; the certificate wins, so that a failure never replaces a certificate.
- An entry is valid for the trust store of its `generation` and until `until`; `lookup` validates it again otherwise.
- `answer` is kept, so that validating again never needs another fetch.
"""

from collections.abc import Collection

from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import VerificationError
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.outcomes import Outcome
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.pki.x5u import check_x5u

CAPACITY = 20_000  # URLs with a chain of usual size, and as many that failed
LONGEST = 30 * 86400.0  # seconds for which a certificate is kept at most
ORDINARY = 4096  # octets of PEM; a larger chain counts as several URLs
AGAIN = 300.0  # seconds after which a refused chain is validated again: it may not have been valid yet
_LONGEST_FAILURE = 3600.0  # seconds after which the memory of failures is released

_Known = SigningCertificate | VerificationError


class _Entry:
    """A response, and its result with the trust store of `generation`, valid until `until` (POSIX seconds)."""

    __slots__ = ("answer", "generation", "known", "until")

    def __init__(self, answer: Answer[bytes], known: _Known, until: float, generation: int) -> None:
        self.answer = answer
        self.known = known
        self.until = until
        self.generation = generation


class CertificateMemory:
    """The results for each x5u until the response that they are based on expires.

    Failures have a cache of their own: an attacker who invents URLs displaces other failures, but no certificates. A
    chain is validated when it is added. It is validated again, without another fetch, at the first lookup after the
    trust store changed or the previous result expired.
    """

    def __init__(self, trust: TrustStore, tolerate: Collection[str] = (), capacity: int = CAPACITY) -> None:
        """`tolerate`: rules for URLs that may be broken (see `pki.x5u`)."""
        self.trust = trust
        self.tolerate = frozenset(tolerate)
        self._certificates: GenerationalCache[str, _Entry] = GenerationalCache(capacity, LONGEST)
        self._failures: GenerationalCache[str, _Entry] = GenerationalCache(capacity, _LONGEST_FAILURE)
        self._generation = 0

    def set_trust_store(self, trust: TrustStore, tolerate: Collection[str] | None = None) -> None:
        """Use this trust store from now on, also for what is cached; and `tolerate`, if given."""
        self.trust = trust
        self._generation += 1
        if tolerate is not None:
            self.tolerate = frozenset(tolerate)

    def lookup(self, x5u: str, now: float) -> _Known | None:
        """The certificate, the reason why there is none, or None if it has to be fetched, and may be."""
        entry = self._certificates.get(x5u, now)
        if entry is None:
            entry = self._failures.get(x5u, now)
        if entry is not None and entry.generation == self._generation and now <= entry.until:
            return entry.known
        try:
            check_x5u(x5u, self.tolerate)
        except VerificationError as error:
            return error.bare()
        if entry is None:
            return None
        entry.known, entry.until = self._judge(entry.answer, now)
        entry.generation = self._generation
        return entry.known

    def add_certificate(self, x5u: str, answer: Answer[bytes], now: float) -> _Known:
        """Store the response of a certificate source. A failure is stored too, unless it has already expired.

        A failure that arrives in addition to a certificate (from another fetch, or a deadline) does not replace it.
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
        """The result for a response, and until when it is valid if nothing changes."""
        if answer.result is None:
            assert answer.detail is not None, "an answer carries a certificate or a reason"
            return VerificationError(Outcome.UNFETCHABLE, answer.detail), answer.expires
        try:
            known = self.trust.read(answer.result, now)
        except VerificationError as error:
            return error.bare(), now + AGAIN  # it is kept: with its stack, so would be the packet
        return known, known.judged_until
