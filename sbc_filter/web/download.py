"""Downloads from an untrusted URL, with limits on its address, its time and its size (S-088, S-089).

Addresses are checked (`pinned_connection`); time, size and encoding of the response are limited. The target of a
redirect is untrusted as well and is checked in the same way.
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
from sbc_filter.concurrency.fair_queue import Peer, QueueSlot
from sbc_filter.errors import FetchError, VerificationError
from sbc_filter.outcomes import Detail
from sbc_filter.pki.x5u import REDIRECTS, check_x5u
from sbc_filter.web.allowed_addresses import Network
from sbc_filter.web.pinned_connection import Dialer, PinnedAdapter, Resolver, system_addresses, tls_context

HTTPS = ("https://",)
HTTP_TOO = ("https://", "http://")
_MAX_REDIRECTS = 3  # each costs a connection within the same deadline; a repository needs one
_AROUND = 256 << 10  # bytes for headers and chunk framing, beyond the body
_REDIRECTS = frozenset((301, 302, 303, 307, 308))  # RFC 9110 §15.4: a GET may follow these automatically
_HEADERS = {
    "User-Agent": f"sbc-filter/{__version__}",
    "Accept-Encoding": "identity",  # an uncompressed body cannot be a decompression bomb
    "Connection": "close",
}


class Download(NamedTuple):
    """A response with status 200; `headers` is case-insensitive."""

    body: bytes
    headers: Mapping[str, str]


class _Redirect(NamedTuple):
    location: str  # as received


class Downloader:
    """Downloads from URLs, in the thread of the caller. Thread-safe.

    - `ca_file` replaces the certificate authorities of `requests`; raises `OSError` when it cannot be read.
    - `allowed_networks` are exempt from the check of addresses, for laboratories.
    - `connect_timeout` is for TCP (seconds).
    - With `redirects` in `tolerate` (a subset of `pki.x5u.TOLERABLE`) up to three redirects are followed, to URLs that
      `check_x5u` accepts.
    - `lookups` is the number of concurrent name lookups. Instead, `lanes`, `share`, `peers`, `peer_shares` and
      `place` (the slot of a host) may divide them as in `concurrency.fair_queue`.
    - `resolve` replaces the system's resolver.
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
        peers: Sequence[int] = (),
        peer_shares: Sequence[int] = (),
    ) -> None:
        self._context = tls_context(str(ca_file or DEFAULT_CA_BUNDLE_PATH))
        self._tolerate = frozenset(tolerate)
        self._headers = {**_HEADERS, "Accept": accept}
        self._dialer = Dialer(
            resolve, allowed_networks, connect_timeout, lanes or (lookups,), place, share, peers, peer_shares
        )

    def get(self, url: str, *, limit: int, timeout: float, schemes: Sequence[str] = HTTPS, peer: Peer = ()) -> Download:
        """Download at most `limit` bytes. `timeout` (seconds) covers lookup, connection, TLS, response and redirects.

        `schemes` are `HTTPS` or `HTTP_TOO`; nothing else of the first URL is checked. The lookup is for `peer`.
        Anything but a 200 in time raises `FetchError`; no other exception is raised.
        """
        deadline = time.monotonic() + timeout
        for _ in range(_MAX_REDIRECTS + 1):
            found = self._ask(url, limit, deadline, schemes, peer)
            if isinstance(found, Download):
                return found
            url = self._target(url, found.location)
        raise FetchError(Detail.FETCH_STATUS, f"more than {_MAX_REDIRECTS} redirects")

    def close(self) -> None:
        """Stop the lookups; open connections end at their deadlines."""
        self._dialer.close()

    def _ask(self, url: str, limit: int, deadline: float, schemes: Sequence[str], peer: Peer) -> Download | _Redirect:
        if not url.lower().startswith(tuple(schemes)):
            raise FetchError(Detail.X5U_POLICY, "not https")
        adapter = PinnedAdapter(self._dialer, self._context, deadline, 2 * limit + _AROUND, peer)
        try:
            # No `requests.Session`: that would use proxies, .netrc and cookies, and would read the whole body
            # of a redirect even without following it.
            request = requests.Request("GET", url, headers=self._headers).prepare()
            timeout = max(deadline - time.monotonic(), 0.001)
            with adapter.send(request, stream=True, timeout=timeout) as response:
                if REDIRECTS in self._tolerate and response.status_code in _REDIRECTS:
                    return _Redirect(response.headers.get("Location", ""))
                return Download(_body(response, limit), response.headers)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _told(error) from error  # ValueError: e.g. a chunk size of -5
        finally:
            adapter.close()

    def _target(self, url: str, location: str) -> str:
        """The target of a redirect; raises `FetchError` unless a token could name that URL itself."""
        if not location:
            raise FetchError(Detail.FETCH_STATUS, "a redirect to nowhere")
        try:
            target = urljoin(url, location)  # RFC 9110 §10.2.2: may be relative
            check_x5u(target, self._tolerate)
        except VerificationError as error:
            raise FetchError(Detail.X5U_POLICY, f"redirected to {location!r}: {error}") from error
        except ValueError as error:  # not a URL
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
    """The message of the TLS error itself, without the wrappers of the libraries."""
    while inner := [each for each in (getattr(error, "reason", None), *error.args) if isinstance(each, Exception)]:
        error = inner[0]
    return getattr(error, "verify_message", None) or str(error)


def _told(error: Exception) -> FetchError:
    """Turn an error of the libraries into a `FetchError`."""
    sentence = str(error)
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return FetchError(Detail.FETCH_TLS, _innermost(error))
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return FetchError(Detail.FETCH_TIMEOUT, sentence, passing=True)
    if isinstance(error, requests.exceptions.InvalidURL | urllib3.exceptions.LocationParseError):
        return FetchError(Detail.X5U_POLICY, sentence)
    return FetchError(Detail.FETCH_CONNECT, sentence, passing=True)
