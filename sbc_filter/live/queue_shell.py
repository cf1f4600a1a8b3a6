"""The live shell: packets from the kernel's queues to the engine, its verdicts back to the kernel.

One thread waits for packets, for the answers they need, and for deadlines. Every packet gets exactly
one verdict. An internal error is counted, and the packet is treated as the operator chose for
overload. A waiting packet does not delay others. Thousands of answers or deadlines at once do not, either: a few of
them are handled between two batches of packets.
"""

import logging
import selectors
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from netfilterqueue import Packet

from sbc_filter.concurrency.mailbox import Attended, Mailbox
from sbc_filter.counters import CounterName, is_power_of_two
from sbc_filter.engine.call.network import Arrival, Hook, Interfaces
from sbc_filter.engine.memory.parking import Parked, Parking, Ticket
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import ACCEPT, Answer, AnyAnswer, Need, Verdict, VerdictKind
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.interfaces import InterfaceNames
from sbc_filter.live.kernel_queue import KernelQueue, QueuedPacket, blame
from sbc_filter.live.raw_send import Emitter, dscp_of
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.packet.ip import is_truncated
from sbc_filter.system.steady_clock import SteadyClock

_LOG = logging.getLogger(__name__)
_PACKETS = CounterName.PACKETS  # named once: counted for every packet
_ARRIVALS = {int(hook): Arrival(hook) for hook in Hook}  # made once: most packets need no more of it
_UNKNOWN = Arrival()  # at a hook that the firewall rules do not use
# Answers, and as many deadlines, that are handled before the queues are read again. Reason: each costs about as much as
# a packet, and one answer may be for all calls that wait. With 32 a packet waits a few milliseconds at most.
_SLICE = 32
# Answers that are handled after a packet that waits: its own, if it came at once, and more of those in front of it than
# packets can add, so that the mailbox does not fill faster than it is emptied.
_AFTER_HOLD = 4
_MAX_WAIT = 1.0  # seconds; a clock that was set, and a process that is stuck, are noticed by it


Handled = Callable[[Record, bytes, Verdict], None]
"""Takes the record of a packet, the packet as it came, and its verdict. Raises as a sink of records does."""


class Core(Protocol):
    """The engine, as the shell sees it."""

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None, /) -> Verdict | Need:
        """Decide about an IP packet."""

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
        """Decide with what was needed."""

    def add_late(self, need: Need, answer: AnyAnswer, now: float, /) -> None:
        """Store an answer that came too late for its packet."""

    def release(self, now: float, /) -> list[tuple[int, Verdict]]:
        """Give up all needs that are pending."""


class Source(Protocol):
    """Where certificates and signatures come from; `done` is called once, from any thread."""

    def satisfy(self, need: Need, done: Callable[[AnyAnswer], None], /) -> None:
        """Begin to get what is needed; returns at once."""


