"""A process that has to be there: started anew when it ends or is stuck, ever later when it keeps ending."""

import time
from collections.abc import Callable, Iterable

from sbc_filter.io.channel import Channel
from sbc_filter.io.children import Child, fork

STUCK = 5.0  # seconds without a beat: then the loop of a process is stuck, and it is ended
_SHORT = 10.0  # seconds: who lived no longer is started later each time
_FIRST, _LAST = 0.05, 5.0  # seconds between an end and the next start


class Role:
    """`main` is what the process does. `ready` once it says so, and no longer when it ends."""

    def __init__(self, name: str, main: Callable[[Channel], int]) -> None:
        self.name = name
        self.ready = False
        self.restarts = 0
        self.child: Child | None = None
        self.since = 0.0  # time.time() of its start
        self.beat = 0.0  # time.monotonic() of its last sign of life
        self.due: float | None = None  # when to start it anew
        self._main = main
        self._delay = 0.0

    def start(self, unwanted: Iterable[object]) -> Child:
        """Fork it; `unwanted` is what it must not keep open."""
        self.child = fork(self.name, self._main, unwanted)  # type: ignore[arg-type]
        self.since, self.beat, self.due = time.time(), time.monotonic(), None
        return self.child

    def buried(self) -> None:
        """It has ended: say when it is to be there again."""
        lived = time.time() - self.since
        self._delay = 0.0 if lived > _SHORT else min(max(self._delay * 2, _FIRST), _LAST)
        self.due = time.monotonic() + self._delay
        self.child, self.ready = None, False
        self.restarts += 1

    def tell(self, **message: object) -> bool:
        """Say something to it; false when it is not there."""
        return self.child is not None and self.child.channel.send(**message)

    @property
    def stuck(self) -> bool:
        """Whether it runs, and has given no sign of life for too long."""
        return self.child is not None and time.monotonic() - self.beat > STUCK
