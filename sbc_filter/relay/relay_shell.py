"""The shell of the relay: messages of TCP connections to the engine, its verdicts back to the connections.

One thread, with one loop, waits for connections, octets, the answers that messages need, and deadlines. Every message
gets exactly one verdict. An internal error is counted, and the message passes, or its connection is reset, as the
operator chose for overload. A message that waits delays only its own call on its own connection.
"""

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, Protocol

from sbc_filter.concurrency.mailbox import Attended, Mailbox
from sbc_filter.counters import CounterName
from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.verdict import ACCEPT, Need, Verdict
from sbc_filter.holding.holding import Holding, Resumable, Source
from sbc_filter.holding.reporting import Handled, Reporting, Sink
from sbc_filter.relay.acceptor import Acceptor
from sbc_filter.relay.connection import Connection
from sbc_filter.relay.direction import AnyFault, Passage, StreamFault
from sbc_filter.relay.limits import Limits
from sbc_filter.relay.transparent import Opener
from sbc_filter.relay.upkeep import Upkeep
from sbc_filter.sip.stream import FramingFault
from sbc_filter.system.sparse_log import SparseLog
from sbc_filter.system.steady_clock import SteadyClock

_LOG = logging.getLogger(__name__)
_TICK = 0.5  # seconds
_LATE = 1.0  # seconds after the last tick: then it comes between two connections
_SEE: dict[AnyFault, str] = {
    **dict.fromkeys(FramingFault, ": see docs/records.md, SIP over TCP"),
    StreamFault.TLS: ": see docs/placement.md, TLS",
    StreamFault.WEB_SOCKET: ": see docs/placement.md, TLS",
    StreamFault.OTHER: ": see docs/placement.md, SIP over TCP",
}

P = ParamSpec("P")


class Core(Resumable, Protocol):
    """The engine, as the relay sees it."""

    def decide(self, message: bytes, flow: Flow, now: float, /) -> Verdict | Need:
        """Decide about a SIP message."""

    def place(self, flow: Flow, /) -> Position:
        """What a flow says about each of its messages."""


