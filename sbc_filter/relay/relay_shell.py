"""The shell of the relay: messages of TCP connections to the engine, its verdicts back to the connections.

One thread, with one loop, waits for connections, octets, the answers that messages need, and deadlines. Every message
gets exactly one verdict. An internal error is counted, and the message passes, or its connection is reset, as the
operator chose for overload. A message that waits delays only its own call on its own connection.
"""

import asyncio
import logging
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec

from sbc_filter.concurrency.mailbox import Attended, Mailbox
from sbc_filter.counters import CounterName, is_power_of_two
from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.engine.memory.parking import Parking, Ticket
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import ACCEPT, Answer, AnyAnswer, Need, Verdict
from sbc_filter.outcomes import Detail
from sbc_filter.relay.acceptor import Acceptor
from sbc_filter.relay.connection import Connection
from sbc_filter.relay.direction import AnyFault, Passage
from sbc_filter.relay.limits import Limits
from sbc_filter.relay.needed import Core, Handled, Source
from sbc_filter.relay.transparent import Opener
from sbc_filter.relay.upkeep import Upkeep
from sbc_filter.system.steady_clock import SteadyClock

_LOG = logging.getLogger(__name__)
_SLICE = 32  # answers, and as many deadlines, that are handled before sockets are read again
_AFTER_HOLD = 4  # answers that are handled after a message that waits: see `live.queue_shell`
_TICK = 0.5  # seconds
_LATE = 1.0  # seconds after the last tick: then it comes between two connections

P = ParamSpec("P")


