"""A worker process: an engine and the shell that feeds it, controlled by the supervisor (`processes.messages`).

Files are read in a thread, while packets go on. What was read takes effect between two packets.
"""

import contextlib
import logging
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from sbc_filter.assembly.delegates import signers, verifiers
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.obtain import RefreshSchedule
from sbc_filter.assembly.operator_files import Files
from sbc_filter.assembly.setup import Setup
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.config.settings import Configuration
from sbc_filter.daemon.shells import Fed, Feed
from sbc_filter.engine.call.network import Observation
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.state import EngineState
from sbc_filter.engine.verdict import Verdict
from sbc_filter.errors import EnvironmentFault, FilterError, reason
from sbc_filter.processes.channel import Channel, Message
from sbc_filter.processes.full_collections import FullCollections
from sbc_filter.processes.messages import (
    Abort,
    Bypass,
    Commit,
    Committed,
    Heartbeat,
    Observe,
    Observing,
    Obtained,
    Prepare,
    Prepared,
    Ready,
    Renew,
    Reopen,
    Reopened,
    Stop,
)
from sbc_filter.recent.handover import Sender
from sbc_filter.records.journal import Journal, line_of
from sbc_filter.records.tally import Tally
from sbc_filter.shared_memory.shared_state import SharedState
from sbc_filter.stir.credential import Credential
from sbc_filter.system.steady_clock import SteadyClock

_LOG = logging.getLogger(__name__)
HEARTBEAT = 1.0  # seconds between two heartbeats: a fifth of `process_group.STUCK`
_RETIRED = 6.0  # seconds for which a replaced source still serves held calls; `hold_ms` is at most 4000
_SWITCH = 0.001  # seconds: how long a packet waits at most for another thread of this process
_KINDS = 500  # kinds of records in one heartbeat at most, so that it fits into one message
_TOLD = 100  # problems in an answer, if all of them are too long for one message

Sources = Callable[[Configuration], CertificateSource]


