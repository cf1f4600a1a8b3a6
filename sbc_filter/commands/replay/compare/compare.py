"""Compares two sets of rules by what they do to a capture, for `sbc-filter replay --diff`."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from sbc_filter.assembly.certificate_sources import ask_for
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import Setup
from sbc_filter.capture.record_survey import RecordSurvey
from sbc_filter.capture.replay_shell import FrameCount, Replay
from sbc_filter.capture.survey import Survey
from sbc_filter.capture.tcp.tcp_replay import TcpReplay
from sbc_filter.capture.unseen import Unseen
from sbc_filter.commands.replay.analysis import read_setup
from sbc_filter.commands.replay.call_options import wants_list
from sbc_filter.commands.replay.captures import opened
from sbc_filter.commands.replay.compare.comparison import Comparison
from sbc_filter.commands.replay.compare.differences import Differences
from sbc_filter.commands.replay.compare.two_engines import TwoEngines
from sbc_filter.commands.replay.frames import Clock, with_progress
from sbc_filter.commands.replay.play import SECRET, files_of, report, reporting_interrupts, source_of, what_applies
from sbc_filter.config.settings import ENFORCE
from sbc_filter.errors import ConfigurationError, Problem, UsageFault
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_console import PlainConsole


def compare(arguments: argparse.Namespace) -> int:
    """Compare the rules of the configuration with others; 1 if a call is treated differently, or was not looked at."""
    file, named, outputs = files_of(arguments)
    if outputs:
        sentence = "replay once with each set of rules to write files"
        raise UsageFault(f"--diff and {next(iter(outputs))} do not go together: {sentence}")
    if wants_list(arguments):
        raise UsageFault("--diff and the list of calls do not go together: it has examples of its own")
    as_configured, other = _read_both(file, arguments)
    now, then = _enforced(as_configured), _enforced(other)
    ports = now.configuration.network.ports
    unseen = Unseen(ports)
    calls = RecordSurvey(unseen, sbc=bool(now.configuration.network.sbc))
    console = PlainConsole(stderr=arguments.json)
    differences = Differences(_write_line if arguments.json else None)
    with contextlib.ExitStack() as stack:
        stack.enter_context(reporting_interrupts(writes=False))
        captures = stack.enter_context(opened(named))
        title = named.title(captures)
        for line in (
            *what_applies(now, named, captures, analysed=False),
            *_compared_with(arguments.diff, as_configured, then),
        ):
            console.print(line)
        clock = Clock(arguments.at)
        needs = Needs(source_of(now.configuration.certificates, arguments.fetch, clock, console, stack), {}, clock)
        stack.callback(needs.close)
        ask = partial(ask_for, needs)
        first, second = (each.engine(SECRET, nothing_waits=True) for each in (now, then))
        both = TwoEngines(first, second, ask, clock.time_of, differences)
        apart = now.tells_interfaces_apart or then.tells_interfaces_apart
        streams = TcpReplay(both, ask, calls, both.time_of, ports, unseen, apart, relayed=now.relayed_ports)
        run = Replay(both, ask, calls, both.time_of, Survey(ports, unseen), apart, leaves=False, streams=streams)
        for frame in with_progress(captures, title):
            run.feed(frame)
        run.finish()
    calls.finish()
    packets = run.counters[FrameCount.FRAMES]
    comparison = Comparison(title, arguments.diff, differences, packets, unseen, captures.faults)
    report(console, comparison, json=arguments.json)
    return int(bool(differences.kinds) or unseen.has_invites or bool(captures.faults))


def _read_both(file: Path | None, arguments: argparse.Namespace) -> list[Setup]:
    """The setups with the rules of the configuration and with the others; `ConfigurationError` with all problems."""
    setups: list[Setup] = []
    problems: list[Problem] = []
    for rules in (arguments.rules, arguments.diff):
        try:
            setups.append(read_setup(argparse.Namespace(**{**vars(arguments), "rules": rules}), file))
        except ConfigurationError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigurationError(problems)
    return setups


def _enforced(setup: Setup) -> Setup:
    """The setup without `mode = "observe"`: what is compared is what rules do."""
    network = replace(setup.configuration.network, mode=ENFORCE)
    return replace(setup, configuration=replace(setup.configuration, network=network))


def _compared_with(path: Path, as_configured: Setup, other: Setup) -> Iterator[str]:
    """What is said of the other rules before the replay."""
    rules, files = other.rules.rules, {rule.file for rule in other.rules.rules}
    of = f" of {numbered(len(files), 'file')}" if files else ": every call passes"
    observes = "; mode observe: compared as if calls were filtered" if as_configured.observes else ""
    yield f"compared with: {path}; {numbered(len(rules), 'rule')}{of}{observes}"


def _write_line(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
