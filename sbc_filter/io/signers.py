"""Those who sign for us: a local command, a service by HTTPS (ATIS-1000082), a key of our own that is slow.

Each works in threads of its own, so that no packet waits in line for another's signature.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import requests
import urllib3
from requests.adapters import HTTPAdapter

from sbc_filter import __version__
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import Detail, SigningError
from sbc_filter.io.command import Program
from sbc_filter.io.single import Single
from sbc_filter.io.store import FetchError
from sbc_filter.stir.authentication import sign_shaken
from sbc_filter.stir.credentials import Credential
from sbc_filter.stir.remote import SigningRequest
from sbc_filter.stir.service import MAX_BODY, read_signing_response, signing_request

_LOG = logging.getLogger(__name__)
TIMEOUT = 2.0  # seconds; a call waits less
WORKERS = 8
BACKLOG = 200  # requests that may wait for a worker: more would be too late anyway


class _Pool:
    """Has `sign` turn the body of a signing request into an Identity value, in worker threads.

    What it raises is the answer: `FetchError` with its detail, `ValueError` as SIGNING_REFUSED. A reason is logged when
    it is another than the last.
    """

    def __init__(self, name: str, sign: Callable[[bytes], bytes], workers: int, timeout: float) -> None:
        self._name = name
        self._sign = sign
        self._said = ""
        self._single: Single[Answer] = Single(
            self._answer,
            lambda detail: Answer(None, detail, 0.0),
            name=f"sign-{name}",
            workers=workers,
            backlog=BACKLOG,
            patience=timeout,
        )

    def request(self, request: SigningRequest, done: Callable[[Answer], None], /) -> None:
        """Have it signed; the same request of another call shares the answer, as it would share that of our own key."""
        self._single.request(signing_request(request).decode(), done)

    def close(self) -> None:
        """Refuse what is under way."""
        self._single.close(wait=1.0)

    def _answer(self, body: str) -> Answer:
        try:
            identity = self._sign(body.encode())
        except (FetchError, ValueError) as error:
            detail = error.detail if isinstance(error, FetchError) else Detail.SIGNING_REFUSED
            said = f"credential {self._name}: nothing signed: {error}"
            if said != self._said:
                _LOG.warning("%s", said)
            self._said = said
            return Answer(None, detail, 0.0)
        self._said = ""
        return Answer(None, None, 0.0, identity)


class SigningCommand(_Pool):
    """A program of the operator's: the body of the request on its standard input, that of the answer on its standard
    output, exit code 0. At most `workers` run at a time, each for `timeout` seconds at most."""

    def __init__(self, name: str, command: Sequence[str], timeout: float = TIMEOUT, workers: int = WORKERS) -> None:
        self._program = Program(command, timeout)
        super().__init__(name, lambda body: read_signing_response(self._program.run(given=body)), workers, timeout)

    def close(self) -> None:
        """Kill what runs."""
        self._program.close()
        super().close()


class SigningService(_Pool):
    """A service by HTTP, with connections that stay open; `url` is the operator's, so its address is not checked.

    `token` is sent as a bearer token, `certificate` are the PEM files of a client certificate and its key, `web_ca`
    takes the place of the usual certificate authorities. Neither proxies nor redirects are followed.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        token: str = "",
        certificate: tuple[Path, Path] | None = None,
        web_ca: Path | None = None,
        timeout: float = TIMEOUT,
        workers: int = WORKERS,
    ) -> None:
        self._url = url
        self._timeout = timeout
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
        super().__init__(name, self._post, workers, timeout)

    def _post(self, body: bytes) -> bytes:
        end = time.monotonic() + self._timeout
        try:
            try:
                return self._read(body, end)
            except requests.ConnectionError as error:
                if not isinstance(_cause(error), ConnectionResetError | BrokenPipeError):
                    raise
                return self._read(body, end)  # it closed what stood idle while we were writing to it
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise FetchError(Detail.FETCH_TIMEOUT, f"{self._url} does not answer within {self._timeout:g} s") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise FetchError(
                Detail.SIGNING_UNREACHABLE, f"{self._url} cannot be reached: {_cause(error) or type(error).__name__}"
            ) from error

    def _read(self, body: bytes, end: float) -> bytes:
        with self._session.post(
            self._url, data=body, timeout=self._timeout, allow_redirects=False, stream=True
        ) as response:
            answer = b""
            for chunk in response.iter_content(MAX_BODY):
                answer += chunk
                if len(answer) > MAX_BODY:
                    raise ValueError(f"{self._url} answers more than {MAX_BODY} bytes")
                if time.monotonic() > end:
                    raise TimeoutError
            try:
                identity = read_signing_response(answer)
            except ValueError as error:
                raise ValueError(f"{self._url} answers {response.status_code}: {error}") from None
            if response.status_code != 200:
                raise ValueError(f"{self._url} answers {response.status_code}")
            return identity


class SlowKey(_Pool):
    """A credential of our own that takes its time, such as a key in a hardware module."""

    def __init__(self, credential: Credential, workers: int = WORKERS, clock: Callable[[], float] = time.time) -> None:
        self._credential = credential
        self._clock = clock
        super().__init__(credential.name, self._with_key, workers, TIMEOUT)

    def _with_key(self, body: bytes) -> bytes:
        claims = json.loads(body)["signingRequest"]
        dest = tuple(identity for kind in ("tn", "uri") for identity in claims["dest"].get(kind, ()))
        orig = claims["orig"]["tn"]
        now = self._clock()
        try:
            credential = self._credential.at(now)
            return sign_shaken(credential, orig, dest, claims["attest"], claims["origid"], claims["iat"], now)
        except SigningError as error:
            raise ValueError(str(error)) from None


def _cause(error: BaseException) -> BaseException:
    """The innermost reason: what `requests` wraps it in helps nobody."""
    while error.__context__ is not None or error.__cause__ is not None:
        inner = error.__cause__ or error.__context__
        assert inner is not None
        error = inner
    return error
