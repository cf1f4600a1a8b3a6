"""Programs of the operator's, which may ask whatever they like; certificates from one."""

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from sbc_filter.concurrency.single_flight import Single
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import FetchError
from sbc_filter.io.store import MAX_PEM, PASSING
from sbc_filter.outcomes import Detail

_LOG = logging.getLogger(__name__)
_GLANCE = 0.1  # seconds; a running command notices `close` after this at the latest


class Program:
    """A program of the operator's, run for an answer. No shell is involved.

    Exit code 0 means success; anything else is FETCH_REFUSED, more than `timeout` seconds FETCH_TIMEOUT, more than
    `MAX_PEM` bytes FETCH_TOO_LARGE.
    """

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command = tuple(command)
        self._timeout = timeout
        self._closing = threading.Event()

    def close(self) -> None:
        """Kill what runs."""
        self._closing.set()

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """Its standard output; raises `FetchError`.

        `arguments` go behind its own, `given`, no more than a pipe holds, to its standard input.
        """
        end = time.monotonic() + self._timeout
        try:
            process = subprocess.Popen(
                [*self._command, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise FetchError(Detail.FETCH_REFUSED, str(error)) from error
        with process:
            try:
                assert process.stdin is not None, "it is a pipe"
                with contextlib.suppress(BrokenPipeError), process.stdin:  # it need not read to answer
                    process.stdin.write(given)
                output = self._read(process, end)
                code = process.wait(max(end - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired as error:
                raise FetchError(Detail.FETCH_TIMEOUT) from error
            finally:
                # Only while its leader is not reaped is the number of the group certainly not a stranger's.
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        if code:
            raise FetchError(Detail.FETCH_REFUSED, f"exit code {code}")
        return output

    def _read(self, process: subprocess.Popen[bytes], end: float) -> bytes:
        assert process.stdout is not None, "it is a pipe"
        output = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not self._closing.is_set():
                left = end - time.monotonic()
                if left <= 0.0:
                    raise FetchError(Detail.FETCH_TIMEOUT)
                if not selector.select(min(left, _GLANCE)):
                    continue
                chunk = os.read(process.stdout.fileno(), MAX_PEM)
                if not chunk:
                    return bytes(output)
                output += chunk
                if len(output) > MAX_PEM:
                    raise FetchError(Detail.FETCH_TOO_LARGE)
        raise FetchError(Detail.FETCH_REFUSED, "the program ends")


class CommandSource:
    """A program of the operator's: the URL as its last argument, the PEM on its standard output.

    No shell is involved. Exit code 0 means success; anything else is FETCH_REFUSED, more than
    `timeout` seconds FETCH_TIMEOUT, more than `MAX_PEM` bytes FETCH_TOO_LARGE. An answer holds for
    `valid` seconds. One run a URL at a time, `workers` at most in all; `backlog` more may wait.
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
        self._single: Single[Answer] = Single(
            self._answer,
            lambda detail: Answer(None, detail, clock()),
            name="certificate-command",
            workers=workers,
            backlog=backlog,
            patience=timeout,
        )

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        """Have the command run."""
        self._single.request(url, done)

    def close(self) -> None:
        """Kill what runs."""
        self._program.close()
        self._single.close(wait=1.0)

    def _answer(self, url: str) -> Answer:
        try:
            return Answer(self._run(url), None, self._clock() + self._valid)
        except FetchError as error:
            _LOG.info("%s %r: %s", self._name, url, error)
            return Answer(None, error.detail, self._clock() + PASSING)

    def _run(self, url: str) -> bytes:
        if url.startswith("-"):
            raise FetchError(Detail.FETCH_REFUSED, "the URL would be taken for an option")
        return self._program.run(url)
