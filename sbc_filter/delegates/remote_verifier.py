"""Verification by a delegate: an HTTPS service (ATIS-1000082), or a local command with the same messages."""

from collections.abc import Callable

from sbc_filter.delegates.remote_peer import Pool, Purpose, RemotePeer
from sbc_filter.engine.verdict import Answer
from sbc_filter.outcomes import Detail
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest
from sbc_filter.stir.delegation import read_verification_response, verification_request

_PURPOSE = Purpose("nothing verified", Detail.VERIFICATION_REFUSED, Detail.VERIFICATION_UNREACHABLE)


class RemoteVerifier(Pool[ReportedResult]):
    """Verifies for the rules that name the verifier `name`, through a delegate that answers verification requests."""

    def __init__(self, name: str, exchange: RemotePeer) -> None:
        self._exchange = exchange
        super().__init__(f"verifier {name}", _PURPOSE, self._verify, exchange.workers, exchange.timeout)

    def verify(self, request: VerificationRequest, done: Callable[[Answer[ReportedResult]], None], /) -> None:
        """Queue a verification request."""
        self.send(verification_request(request), done)

    def close(self) -> None:
        """Stop pending requests."""
        self._exchange.close()
        super().close()

    def _verify(self, body: bytes) -> Answer[ReportedResult]:
        return Answer(self._exchange.ask(body, read_verification_response), None, 0.0)
