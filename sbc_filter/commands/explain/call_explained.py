"""Explains one call of a capture: its ladder, then what the engine and its checks say of the INVITE that decided."""

import argparse
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sbc_filter.assembly.certificate_sources import ask_for
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import Setup
from sbc_filter.calls.call import Call
from sbc_filter.calls.calls import Calls
from sbc_filter.calls.ladder import ladder_of, lines_of
from sbc_filter.calls.listener import MessageListener
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.capture.replay_shell import Replay
from sbc_filter.capture.survey import Survey
from sbc_filter.capture.tcp.tcp_replay import TRANSPORT, TcpReplay
from sbc_filter.capture.unseen import Unseen
from sbc_filter.commands.explain.bundle import Case, write_bundle
from sbc_filter.commands.explain.display import show
from sbc_filter.commands.explain.findings import Findings, Said
from sbc_filter.commands.explain.findings_of_message import findings_of
from sbc_filter.commands.explain.judge import Judge, default_rules
from sbc_filter.commands.explain.material import Kind, Material, NotExplained
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.commands.explain.operator_setup import read_certificate, read_setup_of_capture
from sbc_filter.commands.replay.captures import find_captures, opened
from sbc_filter.commands.replay.frames import Clock, with_progress
from sbc_filter.engine.call.network import Flow, Observation
from sbc_filter.engine.record import Record
from sbc_filter.explanations.table import explanation_of
from sbc_filter.outcomes import GOOD_OUTCOMES, Detail, result_name
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import plain

_SECRET = b"sbc-filter replay"  # our To tags are those of `replay`
_OF_CAPTURE = "the capture"


def explain_call(arguments: argparse.Namespace) -> int:
    """Explain the call of `arguments.captures` that `arguments.call` names; returns 0 if it is a good one, else 1."""
    setup, missing = read_setup_of_capture(arguments)
    clock = Clock("capture" if arguments.at == "message" else arguments.at)
    source = NotedSource(
        setup.configuration.certificates, read_certificate(arguments.certificate), clock, fetch=arguments.fetch
    )
    if not setup.rules.rules:
        setup = replace(setup, rules=default_rules())
    captures = arguments.captures
    call = _named(_calls(captures, arguments.call, setup, source, clock), shlex.join(captures), arguments.call)
    message = _deciding(call)
    source.begin()
    findings = None if message is None else findings_in_capture(message, setup, source, missing)
    if arguments.bundle is not None:
        if message is None or findings is None:
            raise NotExplained(f"call {call.number} has no INVITE that was looked at: there is no evidence of it")
        ladder = "\n".join(lines_of(ladder_of(call), call.time)) + "\n"
        sent, answer = next(iter(message.sent), None), next(iter(message.answers), None)
        write_bundle(arguments.bundle, Case(message.received, sent, answer, ladder), findings, setup, source)
    if arguments.json:
        print(json.dumps({"call": _data(call), **({} if findings is None else findings.to_dict())}))
    else:
        console = PlainConsole()
        _show_call(call, console)
        if findings is not None:
            show(findings, console)
    return 0 if findings is not None and findings.good else 1


def _calls(words: Sequence[str], name: str | None, setup: Setup, source: NotedSource, clock: Clock) -> Sequence[Call]:
    """The calls of captures, as `replay` finds them; with the messages of that which `name` means."""
    calls, ports = Calls(wanted=_wanted(name)), setup.configuration.network.ports
    unseen = Unseen(ports)
    engine = setup.engine(_SECRET, nothing_waits=True)
    engine.observe(Observation(transports=frozenset((TRANSPORT,))))
    needs = Needs(source, {}, clock)
    listener = MessageListener(calls.add, ports)
    judging = engine, lambda need: ask_for(needs, need), _ignore, clock.time_of
    interfaces = setup.tells_interfaces_apart
    streams = TcpReplay(*judging, ports, unseen, interfaces, listener=listener)
    run = Replay(*judging, Survey(ports, unseen), interfaces, leaves=False, streams=streams, listener=listener)
    named = find_captures(words, ())
    with opened(named) as captures:
        for frame in with_progress(captures, named.title(captures)):
            run.feed(frame)
        run.finish()
    return calls.in_order()


