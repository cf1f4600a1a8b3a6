"""The notice that `sbc-filter firewall remove` gives to a running `run --firewall`, so that it does not apply the rules
again.

A Unix socket whose name has the number of the network namespace: the kernel keeps one set of our rules per namespace.
So the command reaches the filter that watches them, whatever configuration it was given. The socket lies in a folder
in which only root or the user of the filter may write. A notice counts only if one of them sent it.
"""

import os
import socket
import stat
from pathlib import Path
from struct import Struct

from sbc_filter.daemon.control_socket import FOLDER
from sbc_filter.system.files import runtime_folder
from sbc_filter.system.unix_socket import bind_at, number_of, unlink_own

COMMON = Path("/run")
_REMOVE, _KEEP = b"remove", b"keep"
_CREDENTIALS = Struct("=iII")  # struct ucred: process, user, group; unix(7)
_PATIENCE = 3.0  # seconds to wait for room; the filter looks every other second
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


class RemovalNotices:
    """Receives notices. Raises `OSError` when another process does, or when there is no folder for the socket.

    Make it before privileges are given up: only root may write to `COMMON`.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.setblocking(False)
            self._path = _folder() / _name()
            bind_at(self._socket, self._path, 0o600)
            self._number = number_of(self._path)
        except BaseException:
            self._socket.close()
            raise

    def latest(self) -> bool | None:
        """Whether the rules are being removed, by the latest notice; None if there is none since the last call."""
        found = None
        while True:
            try:
                text, ancillary, _, _ = self._socket.recvmsg(16, socket.CMSG_SPACE(_CREDENTIALS.size))
            except OSError:
                return found
            if any(_is_trusted(level, kind, data) for level, kind, data in ancillary):
                found = text == _REMOVE

    def close(self) -> None:
        """Close the socket, and leave its file in place: for a forked child, which does not own it."""
        self._socket.close()

    def remove(self) -> None:
        """Remove the file of the socket. A user who may not leaves it to the next start."""
        unlink_own(self._path, self._number)
        self.close()


def announce(removed: bool) -> str:
    """Tell the filter that the rules are being removed, or that they stay after all.

    Returns why it could not be told; "" if it was, or if none runs.
    """
    unheard = ""
    for folder in _folders():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_PATIENCE)
            try:
                sender.sendto(_REMOVE if removed else _KEEP, str(folder / _name()))
            except (ConnectionRefusedError, FileNotFoundError):
                continue
            except OSError as error:
                unheard = str(error.strerror or error)
    return unheard


def _name() -> str:
    return f"sbc-filter-firewall-{os.stat('/proc/thread-self/ns/net').st_ino}.sock"


def _folders() -> list[Path]:
    """Where the socket may lie: root's filter has the first of them."""
    return list(dict.fromkeys((COMMON, FOLDER, runtime_folder() or FOLDER)))


def _folder() -> Path:
    """The first folder in which this process may make it, and no other user but root; `OSError`."""
    for folder in filter(_is_private, _folders()):
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(0, f"start as root: {COMMON} is the folder for its socket")


def _is_private(folder: Path) -> bool:
    """Whether only root and this user may write to it."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid in (0, os.geteuid()) and not found.st_mode & _WRITABLE


def _is_trusted(level: int, kind: int, data: bytes) -> bool:
    if (level, kind, len(data)) != (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, _CREDENTIALS.size):
        return False
    return _CREDENTIALS.unpack(data)[1] in (0, os.geteuid())
