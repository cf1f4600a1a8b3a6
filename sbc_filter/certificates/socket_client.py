"""Certificates from somebody who answers HTTP on a Unix socket of this machine: an operator's program, or our own.

`GET /certificate?url=<the URL, percent-encoded>`. 200 has the PEM for a body, 404 says that there is none, anything
else is a failure; `Cache-Control: max-age=N` says for how many seconds the answer holds. The network is not touched.
"""

import contextlib
import json
import logging
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote

import urllib3
from urllib3.connection import HTTPConnection

from sbc_filter.certificates.lifetime import LONGEST, MAX_AGE
from sbc_filter.certificates.source import MAX_PEM, PASSING
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import DETAILS, Detail, Outcome
from sbc_filter.web.pinned_connection import DeadlineSocket

_LOG = logging.getLogger(__name__)
PATH = "/certificate"
VALID = 3600.0  # seconds for which a certificate holds whose answer does not say
_NOBODY = 1.0  # seconds for which it is remembered that nobody listens: who was restarted is there again
_RETRY = 0.01  # seconds between two tries of a connection that the other side's backlog has no room for
_UNCACHED = re.compile(r"(?:^|[,\s])(?:no-store|no-cache)(?:$|[,\s=])", re.IGNORECASE)
_TRANSPORT = (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError)


class SocketSource:
    """A `CertificateSource` that asks at the Unix socket `path`, with one GET a URL at a time and `workers` in all.

    An answer that is not there in `timeout` seconds is FETCH_TIMEOUT, more than `MAX_PEM` bytes are FETCH_TOO_LARGE,
    404 is FETCH_REFUSED, any other status FETCH_STATUS; a JSON body `{"detail": "fetch-dns"}` may name another detail
    of the outcome `unfetchable`. Nobody there is FETCH_CONNECT, and is forgotten after a second. Connections are kept
    open; the server may close them, end and come again as it likes.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        timeout: float = 5.0,
        workers: int = 8,
        backlog: int = 1000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = str(path)
        self._timeout = timeout
        self._clock = clock
        self._idle: deque[_Connection] = deque()
        self._closed = False
        self._single: SingleFlightPool[Answer[bytes]] = SingleFlightPool(
            self._answer,
            lambda detail: Answer(None, detail, clock()),
            name="certificate-socket",
            workers=workers,
            backlog=backlog,
            patience=timeout,
        )

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Have `url` asked for."""
        self._single.submit(url, done)

    def close(self) -> None:
        """Refuse what is under way; its connections end by themselves, at their deadlines."""
        self._closed = True
        self._single.close()
        self._drop_idle()

    def _answer(self, url: str) -> Answer[bytes]:
        try:
            return self._ask(url, time.monotonic() + self._timeout)
        except FetchError as error:
            _LOG.info("%s: %r: %s", self._path, url, error)
            nobody = error.detail == Detail.FETCH_CONNECT
            return Answer(None, error.detail, self._clock() + (_NOBODY if nobody else PASSING))

    def _ask(self, url: str, deadline: float) -> Answer[bytes]:
        """Over a connection that is open, and if that has ended meanwhile, over a new one.

        A server that dies over the question is asked once more: its successor may be there already.
        """
        fresh = 0
        while True:
            try:
                connection, used = self._idle.pop(), True
            except IndexError:
                connection, used = _Connection(self._path), False
                fresh += 1
            try:
                status, headers, body = connection.get(f"{PATH}?url={quote(url, safe='')}", deadline)
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
    """HTTP over a Unix socket; each exchange has a deadline, on the monotonic clock."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path
        self._deadline = 0.0

    def get(self, target: str, deadline: float) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body; one of `_TRANSPORT`, or `FetchError(FETCH_TOO_LARGE)`."""
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
                except BlockingIOError:  # its backlog is full; unlike with TCP, the kernel does not wait
                    if time.monotonic() >= self._deadline:
                        raise TimeoutError("nobody accepts the connection") from None
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
    """Seconds (RFC 9111 §5.2.2.1); not the day at least that fetched certificates hold: who answers is trusted."""
    control = headers.get("Cache-Control", "")
    if _UNCACHED.search(control):
        return 0.0
    told = MAX_AGE.search(control)
    return min(float(told[1]), LONGEST) if told else default
