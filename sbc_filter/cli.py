"""The command line: runs one command, and turns every error into one clear sentence and an exit code.

Only the module of the command that was asked for is imported, and only when it is needed: `--help` imports none.
"""

import argparse
import difflib
import importlib
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from itertools import starmap, takewhile
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from sbc_filter import __version__
from sbc_filter.commands import COMMANDS
from sbc_filter.errors import ConfigurationError, EnvironmentFault, FilterError, UsageFault
from sbc_filter.system import signals, streams
from sbc_filter.system.plain_text import plain_lines
from sbc_filter.system.shell_words import path_word

GOOD, NO, USAGE, ENVIRONMENT = 0, 1, 2, 3

_COMMAND = "COMMAND"
_CODES: dict[type[FilterError], int] = {UsageFault: USAGE, EnvironmentFault: ENVIRONMENT}
_DESCRIPTION = """\
STIR/SHAKEN for a session border controller that does not support it. Calls
that leave are signed, calls that arrive are verified, in the packet path, by
your rules."""
_EPILOG = """\
Examples:
  sbc-filter pki lab             make a configuration to try things with
  sbc-filter replay calls.pcap   show what would have happened to these calls
  sbc-filter help replay         show the options of one command

Exit codes:
  0  good
  1  the answer is no: a mistake in a file, a call that was not signed, calls
     that a replay did not look at
  2  the command line is wrong
  3  this machine lacks something: privilege, kernel feature, program, a filter
     that runs"""


class _Command(Protocol):
    """What the module of a command offers."""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, arguments: argparse.Namespace, /) -> int: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        with signals.raising():
            streams.complete()
            return _finished(_obey(sys.argv[1:] if arguments is None else arguments))
    except signals.Interrupted as interrupted:
        streams.abandon()
        return 128 + interrupted.number
    except BrokenPipeError:
        streams.abandon()  # the reader of our output has had enough
        return GOOD


def _obey(words: Sequence[str]) -> int:
    try:
        given = _understood(words)
        run: Callable[[argparse.Namespace], int] = given.run
        return run(given)
    except SystemExit as ended:
        failed = _finished(GOOD)  # the help is output as well
        if failed and not ended.code:
            return failed
        raise
    except ConfigurationError as error:
        _complain(*error.problems)
        return NO
    except FilterError as error:
        _complain(*error.args)
        return _CODES.get(type(error), NO)
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:  # of a path that an operator named
            _complain(f"{error.filename}: {error.strerror}")
            return NO
        if not streams.is_output(error):
            raise
        streams.abandon()
        _complain(f"standard output cannot be written: {error.strerror}")
        return NO


def _finished(code: int) -> int:
    try:
        streams.finish()
    except streams.OutputFault as error:
        _complain(error)
        return code or NO
    return code


def _complain(*sentences: object) -> None:
    try:
        for sentence in sentences:
            print(f"sbc-filter: {plain_lines(str(sentence))}", file=sys.stderr)
    except OSError:  # the exit code still says it
        streams.abandon(sys.stderr)


def _understood(words: Sequence[str]) -> argparse.Namespace:
    """What the words say, with the command as `run`; `SystemExit` after help, and after a mistake."""
    while words and words[0] == "help":  # `help replay` is `replay --help`; only names may follow, so nothing runs
        words = [*takewhile(lambda word: not word.startswith("-"), words[1:]), "--help"]
    top, parsers = _grammar()
    name = next((word for word in words if not word.startswith("-")), "")
    if name in parsers:
        command = cast(_Command, importlib.import_module(f"sbc_filter.commands.{name}"))
        command.add_arguments(parsers[name])
        parsers[name].set_defaults(run=command.run)
        _refuse_unknown(parsers[name], words[words.index(name) + 1 :])
    return top.parse_args(words)


def _refuse_unknown(parser: "_Parser", words: Sequence[str]) -> None:
    """Raise `UsageFault` for the first option that the command does not have: argparse names it last, if at all."""
    chosen = parser.chosen_by(words)
    options = [option for each in chosen for option in each.options]
    for word in takewhile(lambda each: each != "--", words):
        option = word.partition("=")[0]
        if option.startswith("--") and not any(each.startswith(option) for each in options):
            near = difflib.get_close_matches(option, options, 1)
            hint = f"did you mean {near[0]}?" if near else f"`{chosen[-1].prog} --help` lists the options"
            raise UsageFault(f"unknown option {option}; {hint}")


def _grammar() -> tuple["_Parser", dict[str, "_Parser"]]:
    """The parser of the whole line, and one for each command, still without its arguments."""
    top = _Parser(
        prog="sbc-filter",
        usage="sbc-filter [-h] [--version] COMMAND ...",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    commands = top.add_subparsers(prog=top.prog, metavar=_COMMAND, required=True, help=argparse.SUPPRESS)
    parsers: dict[str, _Parser] = {}
    for title, group in COMMANDS.items():
        top.add_argument_group(title, "\n".join(starmap(_entry, group.items())))
        for name, sentence in group.items():
            parsers[name] = commands.add_parser(name, description=f"{sentence[0].upper()}{sentence[1:]}.")
    options = top.add_argument_group("Options")
    options.add_argument("-h", "--help", action="help", help="show this help; after a command, help on that command")
    options.add_argument("--version", action="version", version=f"sbc-filter {__version__}", help="show the version")
    return top, parsers


def _entry(name: str, sentence: str) -> str:
    width = max(shutil.get_terminal_size().columns - 4, 40)
    return textwrap.fill(f"{name:<14}{sentence}", width, subsequent_indent=" " * 14)


class _Parser(argparse.ArgumentParser):
    """A parser that suggests the word that was probably meant. Options of a command may stand between its words."""

    _between = False  # while the words between options are collected

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As the base class, which takes `a.pcap --json b.pcap` for one capture and a mistake."""
        if self._between or self._subparsers is not None or "--" in (args or ()):
            return super().parse_known_args(args, namespace)
        self._between = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._between = False

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and exit with 2, also if standard error cannot be written."""
        try:
            super().error(message)
        except OSError:
            streams.abandon(sys.stderr)
            sys.exit(USAGE)

    @property
    def options(self) -> list[str]:
        """All options, with their hyphens."""
        return list(self._option_string_actions)

    def chosen_by(self, words: Sequence[str]) -> list["_Parser"]:
        """This parser, and behind it the one for the action that the words choose."""
        actions = [each for each in self._actions if isinstance(each, argparse._SubParsersAction)]
        chosen = [action.choices[each] for action in actions for each in words if each in action.choices]
        return [self, *chosen[:1]]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        near = difflib.get_close_matches(value, action.choices, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(action.choices)}"
        if action.metavar == _COMMAND and os.path.isfile(value):
            hint = f"did you mean `sbc-filter {_command_for(value)} {path_word(value)}`?"
        raise argparse.ArgumentError(action, f"there is no {value!r}: {hint}")


def _command_for(path: str) -> str:
    """The command that takes this file."""
    from sbc_filter.commands.explain.material import is_capture  # only now, since it imports much

    return "replay" if is_capture(Path(path)) else "explain"
