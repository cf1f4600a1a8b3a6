"""One GET of a URL that a stranger wrote: where it may lead, how long it may take, how much may come (S-088, S-089).

Addresses are checked (`dial`), and time, size and encoding of the answer are bounded. A redirect is another URL
of a stranger's, to be judged as the first one was.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from sbc_filter import __version__
from sbc_filter.concurrency.fair_queue import QueueSlot
from sbc_filter.errors import FetchError, VerificationError
from sbc_filter.outcomes import Detail
from sbc_filter.pki.x5u import REDIRECTS, check_x5u
from sbc_filter.web.allowed_addresses import Network
from sbc_filter.web.pinned_connection import Dialer, PinnedAdapter, Resolver, system_addresses, tls_context

HTTPS = ("https://",)
HTTP_TOO = ("https://", "http://")
_MAX_REDIRECTS = 3
_AROUND = 256 << 10  # octets of headers, and of what is between the chunks of a body
_REDIRECTS = frozenset((301, 302, 303, 307, 308))  # RFC 9110 §15.4: those that a GET may follow by itself
_HEADERS = {
    "User-Agent": f"sbc-filter/{__version__}",
    "Accept-Encoding": "identity",  # what is not compressed cannot be a bomb
    "Connection": "close",
}


class Download(NamedTuple):
    """What a web server answered with status 200; `headers` finds its names in any case."""

    body: bytes
    headers: Mapping[str, str]


class _Redirect(NamedTuple):
    location: str  # as it was written


class Downloader:
    """Gets what is behind a URL, in the thread of the caller; any number of threads may do so.

    `ca_file` replaces the certificate authorities that `requests` comes with. `allowed_networks` are exempt from the
    check of addresses: for laboratories. `connect_timeout` is for TCP (seconds). With `redirects` in `tolerate` (out
    of `pki.x5u.TOLERABLE`) three of them at most are followed, each to what `check_x5u` lets pass. `lookups` is how
    many names are resolved at a time; or, each with so many of them, `lanes`, with `share` for one group, where `place`
    says to which a host belongs (`concurrency.fair_queue`). `resolve` takes the place of the system's resolver.
    Raises `OSError` when `ca_file` cannot be read.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        allowed_networks: Sequence[Network] = (),
        tolerate: Collection[str] = (),
        connect_timeout: float = 2.0,
        lookups: int = 16,
        resolve: Resolver = system_addresses,
        accept: str = "*/*",
        lanes: Sequence[int] | None = None,
        place: Callable[[str], QueueSlot] = lambda host: QueueSlot(0, ""),
        share: int | None = None,
    ) -> None:
        self._context = tls_context(str(ca_file or DEFAULT_CA_BUNDLE_PATH))
        self._tolerate = frozenset(tolerate)
        self._headers = {**_HEADERS, "Accept": accept}
        self._dialer = Dialer(resolve, allowed_networks, connect_timeout, lanes or (lookups,), place, share)

    def get(self, url: str, *, limit: int, timeout: float, schemes: Sequence[str] = HTTPS) -> Download:
        """What is behind `url`, at most `limit` bytes of it, within `timeout` seconds in all: look-up, connection,
        TLS, headers and body, redirects included.

        `schemes` are `HTTPS` or `HTTP_TOO`; nothing else of the first URL is judged. Raises `FetchError`, and nothing
        else, for everything but a 200 in time.
        """
        deadline = time.monotonic() + timeout
        for _ in range(_MAX_REDIRECTS + 1):
            found = self._ask(url, limit, deadline, schemes)
            if isinstance(found, Download):
                return found
            url = self._target(url, found.location)
        raise FetchError(Detail.FETCH_STATUS, f"more than {_MAX_REDIRECTS} redirects")

    def close(self) -> None:
        """Let go of the look-ups; connections end by themselves, at their deadlines."""
        self._dialer.close()

    def _ask(self, url: str, limit: int, deadline: float, schemes: Sequence[str]) -> Download | _Redirect:
        if not url.lower().startswith(tuple(schemes)):
            raise FetchError(Detail.X5U_POLICY, "not https")
        adapter = PinnedAdapter(self._dialer, self._context, deadline, 2 * limit + _AROUND)
        try:
            # Without a `requests.Session`, which brings proxies, .netrc and cookies, and reads the body
            # of a redirect, all of it, even where it does not follow.
            request = requests.Request("GET", url, headers=self._headers).prepare()
            timeout = max(deadline - time.monotonic(), 0.001)
            with adapter.send(request, stream=True, timeout=timeout) as response:
                if REDIRECTS in self._tolerate and response.status_code in _REDIRECTS:
                    return _Redirect(response.headers.get("Location", ""))
                return Download(_body(response, limit), response.headers)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _told(error) from error  # ValueError: a chunk of -5
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


def _body(response: requests.Response, limit: int) -> bytes:
    status = response.status_code
    if status != 200:
        raise FetchError(Detail.FETCH_STATUS, f"status {status}", passing=status >= 500 or status == 429)
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise FetchError(Detail.FETCH_STATUS, f"Content-Encoding {encoding}")
    chunks: list[bytes] = []
    left = limit + 1
    while left > 0 and (chunk := response.raw.read(left, decode_content=False)):
        chunks.append(chunk)
        left -= len(chunk)
    if left <= 0:
        raise FetchError(Detail.FETCH_TOO_LARGE)
    return b"".join(chunks)


def _innermost(error: BaseException) -> str:
    """What TLS itself says, without the wrappers that the libraries put around it."""
    while inner := [each for each in (getattr(error, "reason", None), *error.args) if isinstance(each, Exception)]:
        error = inner[0]
    return getattr(error, "verify_message", None) or str(error)


def _told(error: Exception) -> FetchError:
    """The detail in an error of the libraries."""
    sentence = str(error)
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return FetchError(Detail.FETCH_TLS, _innermost(error))
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return FetchError(Detail.FETCH_TIMEOUT, sentence, passing=True)
    if isinstance(error, requests.exceptions.InvalidURL | urllib3.exceptions.LocationParseError):
        return FetchError(Detail.X5U_POLICY, sentence)
    return FetchError(Detail.FETCH_CONNECT, sentence, passing=True)