class RelayShell:
    """Call `run` in the thread that the engine belongs to. It closes `listeners`."""

    def __init__(
        self,
        engine: Core,
        source: Source,
        listeners: Sequence[socket.socket],
        opener: Opener,
        sink: Callable[[Record], None],
        *,
        handled: Handled | None = None,
        clock: Callable[[], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
        fail_open: Mapping[str, bool] | None = None,
        max_held: int = 1024,
    ) -> None:
        """`sink` takes every record. With `handled`, it takes only those of rules in monitor mode. `fail_open` says by
        direction whether a message passes on which the engine failed; both do by default."""
        self._engine = engine
        self._source = source
        self._sink, self._handled = sink, handled
        self._clock = clock or SteadyClock()
        self.monotonic = monotonic
        self.limits = limits or Limits()
        self._fail_open = {"inbound": True, "outbound": True} if fail_open is None else fail_open
        self._count: Counter[str] = Counter()
        self._parking: Parking[Passage] = Parking(max_held)
        self._mailbox: Mailbox[tuple[Ticket, Need, AnyAnswer]] = Mailbox()
        self._jobs: deque[Callable[[], None]] = deque()
        self._attended: list[tuple[Attended, Callable[[], None]]] = []
        self._acceptor = Acceptor(self, listeners, opener, self._count)
        self._upkeep = Upkeep(self._connections, self.limits, monotonic, self._count)
        self._stop = False
        self._ended: asyncio.Event | None = None
        self._closing = False
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
        found[CounterName.HELD_NOW] = len(self._parking)
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
        self._mailbox.wake()

    def soon(self, job: Callable[[], None]) -> None:
        """Have `run` do this between two messages; from any thread or signal handler."""
        self._jobs.append(job)
        self._mailbox.wake()

    def attend(self, attended: Attended, call: Callable[[], None]) -> None:
        """Have `run` call this between two messages whenever the descriptor is readable."""
        self._attended.append((attended, call))

    def replace(self, engine: Core, source: Source, *, interfaces: bool = False) -> None:
        """Use these from the next message on. Call only between two messages (`soon`, `attend`). Connections stay.
        Messages that wait keep waiting: the new engine decides them, so it has to know them."""
        self._engine, self._source = engine, source

    # The loop.

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unexpected)
        self._ended = asyncio.Event()
        loop.add_reader(self._mailbox, self._guarded, self._wake)
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
            loop.remove_reader(self._mailbox)
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
        self._patience = self._heart(not busy and events == self._events and not len(self._parking))
        self._events = events
        self._late = self.monotonic() + _LATE

    def _wake(self) -> None:
        self._collect()
        while self._jobs:
            self._jobs.popleft()()
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
        self._blame(CounterName.ENGINE_ERRORS, context.get("exception"))

    async def _look(self) -> None:
        self._clock()  # also without messages a clock that was set is to be noticed
        try:
            await self._upkeep.look()
        except Exception as error:
            self._failure = self._failure or error
            self.stop()

    async def _drain(self) -> None:
        """Accept no more, decide what waits, and give connections time to finish what has begun."""
        self._closing = True
        self._acceptor.stop()
        try:
            released = self._engine.release(self._clock())
        except Exception as error:
            self._blame(CounterName.ENGINE_ERRORS, error)
            released = []
        for need_id, verdict in released:
            parked = self._parking.take_need(need_id)
            if parked is not None:
                try:
                    self._settle(parked.packet, verdict)
                except Exception as error:
                    self._fail(parked.packet, error)
        for parked in self._parking.take_all():
            self._give_up(parked.packet)
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
            decision = self._engine.decide(passage.message, passage.flow, self._clock())
            self._follow(passage, decision)
        except Exception as error:
            self._fail(passage, error)
            return
        if isinstance(decision, Need):  # a folder has already answered: decide before the next message
            self._collect(_AFTER_HOLD)

    def may_pass(self, flow: Flow, fault: AnyFault) -> bool:
        """Whether a stream that cannot be read passes: where it is only observed."""
        passes = self.place(flow).observed
        counter = CounterName.RELAY_UNFILTERED_STREAMS if passes else CounterName.RELAY_REFUSED_STREAMS
        self._count[counter] += 1
        self._count[f"relay-fault.{fault}"] += 1
        if is_power_of_two(self._count[counter]):
            what = "passes unread" if passes else "is reset"
            _LOG.warning("%s to %s over TCP: %s: %s; %d so far", flow.src, flow.dst, fault, what, self._count[counter])
        return passes

    def may_expose(self, flow: Flow) -> bool:
        """Whether a message goes on whose body some stack reads as the next messages: where it is only observed."""
        passes = self.place(flow).observed
        counter = CounterName.RELAY_EXPOSED_BODIES
        self._count[counter] += 1
        if is_power_of_two(self._count[counter]):
            what = "passes" if passes else "is not passed on"
            why = "a message has a body and a header that some stacks cannot parse, or outgrew message_octets"
            _LOG.warning("%s to %s over TCP: %s: it %s; %d so far", flow.src, flow.dst, why, what, self._count[counter])
        return passes

    def place(self, flow: Flow) -> Position:
        """What a flow says about each of its messages."""
        return self._engine.place(flow)

    def gone(self, connection: Connection) -> None:
        """A connection is closed."""
        self._count[CounterName.RELAY_RESETS] += connection.was_reset
        self._acceptor.gone(connection)

    # An answer arrives, a deadline passes.

    def _collect(self, most: int = _SLICE) -> None:
        for ticket, need, answer in self._mailbox.collect(most):
            parked = self._parking.take(ticket)
            if parked is not None:
                self._resume(parked.need.id, parked.packet, answer)
                continue
            self._count[CounterName.LATE_ANSWERS] += 1
            try:
                self._engine.add_late(need, answer, self._clock())
            except Exception as error:
                self._blame(CounterName.ENGINE_ERRORS, error)

    def _expire(self) -> None:
        self._timer = None
        self._collect()  # an answer that has arrived counts: the source was in time, we are late
        if self._mailbox.empty:
            for parked in self._parking.take_due(self.monotonic(), _SLICE):
                self._count[CounterName.DEADLINES] += 1
                self._resume(parked.need.id, parked.packet, Answer(None, Detail.FETCH_TIMEOUT, self._clock()))
        self._arm()

    def _arm(self) -> None:
        """Have `_expire` called at the next deadline."""
        deadline = self._parking.next_deadline()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            left = max(deadline - self.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(left, self._guarded, self._expire)

    def _resume(self, need_id: int, passage: Passage, answer: AnyAnswer) -> None:
        try:
            self._follow(passage, self._engine.resume(need_id, answer, self._clock()))
        except Exception as error:
            self._fail(passage, error)

    # And each of them leads to a verdict, or to (another) wait.

    def _follow(self, passage: Passage, decision: Verdict | Need) -> None:
        if isinstance(decision, Need) and decision.displaces is not None:
            displaced = self._parking.take_need(decision.displaces)
            if displaced is not None:
                self._resume(displaced.need.id, displaced.packet, Answer(None, Detail.HOLD_LIMIT, self._clock()))
        while isinstance(decision, Need) and (self._parking.full or self._closing):
            self._count[CounterName.HOLD_LIMIT] += 1
            now = self._clock()
            decision = self._engine.resume(decision.id, Answer(None, Detail.HOLD_LIMIT, now), now)
        if isinstance(decision, Need):
            self._hold(passage, decision)
        else:
            self._settle(passage, decision)

    def _hold(self, passage: Passage, need: Need) -> None:
        left = need.deadline - self._clock()  # by the monotonic clock from here on
        ticket = self._parking.park(need._replace(deadline=self.monotonic() + left), passage)
        if not need.holds:
            passage.settle(ACCEPT)
        self._count[CounterName.HELD] += 1
        self._arm()

        def done(answer: AnyAnswer) -> None:
            self._mailbox.post((ticket, need, answer))

        try:
            self._source.satisfy(need, done)
        except Exception as error:
            self._blame(CounterName.SOURCE_ERRORS, error)
            done(Answer(None, Detail.FETCH_REFUSED, self._clock()))

    def _settle(self, passage: Passage, verdict: Verdict) -> None:
        passage.settle(verdict)
        for record in verdict.monitored:
            self._report(self._sink, record)
        if verdict.record is None:
            return
        if self._handled is None:
            self._report(self._sink, verdict.record)
        else:
            self._report(self._handled, verdict.record, passage, verdict)

    def _fail(self, passage: Passage, error: Exception) -> None:
        self._blame(CounterName.ENGINE_ERRORS, error)
        self._give_up(passage)

    def _give_up(self, passage: Passage) -> None:
        direction = self.place(passage.flow).direction
        policy = all(self._fail_open.values()) if direction is None else self._fail_open[direction]
        passage.give_up(passes=policy or self.pass_on_errors)

    def _report(self, sink: Callable[..., None], *what: object) -> None:
        try:
            sink(*what)
        except OSError as error:
            self._count[CounterName.RECORDS_LOST] += 1
            lost = self._count[CounterName.RECORDS_LOST]
            if is_power_of_two(lost):
                _LOG.warning("records cannot be written: %s; %d lost so far", error.strerror, lost)
        except Exception as error:
            self._blame(CounterName.RECORD_ERRORS, error)

    def _blame(self, counter: CounterName, error: object) -> None:
        self._count[counter] += 1
        if is_power_of_two(self._count[counter]):
            trace = error if isinstance(error, BaseException) else None
            _LOG.error("%s: %d so far", counter, self._count[counter], exc_info=trace)
