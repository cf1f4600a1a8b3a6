"""What rules can ask about a call: values of the message and its place in the network, never packets."""

from collections.abc import Callable

from sbc_filter.rules.model import Direction
from sbc_filter.sip.message import SipMessage


class Facts:
    """One INVITE as seen by the rules; `now` is its arrival in POSIX seconds.

    `identity(sources)` is the identity from the first of the sources that has one.
    """

    def __init__(
        self,
        method: str,
        direction: Direction | None,
        trunk: str | None,
        peer: str,
        transport: str,
        now: float,
        message: SipMessage,
        identity: Callable[[tuple[str, ...]], str | None],
    ) -> None:
        self.method = method
        self.direction = direction
        self.trunk = trunk
        self.peer = peer
        self.transport = transport
        self.now = now
        self.message = message
        self.identity = identity
