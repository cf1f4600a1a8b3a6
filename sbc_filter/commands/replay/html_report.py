"""The report of a replay as an HTML file, for `--html`: gathers the calls meanwhile, and writes it at the end."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Self

from sbc_filter import __version__
from sbc_filter.assembly.setup import Setup
from sbc_filter.calls.calls import Calls
from sbc_filter.calls.listener import MessageListener, Supposed
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.capture.frame import CaptureError, Frame
from sbc_filter.capture.replay_shell import Replay
from sbc_filter.capture.tcp.tcp_replay import TcpReplay
from sbc_filter.certificates.given_certificate import GivenCertificate
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.commands.replay.captures import Named
from sbc_filter.commands.replay.html_details import details_of
from sbc_filter.commands.replay.replay_result import Result
from sbc_filter.commands.replay.signers import name_signers
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.verdict import Verdict
from sbc_filter.errors import reason
from sbc_filter.records.tally import numbered
from sbc_filter.report.contents import Report
from sbc_filter.report.from_calls import headline_of, line_of
from sbc_filter.report.selection import MOST, SAMPLES, fails, select
from sbc_filter.system.output_file import READER_PATIENCE, OutputFile
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.shell_words import path_words

_COUNTS = {
    "packets": "packets",
    "invites": "INVITEs",
    "other_messages": "other messages",
    "repeated": "repeated INVITEs",
}
_DONE = ("modified", "rejected", "redirected", "dropped")


class HtmlReport:
    """A context manager: the file is written whole by `write`, or not at all. Raises `CaptureError`.

    Of the calls that pass, few are kept with their messages. So there is room for those that fail, however late they
    come. `listener` hears of everything as well, until it is set to None.
    """

    def __init__(self, path: Path, ports: Collection[int], supposed: Supposed = lambda: None) -> None:
        self._path = path
        self._calls = Calls()
        self._kept: Counter[tuple[str | None, ...]] = Counter()  # calls with messages that do not fail, by kind
        self._judged: set[int] = set()  # numbers of calls of which an INVITE was decided, and did not fail
        self._changed: set[int] = set()  # numbers of calls of which a message does not pass as it is
        self._own = MessageListener(self._add, ports, supposed)
        self.listener: MessageListener | None = None
        try:
            self._file = OutputFile(path, mode=0o600, patience=READER_PATIENCE)
        except OSError as error:
            raise self._fault(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.discard()

    def attach(self, replay: Replay, streams: TcpReplay) -> tuple[Self]:
        """Hear of every message that these process; returns what another one has to attach itself to."""
        replay.listener = streams.listener = self
        return (self,)

    def packet(self, raw: bytes, frame: Frame, now: float, verdict: Verdict) -> None:
        """An IP packet that the engine got."""
        self._own.packet(raw, frame, now, verdict)
        if self.listener is not None:
            self.listener.packet(raw, frame, now, verdict)

    def message(self, data: bytes, flow: Flow, frame: Frame, now: float, verdict: Verdict, relayed: bool) -> None:
        """A message of a TCP connection."""
        self._own.message(data, flow, frame, now, verdict, relayed)
        if self.listener is not None:
            self.listener.message(data, flow, frame, now, verdict, relayed)

    def write(
        self,
        console: PlainConsole,
        setup: Setup,
        result: Result,
        named: Named,
        applies: Sequence[str],
        source: CertificateSource,
        options: str,
        given: GivenCertificate,
    ) -> None:
        """Write the report.

        - `applies`: the sentences about the files that apply.
        - `source`: has the certificates.
        - `options`: those that a command has to repeat, each with a space in front.
        - `given`: the file of `--certificate`.
        """
        from sbc_filter.report.page import page

        calls = self._calls.in_order()
        name_signers(calls, source)
        lines = [line_of(call, changed=call.number in self._changed) for call in calls]
        kept = {place for place, call in enumerate(calls) if call.messages}
        chosen = [calls[place] for place in select(lines, kept)]
        text = page(
            Report(
                result.capture,
                applies[0],
                __version__,
                lines,
                details_of(chosen, setup, given.pem),
                list(_totals(result)),
                [*result.unseen.sentences(), *result.faults, *applies[1:], *given.sentences(), *self._notes()],
                "" if named.several else f"sbc-filter explain{options} {path_words(named.words)}",
            )
        )
        try:
            self._file.write(text.encode("ascii"))
            self._file.close()
        except OSError as error:
            raise self._fault(error) from None
        console.print(f"{self._path}: report of {numbered(len(lines), 'call')}")

    def headline(self) -> str:
        """How many calls there are, and how many fail, as on the page; empty if there are none."""
        return headline_of(self._calls.in_order())

    def _add(self, message: SeenMessage) -> None:
        call = self._calls.add(message)
        if call is None:
            return
        if message.sent != (message.received,) or message.answers:
            self._changed.add(call.number)
        if message.record is None or call.number in self._judged or fails(call.outcome or ""):
            return
        self._judged.add(call.number)
        changed = call.number in self._changed
        kind = (None,) if changed else (call.result, call.rule, call.treatment)
        self._kept[kind] += 1
        if self._kept[kind] > (MOST if changed else SAMPLES):
            self._calls.forget(call)

    def _notes(self) -> Iterator[str]:
        """Sentences about what the figures do not show."""
        supposed = sum(call.supposed for call in self._calls.in_order())
        if supposed:
            yield (
                f"{numbered(supposed, 'call')} would pass if there were a trust anchor (--anchors): they lack"
                " nothing else."
            )
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
