"""The process that the others come from: it holds no packet, so whatever happens to it, calls go on.

    supervisor ─┬─ certificates   what others sign with: folder, command, network; refreshes lists; no privilege
                ├─ worker 1 … N   engine and queue
                └─ dispatcher     with more than one worker: hands each packet to the worker of its call

One thread, for it forks. Who ends is started anew, who is stuck is ended first.
"""

import contextlib
import logging
import os
import selectors
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sbc_filter.errors import EnvironmentFault, FilterError
from sbc_filter.io.channel import Channel
from sbc_filter.io.children import Child
from sbc_filter.io.dispatch import Dispatcher, worker_queues
from sbc_filter.io.mailbox import Mailbox
from sbc_filter.io.netlink import QueueSettings, queue_statistics
from sbc_filter.io.seen import SharedSeen
from sbc_filter.ops.bypass import EVERY, State, said
from sbc_filter.ops.certificateprocess import CertificateProcess, from_process
from sbc_filter.ops.control import ControlServer, Reply, default_path
from sbc_filter.ops.reload import Files, what_cannot_change
from sbc_filter.ops.roles import Role
from sbc_filter.ops.setup import Setup
from sbc_filter.ops.systemd import Notifier
from sbc_filter.ops.totals import Totals
from sbc_filter.ops.worker import BEAT, Worker

_LOG = logging.getLogger(__name__)
_TURN = 0.25  # seconds between two looks at clocks and queues
_START, _STOP, _READ = 20.0, 8.0, 120.0  # seconds for all to be ready, to have ended, to have read the files
_FULL = 0.8  # of a queue, from which on it is said


