"""Starts and restarts child processes. Runs in one thread, because it forks."""

import contextlib
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sbc_filter.concurrency.mailbox import Mailbox
from sbc_filter.processes.channel import Channel, Message
from sbc_filter.processes.child import GAVE_UP, Child, Closable, fork
from sbc_filter.processes.messages import Order, Ready, Stop

STUCK = 5.0  # seconds without a heartbeat (five are missing), after which a process counts as stuck and is killed
START = 20.0  # seconds until a process must be ready; it may have to open a PKCS#11 token
_SHORT = 10.0  # seconds: a process that exits sooner is restarted after a growing delay
# Seconds: shortest and longest delay before a restart; one crash costs little, a loop uses no core.
_FIRST, _LAST = 0.05, 5.0
_TURN = 0.25  # seconds between two checks of the clock; small compared with `STUCK`


class ManagedProcess:
    """A process that runs `main` and is restarted when it exits. `ready` from its `Ready` message until it exits."""

    def __init__(self, name: str, main: Callable[[Channel], int]) -> None:
        self.name = name
        self.main = main
        self.child: Child | None = None
        self.ready = False
        self.restarts = 0
        self.since = 0.0  # POSIX seconds
        self.heartbeat = 0.0  # the last heartbeat, seconds of the monotonic clock
        self.due: float | None = None  # when to restart it, likewise
        self._delay = 0.0

    def tell(self, message: Order) -> None:
        """Send it a message, if it is running."""
        if self.child is not None:
            self.child.channel.send(message)

    def state(self, child: Child, counters: Mapping[str, int]) -> dict[str, Any]:
        """Its state while it runs as this child, as an object for JSON; `beat` is the age of the last heartbeat."""
        return {
            "name": self.name,
            "pid": child.pid,
            "since": self.since,
            "ready": self.ready,
            "restarts": self.restarts,
            "beat": round(time.monotonic() - self.heartbeat, 3),
            "counters": counters,
        }

    def started(self, child: Child) -> None:
        """Note that it runs as this child."""
        self.child, self.due = child, None
        self.since, self.heartbeat = time.time(), time.monotonic()

    def ended(self) -> None:
        """Schedule the restart: at once, or after a growing delay if it keeps exiting."""
        lived = time.time() - self.since
        self._delay = 0.0 if lived > _SHORT else min(max(self._delay * 2, _FIRST), _LAST)
        self.due = time.monotonic() + self._delay
        self.child, self.ready = None, False
        self.restarts += 1


class Aside(Protocol):
    """Work in processes that are not restarted: see `daemon.errands.Errands`."""

    def look(self) -> None:
        """Called at every turn."""

    def clear(self) -> None:
        """Give the work up: the group ends."""


