"""Full garbage collections of a process that serves calls, at moments when no call waits for them.

CPython stops a process while it searches the oldest generation of its objects for cycles. In a worker with thousands of
calls that takes tens of milliseconds. By default it happens when many objects have come to stay, so in a flood.

A call leaves no cycles, nor does the request for a certificate: tests assert that. What they need is freed at once,
without a collection. Only rare things leave some, such as a reload. So a full collection may wait for a quiet moment.
"""

import gc
import time
from collections.abc import Callable

_EVERY = 60.0  # seconds from one to the next, where there is a quiet moment
_LATEST = 600.0  # seconds after which it no longer waits for one
_PAUSE = 0.02  # seconds without an event that count as a quiet moment
_NEVER = 2**31 - 1  # collections of the second generation before one of the oldest


class FullCollections:
    """The full collections of this process, which from now on does none by itself.

    Those of young objects go on: they take less than a millisecond. Python 3.14 spreads full collections over those,
    whatever the threshold says.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """`timer` gives monotonic seconds. All objects that exist now are kept out of collections for good."""
        self._timer = timer
        self._last = timer()
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)

    def look(self, *, idle: bool) -> float:
        """Collect if it is time; returns for how many seconds to wait for events until the next look.

        `idle`: those seconds have passed without an event, and nothing is waiting.
        """
        passed = self._timer() - self._last
        if passed < _EVERY:
            return max(_EVERY - passed, _PAUSE)
        if not idle and passed < _LATEST:
            return _PAUSE
        gc.collect()
        self._last = self._timer()
        return _EVERY
