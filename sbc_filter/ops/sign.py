"""`sbc-filter sign`: one SIP message in, the signed message out: what the rules do to a call that leaves."""

import argparse
import os
import sys
import time
from pathlib import Path

from sbc_filter.engine.flow import Flow
from sbc_filter.engine.verdict import Need
from sbc_filter.errors import ConfigurationError, Outcome, Problem
from sbc_filter.ops import config
from sbc_filter.ops.setup import prepare
from sbc_filter.rules.trunk import parse_endpoint

_NOBODY = "192.0.2.254"  # a peer of no trunk (RFC 5737)


def sign(arguments: argparse.Namespace) -> int:
    """Sign the INVITE in a file or on standard input; exit code 1, and a sentence, when it was not signed."""
    configuration = config.load(config.find(arguments.config))
    setup = prepare(configuration, arguments.rules)
    sbc = configuration.network.sbc
    if not sbc:
        sentence = "is missing: the rules tell by it which calls leave"
        raise ConfigurationError([Problem(configuration.file or "configuration", "network.sbc", sentence)])
    try:
        address, port = parse_endpoint(arguments.to or _NOBODY, 5060)
    except ValueError as error:
        raise ConfigurationError([Problem("--to", "", str(error))]) from None
    message = sys.stdin.buffer.read() if str(arguments.file) == "-" else _read(arguments.file)
    flow = Flow(sbc[0], configuration.network.ports[0], address, port, "udp")
    decision = setup.engine(os.urandom(32)).decide(message, flow, time.time())
    assert not isinstance(decision, Need), "signing waits for nothing"
    sys.stdout.buffer.write(decision.payload if decision.payload is not None else message)
    record = decision.record
    if record is not None and record.outcome == Outcome.SIGNED:
        return 0
    why = "it is no INVITE" if record is None else f"{record.outcome}, {record.detail}; rule: {record.rule or 'none'}"
    print(f"sbc-filter: not signed: {why}", file=sys.stderr)
    return 1


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError([Problem(str(path), "", f"cannot be read: {config.reason(error)}")]) from None