class QueueShell:
    """Runs `engine` on the packets of `queues` until `stop`.

    Construct it in the network namespace it is to work in; raises `EnvironmentFault` when a queue cannot
    be bound. At most `max_held` packets wait at a time; any more are decided without what they need. With
    `interfaces` the engine gets each packet's two interfaces, too, for trunks identified by them.
    """

    def __init__(
        self,
        engine: Core,
        source: Source,
        emitter: Emitter,
        sink: Callable[[Record], None],
        *,
        queues: Sequence[QueueSettings] = (QueueSettings(50),),
        clock: Callable[[], float] | None = None,
        max_held: int = 1024,
        interfaces: bool = False,
        handled: Handled | None = None,
    ) -> None:
        """`sink` takes every record. With `handled`, it takes only those of rules in monitor mode."""
        self._engine = engine
        self._source = source
        self._emitter = emitter
        self._sink, self._handled = sink, handled
        self._clock = clock or SteadyClock()
        self._count: Counter[CounterName] = Counter()
        self._parking: Parking[QueuedPacket] = Parking(max_held)
        self._mailbox: Mailbox[tuple[Ticket, Need, AnyAnswer]] = Mailbox()
        self._jobs: Mailbox[Callable[[], None]] = Mailbox()
        self._attended: list[tuple[Attended, Callable[[], None]]] = []
        self._stop = False
        self._closing = False
        self.pass_on_errors = False  # whatever the queue says of packets that cannot be decided
        self._names = InterfaceNames() if interfaces else None
        self._queues: list[KernelQueue] = []
        self.verdicts: dict[int, Counter[CounterName]] = {}  # by the number of the queue: see `QueuedPacket`
        try:
            for settings in queues:
                verdicts = self.verdicts[settings.number] = Counter()
                arrive = partial(self._arrive, settings.fail_open, verdicts)
                self._queues.append(KernelQueue(settings, arrive))
        except BaseException:
            self._close_queues()
            raise

    @property
    def counters(self) -> Mapping[str, int]:
        """What happened so far, by name; names that never happened are absent."""
        held_now, overruns = len(self._parking), sum(queue.overruns for queue in self._queues)
        count = sum(self.verdicts.values(), self._count.copy())
        own = {**count, CounterName.HELD_NOW: held_now, CounterName.OVERRUNS: overruns}
        return {**{str(name): count for name, count in own.items()}, **self._emitter.counters}

    def run(self, tick: Callable[[bool], float] | None = None) -> None:
        """Work until `stop`. Then release all held packets, and unbind the empty queues.

        `tick` is called between packets, about once a second or more often. Its argument says whether nothing came
        since the last time, and no packet is held. It returns the seconds after which to call it if nothing comes.
        """
        patience = _MAX_WAIT
        with selectors.DefaultSelector() as selector:
            selector.register(self._mailbox, selectors.EVENT_READ, self._collect)
            selector.register(self._jobs, selectors.EVENT_READ, self._do_jobs)
            for queue in self._queues:
                selector.register(queue, selectors.EVENT_READ, queue.read)
            for attended, call in self._attended:
                selector.register(attended, selectors.EVENT_READ, call)
            try:
                while not self._stop:
                    ready = selector.select(min(self._patience(), patience))
                    for key, _ in ready:
                        key.data()
                    self._expire()
                    self._clock()  # also without packets a clock that was set is to be noticed
                    if tick is not None:
                        patience = tick(not ready and not len(self._parking))
            finally:
                self._shut_down()

    def stop(self) -> None:
        """Make `run` return; from any thread or signal handler."""
        self._stop = True
        self._jobs.wake()

    def soon(self, job: Callable[[], None]) -> None:
        """Have `run` do this between two packets; from any thread or signal handler."""
        self._jobs.post(job)

    def attend(self, attended: Attended, call: Callable[[], None]) -> None:
        """Have `run` call this between two packets whenever the descriptor is readable."""
        self._attended.append((attended, call))

    def replace(self, engine: Core, source: Source, *, interfaces: bool = False) -> None:
        """Use these from the next packet on. Call only between two packets (`soon`, `attend`). Held packets keep
        waiting for their answers; the new engine decides them, so it has to know them."""
        self._engine, self._source = engine, source
        if interfaces and self._names is None:
            self._names = InterfaceNames()
        elif not interfaces and self._names is not None:
            self._names.close()
            self._names = None

    def _do_jobs(self) -> None:
        for job in self._jobs.collect():
            job()

    def _patience(self) -> float:
        deadline = self._parking.next_deadline()
        return _MAX_WAIT if deadline is None else min(max(deadline - time.monotonic(), 0.0), _MAX_WAIT)

    # Three things happen: a packet arrives, an answer arrives, a deadline passes.

    def _arrive(self, fail_open: bool, verdicts: Counter[CounterName], kernel: Packet) -> None:
        packet = QueuedPacket(kernel, fail_open or self.pass_on_errors, verdicts)
        self._count[_PACKETS] += 1
        with packet:
            raw = packet.raw = kernel.get_payload()
            if is_truncated(raw):
                self._count[CounterName.TRUNCATED] += 1
                packet.give_up()
            else:
                self._follow(packet, self._engine.process(raw, self._clock(), self._arrival(kernel)))
        if packet.held:  # a folder has already answered: decide before the next packet (a copy or a CANCEL)
            self._collect(_AFTER_HOLD)

    def _arrival(self, kernel: Packet) -> Arrival:
        arrival = _ARRIVALS.get(kernel.hook, _UNKNOWN)
        if self._names is None:
            return arrival
        return arrival._replace(interfaces=Interfaces(self._names(kernel.indev), self._names(kernel.outdev)))

    def _collect(self, most: int = _SLICE) -> None:
        for ticket, need, answer in self._mailbox.collect(most):
            parked = self._parking.take(ticket)
            if parked is None:
                self._count[CounterName.LATE_ANSWERS] += 1
                self._add_late(need, answer)
            else:
                self._resume(parked, answer)

    def _add_late(self, need: Need, answer: AnyAnswer) -> None:
        try:
            self._engine.add_late(need, answer, self._clock())
        except Exception:
            self._blame(CounterName.ENGINE_ERRORS)

    def _expire(self) -> None:
        deadline = self._parking.next_deadline()
        if deadline is None or deadline > time.monotonic():
            return
        self._collect()  # an answer that has arrived counts: the source was in time, we are late
        if not self._mailbox.empty:
            return  # one of these answers may be for a packet that is due; the next turn begins at once
        for parked in self._parking.take_due(time.monotonic(), _SLICE):
            self._count[CounterName.DEADLINES] += 1
            self._resume(parked, Answer(None, Detail.FETCH_TIMEOUT, self._clock()))

    def _resume(self, parked: Parked[QueuedPacket], answer: AnyAnswer) -> None:
        with parked.packet as packet:
            self._follow(packet, self._engine.resume(parked.need.id, answer, self._clock()))

    # And each of them leads to a verdict, or to (another) wait.

    def _follow(self, packet: QueuedPacket, decision: Verdict | Need) -> None:
        if isinstance(decision, Need) and decision.displaces is not None:
            displaced = self._parking.take_need(decision.displaces)
            if displaced is not None:
                self._resume(displaced, Answer(None, Detail.HOLD_LIMIT, self._clock()))
        if isinstance(decision, Need) and (self._parking.full or self._closing):
            self._count[CounterName.HOLD_LIMIT] += 1
            now = self._clock()
            decision = self._engine.resume(decision.id, Answer(None, Detail.HOLD_LIMIT, now), now)
        if isinstance(decision, Need):
            self._hold(packet, decision)
        else:
            self._settle(packet, decision)

    def _hold(self, packet: QueuedPacket, need: Need) -> None:
        left = need.deadline - self._clock()  # by the monotonic clock from here on
        ticket = self._parking.park(need._replace(deadline=time.monotonic() + left), packet)
        packet.held = True
        if not need.holds:
            packet.settle(ACCEPT, self._emitter)
        self._count[CounterName.HELD] += 1

        def done(answer: AnyAnswer) -> None:
            self._mailbox.post((ticket, need, answer))

        try:
            self._source.satisfy(need, done)
        except Exception:
            self._blame(CounterName.SOURCE_ERRORS)
            done(Answer(None, Detail.FETCH_REFUSED, self._clock()))

    def _settle(self, packet: QueuedPacket, verdict: Verdict) -> None:
        done = verdict.record
        if not packet.settle(verdict, self._emitter) and done is not None:
            done = not_sent(done, packet.given_up)
        for datagram in verdict.emit:
            self._emitter.send(datagram, dscp_of(packet.raw))
        for record in verdict.monitored:
            self._report(self._sink, record)
        if done is None:
            return
        if self._handled is None:
            self._report(self._sink, done)
        else:
            self._report(self._handled, done, packet.raw, verdict)

    def _report(self, sink: Callable[..., None], *what: object) -> None:
        try:
            sink(*what)
        except OSError as error:
            self._count[CounterName.RECORDS_LOST] += 1
            lost = self._count[CounterName.RECORDS_LOST]
            if is_power_of_two(lost):
                _LOG.warning("records cannot be written: %s; %d lost so far", error.strerror, lost)
        except Exception:
            self._blame(CounterName.RECORD_ERRORS)

    def _blame(self, counter: CounterName) -> None:
        self._count[counter] += 1
        blame(_LOG, counter, self._count[counter])

    # The end: no packet may stay behind, for the kernel drops what an unbound queue still holds.

    def _shut_down(self) -> None:
        self._closing = True
        for queue in self._queues:
            queue.refuse()
        for queue in self._queues:
            queue.drain()
        try:
            for need_id, verdict in self._engine.release(self._clock()):
                parked = self._parking.take_need(need_id)
                if parked is not None:
                    with parked.packet as packet:
                        self._settle(packet, verdict)
        except Exception:
            self._blame(CounterName.ENGINE_ERRORS)
        for parked in self._parking.take_all():
            with parked.packet as packet:
                packet.give_up()
        self._close_queues()

    def _close_queues(self) -> None:
        for queue in self._queues:
            queue.close()
        if self._names is not None:
            self._names.close()


def not_sent(record: Record, verdict: VerdictKind) -> Record:
    """The record of a call whose rewritten packet could not be sent: it went as it came, or was dropped."""
    return record._replace(
        verdict=verdict.value,
        would=record.verdict,
        outcome=Outcome.NOT_EXAMINED.value,
        detail=Detail.NOT_SENT.value,
        attest=None,
        origid=None,
    )
