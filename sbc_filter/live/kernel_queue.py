"""One netfilter queue of the kernel, and its packets: each gets exactly one verdict."""

import logging
import warnings
from collections import Counter
from collections.abc import Callable
from socket import socket
from types import TracebackType
from typing import Self, cast

from netfilterqueue import NetfilterQueue, Packet

from sbc_filter.counters import CounterName
from sbc_filter.engine.verdict import Action, Verdict
from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.netlink import MAX_COPY, QueueChannel
from sbc_filter.live.raw_send import Emitter

_LOG = logging.getLogger(__name__)
_ACCEPTED, _MODIFIED = CounterName.ACCEPTED, CounterName.MODIFIED  # named once: counted for every packet
_LOCAL_IN = 1  # NF_INET_LOCAL_IN
_V6_MIN_MTU = 1280  # RFC 8200 §5
_FORWARDING = frozenset({Action.ACCEPT, Action.MODIFY})


class KernelQueue:
    """Binds a queue; `read` calls `arrive` with each packet that waits."""

    def __init__(self, settings: QueueSettings, arrive: Callable[[Packet], None]) -> None:
        try:
            self._library = NetfilterQueue()  # binds the family, which needs the privilege as well
            with warnings.catch_warnings(action="ignore"):  # of a small receive buffer: enlarged below
                self._library.bind(settings.number, arrive, max_len=settings.max_length)
        except OSError:
            raise EnvironmentFault(
                f"netfilter queue {settings.number} cannot be bound:"
                " another program has it, or CAP_NET_ADMIN is missing:"
                " end the other, choose another [queue].number, or run as root"
            ) from None
        try:
            self._channel = QueueChannel(settings, self._library.get_fd())
        except BaseException:
            self._library.unbind()
            raise

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._library.get_fd()

    @property
    def overruns(self) -> int:
        """How often the kernel said that it could not hand over packets."""
        return self._channel.overruns

    def read(self) -> None:
        """Take the packets that wait, at most one batch."""
        self._library.run_socket(cast("socket", self._channel))  # of which it uses `recv` alone

    def refuse(self) -> None:
        """Let no further packet in: as the queue is full from now on, new ones pass or drop as set."""
        self._channel.refuse()

    def drain(self) -> None:
        """Take all packets that wait."""
        while self._channel.pending():
            self.read()

    def close(self) -> None:
        """Unbind the queue."""
        self._library.unbind()
        self._channel.close()


class QueuedPacket:
    """A packet in the kernel's queue that wants a verdict.

    As a context: leaving it without a verdict, by an exception or not, gives the verdict for errors,
    unless the packet was `held` meanwhile.
    """

    __slots__ = ("_count", "_fail_open", "_kernel", "_settled", "held")

    def __init__(self, kernel: Packet, fail_open: bool, count: Counter[CounterName]) -> None:
        self._kernel = kernel
        self._fail_open = fail_open
        self._count = count
        self._settled = False
        self.held = False

    def __enter__(self) -> Self:
        self.held = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            self._count[CounterName.ENGINE_ERRORS] += 1
            blame(_LOG, CounterName.ENGINE_ERRORS, self._count[CounterName.ENGINE_ERRORS])
        if not (self._settled or (self.held and error is None)):
            self.give_up()
        return isinstance(error, Exception)

    def give_up(self) -> None:
        """The verdict when none can be reached: pass or drop, as set for overload."""
        if self._fail_open:
            self._accept(None)
        else:
            self._drop()

    def settle(self, verdict: Verdict, emitter: Emitter) -> None:
        """Carry out a verdict; a rewritten packet that the kernel would not fragment is sent anew."""
        if verdict.action not in _FORWARDING:
            self._drop()
        elif verdict.payload is None:
            self._accept(None)
        elif not self._wants_resending(verdict.payload):
            self._accept(verdict.payload)
        elif emitter.resend(verdict.payload, self._kernel.mark):
            self._drop()
        elif len(verdict.payload) <= MAX_COPY:
            self._accept(verdict.payload)  # it fits, if the path is wider than feared
        else:
            self.give_up()

    def _wants_resending(self, payload: bytes) -> bool:
        """What trials showed (DESIGN §4, S-152): the kernel fragments a rewritten IPv4 packet with DF
        cleared, and delivers any size to itself; but not forwarded IPv6, nor that of a socket which
        forbids it."""
        if len(payload) > MAX_COPY:
            return True
        return payload[0] >> 4 == 6 and len(payload) > _V6_MIN_MTU and self._kernel.hook != _LOCAL_IN

    def _accept(self, payload: bytes | None) -> None:
        if payload is not None:
            self._kernel.set_payload(payload)
        self._settled = True
        self._count[_ACCEPTED if payload is None else _MODIFIED] += 1
        self._kernel.accept()

    def _drop(self) -> None:
        self._settled = True
        self._count[CounterName.DROPPED] += 1
        self._kernel.drop()


def is_truncated(raw: bytes) -> bool:
    """True when the IP header speaks of more bytes than there are: such a packet cannot be rewritten."""
    if len(raw) < 20:
        return True
    if raw[0] >> 4 == 4:
        return int.from_bytes(raw[2:4], "big") > len(raw)
    return len(raw) < 40 or 40 + int.from_bytes(raw[4:6], "big") > len(raw)


def blame(log: logging.Logger, counter: CounterName, count: int) -> None:
    """Log the exception at hand, with its trace, the first, second, fourth, eighth … time: an attacker who
    finds a way to cause it must not be able to fill the disk."""
    if is_power_of_two(count):
        log.exception("%s: %d so far", counter, count)


def is_power_of_two(count: int) -> bool:
    """How often a thing is said that happens again and again."""
    return count & (count - 1) == 0
