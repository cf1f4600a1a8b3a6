"""Certificates from a program of the operator."""

import logging
import time
from collections.abc import Callable, Sequence

from sbc_filter.certificates.source import PASSING
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.system.program import Program

_LOG = logging.getLogger(__name__)


class CommandSource:
    """Runs a program of the operator: the URL is its last argument, the PEM is read from its standard output.

    No shell is involved. Exit code 0 means success, any other is FETCH_REFUSED. More than `timeout` seconds are
    FETCH_TIMEOUT, more than `MAX_PEM` bytes FETCH_TOO_LARGE. An answer is valid for `valid` seconds. Each URL has one
    run at a time, and there are at most `workers` runs in all; `backlog` more requests may wait.
    """

    def __init__(
        self,
        command: Sequence[str],
        timeout: float = 5.0,
        workers: int = 4,
        *,
        valid: float = 3600.0,
        backlog: int = 1000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._program = Program(command, timeout)
        self._name = command[0]
        self._valid = valid
        self._clock = clock
        self._single: SingleFlightPool[Answer[bytes]] = SingleFlightPool(
            self._answer,
            lambda detail: Answer(None, detail, clock()),
            name="certificate-command",
            workers=workers,
            backlog=backlog,
            patience=timeout,
        )

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], /) -> None:
        """Run the program."""
        self._single.submit(url, done)

    def close(self) -> None:
        """Kill the running programs."""
        self._program.close()
        self._single.close(wait=1.0)

    def _answer(self, url: str) -> Answer[bytes]:
        try:
            return Answer(self._run(url), None, self._clock() + self._valid)
        except FetchError as error:
            _LOG.info("%s %r: %s", self._name, url, error)
            return Answer(None, error.detail, self._clock() + PASSING)

    def _run(self, url: str) -> bytes:
        if url.startswith("-"):
            raise FetchError(Detail.FETCH_REFUSED, "the URL would be taken for an option")
        return self._program.run(url)
