"""Runs programs of the operator and reads their output."""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail

MAX_OUTPUT = 64 * 1024  # bytes of an answer; the same limit as for a downloaded certificate (S-089)
_GLANCE = 0.1  # seconds within which a running program notices `close`


class Program:
    """A program of the operator, run for its output. No shell is involved.

    Exit code 0 means success; anything else is FETCH_REFUSED, more than `timeout` seconds FETCH_TIMEOUT, more than
    `MAX_OUTPUT` bytes FETCH_TOO_LARGE.
    """

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command = tuple(command)
        self._timeout = timeout
        self._closing = threading.Event()

    def close(self) -> None:
        """Kill the running programs."""
        self._closing.set()

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """The program's standard output; raises `FetchError`.

        `arguments` are appended to its own. `given` is written to its standard input; it must fit into a pipe.
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
                # Until its leader is reaped, the number of the group cannot belong to another group.
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
                chunk = os.read(process.stdout.fileno(), MAX_OUTPUT)
                if not chunk:
                    return bytes(output)
                output += chunk
                if len(output) > MAX_OUTPUT:
                    raise FetchError(Detail.FETCH_TOO_LARGE)
        raise FetchError(Detail.FETCH_REFUSED, "the program ends")
