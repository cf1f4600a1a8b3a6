"""Compares two sets of rules by what they do to a capture, for `sbc-filter replay --diff`."""

import argparse
import contextlib
import sys
from functools import partial

from sbc_filter.assembly.certificate_sources import ask_for
from sbc_filter.assembly.needs import Needs
from sbc_filter.capture.record_survey import RecordSurvey
from sbc_filter.capture.replay_shell import FrameCount, Replay
from sbc_filter.capture.survey import Survey
from sbc_filter.capture.tcp.tcp_replay import TcpReplay
from sbc_filter.capture.unseen import Unseen
from sbc_filter.commands.replay.call_options import wants_list
from sbc_filter.commands.replay.captures import opened
from sbc_filter.commands.replay.compare.comparison import Comparison
from sbc_filter.commands.replay.compare.differences import Differences
from sbc_filter.commands.replay.compare.explaining import Explaining
from sbc_filter.commands.replay.compare.setups import Setups
from sbc_filter.commands.replay.compare.two_engines import TwoEngines
from sbc_filter.commands.replay.frames import Clock, with_progress
from sbc_filter.commands.replay.play import (
    SECRET,
    files_of,
    given_certificate,
    print_each,
    report,
    reporting_interrupts,
    source_of,
    what_applies,
)
from sbc_filter.errors import UsageFault
from sbc_filter.system.plain_console import PlainConsole

_NO_RULES = "no rules now, so every call passes unexamined: name others to compare with these by --rules RULES"


def compare(arguments: argparse.Namespace) -> int:
    """Compare the rules of the configuration with others; 1 if a call is treated differently, or was not looked at."""
    file, named, outputs = files_of(arguments)
    if outputs:
        sentence = "replay once with each set of rules to write files"
        raise UsageFault(f"--diff and {next(iter(outputs))} do not go together: {sentence}")
    if wants_list(arguments):
        raise UsageFault("--diff and the list of calls do not go together: it has examples of its own")
    console = PlainConsole(stderr=arguments.json)
    differences = Differences(_write_line if arguments.json else None)
    with contextlib.ExitStack() as stack:
        stack.enter_context(reporting_interrupts(writes=False))
        setups = Setups.read(file, arguments, named, stack)
        now, then, named = setups.now, setups.then, setups.named
        given = given_certificate(arguments.certificate, now)
        ports = now.configuration.network.ports
        unseen = Unseen(ports)
        calls = RecordSurvey(unseen, sbc=bool(now.configuration.network.sbc))
        captures = stack.enter_context(opened(named))
        title = named.title(captures)
        first = setups.first_lines()
        applies = what_applies(now, named, captures, first, arguments.rules, without_rules=_NO_RULES)
        console.print(*applies, *setups.last_lines(arguments.diff), sep="\n")
        clock = Clock(arguments.at)
        source = source_of(now.configuration.certificates, arguments.fetch, clock, console, stack, given)
        needs = Needs(source, {}, clock)
        stack.callback(needs.close)
        ask = partial(ask_for, needs)
        first_engine, second_engine = (each.engine(SECRET, nothing_waits=True) for each in (now, then))
        both = TwoEngines(first_engine, second_engine, ask, clock.time_of, differences)
        apart = now.tells_interfaces_apart or then.tells_interfaces_apart
        streams = TcpReplay(both, ask, calls, both.time_of, ports, unseen, apart, relayed=now.relayed_ports)
        run = Replay(both, ask, calls, both.time_of, Survey(ports, unseen), apart, leaves=False, streams=streams)
        for frame in with_progress(captures, title):
            run.feed(frame)
        run.finish()
        print_each(console, given.sentences())
    calls.finish()
    packets = run.counters[FrameCount.FRAMES]
    explaining = Explaining.of(arguments, named, () if setups.proposal is None else setups.proposal.sbc)
    comparison = Comparison(title, arguments.diff, differences, packets, unseen, captures.faults, explaining)
    report(console, comparison, json=arguments.json)
    return int(bool(differences.kinds) or unseen.has_invites or bool(captures.faults))


def _write_line(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
