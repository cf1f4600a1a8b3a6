"""`sbc-filter replay`: what the rules would have done to a capture, before they touch live calls."""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from sbc_filter.engine.record import Record
from sbc_filter.io.capture import Frame
from sbc_filter.io.capturereader import CaptureReader
from sbc_filter.io.capturewriter import CaptureWriter
from sbc_filter.io.replay import Replay
from sbc_filter.ops import config
from sbc_filter.ops.records import Tally, to_lines
from sbc_filter.ops.setup import prepare
from sbc_filter.ops.sources import ask, certificate_source

SECRET = b"sbc-filter replay"  # our To tags are the same in every replay
_EVERY = 512  # frames between two states of the progress bar


def replay(arguments: argparse.Namespace) -> int:
    """Replay a capture through the engine."""
    capture: Path = arguments.capture
    configuration = config.load(config.find(arguments.config, beside=capture))
    setup = prepare(configuration, arguments.rules, live=False)
    tally = Tally()
    sinks: list[Callable[[Record], None]] = [tally]
    if arguments.json:
        sinks.append(to_lines(sys.stdout))

    def sink(record: Record) -> None:
        for each in sinks:
            each(record)

    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(CaptureReader(capture))
        clock = Clock(arguments.at)
        source = certificate_source(configuration.certificates, fetch=arguments.fetch, clock=clock)
        stack.callback(source.close)
        writer = stack.enter_context(CaptureWriter(arguments.out)) if arguments.out else None
        run = Replay(setup.engine(SECRET), lambda url: ask(source, url), sink, clock.time_of)
        for frame in _leaving(run, _with_progress(reader, capture.name)):
            if writer is not None:
                writer.write(frame)
    if not arguments.json:
        _report(Console(highlight=False), capture, reader, run, tally)
    return 0


class Clock:
    """The time of a replay: the capture's own, or one that begins `now` or at a given time and runs as the capture."""

    def __init__(self, at: str) -> None:
        self._begin = None if at == "capture" else time.time() if at == "now" else parse_time(at)
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


def parse_time(text: str) -> float:
    """POSIX seconds, or ISO 8601 (local time unless it says otherwise); `ValueError` for anything else."""
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()


def _leaving(run: Replay, frames: Iterator[Frame]) -> Iterator[Frame]:
    for frame in frames:
        yield from run.feed(frame)
    yield from run.finish()


def _with_progress(reader: CaptureReader, name: str) -> Iterator[Frame]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from reader
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=reader.size)
        for frame in reader:
            if frame.number % _EVERY == 0:
                progress.update(task, completed=reader.position)
            yield frame


def _report(console: Console, capture: Path, reader: CaptureReader, run: Replay, tally: Tally) -> None:
    count = run.counters
    console.print(f"{capture}: {count['frames']} packets, {tally.total} INVITEs", soft_wrap=True)
    if reader.truncated:
        console.print("The file ends within a packet: everything before it was replayed.")
    if tally.kinds:
        console.print()
        tally.print(console)
        console.print()
    changed = ", ".join(f"{count[action]} {word}" for action, word in _WORDS.items() if count[action])
    console.print(changed or "Nothing would change.")


_WORDS = {
    "modify": "modified",
    "reject": "rejected",
    "redirect": "redirected",
    "drop": "dropped",
    "emitted": "answers sent",
}
