"""What time it is, when somebody sets the clock of the host.

Freshness, signatures and memories go by the time of day, and a clock that jumps would make every token stale or every
signature one of another hour. So time goes on here as it went, counted by a clock that nobody sets, until the new time
has stood for a while: what is set and set back soon (a mistake, a leap, two servers that disagree) is never believed.
"""

import logging
import time
from collections.abc import Callable

_LOG = logging.getLogger(__name__)
JUMP = 1.0  # seconds; what is less is an adjustment (adjtime(3) slews)
PATIENCE = 10.0  # seconds for which a new time has to stand


def _steady() -> float:
    """Seconds since the host was started, those included in which it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Call it for the time in POSIX seconds. `jumps` counts the new times that were noticed."""

    __slots__ = ("_base", "_offered", "_since", "_steady", "_wall", "jumps")

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = _steady) -> None:
        self._wall, self._steady = wall, steady
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
        """The time of day is another than it should be: believed when it stays so."""
        if not (-JUMP < base - self._offered < JUMP and self._since):
            self._offered, self._since = base, steady
            self.jumps += 1
            _LOG.warning("the clock was set by %+.0f s: believed in %g s, if it stays so", base - self._base, PATIENCE)
        elif steady - self._since >= PATIENCE:
            _LOG.warning("the clock has stayed so: from now on it is %+.0f s", base - self._base)
            self._base, self._since = base, 0.0
        else:
            self._offered = base
        return self._base + steady
