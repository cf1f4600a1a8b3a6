"""The cache of failed fetches: until a failure expires, its source is not asked for the URL again."""

import threading

from sbc_filter.engine.verdict import Answer
from sbc_filter.generational_cache import GenerationalCache

_CAPACITY = 4 << 20  # bytes; about 6,000 failures, ten minutes of unknown URLs at the default `fetch_rate` of 10
_LONGEST = 3600.0  # seconds after which memory is released; failures of our own sources last 300 at most
_OVERHEAD = 600  # bytes of an entry in addition to its texts; more than Python needs, so that the bound is kept


class FailedFetches:
    """Failed answers of one source by URL, each until it expires. Thread-safe.

    Senders of calls invent URLs, so the memory is bounded. The failures that were not used for longest go first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: GenerationalCache[str, Answer[bytes]] = GenerationalCache(_CAPACITY, _LONGEST)

    def get(self, url: str, now: float) -> Answer[bytes] | None:
        """The failure that has not expired yet (`now` in POSIX seconds); None if there is none."""
        with self._lock:
            return self._answers.get(url, now)

    def put(self, url: str, answer: Answer[bytes], now: float) -> None:
        """Keep a failure, unless it has already expired: then the URL was not at fault."""
        with self._lock:
            known = self._answers.get(url, now)  # one fetch may answer several calls
            if answer.expires > now and (known is None or known.expires < answer.expires):
                weight = len(url) + len(answer.result or b"") + len(answer.reason) + _OVERHEAD
                self._answers.put(url, answer, answer.expires, now, weight)
