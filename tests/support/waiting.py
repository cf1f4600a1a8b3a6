"""Waiting for what happens elsewhere: no longer than it takes, and never for ever."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], seconds: float = 2.0) -> bool:
    """True as soon as `condition` is, false when it is not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
