"""The frames of a replay: with their times, and with a progress bar on a terminal."""

import time
from collections.abc import Iterator

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.merge import Captures
from sbc_filter.system.plain_console import PlainConsole

_HOUR = 3600.0  # seconds
_EVERY = 512  # frames between two updates of the progress bar; reading them takes milliseconds


class Clock:
    """The time of a replay: that of the `capture`, or shifted to begin `now` or at a given time (POSIX seconds).

    A frame without a time stamp has the time of the frame before it. If a frame is an hour earlier than that with which
    the replay began, the time of that one was wrong, and the replay begins again with this one.
    """

    def __init__(self, at: str | float) -> None:
        self._begin = None if at == "capture" else time.time() if at == "now" else float(at)
        self._first: float | None = None
        self._now = self._begin or 0.0

    def time_of(self, frame: Frame) -> float:
        """The time (POSIX seconds) at which this frame arrives."""
        if not frame.timestamp:
            return self._now
        if self._first is None or frame.time < self._first - _HOUR:
            self._first = frame.time
        self._now = frame.time if self._begin is None else self._begin + frame.time - self._first
        return self._now

    def __call__(self) -> float:
        """The time of the last frame."""
        return self._now


def with_progress(captures: Captures, name: str) -> Iterator[Frame]:
    """The frames; on a terminal, a progress bar on standard error meanwhile."""
    console = PlainConsole(stderr=True)
    if not console.is_terminal:
        yield from captures
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=captures.size or None)  # of a pipe, the size is unknown
        for count, frame in enumerate(captures):
            if count % _EVERY == 0:
                progress.update(task, completed=captures.position)
            yield frame
