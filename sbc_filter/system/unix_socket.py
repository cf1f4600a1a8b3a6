"""A Unix socket that a server of ours listens at: taken over from who is dead, left to who lives."""

import contextlib
import os
import socket
import stat
from pathlib import Path

_PATIENCE = 1.0  # seconds for which who listens there is waited for


def listen_at(path: Path, mode: int, backlog: int) -> socket.socket:
    """A socket that listens at `path`, for those whom `mode` lets write to it.

    One that an earlier process left behind is replaced; `OSError` when somebody listens there, when there is a file of
    another kind, or none can be made.
    """
    listener = socket.socket(socket.AF_UNIX)
    try:
        _clear(path)
        listener.bind(str(path))
        path.chmod(mode)  # before `listen` nobody can connect
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener


def number_of(path: Path) -> int:
    """By which a socket is known again (`unlink_own`), as long as it is open: no other gets its number before."""
    return os.stat(path).st_ino


def unlink_own(path: Path, number: int) -> None:
    """Take away the socket at `path`, unless it is a successor's by now."""
    with contextlib.suppress(OSError):
        if number_of(path) == number:
            path.unlink()


def _clear(path: Path) -> None:
    """Remove a socket at which nobody listens any more."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(0, "there is something else")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as tried:
        tried.settimeout(_PATIENCE)
        try:
            tried.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # its backlog is full: it lives
            pass
    raise OSError(0, "another process listens there")