class Worker:
    """See the module. Raises `EnvironmentFault` when it cannot start."""

    def __init__(
        self,
        setup: Setup,
        files: Files,
        feed: Feed,
        secret: bytes,
        memories: SharedState,
        sources: Sources,
        channel: Channel,
        tokens: dict[str, str],
        observe: Observe,
        clock: SteadyClock,
        sender: Sender,
    ) -> None:
        """`files` are those that `setup` was read from; `feed` makes the shell; `tokens` are the current bypass tokens,
        by file; `observe` is what passes unchanged; `sender` takes records and calls to the process that keeps them."""
        self._files = files
        clock.say = None  # the supervisor reports clock jumps
        self._secret, self._memories, self._sources = secret, memories, sources
        self._channel = channel
        self._setup = setup
        self._pending: Setup | None = None
        self._turn = 0  # number of the last `Prepare`: results of earlier ones are dropped
        self._tokens = tokens
        self._observe = observe
        self._tally = Tally()
        self._sender, self._clock = sender, clock
        self._journal = open_journal(setup.configuration.records)
        self._retired: list[tuple[float, Needs]] = []
        self._next_heartbeat = 0.0
        self._schedule = RefreshSchedule(setup.credentials, setup.read_at)
        self._source = self._needs(setup)
        self._engine = self._made(setup)
        self._feed = feed
        self._shell = feed.shell(
            Fed(
                self._engine,
                self._source,
                clock,
                setup.plan().mark,
                setup.tells_interfaces_apart,
                self._record,
                self._record_call,
            )
        )
        self._pass_on_errors()
        self._shell.attend(channel, self._listen)
        self._collections = FullCollections()

    def run(self) -> None:
        """Filter until a stop order, or until the supervisor is gone."""
        sys.setswitchinterval(_SWITCH)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._shell.stop())
        self._channel.send(Ready())
        try:
            self._shell.run(self._tick)
        finally:
            self._source.close()
            self._heartbeat()
            self._journal.close()

    def _record(self, record: Record) -> None:
        """The record of a rule in monitor mode, or of a message without a packet of its own."""
        self._tally(record)
        line = line_of(record).encode()
        if self._sender.wants_records:
            self._sender.record(line, self._clock() - record.time)
        self._journal.write(line)

    def _record_call(self, record: Record, raw: bytes, verdict: Verdict) -> None:
        """The record of a packet itself."""
        self._tally(record)
        line = line_of(record).encode()
        self._sender.call(line, self._clock() - record.time, record, raw, verdict)
        self._journal.write(line)

    def _needs(self, setup: Setup) -> Needs:
        configuration = setup.configuration
        sign = signers(configuration.file, setup.credentials, configuration.remote)
        verify = verifiers(configuration.file, configuration.verifiers)
        return Needs(self._sources(configuration), sign, verifiers=verify)

    def _made(self, setup: Setup, state: EngineState | None = None) -> Engine:
        engine = setup.engine(self._secret, self._memories, state)
        engine.bypass(self._tokens)
        engine.observe(_observation(self._observe))
        return engine

    # Orders of the supervisor.

    def _listen(self) -> None:
        for message in self._channel.receive():
            self._obey(message)
        if self._channel.closed:
            self._shell.stop()

    def _obey(self, message: Message) -> None:
        match message:
            case Prepare():
                self._turn += 1
                threading.Thread(target=self._prepare, args=(self._turn,), daemon=True).start()
            case Commit():
                answer(self._channel, Committed, self._commit())
            case Abort():
                self._turn += 1
                self._pending = None
            case Renew(shelved):
                threading.Thread(target=self._renew, args=(shelved,), daemon=True).start()
            case Bypass(tokens):
                self._tokens = tokens
                self._engine.bypass(self._tokens)
            case Observe(number):
                self._observe = message
                self._engine.observe(_observation(message))
                self._pass_on_errors()
                self._channel.send(Observing(number))
            case Reopen():
                self._channel.send(Reopened(self._journal.reopen()))
            case Stop():
                self._shell.stop()

    def _prepare(self, turn: int) -> None:
        """In a thread: read all files."""
        try:
            setup, problems = self._files.read()
        except Exception as error:
            _LOG.exception("reading the configuration")
            setup, problems = None, [f"the configuration cannot be read: {error!r}"]
        self._shell.soon(lambda: self._prepared(turn, setup, problems))

    def _prepared(self, turn: int, setup: Setup | None, problems: list[str]) -> None:
        """Between two packets: report the problems of the files."""
        if turn == self._turn:
            self._pending = setup
            answer(self._channel, Prepared, problems)

    def _renew(self, shelved: bool) -> None:
        """In a thread: read the trust store with the current lists. The certificate process reports their problems."""
        try:
            self._setup.trust_files.read([], [], from_others=shelved)
        except Exception:
            _LOG.exception("reading the trust store")
            return
        # Looks the store up again when it runs: another thread or a reload may have been faster.
        self._shell.soon(lambda: self._engine.set_trust_store(self._setup.trust))

    def _commit(self) -> list[str]:
        """Replace engine, sources and journal. Returns the problems; if there are any, all of them stay as they are."""
        setup, self._pending = self._pending, None
        if setup is None:
            return ["nothing was prepared"]
        with contextlib.ExitStack() as undo:
            try:
                source = self._needs(setup)
                undo.callback(source.close)
                journal = open_journal(setup.configuration.records)
                undo.callback(journal.close)
                engine = self._made(setup, self._engine.state)
            except FilterError as error:
                return [str(error)]
            undo.pop_all()
        self._retired.append((time.monotonic() + _RETIRED, self._source))
        self._journal.close()
        self._setup, self._engine, self._source, self._journal = setup, engine, source, journal
        self._schedule = RefreshSchedule(setup.credentials, setup.read_at)
        self._channel.send(Obtained([]))
        self._shell.replace(engine, source, interfaces=setup.tells_interfaces_apart)
        self._pass_on_errors()
        return []

    def _pass_on_errors(self) -> None:
        """While everything is observed, what cannot be decided passes, too, whatever `on_overload` says."""
        self._shell.pass_on_errors = self._observe.everything or self._setup.observes

    # Periodic work.

    def _tick(self, idle: bool) -> float:
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._each_second(now)
        return self._collections.look(idle=idle)

    def _each_second(self, now: float) -> None:
        self._next_heartbeat = now + HEARTBEAT
        self._heartbeat()
        for name in self._schedule.due():
            threading.Thread(target=self._obtain, args=(self._setup, name), daemon=True).start()
        while self._retired and self._retired[0][0] < now:
            self._retired.pop(0)[1].close()

    def _obtain(self, setup: Setup, name: str) -> None:
        """In a thread: run the program of a credential again."""
        credential, problems = setup.obtain(name)
        self._shell.soon(lambda: self._obtained(setup, name, credential, problems))

    def _obtained(self, setup: Setup, name: str, credential: Credential | None, problems: list[str]) -> None:
        """Between two packets: switch to the new credential; without one, keep the old one."""
        if setup is not self._setup:
            return  # a reload came first
        if credential is not None:
            setup.credentials[name] = credential
            self._engine.replace_credentials({name: credential})
        self._schedule.answered(name, credential, problems)
        self._channel.send(Obtained(self._schedule.problems))

    def _heartbeat(self) -> None:
        shell = self._shell.counters
        counters = total(self._engine.counters, shell)
        counters.update(self._feed.unfiltered(shell))
        kinds = self._tally.kinds.most_common(_KINDS)
        while not self._channel.send(Heartbeat(counters, kinds)) and kinds:
            del kinds[len(kinds) // 2 :]  # names of rules may be long, and the heartbeat must fit


def _observation(order: Observe) -> Observation:
    return Observation(order.everything, frozenset(order.trunks))


def total(engine: Mapping[str, int], shell: Mapping[str, int]) -> Counter[str]:
    """The counters of both; each counts the calls for which it had no place as `hold-limit`."""
    counters: Counter[str] = Counter(engine)
    counters.update(shell)
    return counters


def answer(channel: Channel, report: type[Prepared] | type[Committed], problems: list[str]) -> None:
    """Send the problems. If they are too long for one message, send the first `_TOLD`: the supervisor waits for it."""
    if not channel.send(report(problems)) and len(problems) > _TOLD:
        few = [*problems[:_TOLD], f"and {len(problems) - _TOLD} more: `sbc-filter check` lists all"]
        channel.send(report(few))


def open_journal(where: Path | None) -> Journal:
    """Open the destination of the records; `EnvironmentFault` when it cannot be written."""
    try:
        return Journal(where)
    except OSError as error:
        raise EnvironmentFault(f"{where}: records cannot be written: {reason(error)}") from None
