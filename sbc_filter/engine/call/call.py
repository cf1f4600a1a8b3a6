"""One INVITE in the engine: everything known about it before a rule decides, and the decision of a rule."""

from sbc_filter.counters import CounterName
from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.call.parties import Parties
from sbc_filter.outcomes import Detail, Outcome, Repair
from sbc_filter.rules.model import CONTINUE, Treatment
from sbc_filter.sip.field import HeaderField
from sbc_filter.sip.marks import NO_MARKS, Marks
from sbc_filter.sip.message import SipMessage
from sbc_filter.stir.verification import Failure


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
        changed: tuple[Repair, ...] = (),
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
        self.changed = changed  # what was repaired before the message was parsed
        self.claimed: dict[bytes, int] | None = None  # how often each of its tokens came: see `memory.replays`
        self.marks = marks  # what an untrusted peer may not write


class Decision:
    """The decision of a rule about a call.

    - `verstat`, `indicator`: what the SBC is told.
    - `identity`: the value of an Identity header field to add.
    - `date`: POSIX seconds of a Date to add.
    - `preserved`: the Identity header fields to put back.
    - `bypass`: a header field in place of Identity.
    - `failures`: what to report.
    - `deviations`, `notes`: what to count.
    """

    def __init__(
        self,
        outcome: Outcome,
        detail: Detail | None,
        treatment: Treatment = CONTINUE,
        attest: str | None = None,
        origid: str | None = None,
        x5u: str | None = None,
        spc: str | None = None,
        verstat: str | None = None,
        indicator: str | None = None,
        identity: bytes | None = None,
        date: int | None = None,
        preserved: tuple[HeaderField, ...] = (),
        bypass: HeaderField | None = None,
        failures: tuple[Failure, ...] = (),
        deviations: tuple[str, ...] = (),
        notes: tuple[CounterName, ...] = (),
    ) -> None:
        self.outcome = outcome
        self.detail = detail
        self.treatment = treatment
        self.attest = attest
        self.origid = origid
        self.x5u = x5u
        self.spc = spc
        self.verstat = verstat
        self.indicator = indicator
        self.identity = identity
        self.date = date
        self.preserved = preserved
        self.bypass = bypass
        self.failures = failures
        self.deviations = deviations
        self.notes = notes
