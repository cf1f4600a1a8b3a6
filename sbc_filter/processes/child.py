"""Child processes, each with a channel to its parent."""

import contextlib
import gc
import logging
import os
import signal
from collections.abc import Callable, Iterable
from typing import Protocol

from sbc_filter.processes.channel import Channel

_LOG = logging.getLogger(__name__)
FAILED = 70  # exit code after an internal error (EX_SOFTWARE)
GAVE_UP = 3  # exit code after a failure that the child has reported


class Closable(Protocol):
    """Something that children must not inherit."""

    def close(self) -> None:
        """Close it."""


class Child:
    """A child process. Its descriptor becomes readable when it exits."""

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
        """Whether it has exited; then `status` is its exit code, or minus the number of the signal that killed it."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def kill(self) -> None:
        """Kill it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Close channel and descriptor."""
        self.channel.close()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def fork(name: str, main: Callable[[Channel], int], unwanted: Iterable[Closable]) -> Child:
    """Fork a process that runs `main`; `OSError` when the system cannot start another.

    Closes `unwanted` in the child. An inherited end of another child's channel would keep that channel open, so its
    process could not notice that the parent is gone.
    """
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
        gc.freeze()  # keeps pages of existing objects shared with the parent
        code = main(theirs)
    except BaseException:
        _LOG.exception("%s ends", name)
    finally:
        logging.shutdown()
        os._exit(code)
