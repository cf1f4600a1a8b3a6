"""Clean exits on Ctrl-C, `kill` and closed terminals."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.01  # seconds until a signal is sent again


class Interrupted(KeyboardInterrupt):
    """One of `ENDING` arrived; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """A block in which the first signal of `ENDING` raises `Interrupted`; later ones do not disturb the cleanup.

    Ignored signals stay ignored (`nohup`, jobs in the background of a shell).

    Python discards an exception that is raised in a finalizer or in the callback of a weak reference, as its import
    system has them. Such a signal is sent again, and so is one that comes while that is arranged.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    caught = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    discarding = False

    def end(number: int, _: FrameType | None) -> None:
        if discarding:
            send_again(number)
            return
        for each in caught:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    def discarded(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            hook(unraisable)
            return
        nonlocal discarding
        discarding = True
        listen()
        send_again(unraisable.exc_value.number)
        discarding = False

    def send_again(number: int) -> None:
        threading.Timer(_AGAIN, os.kill, (os.getpid(), number)).start()

    def listen() -> None:
        for each in caught:
            signal.signal(each, end)

    hook, sys.unraisablehook = sys.unraisablehook, discarded
    listen()
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number in caught:
            signal.signal(number, before[number])


class Terminal:
    """The terminal that this process was started from, if any."""

    def __init__(self, descriptors: tuple[int, ...] = (0, 1, 2)) -> None:
        self._descriptors = [number for number in descriptors if os.isatty(number)]

    def is_gone(self) -> bool:
        """Whether the terminal was closed. Then it can no longer stop this process."""
        return any(not os.isatty(number) for number in self._descriptors)
