"""Searches what the filter keeps and the files of records, and prints the calls, newest first."""

import argparse
import base64
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sbc_filter.commands.find.printer import Printer
from sbc_filter.commands.find.record_files import Reader, RecordFile, record_files
from sbc_filter.commands.follow.lasting import messages
from sbc_filter.commands.follow.lines import line_for
from sbc_filter.commands.status_display import find_socket
from sbc_filter.config.configuration_file import find_configuration, read_configuration
from sbc_filter.config.settings import Configuration
from sbc_filter.daemon import control_socket
from sbc_filter.errors import EnvironmentFault, UsageFault, reason
from sbc_filter.numbering.numbering_plans import NANP, plan_named
from sbc_filter.recent.wanted import Wanted, is_number, record_of
from sbc_filter.system.plain_text import plain

_WAIT = 30.0  # seconds for an answer of the filter
_HELD = 60.0  # seconds: a record may be written so long after the arrival that it names
_UNORDERED = 10.0  # seconds by which records in a file may be out of order
GOOD, NO, LOST = 0, 1, 3
Found = tuple[int | None, dict[str, Any]]
"""A record, and the number of its call if that is kept."""


def find(arguments: argparse.Namespace) -> int:
    """Print the calls, or a message of one; returns the exit code."""
    if (arguments.what is None) == (arguments.message is None):
        raise UsageFault("say either a number or a Call-ID, or --message with the number of a call that is kept")
    if arguments.sent and arguments.message is None:
        raise UsageFault("--sent belongs to --message")
    if arguments.what == "":
        raise UsageFault("the number or Call-ID is empty")
    if arguments.message is not None:
        return _print_message(arguments)
    given = find_configuration(arguments.config)
    configuration = read_configuration(given, []) if given is not None else Configuration()
    search = _Search(arguments, configuration)
    printer = Printer(as_json=arguments.json)
    for number, record in search.found():
        printer.show(number, record)
    printer.end([*search.notes, *search.reader.problems])
    return GOOD if printer.shown else NO if search.searched else LOST


class _Search:
    """One search. `notes` says what was not searched; `searched` whether anything was."""

    def __init__(self, arguments: argparse.Namespace, configuration: Configuration) -> None:
        what: str = arguments.what
        number = not arguments.call_id and is_number(what)
        self._question = {"number": what} if number else {"call_id": what}
        profile = plan_named(configuration.network.numbering) or NANP
        self._wanted = Wanted(what if number else "", "" if number else what, profile=profile)
        self._since = 0.0 if arguments.since is None else time.time() - arguments.since
        self._arguments = arguments
        self._file = arguments.records or configuration.records
        self.reader = Reader(self._wanted.may, _Progress(), self._is_old)
        self.notes: list[str] = []
        self.searched = False

    def found(self) -> Iterator[Found]:
        """What is selected, newest first."""
        kept = self._kept()
        numbers = {_key(record): number for number, record in kept}
        waiting = [(number, record) for number, record in reversed(kept)]
        for record in self._recorded():
            while waiting and waiting[-1][1]["time"] > record["time"] + _UNORDERED:
                yield from self._unless_shown(waiting.pop(), numbers)
            yield numbers.pop(_key(record), None), record
        while waiting:
            yield from self._unless_shown(waiting.pop(), numbers)

    def _unless_shown(self, found: tuple[int, dict[str, Any]], numbers: dict[Any, int]) -> Iterator[Found]:
        if numbers.pop(_key(found[1]), None) is not None:
            yield found

    def _kept(self) -> list[tuple[int, dict[str, Any]]]:
        """What the running filter keeps in memory, newest first."""
        found, ended = [], False
        try:
            with control_socket.answers(
                find_socket(self._arguments), "find", _WAIT, since=self._since, **self._question
            ) as connection:
                for message in messages(connection):
                    if "record" in message:
                        found.append((int(message["kept"]), message["record"]))
                    else:
                        ended = True
                        self._note_end(message)
            if not ended:
                self.notes.append("calls in memory were not searched completely: the filter did not answer in time")
        except EnvironmentFault as error:
            self.notes.append(f"calls in memory were not searched: {error}")
        return sorted(found, key=lambda each: -each[1]["time"])

    def _note_end(self, message: dict[str, Any]) -> None:
        if message.get("code"):
            self.notes.append(f"calls in memory were not searched: {plain(message['end'])}")
            return
        self.searched = True
        if message["lost"]:
            self.notes.append(f"{message['lost']} calls were not kept: the filter had no time for them")

    def _recorded(self) -> Iterator[dict[str, Any]]:
        """The records of the files, newest first."""
        for line in self._lines():
            record = record_of(line)
            if self._wanted.selects(record) and self._is_recent(record):
                yield record

    def _is_recent(self, record: dict[str, Any]) -> bool:
        moment = record["time"]
        return isinstance(moment, int | float) and moment >= self._since

    def _is_old(self, line: bytes) -> bool:
        """Whether a line is so old that all before it are too old."""
        moment = record_of(line).get("time")
        return isinstance(moment, int | float) and moment < self._since - _HELD

    def _lines(self) -> Iterator[bytes]:
        if self._file is None:
            self.notes.append(
                "the records are in the journal, which was not searched:"
                " journalctl -u sbc-filter -o cat | sbc-filter find ... --records -"
            )
            return
        if str(self._file) == "-":
            self.searched = True
            yield from self.reader.forwards(sys.stdin.buffer)
            return
        for file in self._files(self._file):
            self.searched = True
            yield from self.reader.lines(file)
            if self.reader.done:
                return

    def _files(self, path: Path) -> Iterable[RecordFile]:
        try:
            found = record_files(path)
        except OSError as error:
            self.notes.append(f"{path}: records cannot be read: {reason(error)}")
            return []
        if not found:
            self.notes.append(f"{path}: there is no file of records yet")
        return [file for file in found if file.changed >= self._since]


class _Progress:
    """How much was searched, on a terminal."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty() and not sys.stdout.isatty()
        self._next = time.monotonic() + 1.0

    def __call__(self, octets: int) -> None:
        if self._shows and time.monotonic() >= self._next:
            self._next = time.monotonic() + 1.0
            print(f"searched {octets >> 20} MiB", file=sys.stderr)


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(str(record.get(name)) for name in ("time", "src", "call_id", "cseq", "rule", "mode"))


def _print_message(arguments: argparse.Namespace) -> int:
    """Write the message of a call that is kept to standard output, and its line to standard error."""
    with control_socket.answers(find_socket(arguments), "message", _WAIT, kept=arguments.message) as connection:
        answer: dict[str, Any] = next(messages(connection), {"end": "the filter does not answer", "code": LOST})
    if "end" in answer:
        print(f"sbc-filter: {plain(answer['end'])}", file=sys.stderr)
        return int(answer["code"])
    print(line_for(answer["record"], with_date=True), file=sys.stderr)
    message = base64.b64decode(answer["sent" if arguments.sent else "received"])
    if not message:
        print("sbc-filter: the filter sent nothing", file=sys.stderr)
        return NO
    if sys.stdout.isatty():
        print("\n".join(plain(line) for line in message.decode("utf-8", "backslashreplace").split("\r\n")))
    else:
        sys.stdout.buffer.write(message)
    return GOOD
