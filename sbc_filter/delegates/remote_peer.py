"""Delegates that answer requests for us: a local program, or an HTTPS service (ATIS-1000082).

Each has threads of its own, so that no packet waits for the answer to another.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from sbc_filter import __version__
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.engine.verdict import Answer, Party
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.stir.delegation import MAX_BODY
from sbc_filter.system.program import Program

_LOG = logging.getLogger(__name__)
R = TypeVar("R")
TIMEOUT = 2.0  # seconds; a call waits less
WORKERS = 8  # requests at a time, as for a socket of certificates
BACKLOG = 200  # requests that may wait for a worker; more would be answered too late


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a delegate is used for.

    `failed` is logged when there is no answer; `refused` is the detail for a bad answer, `unreachable` for none.
    """

    failed: str
    refused: Detail
    unreachable: Detail


class Pool(Generic[R]):
    """Calls `ask` with the body of each request, in worker threads.

    The trunks take turns, and so do the peers of a trunk: a peer that sends many requests delays its own alone. When
    `BACKLOG` requests wait, the last one of the peer with most gives way to that of another. `shares` are the requests
    of a trunk and of a peer that may run at a time.

    Exceptions become answers: `FetchError` with its detail, `ValueError` with `purpose.refused`. A reason is logged
    when it differs from the last one.
    """

    def __init__(
        self,
        name: str,
        purpose: Purpose,
        ask: Callable[[bytes], Answer[R]],
        workers: int,
        timeout: float,
        shares: tuple[int, int],
    ) -> None:
        self._name = name
        self._purpose = purpose
        self._ask = ask
        self._said = ""
        self._single: SingleFlightPool[Answer[R]] = SingleFlightPool(
            lambda body, _: self._answer(body),
            lambda detail: Answer(None, detail, 0.0),
            name=name,
            workers=workers,
            backlog=BACKLOG,
            patience=timeout,
            share=workers,
            peers=shares,
        )

    def send(self, body: bytes, done: Callable[[Answer[R]], None], party: Party) -> None:
        """Queue a request. Equal requests of several calls share one answer."""
        self._single.submit(body.decode(), done, party)

    def close(self) -> None:
        """Refuse all pending requests."""
        self._single.close(wait=1.0)

    def _answer(self, body: str) -> Answer[R]:
        try:
            answer = self._ask(body.encode())
        except (FetchError, ValueError) as error:
            detail = error.detail if isinstance(error, FetchError) else self._purpose.refused
            if detail is Detail.FETCH_CONNECT:
                detail = self._purpose.unreachable
            said = f"{self._name}: {self._purpose.failed}: {error}"
            if said != self._said:
                _LOG.warning("%s", said)
            self._said = said
            return Answer(None, detail, 0.0)
        self._said = ""
        return answer


class RemotePeer(Protocol):
    """A delegate; at most `workers` requests at a time, each with `timeout` seconds."""

    workers: int
    timeout: float

    def ask(self, body: bytes, read: Callable[[bytes], R]) -> R:
        """Send a body; returns the answer as parsed by `read`. `FetchError`, or `ValueError` for a bad answer."""

    def close(self) -> None:
        """Stop pending requests as far as possible."""


class Command:
    """A program of the operator: it reads the request on standard input, writes the answer to standard output, and
    exits with code 0.
    """

    def __init__(self, command: Sequence[str], timeout: float = TIMEOUT, workers: int = WORKERS) -> None:
        self.timeout, self.workers = timeout, workers
        self._program = Program(command, timeout)

    def ask(self, body: bytes, read: Callable[[bytes], R]) -> R:
        """Run the program with the body."""
        return read(self._program.run(given=body))

    def close(self) -> None:
        """Kill the running programs."""
        self._program.close()


class Service:
    """An HTTP service, over persistent connections. The operator configured `url`, so its address is not checked.

    `token` is sent as a bearer token. `certificate` names the PEM files of a client certificate and its key. `web_ca`
    replaces the usual certificate authorities. Proxies are not used, and redirects are not followed.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        certificate: tuple[Path, Path] | None = None,
        web_ca: Path | None = None,
        timeout: float = TIMEOUT,
        workers: int = WORKERS,
    ) -> None:
        self.url, self.timeout, self.workers = url, timeout, workers
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(web_ca) if web_ca is not None else True
        if certificate is not None:
            self._session.cert = (str(certificate[0]), str(certificate[1]))
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=workers))
        self._session.headers.update(
            {
                "User-Agent": f"sbc-filter/{__version__}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            }
        )
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, body: bytes, read: Callable[[bytes], R]) -> R:
        """Send a body; returns the answer as parsed by `read`.

        Raises `ValueError` if `read` does or the status is not 200, `FetchError` (FETCH_TIMEOUT, FETCH_CONNECT) if
        there is no answer.
        """
        end = time.monotonic() + self.timeout
        try:
            try:
                return self._read(body, read, end)
            except requests.ConnectionError as error:
                if not isinstance(_cause(error), ConnectionResetError | BrokenPipeError):
                    raise
                return self._read(body, read, end)  # the server closed the idle connection just as it was used
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise FetchError(Detail.FETCH_TIMEOUT, f"{self.url} does not answer within {self.timeout:g} s") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise FetchError(
                Detail.FETCH_CONNECT, f"{self.url} cannot be reached: {_cause(error) or type(error).__name__}"
            ) from error

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def _read(self, body: bytes, read: Callable[[bytes], R], end: float) -> R:
        with self._session.post(
            self.url, data=body, timeout=self.timeout, allow_redirects=False, stream=True
        ) as response:
            answer = b""
            for chunk in response.iter_content(MAX_BODY):
                answer += chunk
                if len(answer) > MAX_BODY:
                    raise ValueError(f"{self.url} answers more than {MAX_BODY} bytes")
                if time.monotonic() > end:
                    raise TimeoutError
            try:
                found = read(answer)
            except ValueError as error:
                raise ValueError(f"{self.url} answers {response.status_code}: {error}") from None
            if response.status_code != 200:
                raise ValueError(f"{self.url} answers {response.status_code}")
            return found


def _cause(error: BaseException) -> BaseException:
    """The innermost exception, without the wrappers of `requests`."""
    while error.__context__ is not None or error.__cause__ is not None:
        inner = error.__cause__ or error.__context__
        assert inner is not None
        error = inner
    return error
