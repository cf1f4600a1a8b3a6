"""`sbc-filter replay`: shows what the rules would have done to the calls of a capture."""

import argparse
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from sbc_filter.assembly.certificate_sources import ask_for, certificate_source
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import Setup, read_all
from sbc_filter.capture.frame import CaptureError, Frame
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.capture.replay_shell import FrameCount, Replay
from sbc_filter.capture.survey import Survey
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.certificates.warm_up import Learner
from sbc_filter.commands.file_arguments import add_files
from sbc_filter.config.configuration_file import find_configuration
from sbc_filter.counters import CounterName
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import VerdictKind
from sbc_filter.errors import UsageFault, reason
from sbc_filter.records.tally import Tally, findings, numbered, to_lines
from sbc_filter.system.output_file import is_same_file, own_descriptor
from sbc_filter.system.plain_console import PlainConsole

SECRET = b"sbc-filter replay"  # our To tags are the same in every replay
_FRESH = 3600.0  # seconds of the capture for which an answer of the certificate folder is valid
_EVERY = 512  # frames between two updates of the progress bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `replay`."""
    parser.add_argument("capture", type=Path, metavar="CAPTURE", help="pcap or pcapng file, also compressed by gzip")
    parser.add_argument(
        "--at",
        default="capture",
        type=_time,
        metavar="TIME",
        help="judge freshness as of the capture (default), as of now, or as of a time such as 2027-01-15T08:00:00Z",
    )
    parser.add_argument("--out", type=Path, metavar="PCAP", help="write the packets as they would have left")
    parser.add_argument("--json", action="store_true", help="print one JSON record a line instead of a summary")
    parser.add_argument(
        "--fetch", action="store_true", help="fetch certificates from the network; never done otherwise"
    )
    parser.add_argument(
        "--learn", type=Path, metavar="FILE", help="write the x5u URLs of its tokens, for [certificates].warm"
    )
    add_files(parser, where="sbc-filter.toml next to the capture, then here, then in /etc/sbc-filter")


