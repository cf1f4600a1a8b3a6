"""Explains a token or an INVITE, for `sbc-filter explain`: the engine judges, this collects what it saw."""

import argparse
import os
import re
import time
from pathlib import Path

from sbc_filter.assembly.setup import Setup
from sbc_filter.certificates.given_certificate import read_given
from sbc_filter.commands.explain.bundle import Case, say_written, write_bundle
from sbc_filter.commands.explain.call_explained import explain_call
from sbc_filter.commands.explain.display import show
from sbc_filter.commands.explain.findings import Findings
from sbc_filter.commands.explain.findings_of_message import OF_TOKEN, findings_of
from sbc_filter.commands.explain.judge import Judge
from sbc_filter.commands.explain.material import (
    IDENTITY,
    Kind,
    Material,
    NotExplained,
    claims_of,
    identity_value,
    invite_for,
    is_capture,
    read_material,
    stated_transport,
    unfolded,
)
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.commands.explain.operator_setup import read_setup
from sbc_filter.commands.explain.record_explained import explain_records
from sbc_filter.commands.replay.captures import STANDARD_INPUT
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.verdict import VerdictKind
from sbc_filter.errors import UsageFault
from sbc_filter.rules.trunk import TRANSPORTS
from sbc_filter.sip.date import parse_date
from sbc_filter.system.near_file import near_file
from sbc_filter.system.plain_console import PlainConsole

_NO_TRUNK = "192.0.2.254", 5060  # a peer outside all trunks (RFC 5737)
_CALL = re.compile(r"#?[0-9]+|[^/]+@[^/]+")  # a number, a packet, a Call-ID
_DATE = re.compile(rb"^date[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


def explain(arguments: argparse.Namespace) -> int:
    """Explain what was given; returns 0 if its token is valid or the call is signed, else 1."""
    material = read_material(arguments.what)
    if material.kind is Kind.CAPTURE:
        more, arguments.call = _captures_and_call(arguments.call)
        arguments.captures = [arguments.what, *more]
        return explain_call(arguments)
    if arguments.call:
        raise UsageFault(f"{arguments.what} is not a capture: {arguments.call[-1]} names nothing in it")
    if material.kind is Kind.RECORDS and arguments.bundle is not None:
        raise UsageFault("--bundle is for a call: a record does not have its message")
    if material.kind is Kind.RECORDS:
        return explain_records(material.data, as_json=arguments.json, every=arguments.all)
    message, values = _message(material)
    at, time_from = _time(arguments.at, message, values, material)
    folders = [material.file.parent] if material.file is not None else []
    setup, missing = read_setup(arguments, folders)
    given = read_given(arguments.certificate, setup.trust.tolerate)
    source = NotedSource(setup.configuration.certificates, given, lambda: at, fetch=arguments.fetch)
    judge = Judge(setup, _flow(arguments, setup, message), at, source)
    findings = findings_of(material, message, time_from, judge, source, missing)
    written = ""
    if arguments.bundle is not None:
        written = _write_bundle(arguments.bundle, message, findings, judge, source)
    if arguments.json:
        print(findings.to_json())
    else:
        show(findings, PlainConsole(), every=arguments.all)
    say_written(written, as_json=arguments.json)
    return 0 if findings.good else 1


def _captures_and_call(words: list[str]) -> tuple[list[str], str | None]:
    """Further captures, and the call that is named behind them; `NotExplained` for a capture that is not there."""
    captures, call = (words, None) if not words or is_capture(Path(words[-1])) else (words[:-1], words[-1])
    for word in captures:
        if word == STANDARD_INPUT or os.path.isdir(word) or is_capture(Path(word)):
            continue
        if _CALL.fullmatch(word) and not os.path.exists(word):
            raise UsageFault(f"{word} and {words[-1]} are two calls, and one is explained at a time: give one of them")
        if not os.path.exists(word):
            raise NotExplained(f"{word}: No such file or directory{near_file(word)}")
        if os.path.isfile(word):
            raise NotExplained(f"{word} is not a capture: only captures stand in front of the call")
    return captures, call


def _write_bundle(path: Path, message: bytes, findings: Findings, judge: Judge, source: NotedSource) -> str:
    if findings.record is None:
        raise UsageFault("--bundle is for a call: give the INVITE, not only its token")
    judged = judge.judge(message)
    verdict = None if judged is None else judged.verdict
    response = verdict.emit[0].payload if verdict is not None and verdict.emit else None
    forwarded = None
    if verdict is not None and verdict.kind in (VerdictKind.ACCEPT, VerdictKind.MODIFY):
        forwarded = verdict.payload or message
    return write_bundle(path, Case(message, forwarded, response), findings, judge.setup, source)


def _message(material: Material) -> tuple[bytes, list[bytes]]:
    """The INVITE to judge, and its Identity values as far as they can be seen without reading it."""
    if material.kind is Kind.MESSAGE:
        return material.data, IDENTITY.findall(unfolded(material.data))
    value = identity_value(material)
    if value.startswith(b".."):
        raise NotExplained("a token in compact form says nothing without its INVITE: give the whole INVITE")
    if material.kind is Kind.PARTS:
        value = material.data + (b".." if b"." not in material.data else b".")
    return invite_for(value, claims_of(value)), [value]


def _time(given: str | float, message: bytes, values: list[bytes], material: Material) -> tuple[float, str]:
    """The time of the judgement (POSIX seconds), and where it is from."""
    if isinstance(given, float):
        return given, "--at"
    date = _DATE.search(unfolded(message)) if material.kind is Kind.MESSAGE else None
    stated = parse_date(date[1].strip()) if date is not None else None
    if given == "message" and stated is not None:
        return float(stated), "the Date of the INVITE"
    claims = next(filter(None, map(claims_of, values)), None)
    if given == "message" and claims is not None and claims.iat < 253_402_300_800:
        return float(claims.iat), OF_TOKEN
    return time.time(), "the clock of this host"


def _flow(arguments: argparse.Namespace, setup: Setup, message: bytes) -> Flow:
    network = setup.configuration.network
    sbc, port = network.sbc[0], network.ports[0]
    transport = stated_transport(message) or TRANSPORTS[0]
    if arguments.to is not None:
        address, remote_port = arguments.to
        return Flow(sbc, port, address, remote_port, transport)
    peer, peer_port = arguments.sender or _NO_TRUNK
    return Flow(peer, peer_port, sbc, port, transport)
