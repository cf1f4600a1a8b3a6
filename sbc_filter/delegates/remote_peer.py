"""Those who answer for us, one message for one: a local program, or a service by HTTPS (ATIS-1000082).

Each works in threads of its own, so that no packet waits in line for the answer to another.
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
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.stir.delegation import MAX_BODY
from sbc_filter.system.program import Program

_LOG = logging.getLogger(__name__)
R = TypeVar("R")
TIMEOUT = 2.0  # seconds; a call waits less
WORKERS = 8
BACKLOG = 200  # requests that may wait for a worker: more would be too late anyway


@dataclass(frozen=True, slots=True)
class Purpose:
    """What is asked for: `failed` is what the log says where there is no answer, `refused` and `unreachable` are the
    details of an answer that is none, and of nobody there."""

    failed: str
    refused: Detail
    unreachable: Detail


class Pool(Generic[R]):
    """Has `ask` turn the body of a request into an answer, in worker threads.

    What it raises is the answer: `FetchError` with its detail, `ValueError` as `purpose.refused`. A reason is logged
    when it is another than the last.
    """

    def __init__(
        self, name: str, purpose: Purpose, ask: Callable[[bytes], Answer[R]], workers: int, timeout: float
    ) -> None:
        self._name = name
        self._purpose = purpose
        self._ask = ask
        self._said = ""
        self._single: SingleFlightPool[Answer[R]] = SingleFlightPool(
            self._answer,
            lambda detail: Answer(None, detail, 0.0),
            name=name,
            workers=workers,
            backlog=BACKLOG,
            patience=timeout,
        )

    def send(self, body: bytes, done: Callable[[Answer[R]], None]) -> None:
        """Have it answered; the same request of another call shares the answer, as it would get the same."""
        self._single.submit(body.decode(), done)

    def close(self) -> None:
        """Refuse what is under way."""
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
    """Somebody to whom messages are sent, at most `workers` at a time, for `timeout` seconds each."""

    workers: int
    timeout: float

    def ask(self, body: bytes, read: Callable[[bytes], R]) -> R:
        """What `read` makes of the answer to a body; `FetchError`, or `ValueError` for what is no answer."""

    def close(self) -> None:
        """End what is under way, as far as it can be."""


class Command:
    """A program of the operator's: the body of the request on its standard input, that of the answer on its standard
    output, exit code 0."""

    def __init__(self, command: Sequence[str], timeout: float = TIMEOUT, workers: int = WORKERS) -> None:
        self.timeout, self.workers = timeout, workers
        self._program = Program(command, timeout)

    def ask(self, body: bytes, read: Callable[[bytes], R]) -> R:
        """Run it."""
        return read(self._program.run(given=body))

    def close(self) -> None:
        """Kill what runs."""
        self._program.close()


class Service:
    """A service by HTTP, with connections that stay open; `url` is the operator's, so its address is not checked.

    `token` is sent as a bearer token, `certificate` are the PEM files of a client certificate and its key, `web_ca`
    takes the place of the usual certificate authorities. Neither proxies nor redirects are followed.
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
        """What `read` makes of the answer to a body; `ValueError` for what it refuses, and any status but 200,
        `FetchError` (FETCH_TIMEOUT, FETCH_CONNECT) where there is none."""
        end = time.monotonic() + self.timeout
        try:
            try:
                return self._read(body, read, end)
            except requests.ConnectionError as error:
                if not isinstance(_cause(error), ConnectionResetError | BrokenPipeError):
                    raise
                return self._read(body, read, end)  # it closed what stood idle while we were writing to it
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise FetchError(Detail.FETCH_TIMEOUT, f"{self.url} does not answer within {self.timeout:g} s") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise FetchError(
                Detail.FETCH_CONNECT, f"{self.url} cannot be reached: {_cause(error) or type(error).__name__}"
            ) from error

    def close(self) -> None:
        """Let go of idle connections."""
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
    """The innermost reason: what `requests` wraps it in helps nobody."""
    while error.__context__ is not None or error.__cause__ is not None:
        inner = error.__cause__ or error.__context__
        assert inner is not None
        error = inner
    return error
