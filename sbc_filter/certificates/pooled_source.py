"""What all sources that wait for an answer share: worker threads, one request per URL at a time, lanes and shares."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from sbc_filter.certificates.lanes import Lanes
from sbc_filter.certificates.lifetime import leaf_end
from sbc_filter.certificates.source import PASSING
from sbc_filter.concurrency.fair_queue import Peer
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.web.fairness import domain_of

_LOG = logging.getLogger(__name__)
BACKLOG = 1000  # requests that may wait: a burst of calls; more would be answered after their calls have gone on
_SLOW = (Detail.FETCH_TIMEOUT, Detail.FETCH_DNS, Detail.FETCH_TOO_LARGE)  # failures that keep a worker busy


class PooledSource(ABC):
    """A `CertificateSource` that runs `_get` in up to `workers` threads, one run per URL at a time.

    Known domains have half of the workers, new ones the other half (`Lanes`, with its `rate` and `timer`). In each half
    a trunk gets at most three quarters, and one peer a half. If `limits_domains`, one domain gets at most three
    quarters, for one trunk a half, for one peer a quarter: slow URLs that a peer invents in a domain leave it to the
    others. Peers take turns, and so do the domains of a peer.

    At most `backlog` more requests wait in each half, each for up to `patience` seconds. A request that is refused
    without a run is not the fault of its URL, so its answer expires at once.
    """

    def __init__(
        self,
        name: str,
        *,
        workers: int,
        patience: float,
        backlog: int = BACKLOG,
        clock: Callable[[], float] = time.time,
        rate: float | None = None,
        timer: Callable[[], float] = time.monotonic,
        limits_domains: bool = True,
    ) -> None:
        self._name = name
        self._clock = clock
        self._rate = rate
        self._refused = 0
        half = max(workers // 2, 1)
        self._halves = (half, max(workers - half, 1))
        quarter, most = max(half // 4, 1), max(half * 3 // 4, 1)
        self._peers = most, max(half // 2, 1)
        self._share = most if limits_domains else half
        self._peer_shares = (max(half // 2, 1), quarter) if limits_domains else ()
        self._lanes = Lanes(rate, timer)
        self._single: SingleFlightPool[Answer[bytes]] = SingleFlightPool(
            self._answer,
            lambda detail: Answer(None, detail, clock()),
            name=name,
            workers=sum(self._halves),
            backlog=backlog,
            patience=patience,
            lanes=self._halves,
            place=lambda url: self._lanes.place(domain_of(url)),
            share=self._share,
            peers=self._peers,
            peer_shares=self._peer_shares,
            admit=self._admit,
        )

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Queue a request for `url`, or wait for the one that runs."""
        self._single.submit(url, done, party)

    def close(self) -> None:
        """Refuse all pending requests."""
        self._single.close()

    @abstractmethod
    def _get(self, url: str, peer: Peer) -> Answer[bytes]:
        """Get the certificates of `url`; raises `FetchError`."""

    def _failed(self, error: FetchError) -> Answer[bytes]:
        """The answer for a failed request. By default it is cached for `PASSING` seconds."""
        return Answer(None, error.detail, self._clock() + PASSING)

    def _admit(self, url: str, peer: Peer) -> bool:
        if self._lanes.admits(url, peer):
            return True
        self._refused += 1
        if self._refused & (self._refused - 1) == 0:  # 1, 2, 4 …: a flood must not fill the log
            _LOG.warning(
                "%d requests refused so far by %s, the last for %r: more than `fetch_rate` = %g a second",
                *(self._refused, self._name, url, self._rate),
            )
        return False

    def _answer(self, url: str, peer: Peer) -> Answer[bytes]:
        try:
            answer = self._get(url, peer)
        except FetchError as error:
            _LOG.info("%s: %r: %s: %s", self._name, url, error.detail, error)
            answer = self._failed(error)
        if answer.detail in _SLOW:
            self._lanes.was_slow(url)
        elif answer.result is not None and (leaf_end(answer.result) or 0.0) > self._clock():
            self._lanes.served(url)
        return answer
