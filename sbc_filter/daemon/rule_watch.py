"""Watches the filter's own firewall rules: changes are reported, counted and, with `run --firewall`, undone.

It has no clock and reads nothing: `daemon.queue_watch` reads the rules every few seconds and hands over what it found.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypedDict

from sbc_filter.counters import CounterName
from sbc_filter.firewall.handed_over import Reading
from sbc_filter.firewall.in_force import Finding, RuleState, compared
from sbc_filter.firewall.plan import Plan
from sbc_filter.records.tally import numbered
from sbc_filter.records.totals import Totals

RESTORATIONS, WINDOW = 3, 600.0  # at most so many in so many seconds
PATIENCE = 10.0  # seconds after the start in which another unit may apply the rules
_LONGEST = 60.0  # seconds until the next attempt after some that failed; after the first it is two
_LOOKS = 2  # in a row before an alarm about rules that other programs apply: they may just be changing them
_AT_END = 5.0  # seconds for the rules of a filter that stops
_BACK = "the firewall rules are applied again: calls are filtered"


class FirewallStatus(TypedDict):
    """For `status`. `restored` is how often this process applied the rules again."""

    state: str
    problem: str | None
    since: float | None
    """Seconds since 1970 from which on the problem was seen."""
    restored: int


class Owner(Protocol):
    """What applied the rules: see `daemon.own_firewall_rules.OwnRules`."""

    def planned(self, plan: Plan) -> Plan:
        """The plan as it is applied."""

    def was_removed(self, *, applied: bool) -> bool:
        """Whether `sbc-filter firewall remove` removed the rules, or is about to; `applied` is what was seen."""

    def restore(self, done: Callable[[str], None], /) -> None:
        """Begin to apply the rules as they were applied last; `done` is called with why that failed, or ""."""

    def relay_listens(self, listening: bool, done: Callable[[str], None], /) -> None:
        """The first relay listens, or the last one is gone: begin to apply the rules for that, as `restore` does."""


class _Attempt:
    """An attempt to apply the rules again, because of `sentence`. `fault` is None while it runs."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        self.fault: str | None = None

    def end(self, fault: str) -> None:
        self.fault = fault


