"""Signing and verification outside the packet loop.

By a local command or an HTTPS service, with the messages of ATIS-1000082; signing also with a slow key of our own.
"""

import json
import time
from collections.abc import Callable

from sbc_filter.delegates.remote_peer import TIMEOUT, WORKERS, Pool, Purpose, RemotePeer
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.errors import SigningError
from sbc_filter.outcomes import Detail
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegated_signing import SigningRequest
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest
from sbc_filter.stir.delegation import (
    read_signing_response,
    read_verification_response,
    signing_request,
    verification_request,
)
from sbc_filter.stir.signing import sign_shaken

_SIGNING = Purpose("nothing signed", Detail.SIGNING_REFUSED, Detail.SIGNING_UNREACHABLE)
_VERIFICATION = Purpose("nothing verified", Detail.VERIFICATION_REFUSED, Detail.VERIFICATION_UNREACHABLE)


class _Signers(Pool[bytes]):
    """Signs in worker threads: `sign` turns the body of a signing request into an Identity value."""

    def __init__(self, name: str, sign: Callable[[bytes], bytes], workers: int, timeout: float) -> None:
        def ask(body: bytes) -> Answer[bytes]:
            return Answer(sign(body), None, 0.0)

        # All take as long: with turns, no peer needs a limit, and the SBC, which is one peer, may use all workers.
        super().__init__(f"credential {name}", _SIGNING, ask, workers, timeout, (workers, workers))

    def sign(self, request: SigningRequest, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Queue a signing request."""
        self.send(signing_request(request), done, party)


class RemoteSigner(_Signers):
    """Signs for the credential `name` through a delegate that answers signing requests."""

    def __init__(self, name: str, exchange: RemotePeer) -> None:
        self._exchange = exchange
        super().__init__(
            name, lambda body: exchange.ask(body, read_signing_response), exchange.workers, exchange.timeout
        )

    def close(self) -> None:
        """Stop pending requests."""
        self._exchange.close()
        super().close()


class SlowKey(_Signers):
    """A credential of our own with a slow key, such as one in a hardware module."""

    def __init__(self, credential: Credential, workers: int = WORKERS, clock: Callable[[], float] = time.time) -> None:
        self._credential = credential
        self._clock = clock
        super().__init__(credential.name, self._with_key, workers, TIMEOUT)

    def _with_key(self, body: bytes) -> bytes:
        claims = json.loads(body)["signingRequest"]
        dest = tuple(identity for kind in ("tn", "uri") for identity in claims["dest"].get(kind, ()))
        orig = claims["orig"]["tn"]
        now = self._clock()
        try:
            credential = self._credential.at(now)
            return sign_shaken(credential, orig, dest, claims["attest"], claims["origid"], claims["iat"], now)
        except SigningError as error:
            raise ValueError(str(error)) from None


class RemoteVerifier(Pool[ReportedResult]):
    """Verifies for the rules that name the verifier `name`, through a delegate that answers verification requests.

    A caller can write a token that the delegate takes long to verify. So peers take turns, and of the workers a trunk
    has three quarters at most, and one peer five eighths.
    """

    def __init__(self, name: str, exchange: RemotePeer) -> None:
        self._exchange = exchange
        # A peer can make its requests slow: the service has to fetch the certificates that they name.
        workers = exchange.workers
        shares = max(workers * 3 // 4, 1), max(workers // 2, 1)
        super().__init__(f"verifier {name}", _VERIFICATION, self._verify, workers, exchange.timeout, shares)

    def verify(
        self, request: VerificationRequest, done: Callable[[Answer[ReportedResult]], None], party: Party = OURS, /
    ) -> None:
        """Queue a verification request."""
        self.send(verification_request(request), done, party)

    def close(self) -> None:
        """Stop pending requests."""
        self._exchange.close()
        super().close()

    def _verify(self, body: bytes) -> Answer[ReportedResult]:
        return Answer(self._exchange.ask(body, read_verification_response), None, 0.0)
