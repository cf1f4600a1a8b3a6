"""Fetches certificates over HTTPS (RFC 8224 §6.2 step 3; S-066, S-088, S-089).

The URL comes out of a message from anybody, and so may whatever answers there: addresses are
checked (`dial`), and time, size and encoding of the answer are bounded. A redirect is another URL
of a stranger's, to be judged as the first one was.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from sbc_filter import __version__
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import Detail, VerificationError
from sbc_filter.io.addresses import Network
from sbc_filter.io.dial import Dialer, PinnedAdapter, Resolver, system_addresses, tls_context
from sbc_filter.io.freshness import expires
from sbc_filter.io.single import Single
from sbc_filter.io.store import MAX_PEM, PASSING, FetchError
from sbc_filter.stir.x5u import HTTP, REDIRECTS, check_x5u

_LOG = logging.getLogger(__name__)
_LASTING = 300.0  # seconds for which a failure is remembered that will still be there
_MAX_REDIRECTS = 3
_REDIRECTS = frozenset((301, 302, 303, 307, 308))  # RFC 9110 §15.4: those that a GET may follow by itself
_HEADERS = {
    "User-Agent": f"sbc-filter/{__version__}",
    "Accept": "application/pem-certificate-chain, */*;q=0.5",
    "Accept-Encoding": "identity",  # what is not compressed cannot be a bomb
    "Connection": "close",
}


class _Redirect(NamedTuple):
    location: str  # as it was written


class Fetcher:
    """A `CertificateSource` that asks the web, with one GET a URL at a time and `workers` in all.

    `ca_file` replaces the certificate authorities that `requests` comes with. `connect_timeout` is
    for TCP; `total_timeout` covers look-up, connection, TLS, headers and body (seconds; a look-up that
    takes all of it is FETCH_DNS). `allowed_networks` are exempt from the check of addresses: for
    laboratories. `tolerate` (out of `stir.x5u.TOLERABLE`): `x5u-http` speaks plain http, `redirects` follows three
    of them at most, each to what `check_x5u` lets pass, all before the one deadline. The first URL is taken as it
    is, but for its scheme: `CertificateMemory` has judged it. `resolve` takes the place of the system's resolver.

    A certificate holds for as long as HTTP says, a day at least; a failure for 30 seconds, or for 300
    when it is of a kind that stays. Raises `OSError` when `ca_file` cannot be read.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        allowed_networks: Sequence[Network] = (),
        tolerate: Collection[str] = (),
        connect_timeout: float = 2.0,
        total_timeout: float = 4.0,
        workers: int = 16,
        backlog: int = 1000,
        resolve: Resolver = system_addresses,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._context = tls_context(str(ca_file or DEFAULT_CA_BUNDLE_PATH))
        self._tolerate = frozenset(tolerate)
        self._schemes = ("https://", "http://") if HTTP in self._tolerate else ("https://",)
        self._total_timeout = total_timeout
        self._clock = clock
        self._dialer = Dialer(resolve, allowed_networks, connect_timeout, workers)
        self._single: Single[Answer] = Single(
            self._answer,
            lambda detail: Answer(None, detail, clock()),  # the URL is not to blame: nothing to remember
            name="certificate-fetch",
            workers=workers,
            backlog=backlog,
            patience=total_timeout,
        )

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        """Have `url` fetched."""
        self._single.request(url, done)

    def close(self) -> None:
        """Refuse what is under way; its connections end by themselves, at their deadlines."""
        self._single.close()
        self._dialer.close()

    def _answer(self, url: str) -> Answer:
        try:
            pem, headers = self._get(url)
        except FetchError as error:
            _LOG.info("%r: %s: %s", url, error.detail, error)
            return Answer(None, error.detail, self._clock() + (PASSING if error.passing else _LASTING))
        now = self._clock()
        return Answer(pem, None, expires(headers, now))

    def _get(self, url: str) -> tuple[bytes, Mapping[str, str]]:
        """The body of a 200 and its headers; raises `FetchError` for everything else."""
        deadline = time.monotonic() + self._total_timeout
        for _ in range(_MAX_REDIRECTS + 1):
            found = self._ask(url, deadline)
            if not isinstance(found, _Redirect):
                return found
            url = self._target(url, found.location)
        raise FetchError(Detail.FETCH_STATUS, f"more than {_MAX_REDIRECTS} redirects")

    def _ask(self, url: str, deadline: float) -> tuple[bytes, Mapping[str, str]] | _Redirect:
        """One GET."""
        if not url.lower().startswith(self._schemes):
            raise FetchError(Detail.X5U_POLICY, "not https")
        adapter = PinnedAdapter(self._dialer, self._context, deadline)
        try:
            # Without a `requests.Session`, which brings proxies, .netrc and cookies, and reads the body
            # of a redirect, all of it, even where it does not follow.
            request = requests.Request("GET", url, headers=_HEADERS).prepare()
            with adapter.send(request, stream=True, timeout=self._total_timeout) as response:
                if REDIRECTS in self._tolerate and response.status_code in _REDIRECTS:
                    return _Redirect(response.headers.get("Location", ""))
                return _body(response), response.headers
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _told(error) from error
        finally:
            adapter.close()

    def _target(self, url: str, location: str) -> str:
        """Where a redirect leads to; raises `FetchError` unless a token could have named that URL itself."""
        if not location:
            raise FetchError(Detail.FETCH_STATUS, "a redirect to nowhere")
        try:
            target = urljoin(url, location)  # RFC 9110 §10.2.2: it may be relative
            check_x5u(target, self._tolerate)
        except VerificationError as error:
            raise FetchError(Detail.X5U_POLICY, f"redirected to {location!r}: {error}") from error
        except ValueError as error:  # no URL at all
            raise FetchError(Detail.X5U_POLICY, f"redirected to {location!r}") from error
        return target


def _body(response: requests.Response) -> bytes:
    status = response.status_code
    if status != 200:
        raise FetchError(Detail.FETCH_STATUS, f"status {status}", passing=status >= 500 or status == 429)
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise FetchError(Detail.FETCH_STATUS, f"Content-Encoding {encoding}")
    body = b""
    while chunk := response.raw.read(MAX_PEM + 1 - len(body), decode_content=False):
        body += chunk
        if len(body) > MAX_PEM:
            raise FetchError(Detail.FETCH_TOO_LARGE)
    return body


def _told(error: Exception) -> FetchError:
    """The detail in an error of the libraries."""
    sentence = str(error)
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return FetchError(Detail.FETCH_TLS, sentence)
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return FetchError(Detail.FETCH_TIMEOUT, sentence, passing=True)
    if isinstance(error, requests.exceptions.InvalidURL | urllib3.exceptions.LocationParseError):
        return FetchError(Detail.X5U_POLICY, sentence)
    return FetchError(Detail.FETCH_CONNECT, sentence, passing=True)
