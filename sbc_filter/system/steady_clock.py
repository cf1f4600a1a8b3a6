"""The time of day, robust against changes of the host's clock.

Freshness, signatures and caches depend on the time of day. After a jump of the clock every token would be stale, and
signatures would have a wrong time. So this clock continues by the monotonic clock until the new time has persisted for
a while. A time that is soon set back (a mistake, a leap second, two servers that disagree) is never used.
"""

import time
from collections.abc import Callable

JUMP = 1.0  # seconds; a smaller difference is an adjustment (adjtime(3) slews)
PATIENCE = 10.0  # seconds for which a new time must persist


def _steady() -> float:
    """Seconds since the host was started, including suspension."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Returns the time in POSIX seconds. Call it regularly: a change that is undone between two calls is not noticed.

    `jumps` counts the new times that were accepted; `say` reports them. A forked process starts with the time of its
    parent.
    """

    __slots__ = ("_base", "_offered", "_since", "_steady", "_wall", "jumps", "say")

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = _steady,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._wall, self._steady, self.say = wall, steady, say
        self._base = wall() - steady()
        self._offered = self._base
        self._since = 0.0
        self.jumps = 0

    def __call__(self) -> float:
        """The time."""
        now, steady = self._wall(), self._steady()
        base = now - steady
        if -JUMP < base - self._base < JUMP:
            self._base = base
            return now
        return self._doubted(base, steady)

    def _doubted(self, base: float, steady: float) -> float:
        """Handle a time of day that has jumped: accept it if it persists."""
        if not (-JUMP < base - self._offered < JUMP and self._since):
            self._offered, self._since = base, steady
            self.jumps += 1
            self._tell(f"the clock was set by {base - self._base:+.0f} s: believed in {PATIENCE:g} s, if it stays so")
        elif steady - self._since >= PATIENCE:
            self._tell(f"the clock has stayed so: it is believed now, {base - self._base:+.0f} s")
            self._base, self._since = base, 0.0
        else:
            self._offered = base
        return self._base + steady

    def _tell(self, sentence: str) -> None:
        if self.say is not None:
            self.say(sentence)
