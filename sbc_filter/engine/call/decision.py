"""The decision of a rule about a call."""

from sbc_filter.counters import CounterName
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import CONTINUE, Treatment
from sbc_filter.sip.field import HeaderField
from sbc_filter.stir.verification import Failure


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
