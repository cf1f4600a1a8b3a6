"""Sockets of the relay: listeners for connections to any address, and sockets with the address of the near peer.

TPROXY hands a listener connections that were meant for others. Its side of them has the address that the peer meant
(`getsockname`). The socket to the far side is bound to the address of the near peer, so that both peers see each other.
Both need CAP_NET_ADMIN.
"""

import errno
import random
import socket
from collections.abc import Callable

from sbc_filter.engine.call.network import Flow
from sbc_filter.errors import EnvironmentFault
from sbc_filter.relay.connection import reset_when_closed

_IPV6_TRANSPARENT = 75  # of <linux/in6.h>; IP_TRANSPARENT is 19 of <linux/in.h>
_IP_TRANSPARENT = 19
_BACKLOG = 1024
_PORTS = range(16_384, 32_768)
"""Source ports of connections to an SBC on this host, below those that kernels choose. With the port of another
connection of the same peer, the SYN would reach the relay's socket for that one, and get no answer."""
_TRIES = 8  # ports, any of which a program of this host may listen at

Opener = Callable[[Flow, bool], tuple[socket.socket, tuple[str, int]]]
"""Makes the socket to the far side of a connection, and says where to connect it; `OSError` if it cannot. The second
argument: with the port of the near peer, which is taken where one of the peers is this host."""


def listeners(port: int, mark: int) -> list[socket.socket]:
    """A listener for each family that the kernel has; every process of the relay has its own. `EnvironmentFault`.

    `mark` is that of what they and the sockets that they accept send.
    """
    opened: list[socket.socket] = []
    try:
        for family, address in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
            try:
                listener = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT and opened:
                    break  # a kernel without IPv6
                raise
            opened.append(listener)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            _make_transparent(listener)
            listener.bind((address, port))
            listener.listen(_BACKLOG)
    except OSError as error:
        for listener in opened:
            listener.close()
        remedy = "run as root" if isinstance(error, PermissionError) else "choose another [relay].port"
        raise EnvironmentFault(f"port {port} of the relay cannot be listened on: {error.strerror}: {remedy}") from None
    return opened


def claimed(port: int) -> socket.socket:
    """The right to relay at `port` in this network namespace, until the socket is closed; `EnvironmentFault`.

    The kernel shares the connections to a port among all listeners of one user. So a second filter would get some of
    those of the first, and decide them by its own rules.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0sbc-filter-relay-{port}")  # such names belong to the network namespace
    except OSError:
        claim.close()
        raise EnvironmentFault(
            f"another sbc-filter of this network relays TCP at port {port}: end that process first, or choose another"
            " [relay].port"
        ) from None
    return claim


def far_side(mark: int, port: int) -> Opener:
    """Sockets with the address of the near peer, and with this mark, by which the firewall knows them.

    `port` is that of the listeners. Connections that were meant for it were not handed over by the firewall. Those of
    this host would be relayed to the listeners again, without end. So all of them are refused.
    """

    def opener(flow: Flow, same_port: bool) -> tuple[socket.socket, tuple[str, int]]:
        if flow.dport == port:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "it was not handed over by the firewall rules")
        family = socket.AF_INET6 if ":" in flow.src else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _make_transparent(opened)
            reset_when_closed(opened)
            _bind(opened, flow, same_port)
        except BaseException:
            opened.close()
            raise
        return opened, (flow.dst, flow.dport)

    return opener


def _bind(opened: socket.socket, flow: Flow, same_port: bool) -> None:
    """Bind to the address of the near peer. Its port is taken where one of the peers is this host, and has a socket
    with these ends."""
    if _is_local(flow.src):
        opened.bind((flow.src, 0))
    elif _is_local(flow.dst):
        _bind_to_a_free_port(opened, flow.src)
    else:
        opened.bind((flow.src, flow.sport if same_port else 0))


def _bind_to_a_free_port(opened: socket.socket, address: str) -> None:
    *ports, last = random.sample(_PORTS, _TRIES)
    for port in ports:
        try:
            opened.bind((address, port))
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    opened.bind((address, last))


def _is_local(address: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
        return True


def _make_transparent(opened: socket.socket) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    else:
        opened.setsockopt(socket.SOL_IP, _IP_TRANSPARENT, 1)
