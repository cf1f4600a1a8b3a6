"""From a decision of the engine to a verdict: what needs something waits for it, until its deadline.

A packet or message that waits delays no other. Thousands of answers or deadlines at once do not, either: a few of them
are handled before new packets are read. An internal error costs only what it concerns.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from sbc_filter.concurrency.mailbox import Mailbox
from sbc_filter.counters import CounterName
from sbc_filter.engine.verdict import Answer, AnyAnswer, Need, Verdict
from sbc_filter.holding.parking import Parked, Parking, Ticket
from sbc_filter.outcomes import Detail
from sbc_filter.system.sparse_log import SparseLog

# Answers, and as many deadlines, that are handled before packets are read again. Reason: each costs about as much as
# a packet, and one answer may be for all calls that wait. With 32 a packet waits a few milliseconds at most.
_SLICE = 32
# Answers that are handled after a packet that waits: its own, if it came at once, and more of those in front of it than
# packets can add, so that the mailbox does not fill faster than it is emptied.
_AFTER_HOLD = 4

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Resumable(Protocol):
    """The engine, as far as what waits is concerned."""

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
        """Decide with what was needed."""

    def add_late(self, need: Need, answer: AnyAnswer, now: float, /) -> None:
        """Store an answer that came too late for its packet or message."""

    def release(self, now: float, /) -> list[tuple[int, Verdict]]:
        """Give up all needs that are pending."""


class Source(Protocol):
    """Where certificates and signatures come from; `done` is called once, from any thread."""

    def satisfy(self, need: Need, done: Callable[[AnyAnswer], None], /) -> None:
        """Begin to get what is needed; returns at once."""


class Settler(Protocol[T_contra]):
    """Who carries out the verdicts. All of them may raise, as `Exception`; `fail` does not."""

    def settle(self, item: T_contra, verdict: Verdict, /) -> None:
        """Carry out the verdict, and report it."""

    def held(self, item: T_contra, need: Need, /) -> None:
        """It waits from now on; without `need.holds` it goes on at once as it came."""

    def fail(self, item: T_contra, error: BaseException, /) -> None:
        """An internal error: there is no decision about it."""

    def give_up(self, item: T_contra, /) -> None:
        """There will be no decision about it."""


class Holding(Generic[T]):
    """Watch `mailbox`, and call `collect` when it is readable; call `expire` at `next_deadline`. `count` counts what
    happens. At most `max_held` items wait at a time; any more are decided without what they need."""

    def __init__(
        self,
        engine: Resumable,
        source: Source,
        settler: Settler[T],
        count: Counter[str],
        log: SparseLog,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        max_held: int,
    ) -> None:
        self._engine, self._source, self._settler = engine, source, settler
        self._count, self._log = count, log
        self._clock, self._monotonic = clock, monotonic
        self._parking: Parking[T] = Parking(max_held)
        self.mailbox: Mailbox[tuple[Ticket, Need, AnyAnswer]] = Mailbox()
        self._closed = False

    def __len__(self) -> int:
        return len(self._parking)

    @property
    def next_deadline(self) -> float | None:
        """When to call `expire`, by the monotonic clock; None while nothing waits."""
        return self._parking.next_deadline()

    def replace(self, engine: Resumable, source: Source) -> None:
        """Use these from now on. The new engine decides what waits, so it has to know it."""
        self._engine, self._source = engine, source

    def begin(self, item: T, decision: Verdict | Need) -> None:
        """Follow the first decision about an item. What a folder has answered at once is decided before the next
        item, which may be a copy or a CANCEL."""
        if self._follow(item, decision):
            self.collect(_AFTER_HOLD)

    def collect(self, most: int = _SLICE) -> None:
        """Decide with answers that have arrived."""
        for ticket, need, answer in self.mailbox.collect(most):
            parked = self._parking.take(ticket)
            if parked is None:
                self._count[CounterName.LATE_ANSWERS] += 1
                self._add_late(need, answer)
            else:
                self._resume(parked, answer)

    def expire(self) -> None:
        """Decide about what is due, without what it needs."""
        deadline = self._parking.next_deadline()
        if deadline is None or deadline > self._monotonic():
            return
        self.collect()  # an answer that has arrived counts: the source was in time, we are late
        if not self.mailbox.empty:
            return  # one of these answers may be for an item that is due
        for parked in self._parking.take_due(self._monotonic(), _SLICE):
            self._count[CounterName.DEADLINES] += 1
            self._resume(parked, Answer(None, Detail.FETCH_TIMEOUT, self._clock()))

    def close(self) -> None:
        """Let nothing more wait: what needs something is decided without."""
        self._closed = True

    def release(self) -> None:
        """Decide about all that waits."""
        try:
            released = self._engine.release(self._clock())
        except Exception as error:
            self._log.error(CounterName.ENGINE_ERRORS, error)
            released = []
        for need_id, verdict in released:
            parked = self._parking.take_need(need_id)
            if parked is not None:
                self._settle(parked.packet, verdict)
        for parked in self._parking.take_all():
            self._settler.give_up(parked.packet)

    def _resume(self, parked: Parked[T], answer: AnyAnswer) -> None:
        try:
            decision = self._engine.resume(parked.need.id, answer, self._clock())
            self._follow(parked.packet, decision)
        except BaseException as error:
            self._settler.fail(parked.packet, error)
            if not isinstance(error, Exception):
                raise

    def _settle(self, item: T, verdict: Verdict) -> None:
        try:
            self._settler.settle(item, verdict)
        except Exception as error:
            self._settler.fail(item, error)

    def _follow(self, item: T, decision: Verdict | Need) -> bool:
        """Whether it waits."""
        while isinstance(decision, Need):
            if decision.displaces is not None:
                self._displace(decision.displaces)
            if not (self._parking.full or self._closed):
                self._hold(item, decision)
                return True
            self._count[CounterName.HOLD_LIMIT] += 1
            now = self._clock()
            decision = self._engine.resume(decision.id, Answer(None, Detail.HOLD_LIMIT, now), now)
        self._settler.settle(item, decision)
        return False

    def _displace(self, need_id: int) -> None:
        displaced = self._parking.take_need(need_id)
        if displaced is not None:
            self._resume(displaced, Answer(None, Detail.HOLD_LIMIT, self._clock()))

    def _hold(self, item: T, need: Need) -> None:
        left = need.deadline - self._clock()  # by the monotonic clock from here on
        ticket = self._parking.park(need._replace(deadline=self._monotonic() + left), item)
        self._count[CounterName.HELD] += 1
        self._settler.held(item, need)

        def done(answer: AnyAnswer) -> None:
            self.mailbox.post((ticket, need, answer))

        try:
            self._source.satisfy(need, done)
        except Exception as error:
            self._log.error(CounterName.SOURCE_ERRORS, error)
            done(Answer(None, Detail.FETCH_REFUSED, self._clock()))

    def _add_late(self, need: Need, answer: AnyAnswer) -> None:
        try:
            self._engine.add_late(need, answer, self._clock())
        except Exception as error:
            self._log.error(CounterName.ENGINE_ERRORS, error)
