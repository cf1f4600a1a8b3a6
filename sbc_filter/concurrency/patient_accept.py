"""Servers that wait when this process, or the machine, cannot open one more file."""

import errno
import time
from socketserver import TCPServer
from typing import Any

_PAUSE = 0.05  # seconds
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class PatientAccept(TCPServer):
    """Pauses when no file can be opened for a connection, which then stays in the queue of the kernel.

    Without the pause it would try again at once, and keep a core busy. List it before the server class as a base.
    """

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                time.sleep(_PAUSE)
            raise
