"""Peers that open TCP connections to make work or to take memory, and never send a message that can be read.

    python hostile_peers.py KIND

It prints that it has begun, goes on until SIGTERM, and prints the number of connections.
"""

import contextlib
import heapq
import itertools
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.bench_calls import CORE, call
from support.waiting import LONG

ADDRESSES = [f"192.0.2.{100 + at}" for at in range(5)]
"""Of the carrier, in turn for the connections of a hostile peer."""
_RESET = struct.pack("ii", 1, 0)
_BEGUN, _TOGETHER = time.monotonic(), 6.0  # seconds until those connections end that end together
_HEAD, _BODY = call(0xFFFFFFFF, signed=False).split(b"Content-Length")[0], b"v=0\r\n" * 20

Steps = Generator[float, None, None]
"""What a connection does: it yields the seconds until its next step."""


class Kind(NamedTuple):
    """A kind of hostile peer."""

    name: str
    connections: int
    """At a time."""
    pace: float
    """Connections that are opened in a second."""
    steps: Callable[[socket.socket, int], Steps]
    """What each does, from the moment it is open. The second argument is its number."""


def endless_header(opened: socket.socket, _number: int) -> Steps:
    """60,000 octets of a header, and then nothing."""
    opened.send(_HEAD)
    for _ in range(60):
        opened.send(b"X-Long: " + b"a" * 990 + b"\r\n")
        yield 0.01
    yield from _waiting(opened)


def wrong_length(opened: socket.socket, number: int) -> Steps:
    """A Content-Length that is more or less than what follows, no number, too much, or one of two."""
    values = (b" 5000", b" 10", b" -1", b" 4294967296", b" 100\r\nContent-Length: 0", b" 0\r\nl: 100")
    opened.send(_HEAD + b"Content-Length:" + values[number % len(values)] + b"\r\n\r\n" + _BODY)
    yield from _waiting(opened)


def slow(opened: socket.socket, number: int) -> Steps:
    """One octet a second."""
    for octet in _HEAD:
        opened.send(bytes([octet]))
        yield 1.0


def idle(opened: socket.socket, _number: int) -> Steps:
    """Nothing."""
    yield from _waiting(opened)


def together(_opened: socket.socket, _number: int) -> Steps:
    """Nothing, until all of them end in the same moment. Those that replace them stay."""
    left = _BEGUN + _TOGETHER - time.monotonic()
    yield left if left > 0 else LONG


def reset(opened: socket.socket, _number: int) -> Steps:
    """Half a message, then a reset."""
    opened.send(_HEAD)
    yield 0.05
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


KINDS = (
    Kind("header without end", 200, 100, endless_header),
    Kind("wrong Content-Length", 200, 100, wrong_length),
    Kind("1 octet a second", 200, 100, slow),
    Kind("1,000 idle connections", 1000, 250, idle),
    Kind("1,000 that end at once", 1000, 250, together),
    Kind("reset in mid-message", 200, 100, reset),
)


def attack(kind: Kind, over: threading.Event) -> int:
    """Keep as many connections as this kind has until it is `over`; how many there were. Those that end, also by a
    reset of the relay, are replaced."""
    numbers = itertools.count()
    due: list[tuple[float, int, Steps]] = []
    now, next_opening = time.monotonic(), time.monotonic()
    while not over.is_set():
        if next_opening <= now and len(due) < kind.connections:
            number = next(numbers)
            heapq.heappush(due, (now, number, _connection(kind, number)))
            next_opening = max(next_opening + 1 / kind.pace, now - 0.1)
        while due and due[0][0] <= now:
            _, number, steps = heapq.heappop(due)
            with contextlib.suppress(OSError, StopIteration):
                heapq.heappush(due, (now + next(steps), number, steps))
        time.sleep(0.002)
        now = time.monotonic()
    for _, _, steps in due:
        steps.close()
    return next(numbers)


def _connection(kind: Kind, number: int) -> Steps:
    """Open a connection, do what its kind does, close it."""
    with socket.socket() as opened:
        opened.setblocking(False)
        opened.bind((ADDRESSES[number % len(ADDRESSES)], 0))
        opened.connect_ex((CORE, 5060))
        yield 0.02
        yield from kind.steps(opened, number)


def _waiting(opened: socket.socket) -> Steps:
    """Until the relay ends the connection."""
    while True:
        with contextlib.suppress(BlockingIOError):
            if not opened.recv(65536):
                return
        yield 0.5


if __name__ == "__main__":
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print("begun", flush=True)
    (chosen,) = (kind for kind in KINDS if kind.name == sys.argv[1])
    print(attack(chosen, ended))
