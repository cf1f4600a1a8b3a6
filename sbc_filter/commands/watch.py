"""`sbc-filter status --watch`: a screen that is renewed each second; without a terminal, blocks of lines."""

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sbc_filter.commands.watch_figures import Window, picture, rates
from sbc_filter.daemon import control_socket
from sbc_filter.errors import EnvironmentFault
from sbc_filter.system.plain_text import plain
from sbc_filter.system.screen import Screen, is_terminal

_EVERY = 1.0  # seconds between two updates; workers report as often
_WAIT = 10.0  # seconds for an answer of the filter
_READ = 1 << 16  # octets that are read at once
_LONGEST = 1 << 20  # octets without a line feed


class Feed:
    """The records of a running filter, which are connected to again when the process that sends them was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: socket.socket | None = None
        self._rest = b""

    @property
    def descriptors(self) -> list[int]:
        """What to watch for reading."""
        return [] if self._connection is None else [self._connection.fileno()]

    def connect(self) -> None:
        """Connect if there is no connection; it is tried again at the next call."""
        if self._connection is None:
            with contextlib.suppress(EnvironmentFault):
                self._connection = control_socket.answers(self._path, "follow", _WAIT)
                self._connection.setblocking(False)

    def read(self) -> Iterator[dict[str, Any]]:
        """What has come."""
        if self._connection is None:
            return
        try:
            data = self._connection.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data or len(self._rest) > _LONGEST:
            self.close()
        yield from map(json.loads, lines)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._rest = None, b""


class Watch:
    """The figures, and what they come from."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._window = Window()
        self._before: dict[str, Any] | None = None
        self._asked = 0.0
        self.feed = Feed(path)

    def collect(self) -> None:
        """Count the records that have come."""
        now = time.monotonic()
        for message in self.feed.read():
            if "outcome" in message:
                self._window.add(message, now)
            elif "not_shown" in message:
                self._window.miss(message["not_shown"], now)
            elif "end" in message:
                self._window.refusal = message["end"]

    def lines(self) -> list[str]:
        """The picture now. Raises `EnvironmentFault` when the filter does not answer."""
        if self.feed.descriptors:
            self._window.refusal = ""
        self.feed.connect()
        state = control_socket.ask(self._path, "status", _WAIT)
        now = time.monotonic()
        speed = rates(self._before, state, now - self._asked)
        self._before, self._asked = state, now
        return list(picture(state, speed, self._window, time.time(), now))


def watch(path: Path) -> int:
    """Show the figures until `q`, Ctrl-C, or the end of the filter."""
    found = Watch(path)
    with contextlib.closing(found.feed):
        if is_terminal():
            first = found.lines()  # errors come before the screen
            with Screen() as screen:
                _on_screen(found, screen, first)
            return 0
        while True:
            print("\n".join(map(plain, found.lines())), end="\n\n", flush=True)
            end = time.monotonic() + _EVERY
            while time.monotonic() < end:
                select.select(found.feed.descriptors, [], [], max(end - time.monotonic(), 0.0))
                found.collect()


def _on_screen(found: Watch, screen: Screen, lines: list[str]) -> None:
    while not screen.quit:
        screen.show(lines)
        end = time.monotonic() + _EVERY
        while time.monotonic() < end and not screen.quit:
            if screen.wait(end, found.feed.descriptors):
                found.collect()
        if not screen.quit:
            lines = found.lines()
