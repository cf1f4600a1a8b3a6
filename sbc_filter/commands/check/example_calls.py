"""The calls of `[[rule.example]]`: read from a file or the rule file, or made up, between which addresses, and when."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from sbc_filter.assembly.setup import Setup
from sbc_filter.commands.explain.material import claims_of, stated_transport, unfolded
from sbc_filter.engine.call.network import Flow, Interfaces
from sbc_filter.errors import FilterError, reason
from sbc_filter.lab.certificate_maker import X5U, Laboratory, Maker, key_pem
from sbc_filter.rules.example import Example, ExampleToken
from sbc_filter.rules.example_options import ANONYMOUS, CALLER
from sbc_filter.rules.model import Conditions, Direction
from sbc_filter.rules.trunk import TRANSPORTS, Trunk
from sbc_filter.rules.trunk_options import parse_endpoint
from sbc_filter.sip.date import parse_date
from sbc_filter.sip.lenient.request_start import method_of
from sbc_filter.stir.credential import load_credential
from sbc_filter.stir.signing import sign_shaken
from sbc_filter.system.files import read_file

MOST = 256 * 1024
"""Bytes of a message; over UDP it has at most 64 KiB."""
_PEER, _PEER_V6 = "192.0.2.254", "2001:db8::fe"  # outside all trunks, where no peer is named (RFC 5737, 3849)
_SBC, _SBC_V6 = "192.0.2.1", "2001:db8::1"  # where the configuration does not name the SBC
_ORIGID = "00000000-0000-4000-8000-000000000000"
_CALL_ID = re.compile(rb"^((?:call-id|i)[ \t]*:[ \t]*)", re.IGNORECASE | re.MULTILINE)
_DATE = re.compile(rb"^date[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_IDENTITY = re.compile(rb"^(?:identity|y)[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


class ExampleFault(FilterError):
    """An example cannot be run; one sentence."""


def flow_of(example: Example, conditions: Conditions, setup: Setup, message: bytes = b"") -> Flow:
    """The addresses of the call: those of the example, or of the first trunk that the rule names. `message` is its
    own, if it has one."""
    trunks = {trunk.name: trunk for trunk in setup.trunks}
    given = example.sender or example.target
    outbound = bool(example.target) or (not example.sender and conditions.direction is Direction.OUTBOUND)
    trunk = trunks.get(given or min(conditions.trunk or (), default=""))
    if given and trunk is None:
        peer, port = parse_endpoint(given, 5060)
    else:
        peer, port = _address(trunk, setup), 5060
    sbc, sbc_port = _side(trunk, peer, setup)
    transport = example.transport or stated_transport(message) or _transport(conditions, trunk)
    name = trunk.interface if trunk is not None else ""
    ways = Interfaces(name, name) if name else None
    if outbound:
        return Flow(sbc, sbc_port, peer, port, transport, ways)
    return Flow(peer, port, sbc, sbc_port, transport, ways)


def given_message(example: Example, folder: Path) -> bytes:
    """The INVITE that an example has in a file or in itself, empty if it is made up; `ExampleFault`."""
    if not example.message:
        return b""
    if "\n" in example.message:
        data = example.message.encode()
    else:
        data = content(folder / example.message)
    if b"\r\n" not in data:  # from an editor
        data = data.strip().replace(b"\n", b"\r\n")
    if b"\r\n\r\n" not in data:
        data = data.rstrip() + b"\r\n\r\n"
    if method_of(data) != b"INVITE":
        raise ExampleFault("the message is not an INVITE: rules apply to INVITEs only")
    return data


def content(path: Path, limit: int = MOST) -> bytes:
    """The content of a regular file that an example names; `ExampleFault`."""
    try:
        if path.exists() and not path.is_file():
            raise ExampleFault(f"{path} is not a file")
        return read_file(path, limit)
    except (OSError, ValueError) as error:
        raise ExampleFault(f"{path} cannot be read: {reason(error)}") from None


def time_of(example: Example, message: bytes) -> float:
    """When the call arrives (POSIX seconds): as the example, the Date of the message or its token says, or now."""
    if example.at is not None:
        return example.at
    head = unfolded(message)
    date = _DATE.search(head)
    stated = parse_date(date[1].strip()) if date is not None else None
    if stated is not None:
        return float(stated)
    claims = next(filter(None, map(claims_of, _IDENTITY.findall(head))), None)
    return float(claims.iat) if claims is not None and claims.iat < 253_402_300_800 else time.time()


def copies(message: bytes, count: int) -> Iterator[bytes]:
    """So many calls like this one, each with a Call-ID of its own."""
    for number in range(1, count + 1):
        yield _CALL_ID.sub(rb"\g<1>%d-" % number, message, count=1)


def laboratory_for(token: ExampleToken, at: float) -> Laboratory:
    """Certificates for the token of a call that arrives `at` (POSIX seconds)."""
    return Maker(at - max(token.age, 0.0)).laboratory(token.spc)


def made_message(example: Example, flow: Flow, at: float, laboratory: Laboratory | None) -> bytes:
    """The INVITE of an example without a message of its own; `laboratory` signs its token."""
    caller, called = _uri(example.caller, "caller.example"), _uri(example.called, _host(flow.dst))
    lines = [
        f"INVITE {called} SIP/2.0",
        f"Via: SIP/2.0/{flow.transport.upper()} {_host(flow.src)}:{flow.sport};branch=z9hG4bK-example",
        "Max-Forwards: 70",
        f"From: <{caller}>;tag=example",
        f"To: <{called}>",
        "Call-ID: example",
        *example.headers,
        "CSeq: 1 INVITE",
        f"Contact: <sip:{_host(flow.src)}:{flow.sport}>",
        "Content-Length: 0",
    ]
    head = "\r\n".join(lines).encode()
    if example.token is None or laboratory is None:
        return head + b"\r\n\r\n"
    return head + b"\r\nIdentity: " + _identity(example, example.token, at, laboratory) + b"\r\n\r\n"


def _identity(example: Example, token: ExampleToken, at: float, laboratory: Laboratory) -> bytes:
    credential = load_credential("example", key_pem(laboratory.leaf.key), laboratory.chain, X5U)
    caller, called = token.caller or example.caller, token.called or example.called
    if caller == ANONYMOUS:
        caller = CALLER
    return sign_shaken(credential, caller, [called], token.attest, _ORIGID, int(at - token.age), at)


def _uri(party: str, host: str) -> str:
    if party == ANONYMOUS:
        return "sip:anonymous@anonymous.invalid"
    if party.startswith(("sip:", "sips:")):
        return party
    return f"sip:+{party}@{host};user=phone" if party.isdigit() and len(party) > 6 else f"sip:{party}@{host}"


def _transport(conditions: Conditions, trunk: Trunk | None) -> str:
    """A transport of the trunk, by which the rule matches if there is one."""
    of_trunk = frozenset(TRANSPORTS) if trunk is None else trunk.transport
    allowed = of_trunk & (conditions.transport or of_trunk) or of_trunk
    return next(each for each in TRANSPORTS if each in allowed)


def _is_v6(address: str) -> bool:
    return ":" in address


def _host(address: str) -> str:
    return f"[{address}]" if _is_v6(address) else address


def _address(trunk: Trunk | None, setup: Setup) -> str:
    """An address of the trunk; without one, an address outside all trunks, of the family that the SBC has."""
    if trunk is not None and trunk.addresses:
        return str(next(iter(trunk.addresses[0].hosts())))
    sbc = setup.configuration.network.sbc
    return _PEER_V6 if sbc and all(map(_is_v6, sbc)) else _PEER


def _side(trunk: Trunk | None, peer: str, setup: Setup) -> tuple[str, int]:
    """The address and port of the SBC towards this peer."""
    network = setup.configuration.network
    if trunk is not None and trunk.local:
        return min(trunk.local)
    fitting = [address for address in network.sbc if _is_v6(address) is _is_v6(peer)]
    return (fitting or [_SBC_V6 if _is_v6(peer) else _SBC])[0], network.ports[0]
