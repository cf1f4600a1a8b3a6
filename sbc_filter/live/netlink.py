"""Netlink messages to the kernel's packet queue that the library NetfilterQueue does not send.

The library caps the copied part of a packet at 4016 bytes and sets no flags. The kernel accepts both
in a further configuration message through the same descriptor (linux/netfilter/nfnetlink_queue.h).
Another descriptor would be refused, because the queue belongs to the one that bound it.
"""

import contextlib
import errno
import logging
import os
import socket
from collections import deque
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.plan import QueueSettings

_LOG = logging.getLogger(__name__)
MAX_COPY = 0xFFFF - 4
"""Bytes of a packet that fit into one netlink attribute: the most that the kernel delivers or accepts."""
STATISTICS = Path("/proc/thread-self/net/netfilter/nfnetlink_queue")

_SO_RCVBUFFORCE = 33
_NETFILTER = 12  # NETLINK_NETFILTER
_QUEUE_CONFIG = 3 << 8 | 2  # NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG
_COMMAND, _BIND = 1, b"\1\0\0\0"  # NFQA_CFG_CMD; NFQNL_CFG_CMD_BIND, padding, family: any
_ERROR = 2  # NLMSG_ERROR; with error 0 an acknowledgement
_REQUEST_ACK = 1 | 4  # NLM_F_REQUEST | NLM_F_ACK
_PARAMS, _MAXLEN, _MASK, _FLAGS = 2, 3, 4, 5  # NFQA_CFG_*
_FAIL_OPEN = 1  # NFQA_CFG_F_FAIL_OPEN
_COPY_PACKET = 2  # NFQNL_COPY_PACKET

_HEADER = Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port id
_GENERIC = Struct(">BBH")  # nfgenmsg: family, version, queue number
_ATTRIBUTE = Struct("=HH")
_U32 = Struct(">I")
_ERRNO = Struct("=i")
_COPY = Struct(">IB")  # nfqnl_msg_config_params
_RECEIVE = 0x11000  # the largest packet message: 64 KiB and its metadata
_PATIENCE = 4096  # packets that may arrive before an acknowledgement


class QueueStatistics(NamedTuple):
    """One line of nfnetlink_queue: waiting packets, and packets lost because the queue or the socket was full.

    `entered` counts packets modulo 2³² since the queue was bound, also those for which the socket had no room, but not
    those that passed because the queue was full. `listener` is the port id of the socket that has bound the queue.
    """

    waiting: int
    copy_range: int
    queue_dropped: int
    socket_dropped: int
    entered: int = 0
    listener: int = 0


class QueueChannel:
    """The descriptor of a bound queue, which delivers whole packets. `NetfilterQueue.run_socket` calls `recv`."""

    def __init__(self, settings: QueueSettings, descriptor: int | None = None, batch: int = 64) -> None:
        """`descriptor` belongs to a queue that the library has bound; without it the queue is bound here.

        Raises `EnvironmentFault` when another program has the queue, or the kernel refuses these `settings`.
        """
        own = None if descriptor is None else os.dup(descriptor)
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER, fileno=own)
        self._settings = settings
        self._number = settings.number
        self._sequence = 0
        self._early: deque[bytes] = deque()
        self._batch = batch
        self._left = batch
        self.overruns = 0
        try:
            if descriptor is None:
                self._socket.bind((0, 0))
                self._request(_attribute(_COMMAND, _BIND), "another program has it, or CAP_NET_ADMIN is missing")
            self._enlarge_buffer(settings.buffer)
            self._configure(settings.max_length)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._socket.fileno()

    def send(self, messages: bytes | bytearray) -> None:
        """Send verdicts, one after the other."""
        self._socket.send(messages)

    def refuse(self) -> None:
        """Accept no more packets: the queue counts as full, and new ones pass or are dropped, as `on_overload` says."""
        try:
            self._configure(0)
        except (EnvironmentFault, OSError):
            _LOG.warning("queue %d: packets that arrive during the stop are lost", self._number)

    def recv(self, _size: int) -> bytes:
        """The next message, whole whatever its size.

        Raises `BlockingIOError` when there is none, and after each batch, so that other work is done under load.
        """
        if not self._left:
            self._left = self._batch
            raise BlockingIOError(errno.EAGAIN, "end of the batch")
        self._left -= 1
        if self._early:
            return self._early.popleft()
        try:
            return self._receive()
        except BlockingIOError:
            self._left = self._batch
            raise

    def pending(self) -> bool:
        """Whether a message waits."""
        if not self._early:
            with contextlib.suppress(BlockingIOError):
                self._early.append(self._receive())
        return bool(self._early)

    def close(self) -> None:
        """Close this duplicate of the descriptor; the library closes the original."""
        self._socket.close()

    def _receive(self) -> bytes:
        while True:
            try:
                return self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1  # one per report; the kernel counts the packets themselves

    def _configure(self, max_length: int) -> None:
        """Copy whole packets, and queue at most `max_length` of them.

        With `fail_open` the kernel accepts packets beyond that, otherwise it drops them.
        """
        self._request(
            _attribute(_PARAMS, _COPY.pack(MAX_COPY, _COPY_PACKET))
            + _attribute(_MAXLEN, _U32.pack(max_length))
            + _attribute(_MASK, _U32.pack(_FAIL_OPEN))
            + _attribute(_FLAGS, _U32.pack(_FAIL_OPEN if self._settings.fail_open else 0)),
            "no full packets or no fail-open: needs Linux 3.6 and CAP_NET_ADMIN",
        )

    def _enlarge_buffer(self, size: int) -> None:
        """Enlarge the receive buffer; without CAP_NET_ADMIN the kernel grants at most net.core.rmem_max."""
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            with contextlib.suppress(PermissionError):
                self._socket.setsockopt(socket.SOL_SOCKET, option, size)
                return

    def _request(self, attributes: bytes, otherwise: str) -> None:
        """Send a configuration message; `EnvironmentFault` with the likely cause `otherwise` if the kernel refuses."""
        self._sequence += 1
        length = _HEADER.size + _GENERIC.size + len(attributes)
        header = _HEADER.pack(length, _QUEUE_CONFIG, _REQUEST_ACK, self._sequence, 0)
        self._socket.send(header + _GENERIC.pack(socket.AF_UNSPEC, 0, self._number) + attributes)
        for _ in range(_PATIENCE):
            message = self._receive()  # the kernel answers before `send` returns, so this never waits
            _, kind, _, sequence, _ = _HEADER.unpack_from(message)
            if kind != _ERROR:
                self._early.append(message)
            elif sequence == self._sequence:
                error = -_ERRNO.unpack_from(message, _HEADER.size)[0]
                if error:
                    sentence = f"the kernel refuses ({os.strerror(error)}): {otherwise}"
                    raise EnvironmentFault(f"netfilter queue {self._number}: {sentence}")
                return
        raise EnvironmentFault(f"netfilter queue {self._number}: the kernel did not answer its configuration")


def queue_statistics(table: Path = STATISTICS) -> dict[int, QueueStatistics]:
    """The kernel's counters by queue number, in the network namespace of this thread; empty without the module."""
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return {}
    rows = [[int(field) for field in line.split()] for line in lines]
    return {row[0]: QueueStatistics(row[2], row[4], row[5], row[6], row[7], row[1]) for row in rows if len(row) >= 8}


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + b"\0" * (-len(value) % 4)
