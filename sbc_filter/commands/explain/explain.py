"""Explains a token or an INVITE, for `sbc-filter explain`: the engine judges, this collects what it saw."""

import argparse
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path

from sbc_filter.assembly.setup import Setup, prepare
from sbc_filter.commands.explain.display import show
from sbc_filter.commands.explain.findings import Findings, RuleShown, Said, TokenShown
from sbc_filter.commands.explain.judge import DEFAULTS, Judge, Judgement, with_only
from sbc_filter.commands.explain.material import (
    Kind,
    Material,
    NotExplained,
    claims_of,
    identity_value,
    invite_for,
    read_material,
    unfolded,
)
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.commands.explain.token_shown import TokenContext, token_shown
from sbc_filter.config.configuration_file import find_configuration, read_configuration
from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.network import Flow
from sbc_filter.errors import Problem, reason
from sbc_filter.explanations.table import explanation_of, explanation_of_deviation
from sbc_filter.outcomes import VERIFICATION_OUTCOMES, Detail, Outcome
from sbc_filter.rules.model import VerifyOptions
from sbc_filter.sip.date import parse_date
from sbc_filter.stir.verification import MAX_IDENTITIES
from sbc_filter.system.files import read_file
from sbc_filter.system.plain_console import PlainConsole

_NO_TRUNK = "192.0.2.254", 5060  # a peer outside all trunks (RFC 5737)
_SBC = "192.0.2.1"  # where the configuration does not name the SBC
_GOOD = frozenset({Outcome.PASSED, Outcome.SIGNED, Outcome.ALREADY_SIGNED})
_DATE = re.compile(rb"^date[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_IDENTITY = re.compile(rb"^(?:identity|y)[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_OF_TOKEN = "the iat of the token, so its age is not judged: give --at"
_LONGEST = 64 * 1024  # bytes of --certificate


def explain(arguments: argparse.Namespace) -> int:
    """Explain what was given; returns 0 if its token is valid or the call is signed, else 1."""
    material = read_material(arguments.what)
    message, values = _message(material)
    at, time_from = _time(arguments.at, message, values, material)
    setup, missing = _setup(arguments, material)
    given = _certificate(arguments.certificate)
    source = NotedSource(setup.configuration.certificates, given, lambda: at, fetch=arguments.fetch)
    judge = Judge(setup, _flow(arguments, setup), at, source)
    findings = _findings(material, message, time_from, judge, source, missing)
    if arguments.json:
        print(findings.to_json())
    else:
        show(findings, PlainConsole())
    return 0 if findings.good else 1


def _message(material: Material) -> tuple[bytes, list[bytes]]:
    """The INVITE to judge, and its Identity values as far as they can be seen without reading it."""
    if material.kind is Kind.MESSAGE:
        return material.data, _IDENTITY.findall(unfolded(material.data))
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
        return float(claims.iat), _OF_TOKEN
    return time.time(), "the clock of this host"


def _setup(arguments: argparse.Namespace, material: Material) -> tuple[Setup, list[str]]:
    """The operator's files, and what is missing in them."""
    problems: list[Problem] = []
    file = find_configuration(arguments.config, [material.file.parent] if material.file is not None else ())
    configuration = read_configuration(file, problems)
    missing = []
    if file is None:
        missing.append("no configuration: its SBC, trunks and numbering are the defaults (--config)")
    if arguments.anchors is not None:
        configuration = replace(configuration, trust=replace(configuration.trust, anchors=(arguments.anchors,)))
    if not configuration.network.sbc:
        configuration = replace(configuration, network=replace(configuration.network, sbc=(_SBC,)))
    setup = prepare(configuration, arguments.rules, live=False, problems=problems, needs_anchors=False)
    if not setup.rules.rules:
        missing.append(f"no rules: tokens are judged by {DEFAULTS} (--rules)")
    if not setup.trust.anchors:
        missing.append("no trust anchors: no chain can be trusted (--anchors, or [trust].anchors)")
    elif not setup.trust.crls:
        missing.append("no CRL: revocation is not known ([trust].crls)")
    return setup, [*missing, *map(str, setup.remarks)]


def _certificate(path: Path | None) -> bytes | None:
    try:
        return None if path is None else read_file(path, _LONGEST)
    except OSError as error:
        raise NotExplained(f"{path} cannot be read: {reason(error)}") from None


def _flow(arguments: argparse.Namespace, setup: Setup) -> Flow:
    network = setup.configuration.network
    sbc, port = network.sbc[0], network.ports[0]
    if arguments.to is not None:
        address, remote_port = arguments.to
        return Flow(sbc, port, address, remote_port, "udp")
    peer, peer_port = arguments.sender or _NO_TRUNK
    return Flow(peer, peer_port, sbc, port, "udp")


def _findings(
    material: Material, message: bytes, time_from: str, judge: Judge, source: NotedSource, missing: list[str]
) -> Findings:
    whole = material.kind is Kind.MESSAGE
    judged, of_tokens = judge.judge(message), judge.judge_token(message, defaults=not whole)
    if judged is None or of_tokens is None:
        raise NotExplained("the engine does not decide about this message")
    read = judge.read(message)
    call = read[0] if read is not None else None
    if of_tokens.record.outcome not in VERIFICATION_OUTCOMES:
        of_tokens = judge.judge_token(message, defaults=True) or of_tokens
    options = _options(judge, of_tokens)
    context = TokenContext(
        source, judge.setup.trust, options, judge.at, call if whole else None, time_from != _OF_TOKEN
    )
    tokens = tuple(_tokens(message, call, of_tokens, judge, context))
    answer = judged.record if whole else of_tokens.record
    if of_tokens.assumed and of_tokens.record.outcome != Outcome.PASSED:
        answer = of_tokens.record  # the anchor is not all that it lacks
    elif of_tokens.assumed and not whole:
        answer = answer._replace(outcome=Outcome.UNTRUSTED, detail=Detail.UNTRUSTED_CHAIN)
    outcome, detail = answer.outcome, answer.detail
    if not whole and detail in (Detail.ORIG_MISMATCH, Detail.DEST_MISMATCH):
        raise NotExplained("the token names a party that is not named so in any call: give the whole INVITE")
    missing += [
        f"the certificate of {url}: put it into the folder, or give --certificate or --fetch"
        for url, found in source.found.items()
        if found.pem is None
    ]
    tried = judge.tried(read[1], read[0].in_dialog) if whole and read is not None else []
    record = judged.record
    payload, emit = judged.verdict.payload, judged.verdict.emit
    return Findings(
        outcome in _GOOD,
        str(material.kind),
        judge.at,
        time_from,
        str(outcome),
        None if detail is None else str(detail),
        Said.of(f"{outcome}.{detail}" if detail else str(outcome), explanation_of(outcome, detail)),
        tokens,
        tuple(Said.of(name, explanation_of_deviation(name)) for name in of_tokens.record.deviations) if whole else (),
        tuple(RuleShown(each.rule.name, str(each.rule.mode), not each.condition, each.reason) for each in tried),
        json.loads(record.to_json()) if whole else None,
        tuple(_changes(message, payload)) if whole else (),
        emit[0].payload.decode("utf-8", "replace") if whole and emit else None,
        material.notes,
        tuple(missing),
    )


def _options(judge: Judge, judged: Judgement) -> VerifyOptions:
    """The options of the rule that decided, or the defaults."""
    rules = [rule for rule in judge.setup.rules.rules if rule.name == judged.record.rule]
    return rules[0].verify if rules else VerifyOptions()


def _tokens(
    message: bytes, call: IncomingCall | None, judged: Judgement, judge: Judge, context: TokenContext
) -> Iterator[TokenShown]:
    """Each token with the engine's result for it alone, as if the others were not there."""
    if call is None:
        for at, value in enumerate(_IDENTITY.findall(unfolded(message))[:MAX_IDENTITIES], 1):
            yield token_shown(value.strip(), at, None, context)
        return
    values = call.message.values(b"identity")
    for at, value in enumerate(values[:MAX_IDENTITIES]):
        alone = judged if len(values) == 1 else judge.judge_token(with_only(call.message, at))
        verified = alone is not None and alone.record.outcome in VERIFICATION_OUTCOMES
        yield token_shown(value, at + 1, alone if verified else None, context)


def _changes(before: bytes, after: bytes | None) -> Iterator[str]:
    """The lines that the filter removes (-) and adds (+), each with one line around it."""
    if after is None:
        return
    old, new = (text.decode("utf-8", "replace").split("\r\n") for text in (before, after))
    for line in list(unified_diff(old, new, n=1, lineterm=""))[2:]:
        yield "…" if line.startswith("@@") else line


def explain_call(message: bytes, flow: Flow, at: float, setup: Setup, source: NotedSource) -> Findings | None:
    """What is found about an INVITE of a capture, which was seen at a time (POSIX seconds) between two ends.

    It is judged by itself, as if no other call had come before. None for a message of which there is nothing to say.
    """
    judge = Judge(setup, flow, at, source)
    try:
        return _findings(Material(Kind.MESSAGE, message), message, "the time of the capture", judge, source, [])
    except NotExplained:
        return None
