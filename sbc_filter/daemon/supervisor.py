"""The process that the others come from: it holds no packet, so whatever it does, calls go on.

supervisor ─┬─ certificates   what others sign with: folder, command, network; no privilege
            ├─ worker 1 … N   engine and queue
            └─ dispatcher     with more than one worker: hands each packet to the worker of its call
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sbc_filter.assembly.bypass_files import EVERY, BypassState, said
from sbc_filter.assembly.obtain import STAYS
from sbc_filter.assembly.operator_files import Files
from sbc_filter.assembly.setup import Setup
from sbc_filter.counters import CounterName
from sbc_filter.daemon.certificate_process import CertificateProcess, from_process
from sbc_filter.daemon.control_socket import ControlServer, Reply, default_path
from sbc_filter.daemon.process_group import START, ManagedProcess, ProcessGroup
from sbc_filter.daemon.queue_watch import QueueWatch
from sbc_filter.daemon.reload import Reload
from sbc_filter.daemon.systemd import Notifier
from sbc_filter.daemon.worker import BEAT, Worker
from sbc_filter.errors import EnvironmentFault, FilterError, reason
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.dispatcher import Dispatcher, worker_queues
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
from sbc_filter.records.totals import Totals
from sbc_filter.shared_memory.shared_state import SharedState
from sbc_filter.system.steady_clock import SteadyClock

_STOP = 8.0  # seconds for all to have ended


class Supervisor:
    """Runs a filter until `stop`. `applied(setup)` puts the firewall rules in force, if that is ours to do."""

    def __init__(
        self,
        setup: Setup,
        files: Files,
        memories: SharedState,
        folder: Path,
        say: Callable[[str], None],
        applied: Callable[[Setup], None],
    ) -> None:
        """`folder` is for sockets of our own. The object belongs to the process it is made in."""
        self.setup, self.files = setup, files
        self.say, self.applied = say, applied
        self.totals = Totals()
        self.notifier = Notifier()
        self.family = ProcessGroup(self._heard, self._lost, say)
        self.reloading = Reload(self)
        self._memories = memories
        self._secret = os.urandom(32)
        self._clock = SteadyClock(say=say)
        self._since = time.time()
        self._certificates = CertificateProcess(folder)
        self._feeds = setup.plan().queues
        self.workers = [
            ManagedProcess(f"worker {at + 1}", self._work(at)) for at in range(setup.configuration.queue.workers)
        ]
        behind = (queue for at in range(len(self.workers)) for queue in self._worker_queues(at))
        self._queues = QueueWatch([*self._feeds, *behind])
        self.source = ManagedProcess("certificates", self._serve)
        self._dispatcher = ManagedProcess("dispatcher", self._dispatch)
        self._bypass = BypassState({}, ())
        self._troubles: dict[int, list[str]] = {}  # with the credentials of programs, by worker
        self._next_look = 0.0
        self._failed: str | None = None
        self._wanted: list[Callable[[], object]] = []
        self._stop = False
        self._control: ControlServer | None = None

    def run(self, shown: Callable[[], None]) -> None:
        """Start all, work until `stop`, end all; `shown` is called about four times a second. `EnvironmentFault` when
        one of them cannot begin."""
        try:
            self._begin()
            if not self._stop:
                # Only now: a second filter, which gets no queue, leaves the socket of the first alone.
                self._control = self._listen()
                self.applied(self.setup)
                self.notifier.ready(self.totals.sentence())
            while not self._stop:
                self.family.turn()
                self._look()
                shown()
                if self._wanted:
                    self._wanted.pop(0)()
        finally:
            self._end()

    def stop(self) -> None:
        """Make `run` return; from a signal handler as well."""
        self._stop = True
        self.family.wake()

    def soon(self, job: Callable[[], object]) -> None:
        """Have `run` do this; from a signal handler as well."""
        self._wanted.append(job)
        self.family.wake()

    def reopen(self) -> None:
        """Have the file of records begun anew: somebody has moved it away."""
        self.tell(Reopen())

    def tell(self, order: Order) -> None:
        """Say something to all workers."""
        for worker in self.workers:
            worker.tell(order)

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Go on until this holds; false when it does not in time, or when all is to end."""

        def given_up() -> bool:
            self.notifier.alive()  # to wait for others is not to be stuck
            return self._stop or self._failed is not None

        return self.family.wait(condition, seconds, given_up)

    def renew_bypass(self) -> None:
        """See whether an outage began or ended."""
        before, self._bypass = self._bypass, self.setup.bypasses.read()
        if self._bypass.tokens != before.tokens:
            self.tell(Bypass(self._bypass.tokens))
        for sentence in said(before, self._bypass):
            self.say(sentence)

    def renew_trust(self) -> None:
        """The lists of the trust store may be others now: workers read them, and who is started anew has them."""
        self.setup.trust_files.read([], [])
        self.tell(Renew())

    def state(self) -> dict[str, Any]:
        """All that there is to know, as an object for JSON."""
        return {
            "pid": os.getpid(),
            "since": self._since,
            "configuration": self.setup.configuration.file,
            "rules": [rule.name for rule in self.setup.rules.rules],
            "reloaded": self.reloading.last,
            "processes": [_process(role, role.child, self.totals) for role in self.family.roles if role.child],
            "queues": self._queues.states(),
            "outcomes": self.totals.outcomes(),
            "calls": self.totals.fates(),
            "counters": self.totals.counters,
        }

    # The life of the others.

    def _begin(self) -> None:
        self.renew_bypass()
        for role in (self.source, *self.workers):
            self.family.start(role)
        ready = self.wait(lambda: all(role.ready for role in self.family.roles), START)
        if ready and len(self.workers) > 1:
            self.family.start(self._dispatcher)
            ready = self.wait(lambda: self._dispatcher.ready, START)
        if self._failed is not None:
            raise EnvironmentFault(self._failed)
        if not ready and not self._stop:
            raise EnvironmentFault(f"the processes of the filter were not ready within {START:g} s")

    def _end(self) -> None:
        """The dispatcher first, so that nothing lies between the queues; then the workers, with what they hold."""
        self.notifier.stopping()
        for roles in ([self._dispatcher], self.workers, [self.source]):
            self.family.end(roles, _STOP)
        if self._control is not None:
            self._control.remove()
        self._certificates.close()
        self.family.close()

    def _heard(self, role: ManagedProcess, child: Child, message: Message) -> None:
        match message:
            case Ready():
                role.tell(Bypass(self._bypass.tokens))
                self._tell_who_is_there()
            case Failed(sentence) if not self.notifier.is_ready:
                self._failed = sentence
            case Failed(sentence):
                self.say(f"{role.name} cannot begin: {sentence}")
            case Heartbeat():
                self.totals.take(child.pid, message)
            case Prepared(problems) | Committed(problems):
                self.reloading.answers[child.pid] = problems
            case ListsChanged():
                self.renew_trust()
            case Obtained(problems):
                known = {sentence for found in self._troubles.values() for sentence in found}
                self._troubles[child.pid] = problems
                for sentence in problems:
                    if sentence not in known:  # by this worker or by another
                        self.say(f"{sentence}; {STAYS}")
            case Reopened(sentence) if role is self.workers[0]:
                self.say(sentence)
            case LogLine(sentence):
                self.say(sentence)

    def _lost(self, role: ManagedProcess, child: Child) -> None:
        self.totals.ended(child.pid)
        self._troubles.pop(child.pid, None)
        if not self._stop:
            self.totals.note(
                CounterName.WORKER_RESTARTS if role in self.workers else CounterName(f"{role.name}-restarts")
            )
        self._tell_who_is_there()

    def _tell_who_is_there(self) -> None:
        """The dispatcher has to know who takes packets."""
        self._dispatcher.tell(Alive([at for at, worker in enumerate(self.workers) if worker.ready]))

    # What is looked at again and again.

    def _look(self) -> None:
        self.notifier.alive()
        self._clock()
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + EVERY
            self.renew_bypass()
            for sentence in self._queues.crowding():
                self.totals.note(CounterName.QUEUE_FULL)
                self.say(sentence)
            self.notifier.status(self.totals.sentence())

    # What the others do, in their own processes, each with what it needs alone.

    def _worker_queues(self, at: int) -> tuple[QueueSettings, ...]:
        return self._feeds if len(self.workers) == 1 else worker_queues(self._feeds, at)

    def _serve(self, channel: Channel) -> int:
        self._certificates.run(self.setup.configuration, channel)

    def _work(self, at: int) -> Callable[[Channel], int]:
        def main(channel: Channel) -> int:
            self._certificates.leave()
            try:
                sources = from_process(self._certificates.path)
                queues, tokens = self._worker_queues(at), self._bypass.tokens
                memories, clock = self._memories, self._clock
                worker = Worker(self.setup, self.files, queues, self._secret, memories, sources, channel, tokens, clock)
            except FilterError as error:
                return _give_up(channel, error)
            worker.run()
            return 0

        return main

    def _dispatch(self, channel: Channel) -> int:
        self._certificates.leave()
        self._memories.close()
        try:
            dispatcher = Dispatcher(self._feeds, len(self.workers), channel)
        except FilterError as error:
            return _give_up(channel, error)
        channel.send(Ready())
        dispatcher.run(BEAT)
        return 0

    # Who asks.

    def _listen(self) -> ControlServer | None:
        path = self.setup.configuration.control or default_path()
        try:
            control = ControlServer(path, self._asked, self.family.selector)
        except OSError as error:
            self.say(f"warning: {path}: no status and no reload by command: {reason(error)}")
            return None
        self.family.private.append(control)
        return control

    def _asked(self, question: str, reply: Reply) -> None:
        if question == "status":
            reply(self.state())
        elif question == "reload":
            self.soon(lambda: reply({"problems": self.reloading()}))
        else:
            reply({"problems": [f"{question!r} is no question: status and reload are"]})


def _process(role: ManagedProcess, child: Child, totals: Totals) -> dict[str, Any]:
    return {
        "name": role.name,
        "pid": child.pid,
        "since": role.since,
        "ready": role.ready,
        "restarts": role.restarts,
        "beat": round(time.monotonic() - role.beat, 3),
        "counters": totals.of(child.pid),
    }


def _give_up(channel: Channel, error: FilterError) -> int:
    channel.send(Failed(str(error)))
    return GAVE_UP
