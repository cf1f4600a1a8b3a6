"""Certificates from an HTTP server on a local Unix socket: the operator's program, or our own process.

The request is `GET /certificate?url=<the URL, percent-encoded>`. Status 200 has the PEM as its body, 404 means that
there is no certificate, and any other status is a failure. `Cache-Control: max-age=N` says for how many seconds the
answer is valid. No network connection is made here.
"""

import contextlib
import json
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, urlencode

import urllib3
from urllib3.connection import HTTPConnection

from sbc_filter.certificates.lifetime import LONGEST, MAX_AGE
from sbc_filter.certificates.pooled_source import BACKLOG, PooledSource
from sbc_filter.certificates.source import MAX_PEM, PASSING
from sbc_filter.concurrency.fair_queue import Peer
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import DETAILS, Detail, Outcome
from sbc_filter.web.pinned_connection import DeadlineSocket

PATH = "/certificate"
PARTY = ("group", "sender")  # the names of the parameters that say for whom a request is
VALID = 3600.0  # seconds for which a certificate is valid if the answer does not say; the same as for a command
_UNREACHABLE = 1.0  # seconds for which a refused connection is cached; short, since a restarted server is soon back
_RETRY = 0.01  # seconds between two attempts to connect while the server's backlog is full
_UNCACHED = re.compile(r"(?:^|[,\s])(?:no-store|no-cache)(?:$|[,\s=])", re.IGNORECASE)
_TRANSPORT = (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError)


class SocketSource(PooledSource):
    """A `CertificateSource` that asks the Unix socket `path`: one GET per URL at a time, `workers` in all.

    With `names_parties` the request also says for whom it is, which only our own server understands. It limits the
    requests for one domain itself.

    No answer within `timeout` seconds is FETCH_TIMEOUT, more than `MAX_PEM` bytes are FETCH_TOO_LARGE, status 404 is
    FETCH_REFUSED, any other status FETCH_STATUS. A JSON body `{"detail": "fetch-dns"}` may name another detail of the
    outcome `unfetchable`. If no server listens, that is FETCH_CONNECT, cached for a second. Connections are kept open;
    the server may close them or restart at any time.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        timeout: float = 5.0,
        workers: int = 16,
        backlog: int = BACKLOG,
        clock: Callable[[], float] = time.time,
        names_parties: bool = False,
    ) -> None:
        super().__init__(
            f"certificate-socket {path}",
            workers=workers,
            patience=timeout,
            backlog=backlog,
            clock=clock,
            limits_domains=not names_parties,
        )
        self._path = str(path)
        self._timeout = timeout
        self._idle: deque[_Connection] = deque()
        self._closed = False
        self._names_parties = names_parties

    def close(self) -> None:
        """Refuse all pending requests; open connections end at their deadlines."""
        self._closed = True
        super().close()
        self._drop_idle()

    def _get(self, url: str, peer: Peer) -> Answer[bytes]:
        target = f"{PATH}?{urlencode({'url': url}, quote_via=quote, safe='')}"
        if self._names_parties:
            target = f"{target}&{urlencode(dict(zip(PARTY, peer, strict=True)), quote_via=quote, safe='')}"
        return self._ask(target, time.monotonic() + self._timeout)

    def _failed(self, error: FetchError) -> Answer[bytes]:
        lifetime = _UNREACHABLE if error.detail is Detail.FETCH_CONNECT else PASSING
        return Answer(None, error.detail, self._clock() + lifetime)

    def _ask(self, target: str, deadline: float) -> Answer[bytes]:
        """Ask over an open connection, or over a new one if the server has closed it.

        If a new connection breaks during the request, it is tried once more: the server may have been restarted.
        """
        fresh = 0
        while True:
            try:
                connection, used = self._idle.pop(), True
            except IndexError:
                connection, used = _Connection(self._path), False
                fresh += 1
            try:
                status, headers, body = connection.get(target, deadline)
            except _TRANSPORT as error:
                connection.close()
                if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
                    raise FetchError(Detail.FETCH_TIMEOUT, str(error)) from error
                ended = isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)
                if not used and not (ended and fresh == 1):
                    raise FetchError(Detail.FETCH_CONNECT, str(error)) from error
            except FetchError:
                connection.close()
                raise
            else:
                self._keep(connection)
                return _read(status, headers, body, self._clock())

    def _keep(self, connection: "_Connection") -> None:
        self._idle.append(connection)
        if self._closed:
            self._drop_idle()

    def _drop_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()


class _Connection(HTTPConnection):
    """HTTP over a Unix socket; each exchange has a deadline (seconds of the monotonic clock)."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path
        self._deadline = 0.0

    def get(self, target: str, deadline: float) -> tuple[int, Mapping[str, str], bytes]:
        """Returns status, headers and body; raises one of `_TRANSPORT`, or `FetchError(FETCH_TOO_LARGE)`."""
        self._deadline = deadline
        if isinstance(self.sock, DeadlineSocket):
            self.sock.deadline = deadline
        self.request("GET", target, headers={"Accept-Encoding": "identity"}, preload_content=False)
        with self.getresponse() as response:
            body = b""
            while chunk := response.read(MAX_PEM + 1 - len(body), decode_content=False):
                body += chunk
                if len(body) > MAX_PEM:
                    raise FetchError(Detail.FETCH_TOO_LARGE)
            return response.status, response.headers, body

    def _new_conn(self) -> socket.socket:
        made = DeadlineSocket(socket.AF_UNIX)
        try:
            made.deadline = self._deadline
            while True:
                made.settimeout(max(self._deadline - time.monotonic(), 0.001))
                try:
                    made.connect(self._path)
                except BlockingIOError:  # the backlog is full; unlike with TCP, the kernel does not wait
                    if time.monotonic() >= self._deadline:
                        raise TimeoutError("the server does not accept the connection") from None
                    time.sleep(_RETRY)
                else:
                    return made
        except BaseException:
            made.close()
            raise


def _read(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Answer[bytes]:
    if status == 200:
        return Answer(body, None, now + _lifetime(headers, VALID))
    detail = Detail.FETCH_REFUSED if status == 404 else Detail.FETCH_STATUS
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        named = Detail(json.loads(body)["detail"])
        detail = named if named in DETAILS[Outcome.UNFETCHABLE] else detail
    return Answer(None, detail, now + _lifetime(headers, PASSING))


def _lifetime(headers: Mapping[str, str], default: float) -> float:
    """Seconds (RFC 9111 §5.2.2.1), without the minimum of a day: this server is trusted."""
    control = headers.get("Cache-Control", "")
    if _UNCACHED.search(control):
        return 0.0
    told = MAX_AGE.search(control)
    return min(float(told[1]), LONGEST) if told else default