class RuleWatch:
    """`owner` applies the rules again; without one they are only watched."""

    def __init__(
        self, plan: Callable[[], Plan], totals: Totals, owner: Owner | None, time: Callable[[], float]
    ) -> None:
        """`plan` is the present one, `time` the time in seconds since 1970."""
        self._plan, self._totals, self._owner, self._time = plan, totals, owner, time
        self._read_for: Plan | None = None
        self._began: float | None = None
        self._state = RuleState.UNKNOWN
        self._problem: str | None = None
        self._since: float | None = None
        self._looks = 0  # in a row at which the rules were not as planned
        self._said: str | None = None  # the alarm that is on
        self._restored: deque[float] = deque(maxlen=RESTORATIONS)
        self._attempt: _Attempt | None = None  # the last one, until its result was said
        self._failures = 0  # in a row, of attempts to apply the rules again
        self._next_attempt = 0.0
        self._restorations = 0
        self._relays_end = False
        self._changes = 0  # for a relay that came or went, which are just being applied

    def status(self) -> FirewallStatus:
        """The state at the last look."""
        return {
            "state": str(self._state),
            "problem": self._problem,
            "since": self._since,
            "restored": self._restorations,
        }

    def begin(self) -> None:
        """A reading begins: it will be compared with the present plan."""
        self._read_for = self._planned()

    def discard(self) -> None:
        """The rules have just been applied: a reading that began before does not show them."""
        self._read_for = None

    def take(self, reading: Reading, now: float) -> Iterator[str]:
        """The sentences that are due. `now` is a monotonic time in seconds."""
        if self._began is None:
            self._began = now
        plan = self._planned()
        if plan != self._read_for or self._attempt is not None or self._changes:
            return  # a reload came in between, or the rules are just being applied: a later reading shows its rules
        found = compared(plan, reading)
        if found.state is RuleState.UNKNOWN:
            return
        applied = found.state is RuleState.APPLIED
        removed = self._owner is not None and self._owner.was_removed(applied=applied)
        self._state = found.state
        if applied:
            yield from self._as_planned()
        else:
            yield from self._not_as_planned(found, removed, now)

    def relay_listens(self, listening: bool) -> None:
        """Have the rules applied for a relay that listens, or for none. If that fails, the next look finds it."""
        if self._owner is not None and not self._relays_end:
            self._changes += 1
            self._owner.relay_listens(listening, self._changed)

    def _changed(self, _: str) -> None:
        """Such a change has been made, or has failed: why is found when the rules are read."""
        self._changes -= 1
        self.discard()

    def relays_end(self, wait: Callable[[Callable[[], bool], float], object]) -> Iterator[str]:
        """The filter stops: have the rules applied for no relay, before the last one stops listening.

        `wait` lets others work until a condition is true, or for so many seconds. The sentences say why it failed.
        """
        if self._owner is None:
            return
        self._relays_end = True
        done: list[str] = []
        self._owner.relay_listens(False, done.append)
        wait(lambda: bool(done), _AT_END)
        for fault in filter(None, done or [f"the firewall rules were not applied within {_AT_END:g} s"]):
            yield f"warning: new TCP connections may be reset while the relay stops: {fault}"

    def _planned(self) -> Plan:
        return self._plan() if self._owner is None else self._owner.planned(self._plan())

    def _as_planned(self) -> Iterator[str]:
        self._looks = 0
        self._problem = self._since = None
        yield from self._all_clear()

    def _not_as_planned(self, found: Finding, removed: bool, now: float) -> Iterator[str]:
        self._looks += 1
        if self._problem is None:
            self._since = self._time()
        self._problem = found.sentence
        if removed:
            self._problem = "the firewall rules were removed by `sbc-filter firewall remove`"
            yield from self._alarm(f"{self._problem}: calls pass unfiltered until `sbc-filter firewall apply`")
        elif self._owner is None or found.state is RuleState.FOREIGN:
            if self._looks >= _LOOKS and self._began is not None and now - self._began >= PATIENCE:
                yield from self._alarm(f"{found.sentence}: calls may pass unfiltered: run `sbc-filter firewall apply`")
        else:
            yield from self._restore(self._owner, found.sentence, now)

    def _restore(self, owner: Owner, sentence: str, now: float) -> Iterator[str]:
        if len(self._restored) == RESTORATIONS and now - self._restored[0] < WINDOW:
            yield from self._alarm(
                f"{sentence}, after they were applied again {RESTORATIONS} times in {WINDOW / 60:.0f} minutes:"
                " calls may pass unfiltered: find the program that changes them"
            )
            return
        if now < self._next_attempt:
            return
        self._attempt = _Attempt(sentence)
        owner.restore(self._attempt.end)
        yield from self.results(now)

    def results(self, now: float) -> Iterator[str]:
        """The sentences about an attempt to apply the rules again that has ended since the last call."""
        attempt = self._attempt
        if attempt is None or attempt.fault is None:
            return
        sentence, self._attempt = attempt.sentence, None
        self.discard()
        if attempt.fault:
            self._failures += 1
            self._next_attempt = now + min(_LONGEST, 2.0**self._failures)
            yield from self._alarm(
                f"{sentence}, and cannot be applied again: {attempt.fault}: calls may pass unfiltered"
            )
            return
        self._failures = 0
        self._restored.append(now)
        self._restorations += 1
        if self._said is None:
            self._totals.note(CounterName.FIREWALL_LOST)
        self._totals.note(CounterName.FIREWALL_RESTORED)
        yield f"warning: {sentence}: applied again, {numbered(self._restorations, 'time')} so far"

    def _alarm(self, sentence: str) -> Iterator[str]:
        if self._said is None:
            self._totals.note(CounterName.FIREWALL_LOST)
            self._totals.note(CounterName.FIREWALL_MISSING)
        if self._said != sentence:
            self._said = sentence
            yield f"warning: {sentence}"

    def _all_clear(self) -> Iterator[str]:
        if self._said is not None:
            self._said = None
            self._totals.note(CounterName.FIREWALL_MISSING, -1)
            yield _BACK
