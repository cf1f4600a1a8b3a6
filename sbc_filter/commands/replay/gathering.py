"""Gathers the calls of a replay, as long as they are wanted, and shows them."""

import argparse
import contextlib

from sbc_filter.calls.calls import Calls
from sbc_filter.calls.listener import MessageListener, Supposed
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.capture.replay_shell import Replay
from sbc_filter.capture.tcp.tcp_replay import TcpReplay
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.commands.replay.call_filter import NoSuchCall, chosen, unmatched
from sbc_filter.commands.replay.call_list import lines, to_json
from sbc_filter.commands.replay.call_options import has_filter, needs_signers, wants_list
from sbc_filter.commands.replay.captures import Named
from sbc_filter.commands.replay.examples import Examples, of_calls
from sbc_filter.commands.replay.given_options import given_options
from sbc_filter.commands.replay.html_report import HtmlReport
from sbc_filter.commands.replay.signers import Trial, name_signers
from sbc_filter.commands.replay.spooled import SpooledRecords
from sbc_filter.config.settings import NetworkSettings
from sbc_filter.numbering.numbering_plans import NANP, plan_named
from sbc_filter.records.tally import numbered
from sbc_filter.report.from_calls import headline_of
from sbc_filter.system import pager
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import plain

SMALL = 50
"""Calls of a capture that are listed without being asked for."""


class Gathering:
    """Attach it to the shells of a replay. `calls` is None once there are more than `SMALL`, and no list is wanted.

    From then on nothing is gathered: a replay of a large capture costs the time and memory that it cost without. The
    `trial` of a certificate hears of each message, until it is decided.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        network: NetworkSettings,
        trial: Trial,
        stack: contextlib.ExitStack,
        supposed: Supposed = lambda: None,
    ) -> None:
        """With `--json` and a filter, records are kept until it is known whose they are; `stack` removes the copy."""
        self.calls: Calls | None = Calls(with_messages=0)
        self._arguments = arguments
        self._wanted = wants_list(arguments)
        self._listener = MessageListener(self._add, network.ports, supposed)
        self._plan = plan_named(network.numbering) or NANP
        self._trial = trial
        self._records = SpooledRecords(stack) if arguments.json and has_filter(arguments) else None
        self._shells: tuple[Replay | TcpReplay | HtmlReport, ...] = ()
        self.fault: NoSuchCall | None = None
        """Why no call is listed, though there are calls."""

    def attach(self, *shells: Replay | TcpReplay | HtmlReport) -> None:
        """Hear of every message that these process."""
        if self._arguments.json and not self._wanted:
            self.calls = None
        self._shells = shells
        if self._listens:
            for shell in shells:
                shell.listener = self._listener

    def show(self, console: PlainConsole, source: CertificateSource, *, several: bool) -> None:
        """Print the list, if it is wanted or short."""
        if self.calls is None:
            return
        if needs_signers(self._arguments):
            name_signers(self.calls.in_order(), source)
        found = chosen(self.calls.in_order(), self._arguments, self._plan)
        name_signers(found, source)
        unknown = list(unmatched(self.calls.in_order(), self._arguments, self._plan)) if len(self.calls) else []
        if not found and len(self.calls):
            none = f"none of the {len(self.calls)} calls has all that these options say"
            self.fault = NoSuchCall(*(unknown or [none]))
            return
        for sentence in unknown:
            console.print(plain(sentence))
        if self._arguments.json:
            for line in () if self._records is None else self._records.of(found):
                print(line, end="")
            for call in found:
                print(to_json(call))
        elif found:
            console.print()
            width = console.width if console.has_width else None
            pager.show(lines(found, width, several=several), console.file, paged=not self._arguments.no_pager)
            console.print()
        if not self._arguments.json:
            self._say(console, len(found))

    @property
    def is_all(self) -> bool:
        """Whether the list, or why there is none, is all that is wanted: the summary is about the whole capture."""
        return self.fault is not None or has_filter(self._arguments)

    def raise_fault(self) -> None:
        """Raise `fault`, if there is one."""
        if self.fault is not None:
            raise self.fault

    def headline(self) -> str:
        """How many calls there are, and how many fail; empty if they are not gathered, or there are none."""
        return headline_of(self.calls.in_order()) if self.calls else ""

    def examples(self, of_packets: Examples, named: Named) -> list[str]:
        """Lines that name failed calls: by their numbers if calls were gathered, else by packets."""
        options = given_options(self._arguments)
        if self.calls is not None:
            return list(of_calls(self.calls.in_order(), named.words, options))
        return list(of_packets.lines(None if named.several else named.words[0], options))

    def _say(self, console: PlainConsole, listed: int) -> None:
        """What the list does not show."""
        if self.calls is None:
            return
        if listed and has_filter(self._arguments):
            console.print(f"{numbered(listed, 'call')} of {len(self.calls)} listed")
        elif self._wanted and not listed:
            console.print("There are no calls.")
        if self.calls.unlisted:
            messages = numbered(self.calls.unlisted, "message")
            console.print(f"{messages} belong to calls after the first {len(self.calls)}, which are not listed")

    @property
    def _listens(self) -> bool:
        return self.calls is not None or self._trial.is_open

    def _add(self, message: SeenMessage) -> None:
        self._trial.add(message)
        if self.calls is not None:
            call = self.calls.add(message)
            if call is not None and self._records is not None:
                self._records.add(call, message)
            if not self._wanted and len(self.calls) > SMALL:
                self.calls = None
        if not self._listens:
            for shell in self._shells:
                shell.listener = None