def _ignore(record: Record) -> None:
    """The listener has the records."""


def _named(calls: Sequence[Call], what: str, name: str | None) -> Call:
    """The call of that number, Call-ID or packet; without a name the only one."""
    if not calls:
        raise NotExplained(f"{what} has no call on a SIP port: `sbc-filter replay {what}` says what it has")
    if name is None:
        if len(calls) == 1:
            return calls[0]
        raise NotExplained(f"{what} has {len(calls)} calls: name one; `sbc-filter replay {what} --calls` lists them")
    packet, number = _count(name[1:]) if name[:1] == "#" else None, _count(name)
    for call in calls:
        if packet is not None and any(each.packet == packet for each in call.messages):
            return call
        if number == call.number:
            return call
    for call in calls:
        if call.call_id == name:
            return call
    kind = f"packet {packet} of a call" if packet is not None else f"call {name}"
    listing = f"`sbc-filter replay {what} --calls` lists them"
    raise NotExplained(f"{what} has no {kind} among its {numbered(len(calls), 'call')}: {listing}")


def _count(text: str) -> int | None:
    """The decimal number that a text is; None if it is another text, or longer than any number of a packet or call."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _wanted(name: str | None) -> Callable[[Call], bool] | None:
    """Which calls can be meant, as far as that is known when they begin; None: any, by one of its packets."""
    if name is None or (name[:1] == "#" and _count(name[1:]) is not None):
        return None
    return lambda call: call.number == _count(name) or call.call_id == name


def _deciding(call: Call) -> SeenMessage | None:
    """The message with the record that decided the call; None if no INVITE of it was looked at."""
    if not call.messages:
        raise NotExplained(f"call {call.number} is one of too many: cut the capture with editcap, and explain that")
    for message in call.messages:
        if message.record is call.record and call.record is not None:
            return message
    return next((each for each in call.messages if call.record is not None and call.record in each.monitored), None)


def findings_in_capture(message: SeenMessage, setup: Setup, source: NotedSource, missing: list[str]) -> Findings:
    """What a new engine says of the message, with the answer of the replay: what came before may have counted."""
    record = message.record
    judge = Judge(setup, _flow(message), message.time if record is None else record.time, source)
    material = Material(Kind.MESSAGE, message.received)
    findings = findings_of(material, message.received, _OF_CAPTURE, judge, source, missing)
    if record is None:
        return findings
    findings = findings._replace(record=json.loads(record.to_json()))
    if (record.outcome, record.detail) == (findings.outcome, findings.detail):
        return findings
    if record.detail == Detail.UNTRUSTED_CHAIN and not setup.trust.anchors:
        return findings  # the anchor is not all that it lacks
    name = result_name(record.outcome, record.detail)
    alone = f"by itself the INVITE is {findings.explanation.name}: what came before it made the difference"
    return findings._replace(
        good=record.outcome in GOOD_OUTCOMES,
        outcome=record.outcome,
        detail=record.detail,
        explanation=Said.of(name, explanation_of(record.outcome, record.detail)),
        notes=(*findings.notes, alone),
    )


def _flow(message: SeenMessage) -> Flow:
    """From where to where a message went."""
    (src, sport), (dst, dport) = _end(message.src), _end(message.dst)
    return Flow(src, sport, dst, dport, message.transport)


def _end(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _show_call(call: Call, console: PlainConsole) -> None:
    parties = f"{call.caller or '-'} to {call.called or '-'}"
    console.print(plain(f"Call {call.number}: {parties}, Call-ID {call.call_id or '-'}"))
    for line in lines_of(ladder_of(call), call.time):
        console.print(plain(line))
    if call.omitted:
        console.print(f"{call.omitted} of its messages are not shown.")
    if call.record is None:
        console.print("No INVITE of this call was looked at: the capture begins too late, or no address is of the SBC.")
    console.print()


def _data(call: Call) -> dict[str, Any]:
    ladder = ladder_of(call)
    return {
        "number": call.number,
        "call_id": call.call_id,
        "caller": call.caller,
        "called": call.called,
        "omitted": call.omitted,
        "columns": ladder.columns,
        "steps": [step._asdict() for step in ladder.steps],
    }
