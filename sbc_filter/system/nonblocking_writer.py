"""Writes to standard output and error without blocking, even if the journal or a pager stops reading."""

import contextlib
import logging
import os
import select
import socket
import stat
import time
from typing import TYPE_CHECKING

from sbc_filter.system.plain_text import PlainFormatter

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_STANDARD_ERROR = 2
_PATIENCE, _REST = 0.1, 2.0  # seconds to wait for a reader, and then to write without waiting


class NonBlockingWriter:
    """Writes to one of the descriptors that a process starts with. What is not accepted in time is lost.

    The descriptor itself stays blocking, because other processes may share it. `OSError` when there is no such
    descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        kind = os.fstat(descriptor).st_mode
        self._descriptor = os.dup(descriptor)
        self._socket = socket.socket(fileno=os.dup(descriptor)) if stat.S_ISSOCK(kind) else None
        if stat.S_ISFIFO(kind):
            with contextlib.suppress(OSError):  # of another user, say
                own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                os.close(self._descriptor)
                self._descriptor = own
        self._rests_until = 0.0  # on the monotonic clock

    def put(self, data: bytes) -> int:
        """Write; returns the number of bytes written. `BlockingIOError` if none could be written in time, `OSError`."""
        end: float | None = None
        while True:
            try:
                return self._write(data)
            except BlockingIOError:
                now = time.monotonic()
                if now < self._rests_until:
                    raise
                end = now + _PATIENCE if end is None else end
                if now >= end or not self._has_room(end - now):
                    self._rests_until = now + _REST
                    raise

    def write(self, text: str) -> int:
        """The method of a file object that `logging` calls. Text that cannot be written is lost."""
        with contextlib.suppress(OSError):
            self.put(text.encode(errors="backslashreplace"))
        return len(text)

    def close(self) -> None:
        """Close it."""
        if self._socket is not None:
            self._socket.close()
        os.close(self._descriptor)

    def _has_room(self, seconds: float) -> bool:
        """Wait so long for room. Another process that writes there may take it first."""
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLOUT)
        return bool(waiting.poll(round(seconds * 1000)))

    def _write(self, data: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        return os.write(self._descriptor, data)


def log_to_standard_error() -> None:
    """Log warnings and errors to standard error without blocking, in every process."""
    log_to(NonBlockingWriter(_STANDARD_ERROR))


def log_to(stream: "SupportsWrite[str]") -> None:
    """A handler for warnings and errors, one line for each message whatever it contains."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
