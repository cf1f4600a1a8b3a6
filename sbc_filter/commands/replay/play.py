"""Replays a capture through the engine, for `sbc-filter replay`."""

import argparse
import contextlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from sbc_filter.assembly.certificate_sources import ask_for, certificate_source
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.operator_files import input_files
from sbc_filter.assembly.setup import Setup
from sbc_filter.calls.could_be_signed import honest
from sbc_filter.capture.frame import CaptureError, Frame
from sbc_filter.capture.merge import Captures
from sbc_filter.capture.record_survey import RecordSurvey
from sbc_filter.capture.replay_shell import FrameCount, Replay
from sbc_filter.capture.survey import Survey
from sbc_filter.capture.tcp.tcp_replay import TcpReplay
from sbc_filter.capture.unseen import Unseen
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.certificates.given_certificate import GivenCertificate, read_given
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.certificates.warm_up import Learner
from sbc_filter.commands.replay.advice import advise, to_dict
from sbc_filter.commands.replay.analysis import (
    ANALYSED,
    Analysis,
    counted_rules,
    files_that_apply,
    judged_by_defaults,
    look,
    no_rule,
    proposed_setup,
    read_setup,
    what_is_taken,
)
from sbc_filter.commands.replay.call_options import has_filter
from sbc_filter.commands.replay.captures import Named, find_captures, folders_of, opened
from sbc_filter.commands.replay.examples import Examples
from sbc_filter.commands.replay.frames import Clock, with_progress
from sbc_filter.commands.replay.gathering import Gathering
from sbc_filter.commands.replay.given_options import given_options
from sbc_filter.commands.replay.html_report import HtmlReport
from sbc_filter.commands.replay.learnt_translations import LearntTranslations
from sbc_filter.commands.replay.replay_result import Reported, Result
from sbc_filter.commands.replay.signers import Trial
from sbc_filter.config.configuration_file import find_configuration
from sbc_filter.config.settings import CertificateSettings
from sbc_filter.engine.call.network import Observation
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import AnyAnswer, Need, VerdictKind
from sbc_filter.errors import EnvironmentFault, UsageFault, reason
from sbc_filter.records.tally import Tally, numbered, to_lines
from sbc_filter.system.output_file import is_same_file, own_descriptor
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import plain_lines

SECRET = b"sbc-filter replay"  # our To tags are the same in every replay
_LEARNT = {"--learn": "URL", "--learn-translations": "translation"}
_NO_RULES = "no rules, so no call is judged: write some (docs/rules.md), or name a file of them with --rules"
_FRESH = 3600.0  # seconds of the capture for which an answer of the certificate folder is valid


def replay(arguments: argparse.Namespace) -> int:
    """Replay the captures, and print a summary or their records; 1 if a capture could not be read completely."""
    with contextlib.ExitStack() as stack:
        file, named, outputs = files_of(arguments)
        if file is None and arguments.rules is None:
            analysis = Analysis(arguments, named, stack)
            return _replay(arguments, analysis.setup, analysis.named, outputs, [ANALYSED], analysis)
        if file is None:
            named, proposal = look(arguments, named, stack)
            setup, assumed = proposed_setup(arguments, arguments.rules, proposal)
            assumed.insert(0, what_is_taken(proposal, counted_rules(setup)))
            return _replay(arguments, setup, named, outputs, assumed)
        setup = read_setup(arguments, file)
        setup = judged_by_defaults(setup) if arguments.rules is None else setup
        return _replay(arguments, setup, named, outputs)


