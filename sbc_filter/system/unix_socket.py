"""Unix sockets of our servers: replaces those of dead processes, but not those in use."""

import contextlib
import os
import socket
import stat
from pathlib import Path

_PATIENCE = 1.0  # seconds to wait for a process that listens there


def listen_at(path: Path, mode: int, backlog: int) -> socket.socket:
    """A socket that listens at `path`; `mode` says who may connect. Raises `OSError`, as `bind_at`."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        bind_at(listener, path, mode)
        listener.listen(backlog)  # connections are possible only now
    except BaseException:
        listener.close()
        raise
    return listener


def bind_at(receiver: socket.socket, path: Path, mode: int) -> None:
    """Bind a socket to `path`.

    A socket that an earlier process left is replaced. Raises `OSError` when another process listens there, when there
    is a file of another kind, or when no socket can be made.
    """
    _clear(path, receiver.type)
    receiver.bind(str(path))
    path.chmod(mode)


def number_of(path: Path) -> int:
    """Identifies a socket file for `unlink_own`. Unique while the socket is open."""
    return os.stat(path).st_ino


def unlink_own(path: Path, number: int) -> None:
    """Remove the socket at `path`, unless another process has replaced it."""
    with contextlib.suppress(OSError):
        if number_of(path) == number:
            path.unlink()


def _clear(path: Path, kind: int) -> None:
    """Remove a socket that no process listens on."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(0, "there is something else")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, kind) as tried:
        tried.settimeout(_PATIENCE)
        try:
            tried.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # its backlog is full, so it is in use
            pass
    raise OSError(0, "another process listens there")
