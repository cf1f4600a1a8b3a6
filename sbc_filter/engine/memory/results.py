"""What came for one call: the results of its requests, and what each kind of result does."""

from collections.abc import Callable, Mapping
from typing import Any

from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.verdict import Answer, AnyAnswer, Request
from sbc_filter.errors import SigningError, VerificationError
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.stir.checks import CertificateRequest
from sbc_filter.stir.delegated_signing import Signed, SigningRequest, check_signed, failure
from sbc_filter.stir.delegated_verification import Finding, ReportedResult, VerificationRequest, validate_finding


class Results:
    """The results of one call's requests, or why there is none. They are for this call: it needs nothing twice."""

    def __init__(self) -> None:
        self.certificates: dict[str, SigningCertificate | VerificationError] = {}  # by x5u
        self.signatures: dict[SigningRequest, Signed | SigningError] = {}
        self.findings: dict[VerificationRequest, Finding] = {}

    def add(self, request: Request, answer: AnyAnswer, certificates: CertificateMemory, now: float) -> None:
        """Store the answer to a request; a certificate is also stored in `certificates`."""
        ADDED[type(request)](self, request, answer, certificates, now)


def _certificate(
    results: Results, request: CertificateRequest, answer: Answer[bytes], certificates: CertificateMemory, now: float
) -> None:
    results.certificates[request.x5u] = certificates.add_certificate(request.x5u, answer, now)


def _signature(results: Results, request: SigningRequest, answer: Answer[bytes], *_: object) -> None:
    try:
        if answer.result is None:
            raise failure(answer.detail)
        results.signatures[request] = check_signed(answer.result, request)
    except SigningError as error:
        results.signatures[request] = error.bare()


def _finding(results: Results, request: VerificationRequest, answer: Answer[ReportedResult], *_: object) -> None:
    results.findings[request] = validate_finding(request, answer.result, answer.detail)


ADDED: Mapping[type[Request], Callable[[Results, Any, Any, CertificateMemory, float], None]] = {
    CertificateRequest: _certificate,
    SigningRequest: _signature,
    VerificationRequest: _finding,
}
"""What the result of each kind of request does."""
