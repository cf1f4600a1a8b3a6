"""Fetches certificates over HTTPS (RFC 8224 §6.2 step 3; S-066, S-088, S-089).

The URL comes out of a message from anybody, and so may whatever answers there: addresses are
checked (`dial`), and time, size and encoding of the answer are bounded. A redirect is another URL
of a stranger's, to be judged as the first one was.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from sbc_filter.engine.verdict import Answer
from sbc_filter.io.addresses import Network
from sbc_filter.io.dial import Resolver, system_addresses
from sbc_filter.io.download import HTTP_TOO, HTTPS, Downloader
from sbc_filter.io.freshness import expires
from sbc_filter.io.single import Single
from sbc_filter.io.store import MAX_PEM, PASSING, FetchError
from sbc_filter.stir.x5u import HTTP

_LOG = logging.getLogger(__name__)
_LASTING = 300.0  # seconds for which a failure is remembered that will still be there


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
        total_timeout: float = 2.0,
        workers: int = 16,
        backlog: int = 1000,
        resolve: Resolver = system_addresses,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._web = Downloader(
            ca_file=ca_file,
            allowed_networks=allowed_networks,
            tolerate=tolerate,
            connect_timeout=connect_timeout,
            lookups=workers,
            resolve=resolve,
            accept="application/pem-certificate-chain, */*;q=0.5",
        )
        self._schemes = HTTP_TOO if HTTP in tolerate else HTTPS
        self._total_timeout = total_timeout
        self._clock = clock
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
        self._web.close()

    def _answer(self, url: str) -> Answer:
        try:
            pem, headers = self._web.get(url, limit=MAX_PEM, timeout=self._total_timeout, schemes=self._schemes)
        except FetchError as error:
            _LOG.info("%r: %s: %s", url, error.detail, error)
            return Answer(None, error.detail, self._clock() + (PASSING if error.passing else _LASTING))
        now = self._clock()
        return Answer(pem, None, expires(headers, now))
