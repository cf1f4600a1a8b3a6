"""The scenes of `sbc-filter demo`: real calls between three hosts on this machine."""

import hashlib
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jwt
from rich.console import Console
from rich.markup import escape

from sbc_filter.lab.demo_network import CARRIER, CORE, PLAIN_PORT, DemoNetwork
from sbc_filter.sip.message import SipMessage
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.signing import sign_shaken

_CUSTOMER, _OUTSIDER, _VICTIM, _FOREIGNER = "12155550200", "12155550100", "12155550199", "13125550123"
_IDENTITY = re.compile(rb"([\w-]+\.[\w-]+\.[\w-]+);info=<([^>]+)>;alg=ES256;ppt=shaken")

_INTRODUCTION = """\
[bold]sbc-filter demo[/bold]: three hosts on this machine (network namespaces), real calls, the real kernel queue

    [bold]carrier[/bold]  <---->  [bold]SBC[/bold] with sbc-filter  <---->  [bold]core[/bold]
    SIPp              Kamailio, which knows          SIPp
                      nothing of STIR/SHAKEN

Callers' numbers are easily forged. With STIR/SHAKEN the caller's provider signs the numbers of a call
(header Identity), and the called side's provider verifies them. The SBC here can do neither. The filter
sits in its kernel's packet path: calls that leave it signs, calls that arrive it verifies.
"""


class Seen(NamedTuple):
    """What a scene showed: whether it was as it should be, and what the far end got."""

    good: bool
    sent: str
    arrived: str


Scene = Callable[[DemoNetwork, int], Seen]


def play() -> int:
    """Play all scenes in IPv4 and IPv6; exit code 0 when each of them went as it should."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(_INTRODUCTION)
    good = True
    with DemoNetwork() as stage:
        for version in (4, 6):
            console.print(f"[bold]IPv{version}[/bold]: carrier {CARRIER[version]}, core {CORE[version]}\n")
            for number, (title, scene) in enumerate(shown(stage), 1):
                seen = scene(stage, version)
                good = good and seen.good
                mark = "[green]good[/green]" if seen.good else "[red]WRONG[/red]"
                console.print(f" {number}. [bold]{title}[/bold]  {mark}")
                console.print(f"    sent:    {escape(seen.sent)}\n    arrived: {escape(seen.arrived)}\n")
        if stage.unrelayed:
            console.print(f"Calls over TCP are not shown, because this host cannot relay them: {stage.unrelayed}\n")
        outcomes = [
            f"{record['outcome']} ({record['rule']}, {record['transport']})"
            for record in stage.records()
            if record["rule"]
        ]
    console.print(f"The filter's own records of these calls: {', '.join(outcomes)}.")
    console.print("Hosts, firewall rules and programs are gone again. Next: README.md, and `sbc-filter pki DIR`.")
    return 0 if good else 1


def signed_call_arrives(stage: DemoNetwork, version: int) -> Seen:
    """A call with a valid signature continues, and verstat reports the result to the core."""
    before = len(stage.heard("core", version))
    answered = stage.call(
        "carrier", version, [(_OUTSIDER, _CUSTOMER, token(stage.carrier, _OUTSIDER, _CUSTOMER))], _info(stage)
    )
    heard = stage.heard("core", version)[before:]
    asserted = _value(heard[0], b"p-asserted-identity") if len(heard) == 1 else "no INVITE"
    good = answered == 1 and "verstat=TN-Validation-Passed" in asserted
    return Seen(
        good, f"INVITE from +{_OUTSIDER}, signed by the carrier", f"at the core, P-Asserted-Identity: {asserted}"
    )


def spoofed_call_arrives(stage: DemoNetwork, version: int) -> Seen:
    """A signature copied from another call: answered 438; neither the INVITE nor the ACK reaches the SBC's core."""
    before = len(_requests(stage, version))
    stolen = token(stage.carrier, _OUTSIDER, _CUSTOMER)
    refused = stage.call("carrier", version, [(_FOREIGNER, _CUSTOMER, stolen)], _info(stage), refusal=438)
    heard = _requests(stage, version)[before:]
    good = refused == 1 and not heard
    arrived = "at the carrier, 438 Invalid Identity Header, its ACK absorbed; at the core, nothing"
    return Seen(
        good,
        f"INVITE from +{_FOREIGNER}, with the signature of a call from +{_OUTSIDER}",
        arrived if good else str(heard),
    )


def call_over_tcp_arrives(stage: DemoNetwork, version: int) -> Seen:
    """The same over TCP: a relay on the SBC's host reads it, and both ends see the addresses of each other."""
    before = len(stage.heard("core", version, transport="tcp"))
    calls = [(_OUTSIDER, _CUSTOMER, token(stage.carrier, _OUTSIDER, _CUSTOMER))]
    answered = stage.call("carrier", version, calls, _info(stage), transport="tcp")
    heard = stage.heard("core", version, transport="tcp")[before:]
    asserted = _value(heard[0], b"p-asserted-identity") if len(heard) == 1 else "no INVITE"
    good = answered == 1 and "verstat=TN-Validation-Passed" in asserted
    sent = f"INVITE from +{_OUTSIDER} over TCP, signed by the carrier"
    return Seen(good, sent, f"at the core, over TCP, P-Asserted-Identity: {asserted}")


