"""The way between a process and the one that started it: messages as JSON on a pair of sockets."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import get_args

from sbc_filter.processes.messages import Order, Report

_LARGEST = 1 << 17  # bytes of one message; the kernel takes as much unless somebody made net.core.wmem_max smaller
_BUFFER = 4 << 20

Message = Order | Report
_KINDS: dict[str, Callable[..., Message]] = {kind.__name__: kind for kind in get_args(Message)}


class Channel:
    """One end. Neither side ever waits for the other: what does not fit any more is lost, and said."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self.closed = False

    @classmethod
    def pair(cls) -> "tuple[Channel, Channel]":
        """Both ends; messages keep their bounds."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._socket.fileno()

    def send(self, message: Message) -> bool:
        """Say something; false when the other side has gone, or has long stopped listening, or it is too long."""
        data = json.dumps([type(message).__name__, *message], ensure_ascii=False).encode("utf-8", "surrogatepass")
        if len(data) > _LARGEST:
            return False  # it would arrive without its end
        try:
            self._socket.send(data)
        except OSError:
            return False
        return True

    def receive(self) -> Iterator[Message]:
        """What the other side has said meanwhile; `closed` is true from when it has gone."""
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
