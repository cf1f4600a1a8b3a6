"""One INVITE on its way through the engine: what is known of it, and what was decided."""

from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.call.parties import Parties
from sbc_filter.sip.message import SipMessage


class IncomingCall:
    """An INVITE that could be read. `arrived` is in POSIX seconds: freshness counts from there."""

    def __init__(
        self,
        message: SipMessage,
        flow: Flow,
        place: Position,
        parties: Parties,
        arrived: float,
        in_dialog: bool,
        emergency: bool,
        target: str | None,
        scrubbed: int = 0,
    ) -> None:
        self.message = message
        self.call_id = message.first(b"call-id")
        self.flow = flow
        self.place = place
        self.parties = parties
        self.arrived = arrived
        self.in_dialog = in_dialog
        self.emergency = emergency
        self.target = target  # whom the Request-URI names
        self.scrubbed = scrubbed  # edits that removed what an untrusted peer may not claim
