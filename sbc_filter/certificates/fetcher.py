"""Fetches certificates over HTTPS (RFC 8224 §6.2 step 3; S-066, S-088, S-089), under a flood of URLs as well.

`download` limits a single fetch; this module limits all of them together. Domains that have served certificates before
have a lane of their own. So a flood of unknown domains is fetched slowly or refused, and does not delay known ones.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from cachetools import LRUCache

from sbc_filter.certificates.lifetime import expires, leaf_end
from sbc_filter.certificates.pooled_source import PooledSource
from sbc_filter.certificates.source import MAX_PEM, PASSING
from sbc_filter.concurrency.fair_queue import QueueSlot
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.pki.x5u import HTTP
from sbc_filter.web.allowed_addresses import Network
from sbc_filter.web.download import HTTP_TOO, HTTPS, Downloader
from sbc_filter.web.fairness import Buckets, domain_of, registered
from sbc_filter.web.pinned_connection import Resolver, system_addresses

_LOG = logging.getLogger(__name__)
_PERMANENT = 300.0  # seconds for which a permanent failure is cached; after a repair, calls fail for no longer
_BURST = 10.0  # seconds' worth of fetches that may begin at once, as after a start with an empty cache
_BACKLOG = 40  # fetches that may wait for a worker in each lane; few, so that calls do not wait behind unknown domains
_SHARE = 4  # concurrent fetches, and lookups, of one domain in each lane: a quarter of its 16 workers
_MAX_KNOWN = 20_000  # domains, and URLs, that are remembered as known; as many as the cache holds (`cache.MAX_FILES`)
_KNOWN, _UNKNOWN = 0, 1  # the lanes: each has half of the workers
_SLOW = (Detail.FETCH_TIMEOUT, Detail.FETCH_DNS, Detail.FETCH_TOO_LARGE)  # failures that keep a worker busy


class Fetcher(PooledSource):
    """A `CertificateSource` over HTTPS: one GET per URL at a time, `workers` in all, half of them in each lane.

    At most `backlog` more requests wait in each lane.

    `connect_timeout` is for TCP; `total_timeout` covers look-up, connection, TLS, headers and body (seconds; a lookup
    that takes all of it is FETCH_DNS). `ca_file`, `allowed_networks` and `tolerate` (out of `pki.x5u.TOLERABLE`) are
    those of `Downloader`; `x5u-http` allows plain http. Only the scheme of the first URL is checked here:
    `CertificateMemory` has checked the rest.

    Limits, beyond which the answer is FETCH_REFUSED:

    - Unknown domains share `rate` fetches a second, and ten times that at once after a pause.
    - One domain, known or not, gets at most half of `rate`.
    - A URL that was vouched for has no limit: invented URLs of the same domain must not stop its renewal.

    A domain becomes known when it serves a certificate or by `vouch`, and unknown when a fetch from it fails slowly.

    A certificate is valid for as long as HTTP says, for at least a day, but not after it expires itself. A failure, or
    a body that is not a certificate, is cached for 300 seconds, or for 30 if it may be temporary. Raises `OSError` when
    `ca_file` cannot be read. `clock` gives POSIX seconds, `timer` monotonic seconds.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        allowed_networks: Sequence[Network] = (),
        tolerate: Collection[str] = (),
        connect_timeout: float = 2.0,
        total_timeout: float = 2.0,
        workers: int = 32,
        backlog: int = _BACKLOG,
        rate: float = 10.0,
        resolve: Resolver = system_addresses,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        lanes = (max(workers // 2, 1), max(workers - workers // 2, 1))
        super().__init__(
            "certificate-fetch",
            workers=sum(lanes),
            patience=total_timeout,
            backlog=backlog,
            clock=clock,
            lanes=lanes,
            place=lambda url: self._place(domain_of(url)),
            share=_SHARE,
            admit=self._admit,
        )
        self._schemes = HTTP_TOO if HTTP in tolerate else HTTPS
        self._total_timeout = total_timeout
        self._timer = timer
        self._rate = rate
        self._unknown_rate, self._domain_rates = Buckets(rate, _BURST), Buckets(rate / 2, _BURST)
        self._refused = 0
        self._lock = threading.Lock()
        # Domains that have served certificates, with False if they have failed since; and URLs.
        self._domains: LRUCache[str, bool] = LRUCache(_MAX_KNOWN)
        self._vouched: LRUCache[str, bool] = LRUCache(_MAX_KNOWN)
        self._web = Downloader(
            ca_file=ca_file,
            allowed_networks=allowed_networks,
            tolerate=tolerate,
            connect_timeout=connect_timeout,
            resolve=resolve,
            accept="application/pem-certificate-chain, */*;q=0.5",
            lanes=lanes,
            place=lambda host: self._place(registered(host)),
            share=_SHARE,
        )

    def vouch(self, url: str, /) -> None:
        """Note that this URL has served a certificate before, perhaps to an earlier process.

        Its domain becomes known, unless it has failed since.
        """
        with self._lock:
            self._vouched[url] = True
            self._domains.setdefault(domain_of(url), True)

    def close(self) -> None:
        """Refuse all pending requests; open connections end at their deadlines."""
        super().close()
        self._web.close()

    def _place(self, domain: str) -> QueueSlot:
        with self._lock:
            return QueueSlot(_KNOWN if self._domains.get(domain) else _UNKNOWN, domain)

    def _admit(self, url: str) -> bool:
        """Whether the limits allow a new fetch."""
        with self._lock:
            if url in self._vouched:
                return True
        lane, domain = self._place(domain_of(url))
        now = self._timer()
        if self._domain_rates.has(domain, now) and (lane == _KNOWN or self._unknown_rate.has("", now)):
            self._domain_rates.take(domain, now)
            if lane == _UNKNOWN:
                self._unknown_rate.take("", now)
            return True
        self._refused += 1
        if self._refused & (self._refused - 1) == 0:  # 1, 2, 4 …: a flood must not fill the log
            _LOG.warning(
                "%d fetches refused so far, the last for %r: more requests than `fetch_rate` = %g a second",
                *(self._refused, url, self._rate),
            )
        return False

    def _get(self, url: str) -> Answer[bytes]:
        try:
            pem, headers = self._web.get(url, limit=MAX_PEM, timeout=self._total_timeout, schemes=self._schemes)
        except FetchError as error:
            if error.detail in _SLOW:
                self._demote(domain_of(url))
            raise
        now, end = self._clock(), leaf_end(pem)
        if end is None or end <= now:  # the verification reports what is wrong with it
            return Answer(pem, None, now + _PERMANENT)
        with self._lock:
            self._domains[domain_of(url)] = True
        return Answer(pem, None, min(expires(headers, now), end))

    def _failed(self, error: FetchError) -> Answer[bytes]:
        lifetime = PASSING if error.passing else _PERMANENT
        return Answer(None, error.detail, self._clock() + lifetime, str(error))

    def _demote(self, domain: str) -> None:
        with self._lock:
            if domain in self._domains:  # unknown domains are not stored: they would displace known ones
                self._domains[domain] = False
