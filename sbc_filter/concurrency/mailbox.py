"""Delivers items from other threads to a loop that waits on descriptors."""

import contextlib
import os
from collections.abc import Iterator
from itertools import count
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Attended(Protocol):
    """Something with a descriptor that becomes readable."""

    def fileno(self) -> int:
        """The descriptor to watch for reading."""


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

    @property
    def empty(self) -> bool:
        """Whether no item waits."""
        return self._items.empty()

    def collect(self, most: int | None = None) -> Iterator[T]:
        """Remove and return all items, or the first `most`, in order.

        The descriptor stays readable while items are left; otherwise it is not readable until the next `post`.
        """
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event)
        try:
            for _ in count() if most is None else range(most):
                yield self._items.get_nowait()
        except Empty:
            return
        if not self._items.empty():
            self.wake()

    def __del__(self) -> None:
        # Not earlier: a late `post` of another thread would write to a descriptor that is reused.
        os.close(self._event)
