"""The report of a replay as an HTML file, for `--html`: gathers the calls meanwhile, and writes it at the end."""

import json
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from sbc_filter import __version__
from sbc_filter.assembly.setup import Setup
from sbc_filter.calls.calls import Calls
from sbc_filter.calls.listener import MessageListener
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.capture.frame import CaptureError, Frame
from sbc_filter.commands.replay.captures import Named
from sbc_filter.commands.replay.html_details import details_of
from sbc_filter.commands.replay.replay_result import Result
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.verdict import Verdict
from sbc_filter.errors import reason
from sbc_filter.records.tally import numbered
from sbc_filter.report.from_calls import is_changed, line_of
from sbc_filter.report.model import Report
from sbc_filter.report.selection import MOST, SAMPLES, fails, select
from sbc_filter.system.output_file import READER_PATIENCE, OutputFile
from sbc_filter.system.plain_console import PlainConsole

_COUNTS = {
    "packets": "packets",
    "invites": "INVITEs",
    "other_messages": "other messages",
    "repeated": "repeated INVITEs",
}
_DONE = ("modified", "rejected", "redirected", "dropped")


class Listener(Protocol):
    """What hears of packets and messages."""

    def packet(self, raw: bytes, frame: Frame, now: float, verdict: Verdict, /) -> None:
        """An IP packet that the engine got."""

    def message(self, data: bytes, flow: Flow, frame: Frame, now: float, verdict: Verdict, /) -> None:
        """A message of a TCP connection."""


class Listening(Protocol):
    """A shell that a listener hears of."""

    listener: Any


class HtmlReport:
    """A context manager: the file is written whole by `write`, or not at all. Raises `CaptureError`.

    Of the calls that pass, few are kept with their messages. So there is room for those that fail, however late they
    come. `listener` hears of everything as well, until it is set to None.
    """

    def __init__(self, path: Path, ports: Collection[int]) -> None:
        self._path = path
        self._calls = Calls()
        self._kept: Counter[tuple[str | None, ...]] = Counter()
        self._own = MessageListener(self._add, ports)
        self.listener: Listener | None = None
        try:
            self._file = OutputFile(path, mode=0o600, patience=READER_PATIENCE)
        except OSError as error:
            raise self._fault(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.discard()

    def attach(self, *shells: Listening) -> None:
        """Hear of every message that these process."""
        for shell in shells:
            shell.listener = self

    def packet(self, raw: bytes, frame: Frame, now: float, verdict: Verdict) -> None:
        """An IP packet that the engine got."""
        self._own.packet(raw, frame, now, verdict)
        if self.listener is not None:
            self.listener.packet(raw, frame, now, verdict)

    def message(self, data: bytes, flow: Flow, frame: Frame, now: float, verdict: Verdict) -> None:
        """A message of a TCP connection."""
        self._own.message(data, flow, frame, now, verdict)
        if self.listener is not None:
            self.listener.message(data, flow, frame, now, verdict)

    def write(self, console: PlainConsole, setup: Setup, result: Result, named: Named, applies: Sequence[str]) -> None:
        """Write the report; `applies` are the sentences about the files that apply."""
        from sbc_filter.report.page import page

        calls = self._calls.in_order()
        lines = [line_of(call) for call in calls]
        chosen = [calls[place] for place in select(lines)]
        text = page(
            Report(
                result.capture,
                applies[0].removeprefix("configuration: "),
                __version__,
                lines,
                details_of(chosen, setup),
                list(_totals(result)),
                [*result.unseen.sentences(), *result.faults, *applies[1:], *self._unlisted()],
                "" if named.several else shlex.join(("sbc-filter", "explain", *named.words)),
            )
        )
        try:
            self._file.write(text.encode("ascii"))
            self._file.close()
        except OSError as error:
            raise self._fault(error) from None
        console.print(f"{self._path}: report of {numbered(len(lines), 'call')}")

    def _add(self, message: SeenMessage) -> None:
        call = self._calls.add(message)
        if call is None or not call.messages or message.record is None or fails(call.outcome or ""):
            return
        changed = is_changed(call)
        kind = (None,) if changed else (call.result, call.rule, call.treatment)
        self._kept[kind] += 1
        if self._kept[kind] > (MOST if changed else SAMPLES):
            self._calls.forget(call)

    def _unlisted(self) -> Iterator[str]:
        if self._calls.unlisted:
            yield (
                f"{numbered(self._calls.unlisted, 'message')} belong to calls after the first {len(self._calls):,},"
                " which this report does not count."
            )

    def _fault(self, error: OSError) -> CaptureError:
        return CaptureError(f"{self._path} cannot be written: {reason(error)}")


def _totals(result: Result) -> Iterator[tuple[str, int]]:
    """What the summary of the replay counts; what did not happen is left out."""
    counted = json.loads(result.to_json())["summary"]
    for key, name in _COUNTS.items():
        if counted[key] or key in ("packets", "invites"):
            yield name, counted[key]
    for name in _DONE:
        if counted[name]:
            yield name, counted[name]
