"""Fetches certificates over HTTPS (RFC 8224 §6.2 step 3; S-066, S-088, S-089), however many URLs strangers think up.

`download` bounds one fetch; here all of them together are bounded, in a way that keeps those apart who have served
certificates before: what a flood of new names asks for is fetched slowly or not at all, and delays nobody else.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from cachetools import LRUCache

from sbc_filter.certificates.lifetime import expires, leaf_end
from sbc_filter.certificates.source import MAX_PEM, PASSING
from sbc_filter.concurrency.fair_queue import QueueSlot
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.pki.x5u import HTTP
from sbc_filter.web.allowed_addresses import Network
from sbc_filter.web.download import HTTP_TOO, HTTPS, Downloader
from sbc_filter.web.fairness import Buckets, domain_of, registered
from sbc_filter.web.pinned_connection import Resolver, system_addresses

_LOG = logging.getLogger(__name__)
_LASTING = 300.0  # seconds for which a failure is remembered that will still be there
_BURST = 10.0  # seconds' worth of fetches that may begin at once
_BACKLOG = 40  # fetches that wait for a worker in each lane, so that few of those who ask wait for strangers
_SHARE = 4  # fetches of one domain, and look-ups of its names, at a time in each lane
_REMEMBERED = 20_000  # domains and URLs that have served certificates
_KNOWN, _STRANGE = 0, 1  # the lanes: each has half of the workers
_SLOW = (Detail.FETCH_TIMEOUT, Detail.FETCH_DNS, Detail.FETCH_TOO_LARGE)  # what keeps a worker busy


class Fetcher:
    """A `CertificateSource` that asks the web, with one GET a URL at a time and `workers` in all; for each half of them
    at most `backlog` more wait.

    `connect_timeout` is for TCP; `total_timeout` covers look-up, connection, TLS, headers and body (seconds; a look-up
    that takes all of it is FETCH_DNS). `ca_file`, `allowed_networks` and `tolerate` (out of `pki.x5u.TOLERABLE`) are
    those of `Downloader`; `x5u-http` speaks plain http. The first URL is taken as it is, but for its scheme:
    `CertificateMemory` has judged it.

    `rate` fetches a second, and ten times that at once after a pause, are for domains that have not served a
    certificate lately; none has more than half of it, whether it is new or known. Beyond that: FETCH_REFUSED. A domain
    (`domains`) is known by its last certificate, or by `vouch`, until it keeps a worker waiting in vain. A URL that was
    vouched for is within the limits always: whoever thinks up others of the same domain does not keep it from renewal.

    A certificate holds for as long as HTTP says, a day at least, but not beyond its own end; a failure, and a body
    that is no certificate, for 300 seconds, or for 30 when it may be over soon. Raises `OSError` when `ca_file` cannot
    be read. `clock` gives POSIX seconds, `timer` those of a clock that nobody sets.
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
        self._schemes = HTTP_TOO if HTTP in tolerate else HTTPS
        self._total_timeout = total_timeout
        self._clock = clock
        self._timer = timer
        self._rate = rate
        self._strangers, self._domain_rates = Buckets(rate, _BURST), Buckets(rate / 2, _BURST)
        self._refused = 0
        self._lock = threading.Lock()
        # Domains that have served certificates, False of those that have failed since; and URLs.
        self._domains: LRUCache[str, bool] = LRUCache(_REMEMBERED)
        self._vouched: LRUCache[str, bool] = LRUCache(_REMEMBERED)
        lanes = (max(workers // 2, 1), max(workers - workers // 2, 1))
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
        self._single: SingleFlightPool[Answer[bytes]] = SingleFlightPool(
            self._answer,
            lambda detail: Answer(None, detail, clock()),  # the URL is not to blame: nothing to remember
            name="certificate-fetch",
            workers=sum(lanes),
            lanes=lanes,
            place=lambda url: self._place(domain_of(url)),
            share=_SHARE,
            admit=self._admit,
            backlog=backlog,
            patience=total_timeout,
        )

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Have `url` fetched."""
        self._single.submit(url, done)

    def vouch(self, url: str, /) -> None:
        """This URL has served a certificate before, perhaps to an earlier process.

        Its domain is known by that, unless it has failed since.
        """
        with self._lock:
            self._vouched[url] = True
            self._domains.setdefault(domain_of(url), True)

    def close(self) -> None:
        """Refuse what is under way; its connections end by themselves, at their deadlines."""
        self._single.close()
        self._web.close()

    def _place(self, domain: str) -> QueueSlot:
        with self._lock:
            return QueueSlot(_KNOWN if self._domains.get(domain) else _STRANGE, domain)

    def _admit(self, url: str) -> bool:
        """Whether the limits let a new fetch begin."""
        with self._lock:
            if url in self._vouched:
                return True
        lane, domain = self._place(domain_of(url))
        now = self._timer()
        if self._domain_rates.has(domain, now) and (lane == _KNOWN or self._strangers.has("", now)):
            self._domain_rates.take(domain, now)
            if lane == _STRANGE:
                self._strangers.take("", now)
            return True
        self._refused += 1
        if self._refused & (self._refused - 1) == 0:  # 1, 2, 4 …: a flood does not fill the log
            _LOG.warning(
                "%d fetches refused so far, the last of %r: more than `fetch_rate` = %g a second were asked for",
                *(self._refused, url, self._rate),
            )
        return False

    def _answer(self, url: str) -> Answer[bytes]:
        try:
            pem, headers = self._web.get(url, limit=MAX_PEM, timeout=self._total_timeout, schemes=self._schemes)
        except FetchError as error:
            _LOG.info("%r: %s: %s", url, error.detail, error)
            if error.detail in _SLOW:
                self._demote(domain_of(url))
            lifetime = PASSING if error.passing else _LASTING
            return Answer(None, error.detail, self._clock() + lifetime, str(error))
        now, end = self._clock(), leaf_end(pem)
        if end is None or end <= now:  # whoever asked for it will say what is wrong with it
            return Answer(pem, None, now + _LASTING)
        with self._lock:
            self._domains[domain_of(url)] = True
        return Answer(pem, None, min(expires(headers, now), end))

    def _demote(self, domain: str) -> None:
        with self._lock:
            if domain in self._domains:  # strangers are not remembered: they would push out who is known
                self._domains[domain] = False
