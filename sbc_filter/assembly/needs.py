"""What the engine needs, from whom it is to be had: certificates by their URL, signatures by their credential, findings
by the service that the rule names."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from sbc_filter.certificates.source import CertificateSource
from sbc_filter.engine.verdict import Answer, Need
from sbc_filter.outcomes import Detail
from sbc_filter.stir.delegated_signing import SigningRequest
from sbc_filter.stir.delegated_verification import VerificationRequest


class SigningDelegate(Protocol):
    """Has calls signed with one credential."""

    def sign(self, request: SigningRequest, done: Callable[[Answer], None], /) -> None:
        """Begin to get the Identity value; returns at once. `done` is called exactly once, from any thread."""

    def close(self) -> None:
        """Refuse whatever is still under way, and let go of threads and processes."""


class VerifyingDelegate(Protocol):
    """Has Identity values verified by one service."""

    def verify(self, request: VerificationRequest, done: Callable[[Answer], None], /) -> None:
        """Begin to get the finding; as `SigningDelegate.sign`."""

    def close(self) -> None:
        """As `SigningDelegate.close`."""


class Needs:
    """One source for everything. What there is nobody to ask for is refused: signatures and findings in a replay, whose
    calls are over."""

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

    def satisfy(self, need: Need, done: Callable[[Answer], None], /) -> None:
        """Begin to get what is needed; returns at once."""
        wanted = need.request
        if isinstance(wanted, str):
            self._certificates.fetch(wanted, done)
        elif isinstance(wanted, VerificationRequest):
            verifier = self._verifiers.get(wanted.service)
            if verifier is None:
                done(Answer(None, Detail.VERIFICATION_REFUSED, self._clock()))
            else:
                verifier.verify(wanted, done)
        else:
            signer = self._signers.get(wanted.credential)
            if signer is None:
                done(Answer(None, Detail.SIGNING_REFUSED, self._clock()))
            else:
                signer.sign(wanted, done)

    def close(self) -> None:
        """Close every source."""
        self._certificates.close()
        for signer in self._signers.values():
            signer.close()
        for verifier in self._verifiers.values():
            verifier.close()
