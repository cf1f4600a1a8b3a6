"""Passes each need to its source: certificates by URL, signatures by credential, findings by the service that the
rule names."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sbc_filter.certificates.source import CertificateSource
from sbc_filter.engine.verdict import OURS, Answer, AnyAnswer, Need, Party, Request
from sbc_filter.outcomes import Detail
from sbc_filter.stir.checks import CertificateRequest
from sbc_filter.stir.delegated_signing import SigningRequest
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest


class SigningDelegate(Protocol):
    """Has calls signed with one credential."""

    def sign(self, request: SigningRequest, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Begin to get the Identity value; returns at once. `done` is called exactly once, from any thread."""

    def close(self) -> None:
        """Refuse all pending requests, and release threads and processes."""


class VerifyingDelegate(Protocol):
    """Has Identity values verified by one service."""

    def verify(
        self, request: VerificationRequest, done: Callable[[Answer[ReportedResult]], None], party: Party = OURS, /
    ) -> None:
        """Begin to get the finding; as `SigningDelegate.sign`."""

    def close(self) -> None:
        """As `SigningDelegate.close`."""


class Needs:
    """Gets everything that a decision may need.

    A need without a source is refused: signatures and findings in a replay, whose calls are over.
    """

    def __init__(
        self,
        certificates: CertificateSource,
        signers: Mapping[str, SigningDelegate],
        clock: Callable[[], float] = time.time,
        verifiers: Mapping[str, VerifyingDelegate] | None = None,
    ) -> None:
        self._certificates = certificates
        self._signers = signers
        self._verifiers = verifiers or {}
        self._clock = clock
        self.satisfiers: Mapping[type[Request], Callable[[Any, Callable[[AnyAnswer], None], Party], None]] = {
            CertificateRequest: self._fetch,
            SigningRequest: self._sign,
            VerificationRequest: self._verify,
        }

    def satisfy(self, need: Need, done: Callable[[AnyAnswer], None], /) -> None:
        """Begin to get what is needed; returns at once."""
        self.satisfiers[type(need.request)](need.request, done, need.party)

    def _fetch(self, request: CertificateRequest, done: Callable[[AnyAnswer], None], party: Party) -> None:
        self._certificates.fetch(request.x5u, done, party)

    def _sign(self, request: SigningRequest, done: Callable[[AnyAnswer], None], party: Party) -> None:
        signer = self._signers.get(request.credential)
        if signer is None:
            done(Answer(None, Detail.SIGNING_REFUSED, self._clock()))
        else:
            signer.sign(request, done, party)

    def _verify(self, request: VerificationRequest, done: Callable[[AnyAnswer], None], party: Party) -> None:
        verifier = self._verifiers.get(request.service)
        if verifier is None:
            done(Answer(None, Detail.VERIFICATION_REFUSED, self._clock()))
        else:
            verifier.verify(request, done, party)

    def close(self) -> None:
        """Close every source."""
        self._certificates.close()
        for signer in self._signers.values():
            signer.close()
        for verifier in self._verifiers.values():
            verifier.close()
