"""Processes that have to be there, and the loop of the one that starts them: one thread, for it forks."""

import contextlib
import selectors
import time
from collections.abc import Callable, Sequence

from sbc_filter.concurrency.mailbox import Mailbox
from sbc_filter.processes.channel import Channel, Message
from sbc_filter.processes.child import GAVE_UP, Child, Closable, fork
from sbc_filter.processes.messages import Order, Ready, Stop

STUCK = 5.0  # seconds without a sign of life: then the loop of a process is stuck, and it is ended
START = 20.0  # seconds until it is ready: it may have to open a token
_SHORT = 10.0  # seconds: who lived no longer is started later each time
_FIRST, _LAST = 0.05, 5.0  # seconds between an end and the next start
_TURN = 0.25  # seconds between two looks at clocks


class ManagedProcess:
    """What one process does (`main`). `ready` once it says so, and no longer when it ends."""

    def __init__(self, name: str, main: Callable[[Channel], int]) -> None:
        self.name = name
        self.main = main
        self.child: Child | None = None
        self.ready = False
        self.restarts = 0
        self.since = 0.0  # POSIX seconds
        self.beat = 0.0  # the last sign of life, on the monotonic clock
        self.due: float | None = None  # when to start it anew, likewise
        self._delay = 0.0

    def tell(self, message: Order) -> None:
        """Say something to it, if it is there."""
        if self.child is not None:
            self.child.channel.send(message)

    def started(self, child: Child) -> None:
        """It runs as this process."""
        self.child, self.due = child, None
        self.since, self.beat = time.time(), time.monotonic()

    def ended(self) -> None:
        """It is started anew: at once, but ever later if it keeps ending."""
        lived = time.time() - self.since
        self._delay = 0.0 if lived > _SHORT else min(max(self._delay * 2, _FIRST), _LAST)
        self.due = time.monotonic() + self._delay
        self.child, self.ready = None, False
        self.restarts += 1


class ProcessGroup:
    """Starts roles, hears what their processes say, starts anew who ended, ends who is stuck.

    `heard(role, child, message)` and `lost(role, child)` are called from `turn`.
    """

    def __init__(
        self,
        heard: Callable[[ManagedProcess, Child, Message], None],
        lost: Callable[[ManagedProcess, Child], None],
        say: Callable[[str], None],
    ) -> None:
        self.selector = selectors.DefaultSelector()
        self.private: list[Closable] = []  # what processes must not inherit
        self._heard, self._lost, self._say = heard, lost, say
        self._roles: list[ManagedProcess] = []
        self._ending = False
        self._mailbox: Mailbox[None] = Mailbox()
        self.selector.register(self._mailbox, selectors.EVENT_READ, lambda: list(self._mailbox.collect()))

    @property
    def roles(self) -> Sequence[ManagedProcess]:
        """All that were started."""
        return self._roles

    def wake(self) -> None:
        """Have `turn` return; from a signal handler as well."""
        self._mailbox.wake()

    def start(self, role: ManagedProcess) -> None:
        """Fork its process; from now on it has to be there. Where the host has no room for it now, it is tried again
        later: the others go on."""
        if role not in self._roles:
            self._roles.append(role)
        others = [each.child for each in self._roles if each.child is not None]
        try:
            child = fork(role.name, role.main, [*others, *self.private, self.selector])
        except OSError as error:
            role.due = time.monotonic() + _LAST
            self._say(f"{role.name} cannot be started: {error.strerror}: tried again in {_LAST:g} s")
            return
        role.started(child)
        self.selector.register(child.channel, selectors.EVENT_READ, lambda: self._hear(role, child))
        self.selector.register(child, selectors.EVENT_READ, lambda: self._bury(role, child))

    def turn(self) -> None:
        """Wait a moment at most for what others say, and look after them."""
        ready = self.selector.select(_TURN)
        now = time.monotonic()  # before anything is done, for that may take its time, and nobody is heard meanwhile
        for key, _ in ready:
            key.data()
        for role in self._roles:
            if role.child is not None and now - role.beat > (STUCK if role.ready else START):
                self._say(f"{role.name} (process {role.child.pid}) is stuck: it is ended")
                role.beat = now
                role.child.kill()
            if role.due is not None and role.due <= now and not self._ending:
                self.start(role)

    def wait(self, condition: Callable[[], bool], seconds: float, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Turn until the condition holds; false when it does not in time, or when it is given up."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or given_up():
                return False
            self.turn()
        return True

    def end(self, roles: Sequence[ManagedProcess], seconds: float) -> None:
        """Have these processes stop, and wait for it; who does not in time is ended. Nobody is started any more."""
        self._ending = True
        running = [role.child for role in roles if role.child is not None]
        for child in running:
            child.channel.send(Stop())
        for _ in range(2):
            if self.wait(lambda: all(child.status is not None for child in running), seconds):
                return
            for child in running:
                child.kill()

    def close(self) -> None:
        """All have ended."""
        self.selector.close()

    def _hear(self, role: ManagedProcess, child: Child) -> None:
        for message in child.channel.receive():
            role.beat = time.monotonic()
            role.ready = role.ready or isinstance(message, Ready)
            self._heard(role, child, message)
        if child.channel.closed:
            self._forget(child.channel)

    def _bury(self, role: ManagedProcess, child: Child) -> None:
        if not child.ended():
            return
        self._hear(role, child)  # its last words
        self._forget(child.channel)
        self._forget(child)
        child.close()
        role.ended()
        if not self._ending and child.status != GAVE_UP:
            status = child.status or 0
            how = f"signal {-status}" if status < 0 else f"exit code {status}"
            self._say(f"{role.name} (process {child.pid}) ended with {how}: it is started anew")
        self._lost(role, child)

    def _forget(self, watched: Channel | Child) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(watched)
