"""The channel between a child process and its parent: JSON messages on a pair of sockets."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import get_args

from sbc_filter.processes.messages import Order, Report

_LARGEST = 1 << 17  # bytes of one message; fits unless net.core.wmem_max was reduced
_BUFFER = 4 << 20  # bytes of a socket buffer: about 30 of the largest messages

Message = Order | Report
_KINDS: dict[str, Callable[..., Message]] = {kind.__name__: kind for kind in get_args(Message)}


class Channel:
    """One end of a channel. Neither side waits for the other: `send` returns false for a message that does not fit."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self.closed = False

    @classmethod
    def pair(cls) -> "tuple[Channel, Channel]":
        """Make both ends; message boundaries are preserved."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._socket.fileno()

    def send(self, message: Message) -> bool:
        """Send a message; returns false if it is too long, the other side is gone or no longer reads."""
        data = json.dumps([type(message).__name__, *message], ensure_ascii=False).encode("utf-8", "surrogatepass")
        if len(data) > _LARGEST:
            return False  # it would be truncated
        try:
            self._socket.send(data)
        except OSError:
            return False
        return True

    def receive(self) -> Iterator[Message]:
        """The messages received so far; sets `closed` once the other side is gone."""
        while not self.closed:
            try:
                data = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data:
                kind, *values = json.loads(data.decode("utf-8", "surrogatepass"))
                yield _KINDS[kind](*values)
            else:
                self.closed = True

    def close(self) -> None:
        """Close this end."""
        with contextlib.suppress(OSError):
            self._socket.close()