def _time(text: str) -> str:
    if text not in ("capture", "now"):
        try:
            parse_time(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is neither capture, now nor a time") from None
    return text


def run(arguments: argparse.Namespace) -> int:
    """Replay a capture through the engine."""
    capture: Path = arguments.capture
    _refuse_itself(capture, "--out", arguments.out)
    _refuse_itself(capture, "--learn", arguments.learn)
    _refuse_mixture(arguments.out, arguments.learn, json=arguments.json)
    setup = read_all(find_configuration(arguments.config, beside=capture), arguments.rules, live=False)
    configuration = setup.configuration
    tally, survey = Tally(), Survey(configuration.network.sbc, configuration.network.ports)
    # Standard output is reserved for records or for a file that goes there.
    taken = arguments.json or any(out and own_descriptor(out) == 1 for out in (arguments.out, arguments.learn))
    console = PlainConsole(stderr=taken)
    sinks: list[Callable[[Record], None]] = [tally]
    learner = Learner(configuration.certificates.tolerate)
    if arguments.learn is not None:
        sinks.append(learner)
    if arguments.json:
        sinks.append(to_lines(sys.stdout))

    def sink(record: Record) -> None:
        for each in sinks:
            each(record)

    with contextlib.ExitStack() as stack:
        stack.enter_context(_reporting_interrupts(writes=arguments.out is not None))
        reader = stack.enter_context(CaptureReader(capture))
        console.print(_what_applies(setup))
        for fault in setup.remarks:
            console.print(f"warning: {fault}")
        clock = Clock(arguments.at)
        source = certificate_source(
            configuration.certificates, fetch=arguments.fetch, offline=not arguments.fetch, clock=clock, fresh=_FRESH
        )
        needs = Needs(source, {}, clock)  # calls of the past are not signed by delegates
        stack.callback(needs.close)
        writer = stack.enter_context(CaptureWriter(arguments.out)) if arguments.out else None
        engine = setup.engine(SECRET)
        run = Replay(
            engine, lambda need: ask_for(needs, need), sink, clock.time_of, survey, setup.tells_interfaces_apart
        )
        frames = Readable(reader, capture)
        for frame in _leaving(run, _with_progress(frames, reader, capture.name)):
            if writer is not None:
                writer.write(frame)
    if arguments.learn is not None:
        _learn(console, learner, arguments.learn, capture)
    if not arguments.json:
        _report(console, capture, run, tally, engine.counters)
    for remark in survey.remarks():
        console.print(remark)
    if frames.fault:
        raise CaptureError(f"{frames.fault}; everything before it was replayed")
    return 0


@contextlib.contextmanager
def _reporting_interrupts(*, writes: bool) -> Iterator[None]:
    """Report an interrupt on standard error, once everything within has been closed."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"sbc-filter: interrupted{', nothing written' if writes else ''}", file=sys.stderr)
        raise


def _refuse_itself(capture: Path, option: str, out: Path | None) -> None:
    if out is not None and is_same_file(out, capture):
        raise UsageFault(f"{option} {out} is the capture itself: name another file, the capture is not overwritten")


def _refuse_mixture(out: Path | None, learn: Path | None, *, json: bool) -> None:
    """Refuse two outputs to one file: one would replace the other, or both would be mixed. A device may take both."""
    if out and learn and os.path.realpath(out) == os.path.realpath(learn) and not out.is_char_device():
        raise UsageFault(f"--out and --learn name the same file, {out}: name two")
    for option, path in (("--out", out), ("--learn", learn)):
        if json and path and own_descriptor(path) == 1:
            raise UsageFault(f"--json and {option} {path} both write to standard output: give one of them a file")


def _learn(console: PlainConsole, learner: Learner, path: Path, capture: Path) -> None:
    try:
        count = learner.write(path, capture)
    except OSError as error:
        raise CaptureError(f"{path} cannot be written: {reason(error)}") from None
    console.print(f"{path}: {numbered(count, 'URL')} learnt")


def _what_applies(setup: Setup) -> str:
    configuration = setup.configuration
    files = {rule.file for rule in setup.rules.rules}
    rules = numbered(len(setup.rules.rules), "rule") + (f" of {numbered(len(files), 'file')}" if files else "")
    return f"configuration: {configuration.file or 'none found, the defaults'}; {rules}"


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
    """The time of a replay: that of the capture, or shifted to begin `now` or at a given time."""

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


def _with_progress(frames: Readable, reader: CaptureReader, name: str) -> Iterator[Frame]:
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


def _report(console: PlainConsole, capture: Path, run: Replay, tally: Tally, done: Counter[str]) -> None:
    count = run.counters
    packets, invites = numbered(count[FrameCount.FRAMES], "packet"), numbered(tally.total, "INVITE")
    console.print(f"{capture}: {packets}, {invites}")
    if tally.kinds:
        tally.print(console)
        console.print()
    repeated, added = done[CounterName.RETRANSMISSION], done[CounterName.REASON_ADDED]
    removed = done[CounterName.REASON_REMOVED]
    if repeated:
        console.print(f"{numbered(repeated, 'repeated INVITE')}: treated as the first of its kind")
    if added:
        console.print(f"{numbered(added, 'response')} of the SBC: a Reason added")
    if removed:
        console.print(f"{numbered(removed, 'response')} to the SBC: a Reason about our tokens removed")
    for line in findings(done):
        console.print(line)
    parts = [f"{count[kind]} {word}" for kind, word in _WORDS.items() if count[kind]]
    if count[FrameCount.EMITTED]:
        parts.append(f"{numbered(count[FrameCount.EMITTED], 'answer')} sent")
    console.print(", ".join(parts) or "Nothing would change.")


_WORDS = {
    VerdictKind.MODIFY: "modified",
    VerdictKind.REJECT: "rejected",
    VerdictKind.REDIRECT: "redirected",
    VerdictKind.DROP: "dropped",
}
