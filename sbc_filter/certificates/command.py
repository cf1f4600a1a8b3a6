"""Certificates from a program of the operator."""

import time
from collections.abc import Callable, Sequence

from sbc_filter.certificates.pooled_source import BACKLOG, PooledSource
from sbc_filter.concurrency.fair_queue import Peer
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.system.program import Program


class CommandSource(PooledSource):
    """Runs a program of the operator: the URL is its last argument, the PEM is read from its standard output.

    No shell is involved. Exit code 0 means success, any other is FETCH_REFUSED. More than `timeout` seconds are
    FETCH_TIMEOUT, more than `MAX_PEM` bytes FETCH_TOO_LARGE. An answer is valid for `valid` seconds. Each URL has one
    run at a time, and there are at most `workers` runs in all. `backlog`, `rate` and `timer`: see `PooledSource`.
    """

    def __init__(
        self,
        command: Sequence[str],
        timeout: float = 5.0,
        workers: int = 8,
        *,
        valid: float = 3600.0,
        backlog: int = BACKLOG,
        clock: Callable[[], float] = time.time,
        rate: float | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            f"certificate-command {command[0]}",
            workers=workers,
            patience=timeout,
            backlog=backlog,
            clock=clock,
            rate=rate,
            timer=timer,
        )
        self._program = Program(command, timeout)
        self._valid = valid

    def close(self) -> None:
        """Kill the running programs."""
        self._program.close()
        self._single.close(wait=1.0)

    def _get(self, url: str, peer: Peer) -> Answer[bytes]:
        if url.startswith("-"):
            raise FetchError(Detail.FETCH_REFUSED, "the URL would be taken for an option")
        return Answer(self._program.run(url), None, self._clock() + self._valid)
