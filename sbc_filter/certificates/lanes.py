"""Lanes and rates for certificate URLs: known signers are asked for apart from new ones, and each peer has a rate.

Whoever sends a call chooses the URL, and can write another one into each call. So domains that have served certificates
before have a lane of their own, and a peer has its own turns and its own rate in each lane (`engine.verdict.Party`).
"""

import threading
import time
from collections.abc import Callable

from cachetools import LRUCache

from sbc_filter.concurrency.fair_queue import Peer, QueueSlot
from sbc_filter.web.fairness import Buckets, domain_of

KNOWN, NEW = 0, 1  # the lanes: each has half of the workers
_BURST = 10.0  # seconds' worth of requests that may begin at once, as after a start with an empty cache
_GROUP = 4  # peers whose rates a trunk may use together, and so may all peers without a trunk
_MAX_KNOWN = 20_000  # domains, and URLs, that are remembered as known; as many as the cache holds (`cache.MAX_FILES`)


class Lanes:
    """The lane of a URL, and whether the limits allow a request for it. Thread-safe.

    A domain becomes known by `served` or `vouch`, and new again by `was_slow`.

    With a `rate` (requests a second; ten times that at once after a pause) these limits hold:

    - A peer gets `rate` for new domains. A trunk, and all peers without a trunk together, get four times as much.
    - A peer gets half of `rate` for any one domain, known or not. A trunk, and all peers without a trunk, get `rate`.
    - A URL that has served a certificate has no limit: invented URLs of the same domain must not stop its renewal.
    """

    def __init__(self, rate: float | None, timer: Callable[[], float] = time.monotonic) -> None:
        """`timer` gives monotonic seconds."""
        self._timer = timer
        self._rates = rate is not None
        rate = rate or 1.0
        self._peers, self._groups = Buckets(rate, _BURST), Buckets(_GROUP * rate, _BURST)
        self._peer_domains, self._group_domains = Buckets(rate / 2, _BURST), Buckets(rate, _BURST)
        self._lock = threading.Lock()
        # Domains that have served certificates, with False if they have failed since; and URLs.
        self._domains: LRUCache[str, bool] = LRUCache(_MAX_KNOWN)
        self._urls: LRUCache[str, bool] = LRUCache(_MAX_KNOWN)

    def place(self, domain: str) -> QueueSlot:
        """The lane of a domain, without the peer."""
        with self._lock:
            return QueueSlot(KNOWN if self._domains.get(domain) else NEW, domain)

    def admits(self, url: str, peer: Peer) -> bool:
        """Whether the limits allow a request; if so, count it."""
        if not self._rates:
            return True
        domain = domain_of(url)
        group = peer[0]
        with self._lock:
            if url in self._urls:
                return True
            limits = [(self._peer_domains, " ".join((*peer, domain))), (self._group_domains, f"{group} {domain}")]
            if not self._domains.get(domain):
                limits += [(self._peers, " ".join(peer)), (self._groups, group)]
            now = self._timer()
            if not all(buckets.has(key, now) for buckets, key in limits):
                return False
            for buckets, key in limits:
                buckets.take(key, now)
            return True

    def vouch(self, url: str) -> None:
        """Note that this URL has served a certificate before, perhaps to an earlier process.

        Its domain becomes known, unless it has failed since.
        """
        with self._lock:
            self._urls[url] = True
            self._domains.setdefault(domain_of(url), True)

    def served(self, url: str) -> None:
        """Note that a certificate came from this URL."""
        with self._lock:
            self._urls[url] = True
            self._domains[domain_of(url)] = True

    def was_slow(self, url: str) -> None:
        """Note that this URL kept a worker busy for nothing: its domain is new again."""
        domain = domain_of(url)
        with self._lock:
            if domain in self._domains:  # unknown domains are not stored: they would displace known ones
                self._domains[domain] = False
