"""Jobs in processes of their own, one at a time: programs that hang do not hold up the loop of the supervisor.

A process and not a thread, because the supervisor forks others. Each is the leader of its own process group, so that
the programs which it runs can be killed with it.
"""

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from sbc_filter.daemon.process_group import ProcessGroup
from sbc_filter.errors import FilterError, reason
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.child import FAILED, Child
from sbc_filter.processes.messages import Failed, LogLine

Say = Callable[[str], None]
Job = Callable[[Say], None]
"""What the other process does. It may say sentences, and raise `FilterError`, `OSError` or `ValueError`."""
Done = Callable[[str], None]
"""Takes why the job failed; "" if it succeeded."""
Wait = Callable[[Callable[[], bool], float], object]
"""Lets the group turn until a condition is true, or for so many seconds."""


class Errands:
    """The jobs that wait, and the one that runs; it is killed after `seconds`, with its programs."""

    def __init__(self, name: str, group: ProcessGroup, say: Say, wait: Wait, seconds: float = 60.0) -> None:
        """`say` takes the sentences of jobs. `wait` lets the group turn until a condition is true."""
        self._name, self._group, self._seconds, self._say, self._wait = name, group, seconds, say, wait
        self._waiting: deque[_Errand] = deque()
        self._running: _Errand | None = None
        self._child: Child | None = None
        self._end = 0.0
        self._fault: str | None = None  # of the running job
        group.aside.append(self)

    def run(self, job: Job, done: Done) -> None:
        """Run a job after those that wait; `done` is called at a turn of the group."""
        self._add(_Errand(job, done))

    def finish(self, job: Job) -> str:
        """Run a job and wait for its end; returns why it failed, "" if it succeeded.

        A job that has not ended when `wait` returns is given up: what the caller takes for failed must not run later.
        """
        found: list[str] = []
        errand, seconds = _Errand(job, found.append), 2 * self._seconds  # another job may run
        end = time.monotonic() + seconds
        self._add(errand)
        self._wait(lambda: bool(found), seconds)
        if found:
            return found[0]
        self._give_up(errand)
        if time.monotonic() < end:
            return "it was given up, because the filter stops"
        return f"it was given up after {seconds:g} s: other jobs ran first"

    def look(self) -> None:
        """Note what the running job did, kill it when its time is over, and start the next one."""
        if self._running is not None:
            self._attend()
        if self._running is None and self._waiting:
            self._start(self._waiting.popleft())

    def clear(self) -> None:
        """Give up all jobs. Their `done` is not called."""
        self._waiting.clear()
        self._running = None
        self._kill()

    def _add(self, errand: "_Errand") -> None:
        self._waiting.append(errand)
        self.look()

    def _give_up(self, errand: "_Errand") -> None:
        if errand is self._running:
            self._running = None
            self._kill()
        else:
            self._waiting.remove(errand)

    def _start(self, errand: "_Errand") -> None:
        def main(channel: Channel) -> int:
            os.setpgid(0, 0)
            return _work(errand.job, channel)

        child = self._group.fork_once(self._name, main)
        if child is None:
            errand.done("the system cannot start another process")
            return
        self._running, self._child, self._fault = errand, child, None
        self._end = time.monotonic() + self._seconds

    def _attend(self) -> None:
        running, child = self._running, self._child
        assert running is not None, "a job runs"
        assert child is not None, "in a process"
        ended = child.ended()
        for message in child.channel.receive():
            match message:
                case LogLine(sentence):
                    self._say(sentence)
                case Failed(sentence):
                    self._fault = sentence
        if ended:
            fault = (self._fault or f"{self._name} ended with {child.status}") if child.status else ""
        elif time.monotonic() >= self._end:
            fault = f"it did not finish within {self._seconds:g} s: a program may wait for a lock of another one"
        else:
            return
        self._running = None
        self._kill()
        running.done(fault)

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.status is None:
            try:
                os.killpg(child.pid, signal.SIGKILL)  # not reaped yet: the number is its own
            except ProcessLookupError:
                child.kill()  # it has just been forked
        self._group.bury_once(child)


class _Errand(NamedTuple):
    job: Job
    done: Done


def _work(job: Job, channel: Channel) -> int:
    try:
        job(lambda sentence: _send(channel, sentence))
    except (FilterError, OSError, ValueError) as error:
        channel.send(Failed(reason(error)))
        return FAILED
    return 0


def _send(channel: Channel, sentence: str) -> None:
    channel.send(LogLine(sentence))
