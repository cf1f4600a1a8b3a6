"""Processes forked from this one, each with a channel to it."""

import contextlib
import gc
import logging
import os
import signal
from collections.abc import Callable, Iterable
from typing import Protocol

from sbc_filter.processes.channel import Channel

_LOG = logging.getLogger(__name__)
FAILED = 70  # exit code after an error of ours (EX_SOFTWARE)
GAVE_UP = 3  # after something that the process has told the one that started it


class Closable(Protocol):
    """Something that processes must not inherit."""

    def close(self) -> None:
        """Let go of it."""


class Child:
    """A process of ours: `channel` leads to it, its descriptor becomes readable when it has ended."""

    def __init__(self, name: str, pid: int, channel: Channel) -> None:
        self.name = name
        self.pid = pid
        self.channel = channel
        self._descriptor = os.pidfd_open(pid)
        self.status: int | None = None

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._descriptor

    def ended(self) -> bool:
        """Whether it has; then `status` is its exit code, or the number of the signal that ended it as a negative."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Let go of channel and descriptor."""
        self.channel.close()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def fork(name: str, main: Callable[[Channel], int], unwanted: Iterable[Closable]) -> Child:
    """Start a process that runs `main`, without what is `unwanted` there: an end of somebody else's channel that stays
    open by accident would hide that the other side has gone. `OSError` when there can be no further process."""
    ours, theirs = Channel.pair()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid:
        theirs.close()
        return Child(name, pid, ours)
    code = FAILED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        ours.close()
        for each in unwanted:
            each.close()
        gc.freeze()  # what was made before stays shared with the other processes
        code = main(theirs)
    except BaseException:
        _LOG.exception("%s ends", name)
    finally:
        logging.shutdown()
        os._exit(code)
