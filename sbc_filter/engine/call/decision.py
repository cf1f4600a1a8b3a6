"""What a rule decided about a call."""

from sbc_filter.counters import CounterName
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import CONTINUE, Treatment
from sbc_filter.sip.field import HeaderField
from sbc_filter.stir.verification import Failure


class Decision:
    """What a rule decided about a call. `verstat` and `indicator` are what the SBC is told, `identity` is the value of
    an Identity to add, `date` the POSIX seconds of a Date, `preserved` are the Identity fields to put back, `bypass` is
    a header field in place of Identity, `failures` what to report, `deviations` and `notes` what to count."""

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
