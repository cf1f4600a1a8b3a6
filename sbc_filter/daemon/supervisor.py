"""The parent process. It holds no packet, so calls go on whatever it does.

supervisor ─┬─ certificates   fetches other parties' certificates: folder, command, network; no privilege
            ├─ recent         keeps recent calls, shows records to followers; no privilege
            ├─ worker 1 … N   engine and queue
            ├─ relay 1 … N    engine and TCP connections, if they are to be relayed
            └─ dispatcher     with more than one worker: hands each packet to the worker of its call
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sbc_filter.assembly.bypass_files import EVERY, BypassState, said
from sbc_filter.assembly.obtain import STAYS
from sbc_filter.assembly.operator_files import Files
from sbc_filter.assembly.setup import Setup
from sbc_filter.counters import CounterName
from sbc_filter.daemon.certificate_process import CertificateProcess, from_process
from sbc_filter.daemon.control_socket import ControlServer, Reply, default_path
from sbc_filter.daemon.network_watch import NetworkWatch
from sbc_filter.daemon.observing import Observing
from sbc_filter.daemon.process_group import START, ManagedProcess, ProcessGroup
from sbc_filter.daemon.queue_watch import QueueWatch
from sbc_filter.daemon.recent_process import RecentProcess, keep_of
from sbc_filter.daemon.reload import READ, Reload
from sbc_filter.daemon.rule_watch import Owner, RuleWatch
from sbc_filter.daemon.shells import feed_of
from sbc_filter.daemon.systemd import Notifier
from sbc_filter.daemon.worker import HEARTBEAT, Worker
from sbc_filter.errors import EnvironmentFault, FilterError, reason
from sbc_filter.live.dispatcher import Dispatcher
from sbc_filter.processes.channel import Channel, Message
from sbc_filter.processes.child import GAVE_UP, Child
from sbc_filter.processes.messages import (
    Alive,
    Bypass,
    Committed,
    Failed,
    Heartbeat,
    ListsChanged,
    LogLine,
    Obtained,
    Order,
    Prepared,
    Ready,
    Renew,
    Reopen,
    Reopened,
)
from sbc_filter.processes.messages import (
    Observing as ObservingReport,
)
from sbc_filter.records.totals import Totals
from sbc_filter.shared_memory.shared_state import SharedState
from sbc_filter.system.steady_clock import SteadyClock

_STOP = 8.0  # seconds for a group of processes to exit: twice the longest `hold_ms`


class Supervisor:
    """Runs a filter until `stop`. `applied(setup)` applies the firewall rules, if `run --firewall` asked for that."""

    def __init__(
        self,
        setup: Setup,
        files: Files,
        memories: SharedState,
        folder: Path,
        say: Callable[[str], None],
        applied: Callable[[Setup], None],
        owner: Owner | None,
    ) -> None:
        """`folder` is for internal sockets, `owner` applies the rules again that vanish. Use the object only in the
        process that made it."""
        self.setup, self.files = setup, files
        self.say, self._apply = say, applied
        self.totals = Totals()
        self.notifier = Notifier()
        self.family = ProcessGroup(self._heard, self._lost, say)
        self.reloading = Reload(self)
        self._socket = setup.configuration.control or default_path()
        self._memories = memories
        self._secret = os.urandom(32)  # of every hash that other parties must not be able to predict
        self._clock = SteadyClock(say=say)
        self.observing = Observing(self, self._socket.with_name(f"{self._socket.name}.observe"), self._clock)
        self._since = time.time()
        self._certificates = CertificateProcess(folder)
        self._feeds = setup.plan().queues
        configuration = setup.configuration
        self._packet_workers = [
            ManagedProcess(f"worker {at + 1}", self._work(at)) for at in range(configuration.queue.workers)
        ]
        count = len(self._packet_workers)
        relays = [ManagedProcess(f"relay {at + 1}", self._work(count + at)) for at in range(count)]
        self._relays = relays if configuration.relay.enabled else []
        self.workers = [*self._packet_workers, *self._relays]
        rules = RuleWatch(lambda: self.setup.plan(), self.totals, owner, time.time)
        self._queues = QueueWatch(self._feeds, count, self.totals, rules)
        self._network = NetworkWatch()
        self.source = ManagedProcess("certificates", self._serve)
        self._recent_calls = RecentProcess(len(self.workers))
        self.recent = ManagedProcess("recent", self._keep)
        self._dispatcher = ManagedProcess("dispatcher", self._dispatch)
        self._bypass = BypassState({}, ())
        self._troubles: dict[int, list[str]] = {}  # with the credentials of programs, by worker
        self._next_look = 0.0
        self._failed: str | None = None
        self._wanted: list[Callable[[], object]] = []
        self._stop = False
        self._control: ControlServer | None = None

    def run(self, shown: Callable[[], None]) -> None:
        """Start all processes, work until `stop`, then stop them. `shown` is called about four times a second.

        Raises `EnvironmentFault` when a process cannot start.
        """
        try:
            self._begin()
            if not self._stop:
                # Only now: a second filter gets no queue and fails earlier, so it leaves this socket alone.
                self._control = self._listen()
                self._apply_first()
            while not self._stop:
                self.family.turn()
                self._look()
                shown()
                if self._wanted:
                    self._wanted.pop(0)()
        finally:
            self._end()

    def stop(self) -> None:
        """Make `run` return. Safe to call from a signal handler."""
        self._stop = True
        self.family.wake()

    def soon(self, job: Callable[[], object]) -> None:
        """Let the loop of `run` do this job. Safe to call from a signal handler."""
        self._wanted.append(job)
        self.family.wake()

    def reopen(self) -> None:
        """Reopen the file of records, after log rotation has moved it."""
        self.tell(Reopen())

    def tell(self, order: Order) -> None:
        """Send an order to all workers."""
        for worker in self.workers:
            worker.tell(order)

    def applied(self, setup: Setup) -> None:
        """Apply the firewall rules, if asked for: their counters begin at zero. Raises `EnvironmentFault`."""
        self.count_unfiltered()
        self._apply(setup)
        self._queues.rules.discard()

    def count_unfiltered(self) -> None:
        """Count the packets that passed unfiltered up to this moment."""
        self._say_all(self._queues.settle())

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Handle messages until the condition is true; false after `seconds`, or when the filter stops."""

        def given_up() -> bool:
            self.notifier.alive()  # waiting for other processes does not count as a hang
            return self._stop or self._failed is not None

        return self.family.wait(condition, seconds, given_up)

    def summary(self) -> str:
        """What is observed, and what has happened so far, in one line."""
        return "; ".join(filter(None, (self.observing.sentence(), self.totals.sentence())))

    def renew_bypass(self) -> None:
        """Read the bypass tokens again, and send them to the workers if an outage began or ended."""
        before, self._bypass = self._bypass, self.setup.bypasses.read()
        if self._bypass.tokens != before.tokens:
            self.tell(Bypass(self._bypass.tokens))
        for sentence in said(before, self._bypass):
            self.say(sentence)

    def renew_trust(self, *, shelved: bool = True) -> None:
        """Read the lists of the trust store again, here for processes started later, and in the workers.

        `shelved`: the certificate process has read the CRLs, which may be large.
        """
        shelved = shelved and self.setup.trust_files.is_shelved
        self.setup.trust_files.read([], [], from_others=shelved)
        self.tell(Renew(shelved))

    def read_crls(self) -> None:
        """Read the CRLs of the operator's files in a process of its own, so that reading them here takes no time."""
        if self.files.shelf is not None:
            self.family.run_once("lists", self._read_crls, lambda done: self.wait(done, READ))

    def state(self) -> dict[str, Any]:
        """The whole state, as an object for JSON."""
        return {
            "pid": os.getpid(),
            "since": self._since,
            "configuration": self.setup.configuration.file,
            "rules": [rule.name for rule in self.setup.rules.rules],
            "reloaded": self.reloading.last,
            "observing": self.observing.states(),
            "processes": [
                process.state(process.child, self.totals.of(process.child.pid))
                for process in self.family.processes
                if process.child
            ],
            "queues": self._queues.states(),
            "firewall": self._queues.rules.status(),
            "trust_lists": [each.state() for each in self.setup.trust_files.trust_lists],
            "credentials": self.setup.expiries,
            "outcomes": self.totals.outcomes(),
            "calls": self.totals.fates(),
            "counters": self.totals.counters,
        }

    # Starting and stopping the other processes.

    def _begin(self) -> None:
        self.renew_bypass()
        self.observing.load()
        for process in (self.source, self.recent, *self.workers):
            self.family.start(process)
        ready = self.wait(lambda: all(process.ready for process in self.family.processes), START)
        if ready and len(self._packet_workers) > 1:
            self.family.start(self._dispatcher)
            ready = self.wait(lambda: self._dispatcher.ready, START)
        if self._failed is not None:
            raise EnvironmentFault(self._failed)
        if not ready and not self._stop:
            raise EnvironmentFault(f"the processes of the filter were not ready within {START:g} s")

    def _apply_first(self) -> None:
        try:
            self.applied(self.setup)
        except EnvironmentFault:
            if not self._stop:  # what was begun is removed at the end
                raise
        else:
            self.notifier.ready(self.summary())

    def _end(self) -> None:
        """Stop the dispatcher first, so that no packet stays between the queues; then the workers. New TCP connections
        reach no relay before it stops listening."""
        self.notifier.stopping()
        if self.notifier.is_ready:
            self._say_all(self._queues.end())
            if self._relays:
                self._say_all(self._queues.rules.relays_end(self.family.wait))
        for processes in ([self._dispatcher], self.workers, [self.source, self.recent]):
            self.family.end(processes, _STOP)
        if self._control is not None:
            self._control.remove()
        self._certificates.close()
        self._recent_calls.close()
        self.family.close()

    def _heard(self, process: ManagedProcess, child: Child, message: Message) -> None:
        match message:
            case Ready():
                process.tell(Bypass(self._bypass.tokens))
                process.tell(self.observing.order)
                self._tell_who_is_there()
                self._queues.replaced()
            case Failed(sentence) if not self.notifier.is_ready:
                self._failed = sentence
            case Failed(sentence):
                self.say(f"{process.name} cannot start: {sentence}")
            case Heartbeat():
                self.totals.take(child.pid, message)
            case Prepared(problems) | Committed(problems):
                self.reloading.answers[child.pid] = problems
            case ObservingReport(number):
                self.observing.answers[child.pid] = number
            case ListsChanged(shelved):
                self.renew_trust(shelved=shelved)
            case Obtained(problems):
                known = {sentence for found in self._troubles.values() for sentence in found}
                self._troubles[child.pid] = problems
                for sentence in problems:
                    if sentence not in known:  # not yet reported by any worker
                        self.say(f"{sentence}; {STAYS}")
            case Reopened(sentence) if process is self.workers[0]:
                self.say(sentence)
            case LogLine(sentence):
                self.say(sentence)

    def _lost(self, process: ManagedProcess, child: Child) -> None:
        self.totals.ended(child.pid)
        self._troubles.pop(child.pid, None)
        self.observing.answers.pop(child.pid, None)
        self._queues.replaced()
        if not self._stop:
            self.totals.note(CounterName(f"{process.name.split()[0]}-restarts"))
        self._tell_who_is_there()

    def _tell_who_is_there(self) -> None:
        """Tell the dispatcher which workers take packets, and the firewall rules whether a relay listens."""
        self._dispatcher.tell(Alive([at for at, worker in enumerate(self._packet_workers) if worker.ready]))
        if self._relays:
            self._queues.rules.relay_listens(any(relay.ready for relay in self._relays))

    # Periodic work.

    def _look(self) -> None:
        self.notifier.alive()
        self._clock()
        self.observing.look()
        now = time.monotonic()
        self._say_all(self._queues.news(now))
        if now >= self._next_look:
            self._next_look = now + EVERY
            self.renew_bypass()
            without_direction = self.totals.counters[CounterName.NO_DIRECTION]
            for sentence in self._network.news(self.setup.configuration.network.sbc, without_direction):
                self.say(sentence)
            self.notifier.status("; ".join(filter(None, (self.reloading.status(), self.summary()))))

    def _say_all(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self.say(sentence)

    # The main functions of the other processes: each gets only what it needs.

    def _serve(self, channel: Channel) -> int:
        self._recent_calls.close()
        self._certificates.run(self.setup.configuration, self.files.shelf, channel)

    def _keep(self, channel: Channel) -> int:
        self._recent_calls.run(keep_of(self.setup.configuration), channel)

    def _read_crls(self, _: Channel) -> int:
        self._certificates.leave()
        self._recent_calls.close()
        self.files.read_crls()
        return 0

    def _work(self, at: int) -> Callable[[Channel], int]:
        def main(channel: Channel) -> int:
            self._certificates.leave()
            try:
                sources = from_process(self._certificates.path)
                feed, tokens, observe = feed_of(self.setup, self._feeds, at), self._bypass.tokens, self.observing.order
                memories, clock, sender = self._memories, self._clock, self._recent_calls.sender(at)
                worker = Worker(
                    self.setup, self.files, feed, self._secret, memories, sources, channel, tokens, observe, clock,
                    sender,
                )  # fmt: skip
            except FilterError as error:
                return _give_up(channel, error)
            worker.run()
            return 0

        return main

    def _dispatch(self, channel: Channel) -> int:
        self._certificates.leave()
        self._recent_calls.close()
        self._memories.close()
        try:
            dispatcher = Dispatcher(self._feeds, len(self._packet_workers), self._secret, channel)
        except FilterError as error:
            return _give_up(channel, error)
        channel.send(Ready())
        dispatcher.run(HEARTBEAT)
        return 0

    # The control socket.

    def _listen(self) -> ControlServer | None:
        path = self._socket
        try:
            control = ControlServer(path, self._asked, self.family.selector, self._recent_calls.hand_on)
        except OSError as error:
            self.say(f"warning: {path}: no status and no reload by command: {reason(error)}")
            return None
        self.family.private.append(control)
        return control

    def _asked(self, request: Mapping[str, Any], reply: Reply) -> None:
        question = request["ask"]
        if question == "status":
            reply(self.state())
        elif question == "reload":
            self.soon(lambda: reply({"problems": self.reloading()}))
        elif question == "observe":
            self.soon(lambda: reply(self.observing.command(request)))
        else:
            reply({"problems": [f"unknown question {question!r}: ask status, reload, observe, follow or find"]})


def _give_up(channel: Channel, error: FilterError) -> int:
    channel.send(Failed(str(error)))
    return GAVE_UP
