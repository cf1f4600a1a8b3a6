"""Explains one call of a capture: its ladder, then what the engine and its checks say of the INVITE that decided."""

import argparse
import contextlib
import json
from typing import Any

from sbc_filter.assembly.setup import Setup
from sbc_filter.calls.call import Call
from sbc_filter.calls.ladder import ladder_of, lines_of
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.calls.token_uses import SameToken
from sbc_filter.commands.explain.bundle import Case, say_written, write_bundle
from sbc_filter.commands.explain.captured_call import captured_call
from sbc_filter.commands.explain.display import show
from sbc_filter.commands.explain.findings import Findings, Said
from sbc_filter.commands.explain.findings_of_message import findings_of
from sbc_filter.commands.explain.judge import DEFAULTS, Judge
from sbc_filter.commands.explain.material import Kind, Material, NotExplained
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.commands.explain.operator_setup import read_setup_of_capture
from sbc_filter.commands.explain.token_before import with_token_before
from sbc_filter.commands.replay.analysis import files_that_apply
from sbc_filter.commands.replay.captures import find_captures
from sbc_filter.commands.replay.spooled import read_twice
from sbc_filter.engine.call.network import Flow
from sbc_filter.outcomes import GOOD_OUTCOMES, Detail
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import plain

_OF_CAPTURE = "the capture"
_MORE = (
    "the ladder says untrusted.untrusted-chain, as the filter does without a trust anchor: it stops there. What is said"
    " here is what would still be wrong with one"
)


def explain_call(arguments: argparse.Namespace) -> int:
    """Explain the call of `arguments.captures` that `arguments.call` names; returns 0 if it is a good one, else 1."""
    with contextlib.ExitStack() as stack:
        named = find_captures(arguments.captures, ())
        named = named._replace(sources=read_twice(named.sources, stack))
        setup, missing = read_setup_of_capture(arguments, named)
        call, source = captured_call(arguments, setup, named)
    message = _deciding(call)
    source.begin()
    findings = None if message is None else findings_in_capture(message, setup, source, missing, call.same_token)
    written = ""
    if arguments.bundle is not None:
        if message is None or findings is None:
            raise NotExplained(f"call {call.number} has no INVITE that was looked at: there is no evidence of it")
        ladder = "\n".join(lines_of(ladder_of(call), call.time)) + "\n"
        sent, answer = next(iter(message.sent), None), next(iter(message.answers), None)
        case, of_call = Case(message.received, sent, answer, ladder), f" of call {call.number}"
        written = write_bundle(arguments.bundle, case, findings, setup, source, of_call)
    if arguments.json:
        print(json.dumps({"call": _data(call), **({} if findings is None else findings.to_dict())}))
    else:
        console = PlainConsole()
        _show_call(call, console)
        if findings is not None:
            show(findings, console, every=arguments.all)
    say_written(written, as_json=arguments.json)
    return 0 if findings is not None and findings.good else 1


def _deciding(call: Call) -> SeenMessage | None:
    """The message with the record that decided the call; None if no INVITE of it was looked at."""
    if not call.messages:
        raise NotExplained(f"call {call.number} is one of too many: cut the capture with editcap, and explain that")
    for message in call.messages:
        if message.record is call.record and call.record is not None:
            return message
    return next((each for each in call.messages if call.record is not None and call.record in each.monitored), None)


def findings_in_capture(
    message: SeenMessage, setup: Setup, source: NotedSource, missing: list[str], same: SameToken | None
) -> Findings:
    """What a new engine says of the message, with the answer of the replay: what came before may have counted."""
    findings = _findings(message, setup, source, missing)
    return findings if message.record is None else with_token_before(findings, message.record, same)


def _findings(message: SeenMessage, setup: Setup, source: NotedSource, missing: list[str]) -> Findings:
    record = message.record
    judge = Judge(setup, _flow(message), message.time if record is None else record.time, source)
    material = Material(Kind.MESSAGE, message.received)
    findings = findings_of(material, message.received, _OF_CAPTURE, judge, source, missing)
    if setup.configuration.file:
        findings = findings._replace(notes=(*findings.notes, f"configuration: {files_that_apply(setup)}"))
    if record is None:
        return findings
    findings = findings._replace(record=json.loads(record.to_json()))
    if (record.outcome, record.detail) == (findings.outcome, findings.detail):
        return findings
    if record.detail == Detail.UNTRUSTED_CHAIN and not setup.trust.anchors:
        return findings._replace(notes=(*findings.notes, _MORE))  # the anchor is not all that it lacks
    alone = f"by itself the INVITE is {findings.explanation.name}: what came before it made the difference"
    if not setup.rules.rules:
        alone = f"by {DEFAULTS} the INVITE is {findings.explanation.name}: the rules that were named are empty"
    return findings._replace(
        good=record.outcome in GOOD_OUTCOMES,
        outcome=record.outcome,
        detail=record.detail,
        explanation=Said.of_record(record),
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
    if call.response:
        console.print(f"Final response: {call.response.replace('none', 'none in this capture')}")
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
        "request_uri": call.target or None,
        "response": call.status or None,
        "same_token": None if call.same_token is None else call.same_token.to_dict(),
        "omitted": call.omitted,
        "columns": ladder.columns,
        "steps": [step._asdict() for step in ladder.steps],
    }
