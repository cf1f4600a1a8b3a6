"""Delivers items from other threads to a loop that waits on descriptors."""

import contextlib
import os
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Any thread may `post`; one thread watches the descriptor and collects.

    `wake` is safe in a signal handler.
    """

    def __init__(self) -> None:
        self._items: SimpleQueue[T] = SimpleQueue()
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._event

    def post(self, item: T) -> None:
        """Add an item and wake the loop."""
        self._items.put(item)
        self.wake()

    def wake(self) -> None:
        """Make the descriptor readable."""
        with contextlib.suppress(BlockingIOError):  # the counter is full, so it is readable already
            os.eventfd_write(self._event, 1)

    def collect(self) -> Iterator[T]:
        """Remove and return all items; the descriptor is not readable until the next `post`."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event)
        while True:
            try:
                yield self._items.get_nowait()
            except Empty:
                return

    def __del__(self) -> None:
        # Not earlier: a late `post` of another thread would write to a descriptor that is reused.
        os.close(self._event)
