"""Watches the kernel's queues: how full they are, and how many packets pass unfiltered because they are full.

The counters of the firewall rules are read for it. The same reading shows the rules themselves (`daemon.rule_watch`).
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import NotRequired, Protocol, TypedDict

from sbc_filter.counters import UNFILTERED, CounterName, counters_of_unfiltered
from sbc_filter.daemon.overload import Overload
from sbc_filter.daemon.rule_watch import RuleWatch
from sbc_filter.daemon.unfiltered import EnteredSinceBound, Look, Queued, UnfilteredCount, UnrelayedCount
from sbc_filter.firewall.handed_over import HandedOverReader, Reading
from sbc_filter.firewall.in_force import RuleState
from sbc_filter.firewall.plan import QueueDirection, QueueSettings
from sbc_filter.live.dispatcher import worker_queues
from sbc_filter.live.netlink import QueueStatistics, queue_statistics
from sbc_filter.records.tally import numbered
from sbc_filter.records.totals import Totals

_FULL = 0.8  # share of a queue above which it is reported, before packets pass unfiltered or are lost
_CALM, _BUSY = 2.0, 1.0  # seconds between two looks at the counters of the rules, and in an overload
_INLINE = 0.05  # seconds for which the supervisor waits for a firewall program; else its output is read later
_AT_END = 2.0  # the same where no packet is waited for any more
_NO_QUEUE = QueueStatistics(0, 0, 0, 0)


class QueueState(TypedDict):
    """Packets that wait, the capacity of the queue, and packets lost because queue or socket were full.

    `unfiltered` are the packets that passed because they were full. Only queues with `on_overload = "accept"` that the
    firewall rules feed have it, and only once the counters of the rules were read. `direction` is that of the packets;
    a queue for both does not have it.
    """

    waiting: int
    length: int
    dropped: int
    unfiltered: NotRequired[int]
    direction: NotRequired[QueueDirection]


class Reader(Protocol):
    """Reads the rules and their counters: see `HandedOverReader`."""

    @property
    def is_running(self) -> bool:
        """Whether a reading has been started and not been collected."""

    def start(self) -> None:
        """Start a reading."""

    def forget(self) -> None:
        """Read all tables at the next reading."""

    def collect(self, seconds: float, /) -> Reading | None:
        """What was read; None while it runs, waiting at most `seconds`, and when it failed."""

    def close(self) -> None:
        """Give up a reading that runs."""


class QueueWatch:
    """The queues of a filter with so many workers."""

    def __init__(
        self,
        feeds: Sequence[QueueSettings],
        workers: int,
        totals: Totals,
        rules: RuleWatch,
        statistics: Callable[[], Mapping[int, QueueStatistics]] = queue_statistics,
        reader: Reader | None = None,
    ) -> None:
        behind = [worker_queues(feeds, worker) for worker in range(workers)] if workers > 1 else []
        self._queues = sorted({*feeds, *(queue for queues in behind for queue in queues)}, key=lambda each: each.number)
        self._totals = totals
        self.rules = rules
        self._overload = Overload()
        self._statistics = statistics
        self._reader = HandedOverReader() if reader is None else reader
        self._entered = EnteredSinceBound()
        self._crowded: set[int] = set()
        self._generation = 0  # of the processes: one may have come and gone between two looks
        self._before: dict[int, Queued] | None = None  # what was queued when the reading that runs was started
        self._next_look = self._next_reading = 0.0
        self._directions = {feed.number: feed.direction for feed in feeds}
        self._accepting = {
            feed.number: [queues[at].number for queues in behind] for at, feed in enumerate(feeds) if feed.fail_open
        }
        self._counts: dict[int, UnfilteredCount] = {}
        self._unrelayed = UnrelayedCount()

    def states(self) -> dict[int, QueueState]:
        """The state of each queue that is bound, by number."""
        found = self._statistics()
        states: dict[int, QueueState] = {}
        for queue in self._queues:
            if queue.number in found:
                kernel = found[queue.number]
                dropped = kernel.queue_dropped + kernel.socket_dropped
                state: QueueState = {"waiting": kernel.waiting, "length": queue.max_length, "dropped": dropped}
                if queue.direction:
                    state["direction"] = queue.direction
                if queue.number in self._counts:
                    state["unfiltered"] = self._totals.counters[UNFILTERED[queue.direction]]
                states[queue.number] = state
        return states

    def news(self, now: float) -> Iterator[str]:
        """The sentences that are due. `now` is a monotonic time in seconds. Call it often: it never waits long."""
        yield from self.rules.results(now)
        if self._before is not None or now >= self._next_reading:
            reading = yield from self._read(_INLINE)
            if reading is not None:
                yield from self.rules.take(reading, now)
                if self.rules.status()["state"] != RuleState.APPLIED:
                    self._reader.forget()
            self._next_reading = now + (_BUSY if self._overload.is_on else _CALM)
        if now >= self._next_look:
            self._next_look = now + _BUSY
            yield from self._look()

    def settle(self) -> Iterator[str]:
        """Count up to this moment: before the rules are applied again, and before the filter ends."""
        if self._before is not None:
            yield from self._read(_AT_END)
        yield from self._read(_AT_END)

    def replaced(self) -> None:
        """A process has ended, or its replacement is ready: look at once."""
        self._generation += 1
        self._next_reading = 0.0

    def end(self) -> Iterator[str]:
        """Count for the last time, and report an overload that goes on."""
        yield from self.settle()
        yield from self._overload.end(counted=bool(self._counts) or not self._accepting)
        self._reader.close()

    @property
    def _passed(self) -> dict[str, int]:
        counters = self._totals.counters
        return {self._directions[number]: counters[UNFILTERED[self._directions[number]]] for number in self._accepting}

    def _look(self) -> Iterator[str]:
        states = self.states()
        for number, queue in states.items():
            if queue["waiting"] < queue["length"] * _FULL:
                self._crowded.discard(number)
            elif number not in self._crowded:
                self._crowded.add(number)
                self._totals.note(CounterName.QUEUE_FULL)
                self._overload.begin()
                yield f"queue {number}: {queue['waiting']} of at most {queue['length']} packets wait: overload"
        dropped = sum(queue["dropped"] for queue in states.values())
        if self._overload.look(self._passed, dropped, crowded=bool(self._crowded)):
            self._totals.note(CounterName.QUEUE_FULL)
            yield "the queue was full for a moment: overload"
        if self._overload.is_on:
            self._next_reading = min(self._next_reading, self._next_look)
        yield from self._overload.ended(counted=bool(self._counts) or not self._accepting)

    def _read(self, seconds: float) -> Generator[str, None, Reading | None]:
        """Start a reading, or go on with the one that runs. Returns what it shows once it is there."""
        if self._before is None:
            self._before = self._queued(before=True)
            self.rules.begin()
            self._reader.start()
        found = self._reader.collect(seconds)
        if found is None:
            if not self._reader.is_running:
                self._before = None  # it failed: the next one may work
            return None
        before, self._before = self._before, None
        for name, count in self._unrelayed.take(found.listings.values()).items():
            self._totals.note(name, count)
        yield from self._count(found.handed_over, before)
        return found

    def _count(self, handed_over: Mapping[int, int], before: Mapping[int, Queued]) -> Iterator[str]:
        after = self._queued(before=False)
        for number in self._accepting:
            if number not in handed_over:
                if number in self._counts:
                    self._counts[number].forget()
                continue
            count = self._counts.setdefault(number, UnfilteredCount())
            known = count.total
            count.take(Look(handed_over[number], before[number], after[number]))
            for name in counters_of_unfiltered(self._directions[number]):
                self._totals.note(name, count.total - known)
            missed = count.missed()
            if missed:
                yield (
                    f"queue {number}: while a process was replaced, at most {numbered(missed, 'packet')} passed"
                    " unfiltered; this is not in passed-unfiltered"
                )

    def _queued(self, *, before: bool) -> dict[int, Queued]:
        """What is queued, by the number of the queue that the rules feed.

        A packet may move from the dispatcher to a worker in between. `before`: then it is in neither, otherwise in
        both.
        """
        first, second = self._statistics(), self._statistics()
        feeds, workers = (second, first) if before else (first, second)
        return {number: self._of(number, behind, feeds, workers) for number, behind in self._accepting.items()}

    def _of(
        self,
        number: int,
        behind: Iterable[int],
        feeds: Mapping[int, QueueStatistics],
        workers: Mapping[int, QueueStatistics],
    ) -> Queued:
        feed = feeds.get(number, _NO_QUEUE)
        if not behind:
            return Queued((feed.listener, self._generation), (self._entered(number, feed.listener, feed.entered),))
        found = [(each, workers.get(each, _NO_QUEUE)) for each in behind]
        entered = tuple(self._entered(each, state.listener, state.entered) for each, state in found)
        listeners = (*(state.listener for _, state in found), feed.listener, self._generation)
        return Queued(listeners, entered, feed.waiting)
