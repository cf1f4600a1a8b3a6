"""A netfilter queue and its packets. Each packet gets exactly one verdict."""

import warnings
from collections import Counter
from collections.abc import Callable
from socket import socket
from typing import cast

from netfilterqueue import NetfilterQueue, Packet

from sbc_filter.counters import CounterName
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.netlink import MAX_COPY, QueueChannel
from sbc_filter.live.raw_send import Emitter

_ACCEPTED, _MODIFIED = CounterName.ACCEPTED, CounterName.MODIFIED  # named once: counted for every packet
_LOCAL_IN = 1  # NF_INET_LOCAL_IN
_V6_MIN_MTU = 1280  # RFC 8200 §5
_FORWARDING = frozenset({VerdictKind.ACCEPT, VerdictKind.MODIFY})


class KernelQueue:
    """Binds a queue, or raises `EnvironmentFault`; `read` calls `arrive` with each waiting packet."""

    def __init__(self, settings: QueueSettings, arrive: Callable[[Packet], None]) -> None:
        try:
            self._library = NetfilterQueue()  # needs CAP_NET_ADMIN, too
            with warnings.catch_warnings(action="ignore"):  # about a small receive buffer, which is enlarged below
                self._library.bind(settings.number, arrive, max_len=settings.max_length)
        except OSError:
            raise EnvironmentFault(
                f"netfilter queue {settings.number} cannot be bound:"
                " another program has it, or CAP_NET_ADMIN is missing:"
                " stop that program, choose another [queue].number, or run as root"
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
        """How often the kernel reported packets lost because the receive buffer was full."""
        return self._channel.overruns

    def read(self) -> None:
        """Read waiting packets, at most one batch."""
        self._library.run_socket(cast("socket", self._channel))  # the library calls only `recv`

    def refuse(self) -> None:
        """Accept no more packets: the queue counts as full, and new ones pass or are dropped, as `on_overload` says."""
        self._channel.refuse()

    def drain(self) -> None:
        """Read all waiting packets."""
        while self._channel.pending():
            self.read()

    def close(self) -> None:
        """Unbind the queue."""
        self._library.unbind()
        self._channel.close()


class QueuedPacket:
    """A packet in the kernel's queue that needs a verdict. `count` counts the verdicts."""

    __slots__ = ("_count", "_fail_open", "_kernel", "_settled", "raw")

    def __init__(self, kernel: Packet, fail_open: bool, count: Counter[str]) -> None:
        self._kernel = kernel
        self.raw = b""  # the packet as it arrived
        self._fail_open = fail_open
        self._count = count
        self._settled = False

    @property
    def given_up(self) -> VerdictKind:
        """The verdict for errors: pass or drop, as `on_overload` says."""
        return VerdictKind.ACCEPT if self._fail_open else VerdictKind.DROP

    def give_up(self) -> None:
        """Give the verdict for errors, if there is none yet."""
        if self._settled:
            return
        if self._fail_open:
            self._accept(None)
        else:
            self._drop()

    def settle(self, verdict: Verdict, emitter: Emitter) -> bool:
        """Carry out the first verdict. A rewritten packet that the kernel would not fragment is sent again as a new
        one. Returns false if that fails: then the packet as it came gets the verdict for errors.
        """
        if self._settled:
            return True  # it was only observed, and went on before the decision
        if verdict.kind not in _FORWARDING:
            self._drop()
        elif verdict.payload is None:
            self._accept(None)
        elif not self._wants_resending(verdict.payload):
            self._accept(verdict.payload)
        elif emitter.resend(verdict.payload, self._kernel.mark):
            self._drop()
        else:
            self._count[CounterName.NOT_REEMITTED] += 1
            self.give_up()
            return False
        return True

    def _wants_resending(self, payload: bytes) -> bool:
        """Whether the kernel would not fragment it, as found by experiment (S-152).

        The kernel fragments a rewritten IPv4 packet with DF cleared, and delivers any size locally. It does not
        fragment forwarded IPv6, nor packets of a socket that forbids it.
        """
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
