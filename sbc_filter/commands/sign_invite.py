"""Signs one INVITE as the rules would sign an outbound call, for `sbc-filter sign`."""

import argparse
import os
import sys
import time
from pathlib import Path

from sbc_filter.assembly.certificate_sources import ask_for, certificate_source
from sbc_filter.assembly.delegates import signers, verifiers
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import NO_SBC, Setup, read_all
from sbc_filter.commands.explain.material import stated_transport
from sbc_filter.config.configuration_file import require_configuration
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Need, Verdict
from sbc_filter.errors import ConfigurationError, Problem, reason
from sbc_filter.outcomes import Outcome
from sbc_filter.rules.model import Direction
from sbc_filter.rules.trunk import TRANSPORTS
from sbc_filter.system.files import read_file, read_whole

_LONGEST = 1 << 20  # bytes of an input; a message over UDP has less than 64 KiB
_NO_TRUNK = "192.0.2.254", 5060  # a peer outside all trunks (RFC 5737)


def sign(arguments: argparse.Namespace) -> int:
    """Sign the INVITE in a file or on standard input and write it to standard output.

    Returns 1, after a sentence on standard error, when it was not signed. The INVITE is then written as the rules
    leave it; input that is not an INVITE is not written at all.
    """
    setup = read_all(require_configuration(arguments.config), arguments.rules)
    network = setup.configuration.network
    if not network.sbc:
        raise ConfigurationError([Problem(setup.configuration.file, "network.sbc", NO_SBC)])
    message = _read(arguments.file)
    address, port = arguments.to or _NO_TRUNK
    transport = stated_transport(message) or TRANSPORTS[0]
    flow = Flow(network.sbc[0], network.ports[0], address, port, transport)
    decision = _decided(setup, message, flow)
    record = decision.record
    if _is_invite(record):  # anything else, a capture say, would only fill the terminal or the next program
        sys.stdout.buffer.write(decision.payload if decision.payload is not None else message)
        sys.stdout.buffer.flush()
    if record is not None and record.outcome == Outcome.SIGNED:
        return 0
    print(f"sbc-filter: not signed: {_why(record, flow, network.sbc)}", file=sys.stderr)
    return 1


def _is_invite(record: Record | None) -> bool:
    """Whether the input was an INVITE that could be read: only such a message is written out, signed or not."""
    return record is not None and record.outcome != Outcome.UNPARSEABLE


def _decided(setup: Setup, message: bytes, flow: Flow) -> Verdict:
    """The verdict on the message. No packet is held here, so there is no deadline."""
    configuration = setup.configuration
    engine = setup.engine(os.urandom(32))
    engine.bypass(setup.bypasses.read().tokens)
    certificates = certificate_source(configuration.certificates, fetch=False)
    needs = Needs(
        certificates,
        signers(configuration.file, setup.credentials, configuration.remote),
        verifiers=verifiers(configuration.file, configuration.verifiers),
    )
    try:
        decision = engine.decide(message, flow, time.time())
        while isinstance(decision, Need):
            decision = engine.resume(decision.id, ask_for(needs, decision), time.time())
        return decision
    finally:
        needs.close()


def _why(record: Record | None, flow: Flow, sbc: tuple[str, ...]) -> str:
    if record is None:
        return "the input is not an INVITE; nothing was written"
    if record.outcome == Outcome.UNPARSEABLE:
        return f"the INVITE cannot be read ({record.detail}); nothing was written"
    if record.direction != Direction.OUTBOUND:
        to = f"{flow.dst}, an address of the SBC itself" if flow.dst in sbc else flow.dst
        return f"the call does not leave: it goes to {to}; name where it goes with --to"
    rule = f"rule: {record.rule}" if record.rule else f"no rule matches a call that leaves to {flow.dst}"
    return f"{record.outcome}, {record.detail}; {rule}"


def _read(path: Path) -> bytes:
    name = "standard input" if str(path) == "-" else str(path)
    try:
        return read_whole(sys.stdin.buffer, _LONGEST, name) if str(path) == "-" else read_file(path, _LONGEST)
    except OSError as error:
        raise ConfigurationError([Problem(name, "", f"cannot be read: {reason(error)}")]) from None
