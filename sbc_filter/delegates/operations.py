"""The signing and verification service: messages of ATIS-1000082 in and out, independent of the transport."""

import logging
import threading
import time
from collections.abc import Callable

from sbc_filter.engine.answers import response_to
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import SigningError, VerificationError
from sbc_filter.numbering.country_codes import possible
from sbc_filter.numbering.numbering_plans import NANP, Profile
from sbc_filter.outcomes import Outcome, defaults_of
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.model import VerifyOptions
from sbc_filter.stir.checks import CertificateRequest, Signalling
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegation import (
    ServiceError,
    read_signing_request,
    read_verification_request,
    signing_response,
    verification_response,
)
from sbc_filter.stir.signing import issue_time, sign_shaken
from sbc_filter.stir.verification import Verification, verify

_LOG = logging.getLogger(__name__)


class StirService:
    """Signs with `credential`; verifies with the trust store of `certificates`; `fetch` gets missing certificates.

    Thread-safe. Tokens are not remembered: only the client, which sees the calls, can detect replays.
    """

    def __init__(
        self,
        credential: Credential | None,
        certificates: CertificateMemory,
        fetch: Callable[[str], Answer[bytes]],
        profile: Profile = NANP,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credential = credential
        self._certificates = certificates
        self._fetch = fetch
        self._profile = profile
        self._clock = clock
        self._lock = threading.Lock()  # of `certificates`
        self._options = VerifyOptions()

    def set_trust_store(self, trust: TrustStore) -> None:
        """Use this trust store from now on."""
        with self._lock:
            self._certificates.set_trust_store(trust)

    def replace_credentials(self, credential: Credential) -> None:
        """Sign with this credential from now on."""
        self._credential = credential

    def sign(self, body: bytes) -> bytes:
        """Answer a `signingRequest` with an Identity for its claims; raises `ServiceError`.

        `orig` has to be a number that can exist (A7). `iat` has to be within 60 seconds of our clock, as a Date has to
        be (RFC 8224 §6.1 step 3).
        """
        credential = self._credential  # another thread may replace it meanwhile
        if credential is None:
            raise ServiceError("SVC4003")
        request, now = read_signing_request(body, credential.name), self._clock()
        if not possible(request.orig):
            raise ServiceError("SVC4005", "orig.tn", "a number that can exist")
        try:
            issue_time(request.iat, now)
        except SigningError:
            raise ServiceError("SVC4005", "iat", "more than 60 seconds from the time here") from None
        try:
            identity = sign_shaken(
                credential, request.orig, request.dest, request.attest, request.origid, request.iat, now
            )
        except SigningError as error:
            _LOG.warning("credential %s: nothing signed: %s", credential.name, error)
            raise ServiceError("POL5000") from None
        return signing_response(identity)

    def verify(self, body: bytes) -> bytes:
        """Answer a `verificationRequest`: verify its Identity at its time. Raises `ServiceError`."""
        request = read_verification_request(body)
        for called in request.called:  # with several, the Identity must be valid for each
            result = self._verified(
                request.identity, Signalling(request.caller, called, float(request.time), None, self._profile)
            )
            if result.outcome is not Outcome.PASSED:
                break
        verstat = defaults_of(result.outcome, result.detail).verstat
        assert verstat is not None, "every outcome of verification has one"
        if result.outcome is Outcome.PASSED:
            return verification_response(verstat, None, "", "")
        code, phrase = response_to(result.outcome, result.detail)
        return verification_response(verstat, code, phrase, str(result.detail or result.outcome))

    def _verified(self, identity: bytes, call: Signalling) -> Verification:
        fetched: dict[str, SigningCertificate | VerificationError] = {}

        def lookup(x5u: str) -> SigningCertificate | VerificationError | None:
            if x5u in fetched:
                return fetched[x5u]
            with self._lock:
                return self._certificates.lookup(x5u, self._clock())

        result = verify([identity], call, self._options, lookup)
        while isinstance(result, CertificateRequest):
            answer = self._fetch(result.x5u)
            with self._lock:
                fetched[result.x5u] = self._certificates.add_certificate(result.x5u, answer, self._clock())
            result = verify([identity], call, self._options, lookup)
        return result
