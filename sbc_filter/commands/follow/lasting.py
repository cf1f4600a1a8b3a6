"""The messages to a follower, across a restart of the process that sends them.

The supervisor restarts that process, and keeps the control socket open meanwhile: a follower that connects at once is
served by the next process. Without a filter behind the socket it gives up soon.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from sbc_filter.errors import EnvironmentFault

AGAIN = "the connection to the filter was lost: following again; records in between may be missing"
GONE = "the connection to the filter was lost, and it does not come back: follow again when the filter runs"
OTHER = "what answers at the control socket is not a filter: name its socket with --socket"
_LINE = 1 << 20  # octets of a line; a record has 4096, the messages of a call in Base64 180,000
_TRIES = 5  # to connect; one after another is lost, each after a pause that is a second longer
_STEADY = 10.0  # seconds, after which a lost connection is not counted with those before


def lasting(
    connect: Callable[[], socket.socket],
    say: Callable[[str], object],
    sleep: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[dict[str, Any]]:
    """Messages from the connection and from those that replace it; `say` gets a sentence about a loss, but only one
    about several in a row between which nothing came.

    The first errors of `connect` are passed on. Raises `EnvironmentFault` when the filter does not come back. The
    seconds of `sleep` and `now` are those of the module `time`.
    """
    connection, failures = connect(), 0
    while True:
        since, unsaid = now(), not failures
        with connection:
            for message in messages(connection):
                yield message
                unsaid = True
        if now() - since >= _STEADY:
            failures, unsaid = 0, True
        if unsaid:
            say(AGAIN)
        connection, failures = _connected(connect, failures, sleep)


def messages(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """The lines that come, as objects, until the filter closes the connection.

    Raises `EnvironmentFault` if it is not a filter that sends them.
    """
    with connection.makefile("rb") as lines:
        while True:
            try:
                line = lines.readline(_LINE)
            except OSError:
                return
            if not line.endswith(b"\n"):
                return
            yield _object(line)


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EnvironmentFault(OTHER)
    return found


def _connected(
    connect: Callable[[], socket.socket], failures: int, sleep: Callable[[float], object]
) -> tuple[socket.socket, int]:
    """A new connection, and the number of tries since the last steady one."""
    while failures < _TRIES:
        sleep(float(failures))
        failures += 1
        try:
            return connect(), failures
        except EnvironmentFault:
            continue
    raise EnvironmentFault(GONE)
