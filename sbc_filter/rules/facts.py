"""What rules can ask about a call: values of the message and of its place in the network, never packets."""

from collections.abc import Callable
from typing import NamedTuple

from sbc_filter.rules.model import Direction
from sbc_filter.sip.message import SipMessage


class Facts(NamedTuple):
    """One INVITE as the rules see it; `now` is its arrival in POSIX seconds.

    `identity(sources)` is the caller or called party by the first of the sources that names one.
    """

    method: str
    direction: Direction | None
    trunk: str | None
    peer: str
    transport: str
    now: float
    message: SipMessage
    identity: Callable[[tuple[str, ...]], str | None]