def _replay(
    arguments: argparse.Namespace,
    setup: Setup,
    named: Named,
    outputs: Mapping[str, Path],
    assumed: Sequence[str] = (),
    analysis: Analysis | None = None,
) -> int:
    configuration, ports = setup.configuration, setup.configuration.network.ports
    given = given_certificate(arguments.certificate, setup)
    tally, unseen = Tally(), Unseen(ports)
    survey, calls = Survey(ports, unseen), RecordSurvey(unseen, sbc=bool(configuration.network.sbc))
    console = _console(arguments, outputs)
    learners = _learners(outputs, configuration.certificates.tolerate)
    analyses = [] if analysis is None else [analysis]
    supposed = [each.supposed for each in analyses]
    examples = Examples(*supposed)
    counted = _to_all([tally, *learners.values()])
    sinks: list[Callable[[Record], None]] = [lambda record: counted(honest(record)), calls, examples, *analyses]
    sinks += [to_lines(sys.stdout)] if arguments.json and not has_filter(arguments) else []
    with contextlib.ExitStack() as stack:
        gathering = Gathering(arguments, configuration.network, Trial(given), stack, *supposed)
        stack.enter_context(reporting_interrupts(writes=bool(arguments.out or arguments.html)))
        captures = stack.enter_context(opened(named))
        title, applies = named.title(captures), list(what_applies(setup, named, captures, assumed, arguments.rules))
        console.print(*applies, sep="\n")
        clock = Clock(arguments.at)
        source = source_of(configuration.certificates, arguments.fetch, clock, console, stack, given)
        source = source if analysis is None else analysis.noting(source)
        needs = stack.enter_context(contextlib.closing(Needs(source, {}, clock)))  # delegates sign no calls of the past
        writer = stack.enter_context(CaptureWriter(arguments.out)) if arguments.out else None
        html = stack.enter_context(HtmlReport(arguments.html, ports, *supposed)) if arguments.html else None
        engine = setup.engine(SECRET, nothing_waits=True)
        engine.observe(Observation(tcp_but=setup.relayed_ports))
        ask: Callable[[Need], AnyAnswer] = lambda need: ask_for(needs, need)  # noqa: E731
        judging = engine if analysis is None else analysis.core(engine, ask), ask, _to_all(sinks), clock.time_of
        interfaces = setup.tells_interfaces_apart
        streams = TcpReplay(*judging, ports, unseen, interfaces, relayed=setup.relayed_ports)
        run = Replay(*judging, survey, interfaces, leaves=writer is not None, streams=streams)
        gathering.attach(*(html.attach(run, streams) if html else (run, streams)))
        _write(writer, _leaving(run, with_progress(captures, title)))
        print_each(console, given.sentences())
        gathering.show(console, source, several=named.several)
        calls.finish()
        named_calls = gathering.examples(examples, named)
        data = None if analysis is None else to_dict(analysis)
        counts = with_tcp(run.counters, streams)
        sentence = html.headline() if html else gathering.headline()
        result = Result(title, counts, engine.counters, tally, unseen, captures.faults, named_calls, data, sentence)
        if html:
            html.write(console, setup, result, named, applies, source, given_options(arguments), given)
    for option, learner in learners.items():
        _learn(console, learner, outputs[option], named.short_title(captures), _LEARNT[option])
    report(console, result, json=arguments.json, brief=gathering.is_all)
    gathering.raise_fault()
    if analysis is not None and not (arguments.json or gathering.is_all):
        advise(console, analysis, arguments, named.words)
    return int(unseen.has_invites or bool(captures.faults))


def _console(arguments: argparse.Namespace, outputs: Mapping[str, Path]) -> PlainConsole:
    """Standard output, unless it is reserved for records or for a file that goes there."""
    return PlainConsole(stderr=arguments.json or any(own_descriptor(out) == 1 for out in outputs.values()))


def _to_all(sinks: Iterable[Callable[[Record], None]]) -> Callable[[Record], None]:
    """A sink that passes each record to these."""

    def sink(record: Record) -> None:
        for each in sinks:
            each(record)

    return sink


def _write(writer: CaptureWriter | None, frames: Iterable[Frame]) -> None:
    """Write all frames; without a writer, only go through them."""
    for frame in frames:
        if writer is not None:
            writer.write(frame)


def files_of(arguments: argparse.Namespace) -> tuple[Path | None, Named, dict[str, Path]]:
    """The configuration, the captures, and the files to write: refused where one would overwrite another."""
    file = find_configuration(arguments.config, folders_of(arguments.captures))
    inputs = list(input_files(file, arguments.rules))
    named = find_captures(arguments.captures, inputs)
    outputs = _outputs(arguments)
    for option, out in outputs.items():
        _refuse_itself(named.paths, option, out)
        _refuse_input(inputs, option, out)
    _refuse_mixture(outputs, json=arguments.json)
    return file, named, outputs


def report(console: PlainConsole, result: Reported, *, json: bool, brief: bool = False) -> None:
    """Print the result, unless as a text if `brief`, then what was not looked at, then what could not be read."""
    if json:
        print(result.to_json())
    elif not brief:
        result.print(console)
    for sentence in result.unseen.sentences():
        console.print(sentence)
    for fault in result.faults:
        print(f"sbc-filter: {plain_lines(fault)}", file=sys.stderr)


def given_certificate(path: Path | None, setup: Setup) -> GivenCertificate:
    """The source of `--certificate`, which may be absent; `UnusableCertificate` if the file is not a certificate."""
    return GivenCertificate(path, read_given(path, setup.trust.tolerate))


