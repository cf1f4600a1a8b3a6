"""The notice that `sbc-filter firewall remove` gives to a running `run --firewall`, so that it does not apply the rules
again.

An abstract Unix socket, because the kernel keeps one set of these names per network namespace, as it does with the
rules: whatever configuration the command was given, it reaches the filter that watches them. Any user may send to it,
so a notice counts only if root or the user of the filter sent it.
"""

import os
import socket
from struct import Struct

_NAME = b"\0sbc-filter/firewall"
_REMOVE, _KEEP = b"remove", b"keep"
_CREDENTIALS = Struct("=iII")  # struct ucred: process, user, group; unix(7)
_PATIENCE = 3.0  # seconds to wait for room; the filter looks every other second


class RemovalNotices:
    """Receives notices. Raises `OSError` when another process has the name."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._socket.setblocking(False)
            self._socket.bind(_NAME)
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
        """Give the name back."""
        self._socket.close()


def announce(removed: bool) -> str:
    """Tell the filter that the rules are being removed, or that they stay after all.

    Returns why it could not be told; "" if it was, or if none runs.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(_PATIENCE)
        try:
            sender.sendto(_REMOVE if removed else _KEEP, _NAME)
        except (ConnectionRefusedError, FileNotFoundError):
            return ""
        except OSError as error:
            return str(error.strerror or error)
    return ""


def _is_trusted(level: int, kind: int, data: bytes) -> bool:
    if (level, kind, len(data)) != (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, _CREDENTIALS.size):
        return False
    return _CREDENTIALS.unpack(data)[1] in (0, os.geteuid())
