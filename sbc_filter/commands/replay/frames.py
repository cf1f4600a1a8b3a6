"""The frames of a replay: read as far as possible, with their times, and with a progress bar on a terminal."""

import time
from collections.abc import Iterator
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from sbc_filter.capture.frame import CaptureError, Frame
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.system.plain_console import PlainConsole

_EVERY = 512  # frames between two updates of the progress bar; reading them takes milliseconds


class Readable:
    """The frames of a capture as far as it is readable; then `fault` says why reading stopped early."""

    def __init__(self, reader: CaptureReader, capture: Path) -> None:
        self._reader = reader
        self._capture = capture
        self.fault = ""

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._reader
        except CaptureError as error:
            self.fault = str(error)
        if self._reader.truncated:
            self.fault = f"{self._capture} ends within a packet"


class Clock:
    """The time of a replay: that of the `capture`, or shifted to begin `now` or at a given time (POSIX seconds)."""

    def __init__(self, at: str | float) -> None:
        self._begin = None if at == "capture" else time.time() if at == "now" else float(at)
        self._first: float | None = None
        self._now = self._begin or 0.0

    def time_of(self, frame: Frame) -> float:
        """The time (POSIX seconds) at which this frame arrives."""
        if self._first is None:
            self._first = frame.time
        self._now = frame.time if self._begin is None else self._begin + frame.time - self._first
        return self._now

    def __call__(self) -> float:
        """The time of the last frame."""
        return self._now


def with_progress(frames: Readable, reader: CaptureReader, name: str) -> Iterator[Frame]:
    """The frames; on a terminal, a progress bar on standard error meanwhile."""
    console = PlainConsole(stderr=True)
    if not console.is_terminal:
        yield from frames
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=reader.size)
        for frame in frames:
            if frame.number % _EVERY == 0:
                progress.update(task, completed=reader.position)
            yield frame
