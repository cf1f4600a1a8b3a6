"""What rules can ask about a call: values of the message and of its place in the network, never packets."""

from collections.abc import Callable

from sbc_filter.rules.model import Direction
from sbc_filter.sip.message import SipMessage


class Facts:
    """One INVITE as the rules see it; `now` is its arrival in POSIX seconds.

    `identity(sources)` is the caller or called party by the first of the sources that names one.
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
