"""Fetches certificates over HTTPS (RFC 8224 §6.2 step 3; S-066, S-088, S-089), under a flood of URLs as well.

`download` limits a single fetch; `PooledSource` and its lanes limit all of them together. So a flood of unknown domains
is fetched slowly or refused, and does not delay known ones, or the new ones of other peers.
"""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from sbc_filter.certificates.lifetime import expires, leaf_end
from sbc_filter.certificates.pooled_source import PooledSource
from sbc_filter.certificates.source import MAX_PEM, PASSING
from sbc_filter.concurrency.fair_queue import Peer
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError
from sbc_filter.pki.x5u import HTTP
from sbc_filter.web.allowed_addresses import Network
from sbc_filter.web.download import HTTP_TOO, HTTPS, Downloader
from sbc_filter.web.fairness import registered
from sbc_filter.web.pinned_connection import Resolver, system_addresses

_PERMANENT = 300.0  # seconds for which a permanent failure is cached; after a repair, calls fail for no longer
_BACKLOG = 40  # fetches that may wait for a worker in each lane; few, so that calls do not wait behind unknown domains


class Fetcher(PooledSource):
    """A `CertificateSource` over HTTPS: one GET per URL at a time, within the limits of `PooledSource`.

    `connect_timeout` is for TCP; `total_timeout` covers look-up, connection, TLS, headers and body (seconds; a lookup
    that takes all of it is FETCH_DNS). `ca_file`, `allowed_networks` and `tolerate` (out of `pki.x5u.TOLERABLE`) are
    those of `Downloader`; `x5u-http` allows plain http. Only the scheme of the first URL is checked here:
    `CertificateMemory` has checked the rest.

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
        super().__init__(
            "certificate-fetch",
            workers=workers,
            patience=total_timeout,
            backlog=backlog,
            clock=clock,
            rate=rate,
            timer=timer,
        )
        self._schemes = HTTP_TOO if HTTP in tolerate else HTTPS
        self._total_timeout = total_timeout
        self._web = Downloader(
            ca_file=ca_file,
            allowed_networks=allowed_networks,
            tolerate=tolerate,
            connect_timeout=connect_timeout,
            resolve=resolve,
            accept="application/pem-certificate-chain, */*;q=0.5",
            lanes=self._halves,
            place=lambda host: self._lanes.place(registered(host)),
            share=self._share,
            peers=self._peers,
            peer_shares=self._peer_shares,
        )

    def vouch(self, url: str, /) -> None:
        """See `Lanes.vouch`."""
        self._lanes.vouch(url)

    def close(self) -> None:
        """Refuse all pending requests; open connections end at their deadlines."""
        super().close()
        self._web.close()

    def _get(self, url: str, peer: Peer) -> Answer[bytes]:
        pem, headers = self._web.get(url, limit=MAX_PEM, timeout=self._total_timeout, schemes=self._schemes, peer=peer)
        now, end = self._clock(), leaf_end(pem)
        if end is None or end <= now:  # the verification reports what is wrong with it
            return Answer(pem, None, now + _PERMANENT)
        return Answer(pem, None, min(expires(headers, now), end))

    def _failed(self, error: FetchError) -> Answer[bytes]:
        lifetime = PASSING if error.passing else _PERMANENT
        return Answer(None, error.detail, self._clock() + lifetime, str(error))