def source_of(
    settings: CertificateSettings,
    fetch: bool,
    clock: Clock,
    console: PlainConsole,
    stack: contextlib.ExitStack,
    given: GivenCertificate,
) -> CertificateSource:
    """Where certificates come from: from what was given, if anything was.

    A cache folder that this user may not write is not needed: another serves.
    """
    if given.pem is not None:
        return given

    def made(settings: CertificateSettings) -> CertificateSource:
        return certificate_source(settings, fetch=fetch, offline=not fetch, clock=clock, fresh=_FRESH)

    try:
        return made(settings)
    except EnvironmentFault as error:
        console.print(f"warning: {error}; what is fetched is kept for this replay only")
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sbc-filter-"))
        return made(replace(settings, cache=Path(folder)))


def print_each(console: PlainConsole, sentences: Iterable[str]) -> None:
    """Print sentences, one a line."""
    for each in sentences:
        console.print(each)


@contextlib.contextmanager
def reporting_interrupts(*, writes: bool) -> Iterator[None]:
    """Report an interrupt on standard error, once everything within has been closed."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"sbc-filter: interrupted{', nothing written' if writes else ''}", file=sys.stderr)
        raise


def _outputs(arguments: argparse.Namespace) -> dict[str, Path]:
    """The files to write, by the option that names each."""
    every = {
        "--out": arguments.out,
        "--html": arguments.html,
        "--learn": arguments.learn,
        "--learn-translations": arguments.learn_translations,
    }
    return {option: path for option, path in every.items() if path is not None}


def _learners(outputs: Mapping[str, Path], tolerate: Collection[str]) -> dict[str, Learner | LearntTranslations]:
    """What learns from records, by the option that asks for it."""
    every: dict[str, Learner | LearntTranslations] = {
        "--learn": Learner(tolerate),
        "--learn-translations": LearntTranslations(),
    }
    return {option: learner for option, learner in every.items() if option in outputs}


def _refuse_itself(captures: Iterable[Path], option: str, out: Path) -> None:
    if any(is_same_file(out, capture) for capture in captures):
        raise UsageFault(f"{option} {out} is the capture itself: name another file, the capture is not overwritten")


def _refuse_input(inputs: Iterable[Path], option: str, out: Path) -> None:
    if not os.path.isdir(out) and any(is_same_file(out, each) for each in inputs):
        raise UsageFault(f"{option} {out} belongs to the configuration: name another file, it is not overwritten")


def _refuse_mixture(outputs: Mapping[str, Path], *, json: bool) -> None:
    """Refuse two outputs to one file: one would replace the other, or both would be mixed. A device may take both."""
    for (option, path), (other, second) in combinations(outputs.items(), 2):
        if os.path.realpath(path) == os.path.realpath(second) and not path.is_char_device():
            raise UsageFault(f"{option} and {other} name the same file, {path}: name two")
    for option, path in outputs.items():
        if json and own_descriptor(path) == 1:
            raise UsageFault(f"--json and {option} {path} both write to standard output: give one of them a file")


def _learn(console: PlainConsole, learner: Learner | LearntTranslations, path: Path, title: str, what: str) -> None:
    try:
        count = learner.write(path, title)
    except OSError as error:
        raise CaptureError(f"{path} cannot be written: {reason(error)}") from None
    console.print(f"{path}: {numbered(count, what)} learnt")


def what_applies(
    setup: Setup,
    named: Named,
    captures: Captures,
    assumed: Sequence[str] = (),
    rules: Path | None = None,
    *,
    without_rules: str = _NO_RULES,
) -> Iterator[str]:
    """What is said before a replay: the files that apply, and those that are ignored.

    `assumed` stands in the place of the configuration that is missing. If there are no rules, what is said is about the
    file of `rules` that was named, or else `without_rules`.
    """
    analysed = ANALYSED in assumed
    yield from assumed or (f"configuration: {files_that_apply(setup)}",)
    if not setup.rules.rules:
        yield without_rules if rules is None else no_rule(rules)
    directed = any(each.direction for each in setup.rules.conditions)
    if directed and not setup.configuration.network.sbc and not analysed:
        yield "warning: the address of the SBC is not known, so no rule with a direction matches (--sbc, [network].sbc)"
    if setup.lacks_anchors and not analysed:
        yield "warning: no trust anchors: no chain can be trusted, the rest is judged ([trust].anchors, or --anchors)"
    for fault in (*setup.remarks, *named.remarks(captures)):
        yield f"warning: {fault}"


def with_tcp(counters: Mapping[FrameCount | VerdictKind, int], streams: TcpReplay) -> Counter[FrameCount | VerdictKind]:
    """What the shell counted, with what would happen to messages that are relayed live."""
    found = Counter(counters)
    found.update({kind: count for kind, count in streams.verdicts.items() if kind is not VerdictKind.ACCEPT})
    found[FrameCount.EMITTED] += streams.answers
    return found


def _leaving(run: Replay, frames: Iterator[Frame]) -> Iterator[Frame]:
    for frame in frames:
        yield from run.feed(frame)
    yield from run.finish()