class RelayShell:
    """Call `run` in the thread that the engine belongs to. It closes `listeners`."""

    def __init__(
        self,
        engine: Core,
        source: Source,
        listeners: Sequence[socket.socket],
        opener: Opener,
        sink: Sink,
        *,
        handled: Handled[Passage] | None = None,
        clock: Callable[[], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
        fail_open: Mapping[str, bool] | None = None,
        max_held: int = 1024,
    ) -> None:
        """`sink` and `handled` take records, as `Reporting` says. `fail_open` says by direction whether a message
        passes on which the engine failed; both do by default."""
        self._engine = engine
        self._clock = clock or SteadyClock()
        self.monotonic = monotonic
        self.limits = limits or Limits()
        self._fail_open = {"inbound": True, "outbound": True} if fail_open is None else fail_open
        self._count: Counter[str] = Counter()
        self._log = SparseLog(_LOG, self._count)
        self._report = Reporting(self._log, sink, handled)
        self._holding: Holding[Passage] = Holding(
            engine, source, self, self._count, self._log, clock=self._clock, monotonic=monotonic, max_held=max_held
        )
        self._jobs: Mailbox[Callable[[], None]] = Mailbox()
        self._attended: list[tuple[Attended, Callable[[], None]]] = []
        self._acceptor = Acceptor(self, listeners, opener, self._count)
        self._upkeep = Upkeep(self._connections, self.limits, monotonic, self._count)
        self._stop = False
        self._ended: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heart: Callable[[bool], float] | None = None
        self._patience = _TICK  # seconds to the next tick
        self._late = 0.0  # when the next tick is late
        self._events = 0  # at the last tick
        self.pass_on_errors = False  # whatever `fail_open` says

    @property
    def counters(self) -> Mapping[str, int]:
        """What happened so far, by name; names that never happened are absent."""
        found = {str(name): count for name, count in self._count.items()}
        found[CounterName.HELD_NOW] = len(self._holding)
        found[CounterName.RELAY_CONNECTIONS_NOW] = len(self._connections)
        return found

    @property
    def _connections(self) -> set[Connection]:
        return self._acceptor.connections

    def run(self, tick: Callable[[bool], float] | None = None) -> None:
        """Work until `stop`. Then decide what waits, finish what has begun, and reset what is left.

        `tick` is called between messages, about once a second or more often. Its argument says whether nothing came
        since the last time, and no message is held. It returns the seconds after which to call it at the latest.
        """
        self._heart = tick
        asyncio.run(self._work())
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Make `run` return; from any thread or signal handler."""
        self._stop = True
        self._jobs.wake()

    def soon(self, job: Callable[[], None]) -> None:
        """Have `run` do this between two messages; from any thread or signal handler."""
        self._jobs.post(job)

    def attend(self, attended: Attended, call: Callable[[], None]) -> None:
        """Have `run` call this between two messages whenever the descriptor is readable."""
        self._attended.append((attended, call))

    def replace(self, engine: Core, source: Source, *, interfaces: bool = False) -> None:
        """Use these from the next message on. Call only between two messages (`soon`, `attend`). Connections stay.
        Messages that wait keep waiting: the new engine decides them, so it has to know them."""
        self._engine = engine
        self._holding.replace(engine, source)

    # The loop.

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unexpected)
        self._ended = asyncio.Event()
        loop.add_reader(self._holding.mailbox, self._guarded, self._holding.collect)
        loop.add_reader(self._jobs, self._guarded, self._do_jobs)
        for attended, call in self._attended:
            loop.add_reader(attended, self._guarded, call)
        self._acceptor.start(loop)
        try:
            while not self._stop:
                await self._look()
                self._guarded(self._tick)
                await self._wait(min(_TICK, self._patience))
            await self._drain()
        finally:
            self._acceptor.stop()
            for connection in list(self._connections):
                connection.reset()
            await asyncio.sleep(0)  # asyncio closes the sockets in its next round
            loop.remove_reader(self._holding.mailbox)
            loop.remove_reader(self._jobs)
            for attended, _ in self._attended:
                loop.remove_reader(attended)

    async def _wait(self, seconds: float) -> None:
        """Wait so long, or until `stop`."""
        assert self._ended is not None
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return

    def _tick(self, *, busy: bool = False) -> None:
        if self._heart is None:
            return
        events = self._count[CounterName.RELAY_MESSAGES] + self._count[CounterName.RELAY_CONNECTIONS]
        self._patience = self._heart(not busy and events == self._events and not len(self._holding))
        self._events = events
        self._late = self.monotonic() + _LATE

    def _do_jobs(self) -> None:
        for job in self._jobs.collect():
            job()
        if self._stop and self._ended is not None:
            self._ended.set()

    def _guarded(self, call: Callable[P, None], *arguments: P.args, **named: P.kwargs) -> None:
        """Call this; if it fails, `run` ends with its error."""
        try:
            call(*arguments, **named)
        except BaseException as error:
            self._failure = self._failure or error
            self.stop()

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """An error in a call by the loop itself."""
        error = context.get("exception")
        self._log.error(CounterName.ENGINE_ERRORS, error if isinstance(error, BaseException) else None)

    async def _look(self) -> None:
        self._clock()  # also without messages a clock that was set is to be noticed
        try:
            await self._upkeep.look()
        except Exception as error:
            self._failure = self._failure or error
            self.stop()

    async def _drain(self) -> None:
        """Accept no more, decide what waits, and give connections time to finish what has begun."""
        self._holding.close()
        self._acceptor.stop()
        self._holding.release()
        for connection in list(self._connections):
            connection.drain()
        end = time.monotonic() + self.limits.drain_seconds
        while self._connections and time.monotonic() < end:
            await asyncio.sleep(0.01)

    # What connections ask (`connection.Owner`).

    def read(self, now: float) -> None:
        """A connection is about to be read. With many of them, the loop takes seconds to come round to the tick, and
        the supervisor would think that it is stuck."""
        if now >= self._late:
            self._guarded(self._tick, busy=True)

    def judge(self, passage: Passage) -> None:
        """Decide about a message: settle it, now or later."""
        self._count[CounterName.RELAY_MESSAGES] += 1
        try:
            self._holding.begin(passage, self._engine.decide(passage.message, passage.flow, self._clock()))
        except Exception as error:
            self.fail(passage, error)

    def may_pass(self, flow: Flow, fault: AnyFault) -> bool:
        """Whether a stream that cannot be read passes: where it is only observed."""
        passes = self.place(flow).observed
        counter = CounterName.RELAY_UNFILTERED_STREAMS if passes else CounterName.RELAY_REFUSED_STREAMS
        self._count[f"relay-fault.{fault}"] += 1
        what = "passes unread" if passes else "the connection is reset"
        sentence = "%s to %s over TCP: the stream cannot be read (%s): %s%s; %d so far"
        self._log.warning(counter, sentence, flow.src, flow.dst, fault, what, _SEE.get(fault, ""))
        return passes

    def may_expose(self, flow: Flow) -> bool:
        """Whether a message goes on whose body some stack reads as the next messages: where it is only observed."""
        passes = self.place(flow).observed
        what = "passes" if passes else "is not passed on"
        why = "a message has a body and a header that some stacks cannot parse, or outgrew message_octets"
        text = "%s to %s over TCP: %s: it %s; %d so far"
        self._log.warning(CounterName.RELAY_EXPOSED_BODIES, text, flow.src, flow.dst, why, what)
        return passes

    def place(self, flow: Flow) -> Position:
        """What a flow says about each of its messages."""
        return self._engine.place(flow)

    def gone(self, connection: Connection) -> None:
        """A connection is closed."""
        self._count[CounterName.RELAY_RESETS] += connection.was_reset
        self._acceptor.gone(connection)

    # What happens to a message (`holding.Settler`), and when.

    def settle(self, passage: Passage, verdict: Verdict) -> None:
        """Have its connection carry out the verdict, and hand over the records."""
        passage.settle(verdict)
        self._report(verdict.record, passage, verdict)

    def held(self, passage: Passage, need: Need) -> None:
        """It waits, or goes on while its decision is awaited."""
        if not need.holds:
            passage.settle(ACCEPT)
        self._arm()

    def fail(self, passage: Passage, error: BaseException) -> None:
        """Count the error, and do as `fail_open` says."""
        self._log.error(CounterName.ENGINE_ERRORS, error)
        self.give_up(passage)

    def give_up(self, passage: Passage) -> None:
        """Do as `fail_open` says."""
        direction = self.place(passage.flow).direction
        policy = all(self._fail_open.values()) if direction is None else self._fail_open[direction]
        passage.give_up(passes=policy or self.pass_on_errors)

    def _expire(self) -> None:
        self._timer = None
        self._holding.expire()
        self._arm()

    def _arm(self) -> None:
        """Have `_expire` called at the next deadline."""
        deadline = self._holding.next_deadline
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            left = max(deadline - self.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(left, self._guarded, self._expire)
