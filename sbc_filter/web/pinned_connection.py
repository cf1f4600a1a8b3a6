"""Connections to hosts that untrusted peers name: only to checked addresses, and only until a deadline.

A library that resolves a checked name again is open to DNS rebinding. So the name is resolved here, all of its
addresses are checked, and the connection goes to one of them. TLS and the Host header still use the name.
"""

import math
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from sbc_filter.concurrency.fair_queue import Peer, QueueSlot
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.web.allowed_addresses import Network, is_permitted

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MAX_ADDRESSES = 4  # that are tried, each with a share of the time; all are checked

Resolver = Callable[[str], Sequence[str]]


def system_addresses(host: str) -> Sequence[str]:
    """The numeric addresses of `host`, as the system resolves it; raises `OSError`."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Dialer:
    """Resolves names, checks addresses, connects. `close` ends the lookups.

    `lanes` are the concurrent lookups of each lane; `share`, `peers` and `peer_shares` are those of a group, of a peer,
    and of a group of a peer; `place` returns the slot of a host.
    """

    def __init__(
        self,
        resolve: Resolver,
        allowed: Sequence[Network],
        connect_timeout: float,
        lanes: Sequence[int],
        place: Callable[[str], QueueSlot] = lambda host: QueueSlot(0, ""),
        share: int | None = None,
        peers: Sequence[int] = (),
        peer_shares: Sequence[int] = (),
    ) -> None:
        self._resolve = resolve
        self._allowed = tuple(allowed)
        self._connect_timeout = connect_timeout
        # In threads of their own: a lookup cannot be interrupted, but its caller need not wait for it.
        self._lookups: SingleFlightPool[Sequence[str] | Detail] = SingleFlightPool(
            lambda host, _: self._look_up(host),
            lambda detail: detail,
            name="certificate-dns",
            workers=sum(lanes),
            lanes=lanes,
            place=place,
            share=share,
            peers=peers,
            peer_shares=peer_shares,
        )

    def dial(self, host: str, port: int, deadline: float, peer: Peer = ()) -> "DeadlineSocket":
        """A connection to `host` for `peer`, its timeout what is left until `deadline` (on the monotonic clock).

        Raises `FetchError`: FETCH_DNS, FETCH_ADDRESS when any address of the host is not permitted,
        FETCH_CONNECT, FETCH_TIMEOUT.
        """
        addresses = self._checked(host, deadline, peer)[:_MAX_ADDRESSES]
        failure: OSError = OSError("no address")
        for number, address in enumerate(addresses):
            left = deadline - time.monotonic()
            if left <= 0.0:
                raise FetchError(Detail.FETCH_TIMEOUT, passing=True)
            # A dead address must leave time for the others, and for the answer.
            share = left / (len(addresses) - number + 1)
            connection = DeadlineSocket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            connection.deadline = deadline
            try:
                connection.settimeout(min(self._connect_timeout, share))
                connection.connect((address, port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                return connection
            except OSError as error:
                connection.close()
                failure = error
        detail = Detail.FETCH_TIMEOUT if isinstance(failure, TimeoutError) else Detail.FETCH_CONNECT
        raise FetchError(detail, f"{host}: {failure}", passing=True) from failure

    def close(self) -> None:
        """Let go of the look-ups."""
        self._lookups.close()

    def _checked(self, host: str, deadline: float, peer: Peer) -> Sequence[str]:
        found: SimpleQueue[Sequence[str] | Detail] = SimpleQueue()
        self._lookups.submit(host, found.put, peer)
        try:
            addresses = found.get(timeout=max(deadline - time.monotonic(), 0.0))
        except Empty:
            addresses = Detail.FETCH_DNS
        if isinstance(addresses, Detail):
            raise FetchError(addresses, f"{host} does not resolve", passing=True)
        for address in addresses:
            if not is_permitted(address, self._allowed):
                raise FetchError(Detail.FETCH_ADDRESS, f"{host} is {address}, which is not public")
        return addresses

    def _look_up(self, host: str) -> Sequence[str] | Detail:
        try:
            return tuple(dict.fromkeys(self._resolve(host))) or Detail.FETCH_DNS
        except (OSError, ValueError):  # ValueError: not a name, such as a label of 64 characters
            return Detail.FETCH_DNS


class DeadlineSocket(socket.socket):
    """Each read may last until `deadline`: a timeout alone would let bytes drip in for ever.

    All reads together return at most `allowance` octets. So the input is bounded, whatever the libraries make of a
    chunk of -1 or of another surprise. Writes are not limited: a request is far smaller than what the kernel accepts
    without waiting.
    """

    deadline = math.inf
    allowance = math.inf

    def recv_into(self, buffer: "Buffer", nbytes: int = 0, flags: int = 0) -> int:
        """Raises `TimeoutError` beyond the deadline, `FetchError` (FETCH_TOO_LARGE) beyond the allowance."""
        _hurry(self, self.deadline)
        read = super().recv_into(buffer, nbytes, flags)
        self.allowance = _left(self.allowance, read)
        return read


class _DeadlineTls(ssl.SSLSocket):
    """The same for a TLS connection. It takes over the state of the plain socket, but not its methods."""

    deadline = math.inf
    allowance = math.inf

    def read(self, len: int = 1024, buffer: "Buffer | None" = None) -> bytes:
        _hurry(self, self.deadline)
        read = super().read(len, buffer)
        self.allowance = _left(self.allowance, read if isinstance(read, int) else memoryview(read).nbytes)
        return read


def _hurry(connection: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0.0:
        raise TimeoutError("the deadline has passed")
    if left < math.inf:
        connection.settimeout(left)


def _left(allowance: float, read: int) -> float:
    if read > allowance:
        raise FetchError(Detail.FETCH_TOO_LARGE)
    return allowance - read


def tls_context(ca_file: str) -> ssl.SSLContext:
    """TLS 1.2 or later with the certificate authorities of `ca_file`; for `PinnedAdapter` only."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525 §2: the subjectAltName is what counts
    context.sslsocket_class = _DeadlineTls
    return context


class PinnedAdapter(HTTPAdapter):
    """What `requests` needs to connect through a `Dialer`.

    Made for each request, because the deadline and the limit of octets belong to the request. The caller decides
    whether plain http is allowed.
    """

    def __init__(
        self, dialer: Dialer, context: ssl.SSLContext, deadline: float, allowance: int, peer: Peer = ()
    ) -> None:
        class Connection(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                made = dialer.dial(self.host, self.port, deadline, peer)
                made.allowance = allowance
                return made

        class TlsConnection(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return dialer.dial(self.host, self.port, deadline, peer)

            def connect(self) -> None:
                super().connect()
                assert isinstance(self.sock, _DeadlineTls), "the context makes nothing else"
                self.sock.deadline, self.sock.allowance = deadline, allowance

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        class TlsPool(HTTPSConnectionPool):
            ConnectionCls = TlsConnection

        self._context = context
        self._pools = {"http": Pool, "https": TlsPool}
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: object) -> None:
        """Make `requests` use our connections."""
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def cert_verify(self, conn: object, url: object, verify: object, cert: object) -> None:
        """Do nothing: the context verifies, and loads its authorities only once."""