class ProcessGroup:
    """Starts processes, receives their messages, restarts those that exit and kills those that hang.

    `turn` calls `heard(process, child, message)` for each message and `lost(process, child)` after an exit.
    """

    def __init__(
        self,
        heard: Callable[[ManagedProcess, Child, Message], None],
        lost: Callable[[ManagedProcess, Child], None],
        say: Callable[[str], None],
    ) -> None:
        self.selector = selectors.DefaultSelector()
        self.private: list[Closable] = []  # closed in each child after the fork
        self._heard, self._lost, self._say = heard, lost, say
        self._processes: list[ManagedProcess] = []
        self.aside: list[Aside] = []
        self._once: list[Child] = []  # those that are not restarted
        self._ending = False
        self._mailbox: Mailbox[None] = Mailbox()
        self.selector.register(self._mailbox, selectors.EVENT_READ, lambda: list(self._mailbox.collect()))

    @property
    def processes(self) -> Sequence[ManagedProcess]:
        """All processes that were started."""
        return self._processes

    def wake(self) -> None:
        """Make `turn` return. Safe to call from a signal handler."""
        self._mailbox.wake()

    def start(self, process: ManagedProcess) -> None:
        """Fork the process and keep it running from now on.

        If the host cannot start it now, it is tried again later, and the other processes go on.
        """
        if process not in self._processes:
            self._processes.append(process)
        try:
            child = fork(process.name, process.main, self._unwanted())
        except OSError as error:
            process.due = time.monotonic() + _LAST
            self._say(f"{process.name} cannot be started: {error.strerror}: tried again in {_LAST:g} s")
            return
        process.started(child)
        self.selector.register(child.channel, selectors.EVENT_READ, lambda: self._hear(process, child))
        self.selector.register(child, selectors.EVENT_READ, lambda: self._bury(process, child))

    def turn(self) -> None:
        """Wait up to `_TURN` seconds for messages, handle them, then kill or restart processes as needed."""
        ready = self.selector.select(_TURN)
        now = (
            time.monotonic()
        )  # taken before any handler runs: handlers may be slow, and no heartbeat is read meanwhile
        for key, _ in ready:
            key.data()
        for work in self.aside:
            work.look()
        for process in self._processes:
            if process.child is not None and now - process.heartbeat > (STUCK if process.ready else START):
                self._say(f"{process.name} (process {process.child.pid}) is stuck: killing it")
                process.heartbeat = now
                process.child.kill()
            if process.due is not None and process.due <= now and not self._ending:
                self.start(process)

    def wait(self, condition: Callable[[], bool], seconds: float, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Turn until the condition is true; false after `seconds`, or when `given_up` returns true."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or given_up():
                return False
            self.turn()
        return True

    def run_once(self, name: str, main: Callable[[Channel], int], wait: Callable[[Callable[[], bool]], object]) -> None:
        """Run `main` in a process of its own, and kill it if it still runs when `wait` returns.

        `wait` gets a condition and turns until that is true, or gives up.
        """
        child = self.fork_once(name, main)
        if child is None:
            return
        wait(lambda: child.status is not None)
        if child.status is None:
            child.kill()
        self.bury_once(child)

    def fork_once(self, name: str, main: Callable[[Channel], int]) -> Child | None:
        """Fork a process that is not restarted; None, and a line in the log, if the host cannot start it.

        `turn` sets its `status` when it exits. The caller passes it to `bury_once` then.
        """
        try:
            child = fork(name, main, self._unwanted())
        except OSError as error:
            self._say(f"{name} cannot be started: {error.strerror}")
            return None
        self._once.append(child)
        self.selector.register(child, selectors.EVENT_READ, lambda: self._forget(child) if child.ended() else None)
        return child

    def bury_once(self, child: Child) -> None:
        """Release what belongs to a process of `fork_once` that has exited or was killed.

        One that does not exit although it was killed, because it waits in the kernel, is released when it does.
        """
        if self.wait(child.ended, _TURN):
            self._release(child)
            return
        self._forget(child)
        self.selector.register(child, selectors.EVENT_READ, lambda: self._release(child) if child.ended() else None)

    def _release(self, child: Child) -> None:
        self._once.remove(child)
        self._forget(child)
        child.close()

    def end(self, processes: Sequence[ManagedProcess], seconds: float) -> None:
        """Stop these processes; kill those that take longer than `seconds`. No process is started after this."""
        self._ending = True
        for work in self.aside:
            work.clear()
        running = [process.child for process in processes if process.child is not None]
        for child in running:
            child.channel.send(Stop())
        for _ in range(2):
            if self.wait(lambda: all(child.status is not None for child in running), seconds):
                return
            for child in running:
                child.kill()

    def close(self) -> None:
        """Release the selector, after all processes have exited."""
        self.selector.close()

    def _unwanted(self) -> list[Closable]:
        """What a new process must not inherit."""
        others = [each.child for each in self._processes if each.child is not None]
        return [*others, *self._once, *self.private, self.selector]

    def _hear(self, process: ManagedProcess, child: Child) -> None:
        for message in child.channel.receive():
            process.heartbeat = time.monotonic()
            process.ready = process.ready or isinstance(message, Ready)
            self._heard(process, child, message)
        if child.channel.closed:
            self._forget(child.channel)

    def _bury(self, process: ManagedProcess, child: Child) -> None:
        if not child.ended():
            return
        self._hear(process, child)  # the messages it sent before it exited
        self._forget(child.channel)
        self._forget(child)
        child.close()
        process.ended()
        if not self._ending and child.status != GAVE_UP:
            status = child.status or 0
            how = f"signal {-status}" if status < 0 else f"exit code {status}"
            self._say(f"{process.name} (process {child.pid}) ended with {how}: restarting it")
        self._lost(process, child)

    def _forget(self, watched: Channel | Child) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(watched)
