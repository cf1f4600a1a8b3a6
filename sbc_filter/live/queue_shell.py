"""The live shell: packets from the kernel's queues to the engine, its verdicts back to the kernel.

One thread waits for packets, for the answers they need, and for deadlines. Every packet gets exactly
one verdict. An internal error is counted, and the packet is treated as the operator chose for
overload.
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
from sbc_filter.counters import CounterName
from sbc_filter.engine.call.network import Arrival, Hook, Interfaces
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import ACCEPT, Need, Verdict, VerdictKind
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.holding.holding import Holding, Resumable, Source
from sbc_filter.holding.reporting import Handled, Reporting, Sink
from sbc_filter.live.interfaces import InterfaceNames
from sbc_filter.live.kernel_queue import KernelQueue, QueuedPacket
from sbc_filter.live.raw_send import Emitter, dscp_of
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.packet.ip import is_truncated
from sbc_filter.system.sparse_log import SparseLog
from sbc_filter.system.steady_clock import SteadyClock

_LOG = logging.getLogger(__name__)
_PACKETS = CounterName.PACKETS  # named once: counted for every packet
_ARRIVALS = {int(hook): Arrival(hook) for hook in Hook}  # made once: most packets need no more of it
_UNKNOWN = Arrival()  # at a hook that the firewall rules do not use
_MAX_WAIT = 1.0  # seconds; a clock that was set, and a process that is stuck, are noticed by it


class Core(Resumable, Protocol):
    """The engine, as the shell sees it."""

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None, /) -> Verdict | Need:
        """Decide about an IP packet."""


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
        sink: Sink,
        *,
        queues: Sequence[QueueSettings] = (QueueSettings(50),),
        clock: Callable[[], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        max_held: int = 1024,
        interfaces: bool = False,
        handled: Handled[bytes] | None = None,
    ) -> None:
        """`sink` and `handled` take records, as `Reporting` says."""
        self._engine = engine
        self._emitter = emitter
        self._clock = clock or SteadyClock()
        self._monotonic = monotonic
        self._count: Counter[str] = Counter()
        self._log = SparseLog(_LOG, self._count)
        self._report = Reporting(self._log, sink, handled)
        self._holding: Holding[QueuedPacket] = Holding(
            engine, source, self, self._count, self._log, clock=self._clock, monotonic=monotonic, max_held=max_held
        )
        self._jobs: Mailbox[Callable[[], None]] = Mailbox()
        self._attended: list[tuple[Attended, Callable[[], None]]] = []
        self._stop = False
        self.pass_on_errors = False  # whatever the queue says of packets that cannot be decided
        self._names = InterfaceNames() if interfaces else None
        self._queues: list[KernelQueue] = []
        self.verdicts: dict[int, Counter[str]] = {}  # by the number of the queue: see `QueuedPacket`
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
        held_now, overruns = len(self._holding), sum(queue.overruns for queue in self._queues)
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
            selector.register(self._holding.mailbox, selectors.EVENT_READ, self._holding.collect)
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
                    self._holding.expire()
                    self._clock()  # also without packets a clock that was set is to be noticed
                    if tick is not None:
                        patience = tick(not ready and not len(self._holding))
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
        self._engine = engine
        self._holding.replace(engine, source)
        if interfaces and self._names is None:
            self._names = InterfaceNames()
        elif not interfaces and self._names is not None:
            self._names.close()
            self._names = None

    def _do_jobs(self) -> None:
        for job in self._jobs.collect():
            job()

    def _patience(self) -> float:
        deadline = self._holding.next_deadline
        return _MAX_WAIT if deadline is None else min(max(deadline - self._monotonic(), 0.0), _MAX_WAIT)

    # What happens to a packet.

    def _arrive(self, fail_open: bool, verdicts: Counter[str], kernel: Packet) -> None:
        packet = QueuedPacket(kernel, fail_open or self.pass_on_errors, verdicts)
        self._count[_PACKETS] += 1
        try:
            raw = packet.raw = kernel.get_payload()
            if is_truncated(raw):
                self._count[CounterName.TRUNCATED] += 1
                packet.give_up()
            else:
                self._holding.begin(packet, self._engine.process(raw, self._clock(), self._arrival(kernel)))
        except BaseException as error:
            self.fail(packet, error)
            if not isinstance(error, Exception):
                raise

    def _arrival(self, kernel: Packet) -> Arrival:
        arrival = _ARRIVALS.get(kernel.hook, _UNKNOWN)
        if self._names is None:
            return arrival
        return arrival._replace(interfaces=Interfaces(self._names(kernel.indev), self._names(kernel.outdev)))

    def settle(self, packet: QueuedPacket, verdict: Verdict) -> None:
        """Give the kernel the verdict, send what goes with it, and hand over the records."""
        done = verdict.record
        if not packet.settle(verdict, self._emitter) and done is not None:
            done = not_sent(done, packet.given_up)
        for datagram in verdict.emit:
            self._emitter.send(datagram, dscp_of(packet.raw))
        self._report(done, packet.raw, verdict)

    def held(self, packet: QueuedPacket, need: Need) -> None:
        """It waits, or goes on while its decision is awaited."""
        if not need.holds:
            packet.settle(ACCEPT, self._emitter)

    def fail(self, packet: QueuedPacket, error: BaseException) -> None:
        """Count the error, and give the verdict for errors."""
        self._log.error(CounterName.ENGINE_ERRORS, error)
        packet.give_up()

    def give_up(self, packet: QueuedPacket) -> None:
        """Give the verdict for errors."""
        packet.give_up()

    # The end: no packet may stay behind, for the kernel drops what an unbound queue still holds.

    def _shut_down(self) -> None:
        self._holding.close()
        for queue in self._queues:
            queue.refuse()
        for queue in self._queues:
            queue.drain()
        self._holding.release()
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