def call_leaves(stage: DemoNetwork, version: int) -> Seen:
    """A call from the core leaves with an Identity, which another implementation (PyJWT) verifies."""
    before = len(stage.heard("carrier", version))
    answered = stage.call("core", version, [(_CUSTOMER, _VICTIM, "")])
    heard = stage.heard("carrier", version)[before:]
    if len(heard) != 1:
        return Seen(False, "INVITE", f"{len(heard)} INVITEs")
    claims = independent_claims(heard[0], stage.ours.leaf.certificate.public_key())
    good = answered == 1 and claims["orig"] == {"tn": _CUSTOMER} and claims["dest"] == {"tn": [_VICTIM]}
    said = f"attest {claims['attest']}, orig {claims['orig']['tn']}, dest {claims['dest']['tn'][0]}"
    return Seen(good, f"INVITE from +{_CUSTOMER}, unsigned", f"at the carrier, an Identity that PyJWT verifies: {said}")


def ordinary_traffic(stage: DemoNetwork, version: int) -> Seen:
    """Other requests, responses, STUN and keep-alives do not even leave the kernel."""
    queued = stage.handed_over()
    packets = list(_ordinary(200))
    arrived = _through(stage, version, packets)
    same = hashlib.sha256(b"".join(packets)).digest() == hashlib.sha256(b"".join(arrived)).digest()
    handed = stage.handed_over() - queued
    how = "byte for byte the same" if same else "CHANGED"
    said = f"at the core, {len(arrived)} packets, {how}; {handed} handed to the filter"
    return Seen(same and handed == 0, f"{len(packets)} packets: OPTIONS, BYE, INFO, responses, STUN, keep-alives", said)


SCENES: list[tuple[str, Scene]] = [
    ("A signed call arrives and is verified", signed_call_arrives),
    ("A spoofed call arrives and is rejected", spoofed_call_arrives),
    ("A call leaves and is signed", call_leaves),
    ("A signed call arrives over TCP and is verified", call_over_tcp_arrives),
    ("Ordinary traffic is left alone", ordinary_traffic),
]


def shown(stage: DemoNetwork) -> list[tuple[str, Scene]]:
    """The scenes that this host can show."""
    return [each for each in SCENES if not stage.unrelayed or each[1] is not call_over_tcp_arrives]


def token(credential: Credential, caller: str, called: str) -> str:
    """A new token, as another provider makes it, with its own `origid`: otherwise two calls of one second would share
    it.
    """
    now, origid = time.time(), str(uuid.uuid4())
    return sign_shaken(credential, caller, (called,), "A", origid, int(now), now).decode().partition(";")[0]


def independent_claims(invite: bytes, key: Any) -> dict[str, Any]:
    """The claims of an INVITE's only Identity, verified by PyJWT; raises unless there is exactly one valid Identity."""
    (found,) = _IDENTITY.findall(invite)
    return jwt.decode(found[0], key, algorithms=["ES256"])


def _requests(stage: DemoNetwork, version: int) -> list[bytes]:
    return [message for method in (b"INVITE", b"ACK") for message in stage.heard("core", version, method)]


def _info(stage: DemoNetwork) -> str:
    return f"info=<{stage.carrier.x5u}>;alg=ES256;ppt=shaken"


def _value(invite: bytes, name: bytes) -> str:
    return (SipMessage.parse(invite).first(name) or b"no such header").decode()


def _ordinary(count: int) -> Iterator[bytes]:
    kinds = (
        b"OPTIONS sip:core SIP/2.0\r\nCall-ID: %d\r\n\r\n",
        b"BYE sip:core SIP/2.0\r\nCall-ID: %d\r\n\r\n",
        b"SIP/2.0 200 OK\r\nCSeq: %d INVITE\r\n\r\n",
        b"INFO sip:core SIP/2.0\r\nCall-ID: %d\r\n\r\n",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42%012d",
        b"\r\n\r\n%d",
    )
    for number in range(count):
        yield kinds[number % len(kinds)] % number


def _through(stage: DemoNetwork, version: int, packets: list[bytes]) -> list[bytes]:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with stage.lab.inside("core"):
        receiver = socket.socket(family, socket.SOCK_DGRAM)
    with stage.lab.inside("carrier"):
        sender = socket.socket(family, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.bind((CORE[version], PLAIN_PORT))
        receiver.settimeout(1)
        sender.bind((CARRIER[version], PLAIN_PORT))
        arrived = []
        for packet in packets:
            sender.sendto(packet, (CORE[version], PLAIN_PORT))
            try:
                arrived.append(receiver.recv(65535))
            except TimeoutError:
                break
        return arrived
