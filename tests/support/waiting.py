"""Waiting for what happens elsewhere, with one limit for all tests.

How long a test waits says nothing about the product: the machine may be busy. A wait ends as soon as the event has
happened, and `LONG` matters only where a test fails. On a busy machine the kernel keeps its own workers waiting, too,
with most of what changes namespaces and firewall rules: it was seen to do so for 90 seconds.
"""

import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
LONG = 180.0
"""Seconds. Also the deadline of the product under test wherever the deadline itself is not tested."""


def eventually(condition: Callable[[], object], seconds: float = LONG) -> bool:
    """True as soon as `condition` is, false if it still is not after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def taken(queue: "SimpleQueue[T]", count: int) -> list[T]:
    """The next `count` items of the queue, in order, which is empty after that."""
    found = [queue.get(timeout=LONG) for _ in range(count)]
    assert queue.empty(), f"more than {count}"
    return found
