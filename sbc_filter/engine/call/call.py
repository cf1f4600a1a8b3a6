"""One INVITE in the engine: everything known about it before a rule decides."""

from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.call.parties import Parties
from sbc_filter.sip.marks import NO_MARKS, Marks
from sbc_filter.sip.message import SipMessage


class IncomingCall:
    """An INVITE that was parsed. `arrived` is in POSIX seconds; freshness is counted from then."""

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
        marks: Marks = NO_MARKS,
    ) -> None:
        self.message = message
        self.call_id = message.first(b"call-id")
        self.flow = flow
        self.place = place
        self.parties = parties
        self.arrived = arrived
        self.in_dialog = in_dialog
        self.emergency = emergency
        self.target = target  # the identity in the Request-URI
        self.scrubbed = scrubbed  # number of edits that removed claims of an untrusted peer
        self.marks = marks  # what an untrusted peer may not write
