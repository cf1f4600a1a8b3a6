"""What all sources that wait for an answer share: worker threads, one fetch per URL at a time, and failed answers."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from sbc_filter.certificates.source import PASSING
from sbc_filter.concurrency.fair_queue import QueueSlot
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError

_LOG = logging.getLogger(__name__)
BACKLOG = 1000  # requests that may wait: a burst of calls; more would be answered after their calls have gone on


class PooledSource(ABC):
    """A `CertificateSource` that runs `_get` in up to `workers` threads, one run per URL at a time.

    At most `backlog` more requests wait, each for up to `patience` seconds. `lanes`, `place`, `share` and `admit` are
    those of `SingleFlightPool`. A request that is refused without a run is not the fault of its URL, so its answer
    expires at once.
    """

    def __init__(
        self,
        name: str,
        *,
        workers: int,
        patience: float,
        backlog: int = BACKLOG,
        clock: Callable[[], float] = time.time,
        lanes: Sequence[int] | None = None,
        place: Callable[[str], QueueSlot] = lambda url: QueueSlot(0, ""),
        share: int | None = None,
        admit: Callable[[str], bool] = lambda url: True,
    ) -> None:
        self._name = name
        self._clock = clock
        self._single: SingleFlightPool[Answer[bytes]] = SingleFlightPool(
            self._answer,
            lambda detail: Answer(None, detail, clock()),
            name=name,
            workers=workers,
            backlog=backlog,
            patience=patience,
            lanes=lanes,
            place=place,
            share=share,
            admit=admit,
        )

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Queue a fetch of `url`, or wait for the one that runs."""
        self._single.submit(url, done)

    def close(self) -> None:
        """Refuse all pending requests."""
        self._single.close()

    @abstractmethod
    def _get(self, url: str) -> Answer[bytes]:
        """Get the certificates of `url`; raises `FetchError`."""

    def _failed(self, error: FetchError) -> Answer[bytes]:
        """The answer for a failed fetch. By default it is cached for `PASSING` seconds."""
        return Answer(None, error.detail, self._clock() + PASSING)

    def _answer(self, url: str) -> Answer[bytes]:
        try:
            return self._get(url)
        except FetchError as error:
            _LOG.info("%s: %r: %s: %s", self._name, url, error.detail, error)
            return self._failed(error)