class Supervisor:
    """Runs a filter until `stop`. `applied(setup)` puts the firewall rules in force, if that is ours to do."""

    def __init__(
        self,
        setup: Setup,
        files: Files,
        seen: SharedSeen,
        folder: Path,
        say: Callable[[str], None],
        applied: Callable[[Setup], None],
    ) -> None:
        """`folder` is for sockets of our own. The object belongs to the process it is made in."""
        self.totals = Totals()
        self._setup, self._files, self._seen = setup, files, seen
        self._say, self._applied = say, applied
        self._secret = os.urandom(32)
        self._notifier = Notifier()
        self._mailbox: Mailbox[None] = Mailbox()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._mailbox, selectors.EVENT_READ, lambda: list(self._mailbox.collect()))
        self._certificates = CertificateProcess(folder)
        self._feeds = setup.plan().queues
        count = setup.configuration.queue.workers
        self._workers = [Role(f"worker {at + 1}", self._work(at)) for at in range(count)]
        self._source = Role("certificates", lambda channel: self._certificates.run(self._setup, channel))
        self._dispatcher = Role("dispatcher", self._dispatch)
        self._bypass = State({}, ())
        self._next_look = 0.0
        self._crowded: set[int] = set()
        self._answers: dict[int, list[str]] = {}
        self._failed: str | None = None
        self._waiting: list[Reply] = []  # who asked for the reload that is to come
        self._wanted: list[Callable[[], object]] = []
        self._stop = False
        self._since = time.time()
        self._reloaded: dict[str, Any] = {}
        self._control = self._listen()

    # From the outside.

    def run(self, shown: Callable[[], None]) -> None:
        """Start all, work until `stop`, end all; `shown` is called about four times a second. `EnvironmentFault` when
        one of them cannot begin."""
        try:
            self._look()
            self._begin()
            self._applied(self._setup)
            self._notifier.ready(self.status_line())
            while not self._stop:
                self._turn()
                shown()
                if self._wanted:
                    self._wanted.pop(0)()
        finally:
            self._end()

    def stop(self) -> None:
        """Make `run` return; from a signal handler as well."""
        self._stop = True
        self._mailbox.wake()

    def soon(self, job: Callable[[], object]) -> None:
        """Have `run` do this; from a signal handler as well."""
        self._wanted.append(job)
        self._mailbox.wake()

    def reopen(self) -> None:
        """Have the file of records begun anew: somebody has moved it away."""
        for worker in self._workers:
            worker.tell(do="reopen")

    def status_line(self) -> str:
        """How it goes."""
        return self.totals.sentence()

    # Reloading.

    def reload(self) -> list[str]:
        """Have all workers read all files anew, and go by them, or none of them; what is wrong, if anything."""
        waiting, self._waiting = self._waiting, []
        self._notifier.reloading()
        try:
            problems = self._reload()
        except Exception as error:
            _LOG.exception("reload")
            problems = [f"the reload failed: {error!r}"]
        self._reloaded = {"time": time.time(), "problems": problems}
        for problem in problems:
            self._say(problem)
        if problems:
            self._say("reload refused: everything stays as it was")
        else:
            rules = self._setup.rules.rules
            self._say(f"reloaded; rules: {', '.join(rule.name for rule in rules) or 'none'}")
        self._notifier.ready("reload refused" if problems else "reloaded")
        for reply in waiting:
            reply({"problems": problems})
        return problems

    def _reload(self) -> list[str]:
        before = self._files.fingerprint()
        setup, problems = self._files.read()
        if setup is None:
            return problems
        problems = what_cannot_change(self._setup.configuration, setup.configuration)
        problems = problems or self._all("prepare", _READ)
        if not problems and self._files.fingerprint() != before:
            problems = ["the files changed while they were read: reload again"]
        if problems:
            self._tell(do="abort")
            return problems
        old, self._setup = self._setup, setup  # from now on who is started anew goes by it
        for sentence in self._all("commit", _STOP):
            self._say(sentence)
        for worker in self._workers:
            if worker.child is not None and self._answers.get(worker.child.pid) != []:
                worker.child.kill()  # what takes its place knows the new rules
        if setup.configuration.certificates != old.configuration.certificates or (
            setup.configuration.trust != old.configuration.trust
        ):
            self._source.tell(do="stop")
        self._look()
        self._applied(setup)
        return []

    def _all(self, what: str, seconds: float) -> list[str]:
        """Have all workers do something, and wait for it; what one of them says against it."""
        self._answers = {}
        asked = [worker.child for worker in self._workers if worker.ready and worker.child is not None]
        for child in asked:
            child.channel.send(do=what)
        done = self._await(lambda: all(child.pid in self._answers or child.ended() for child in asked), seconds)
        for child in asked:
            if self._answers.get(child.pid):
                return self._answers[child.pid]
        if not done or any(child.pid not in self._answers for child in asked):
            return ["a worker did not answer: try again"]
        return []

    # The life of the others.

    def _begin(self) -> None:
        roles = [self._source, *self._workers]
        for role in roles:
            self._start(role)
        ready = self._await(lambda: self._failed is not None or all(role.ready for role in roles), _START)
        if ready and self._failed is None and len(self._workers) > 1:
            self._start(self._dispatcher)
            ready = self._await(lambda: self._failed is not None or self._dispatcher.ready, _START)
        if self._failed is not None:
            raise EnvironmentFault(self._failed)
        if not ready and not self._stop:
            raise EnvironmentFault(f"the processes of the filter were not ready within {_START:g} s")
        self._failed = None

    def _end(self) -> None:
        """The dispatcher first, so that nothing lies between the queues; then the workers, with what they hold."""
        self._stop = True
        self._notifier.stopping()
        for roles in ([self._dispatcher], self._workers, [self._source]):
            for role in roles:
                role.tell(do="stop")
            running = [role.child for role in roles if role.child is not None]
            if not self._await(lambda running=running: all(map(_is_gone, running)), _STOP):  # type: ignore[misc]
                for child in running:
                    child.kill()
                self._await(lambda running=running: all(map(_is_gone, running)), _STOP)  # type: ignore[misc]
        if self._control is not None:
            self._control.remove()
        self._certificates.close()
        self._selector.close()

    def _start(self, role: Role) -> None:
        others = [each.child for each in self._roles() if each.child is not None]
        unwanted = [*others, *([self._control] if self._control is not None else [])]
        child = role.start(unwanted)
        self._selector.register(child.channel, selectors.EVENT_READ, lambda: self._hear(role, child))
        self._selector.register(child, selectors.EVENT_READ, lambda: self._bury(role, child))

    def _roles(self) -> Iterator[Role]:
        yield from (self._source, *self._workers, self._dispatcher)

    def _hear(self, role: Role, child: Child) -> None:
        for message in child.channel.receive():
            role.beat = time.monotonic()
            match message["is"]:
                case "ready":
                    role.ready = True
                    role.tell(do="bypass", tokens=self._bypass.tokens)
                    self._say_who_is_there()
                case "failed":
                    self._failed = message["sentence"]
                case "beat":
                    self.totals.take(child.pid, message)
                case "prepared" | "committed":
                    self._answers[child.pid] = message["problems"]
                case "lists":
                    self._renew()
                case "reopened":
                    if role is self._workers[0]:
                        self._say(message["sentence"])
                case "said":
                    self._say(message["sentence"])
        if child.channel.closed:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(child.channel)

    def _bury(self, role: Role, child: Child) -> None:
        if not child.ended():
            return
        self._hear(role, child)  # its last words
        for each in (child.channel, child):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(each)
        self.totals.ended(child.pid)
        child.close()
        role.buried()
        if role in self._workers:
            self._say_who_is_there()
        if not self._stop and (child.status != 0 or self._failed is None):
            self.totals.note("worker_restarts" if role in self._workers else f"{role.name}_restarts")
            self._say(f"{role.name} (process {child.pid}) ended with {_ending(child.status)}: it is started anew")

    def _say_who_is_there(self) -> None:
        """The dispatcher has to know who takes packets."""
        self._dispatcher.tell(do="alive", workers=[at for at, worker in enumerate(self._workers) if worker.ready])

    def _tell(self, **message: Any) -> None:
        for worker in self._workers:
            worker.tell(**message)

    # The loop.

    def _await(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Go on until this holds; false when it does not in time, or when it is all to end while nothing does yet."""
        end = time.monotonic() + seconds
        ending = self._stop
        while not condition():
            if time.monotonic() > end or (self._stop and not ending):
                return False
            self._turn()
        return True

    def _turn(self) -> None:
        for key, _ in self._selector.select(_TURN):
            key.data()
        now = time.monotonic()
        for role in self._roles():
            if role.stuck and role.child is not None:
                self._say(f"{role.name} (process {role.child.pid}) is stuck: it is ended")
                role.beat = now
                role.child.kill()
            if role.due is not None and role.due <= now and not self._stop:
                self._start(role)
        if now >= self._next_look:
            self._next_look = now + EVERY
            self._look()
            self._watch_queues()
            self._notifier.status(self.status_line())
        self._notifier.alive()

    def _look(self) -> None:
        """Whether an outage began or ended (`bypass`)."""
        before, self._bypass = self._bypass, self._setup.bypasses.read()
        if self._bypass.tokens != before.tokens:
            self._tell(do="bypass", tokens=self._bypass.tokens)
        for sentence in said(before, self._bypass):
            self._say(sentence)

    def _watch_queues(self) -> None:
        """What the kernel lets pass or drops when a queue is full is counted by nobody: say so before."""
        for number, queue in self.queues().items():
            if queue["waiting"] < queue["length"] * _FULL:
                self._crowded.discard(number)
            elif number not in self._crowded:
                self._crowded.add(number)
                self.totals.note("queue_full")
                self._say(f"queue {number}: {queue['waiting']} packets wait of at most {queue['length']}: overload")

    def queues(self) -> dict[int, dict[str, int]]:
        """What waits in each queue, and what was lost there."""
        found = queue_statistics()
        settings = [*self._feeds, *(each for at in range(len(self._workers)) for each in self._worker_queues(at))]
        return {
            each.number: {
                "waiting": found[each.number].waiting,
                "length": each.max_length,
                "dropped": found[each.number].queue_dropped + found[each.number].socket_dropped,
            }
            for each in settings
            if each.number in found
        }

    # What the others do, in their own processes.

    def _worker_queues(self, at: int) -> tuple[QueueSettings, ...]:
        return self._feeds if len(self._workers) == 1 else worker_queues(self._feeds, at)

    def _work(self, at: int) -> Callable[[Channel], int]:
        def main(channel: Channel) -> int:
            try:
                worker = Worker(
                    self._setup,
                    self._files,
                    self._worker_queues(at),
                    self._secret,
                    self._seen,
                    from_process(self._certificates.path),
                    channel,
                    self._bypass.tokens,
                )
            except FilterError as error:
                return _give_up(channel, error)
            worker.run()
            return 0

        return main

    def _dispatch(self, channel: Channel) -> int:
        next_beat = 0.0

        def told() -> None:
            for message in channel.receive():
                if message["do"] == "alive":
                    dispatcher.alive(message["workers"])
                elif message["do"] == "stop":
                    dispatcher.stop()
            if channel.closed:
                dispatcher.stop()

        def tick() -> None:
            nonlocal next_beat
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + BEAT
                counters = {"handed-on": dispatcher.handed_on, "overruns": dispatcher.overruns}
                channel.send(**{"is": "beat", "counters": counters, "kinds": []})

        try:
            dispatcher = Dispatcher(self._feeds, len(self._workers), channel, told)
        except FilterError as error:
            return _give_up(channel, error)
        channel.send(**{"is": "ready"})
        dispatcher.run(tick)
        return 0

    # Lists of the trust store, renewed by the process that fetches.

    def _renew(self) -> None:
        trust, problems = self._files.trust(self._setup.configuration)
        for problem in problems:
            self._say(problem)
        if trust is not None:
            self._setup = replace(self._setup, trust=trust)
            self._tell(do="renew")

    # Who asks.

    def _listen(self) -> ControlServer | None:
        path = self._setup.configuration.control or default_path()
        try:
            return ControlServer(path, self._asked, self._selector)
        except OSError as error:
            self._say(f"warning: {path}: no status and no reload by command: {error.strerror or error}")
            return None

    def _asked(self, question: str, reply: Reply) -> None:
        if question == "status":
            reply(self.state())
        elif question == "reload":
            self._waiting.append(reply)
            if len(self._waiting) == 1:
                self.soon(self.reload)
        else:
            reply({"problems": [f"{question!r} is no question: status and reload are"]})

    def state(self) -> dict[str, Any]:
        """All that there is to know, as an object for JSON."""
        return {
            "since": self._since,
            "configuration": self._setup.configuration.file,
            "rules": [rule.name for rule in self._setup.rules.rules],
            "reloaded": self._reloaded,
            "processes": [_process(role, self.totals) for role in self._roles() if role.child is not None],
            "queues": self.queues(),
            "outcomes": self.totals.outcomes(),
            "calls": [{**kind._asdict(), "calls": calls} for kind, calls in self.totals.kinds.most_common()],
            "counters": self.totals.counters,
        }


def _process(role: Role, totals: Totals) -> dict[str, Any]:
    assert role.child is not None
    return {
        "name": role.name,
        "pid": role.child.pid,
        "since": role.since,
        "ready": role.ready,
        "restarts": role.restarts,
        "beat": round(time.monotonic() - role.beat, 3),
        "counters": totals.of(role.child.pid),
    }


def _is_gone(child: Child) -> bool:
    return child.status is not None


def _ending(status: int | None) -> str:
    if status is not None and status < 0:
        return f"signal {-status}"
    return f"exit code {status}"


def _give_up(channel: Channel, error: FilterError) -> int:
    channel.send(**{"is": "failed", "sentence": str(error)})
    return 3
