"""Calls for tests: a laboratory, INVITEs with and without Identity, an engine with given rules.

All of it is a function of constants, so that a test is a transcript: these bytes in, those bytes out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sbc_filter.engine.call.network import Network
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.arrivals import Arrivals
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.memory.replays import Seen
from sbc_filter.engine.state import EngineState
from sbc_filter.engine.verdict import Answer, Party, Verdict
from sbc_filter.lab.certificate_maker import X5U, Maker, key_pem
from sbc_filter.numbering.numbering_plans import plan_named
from sbc_filter.packet.udp import Datagram, datagram_to_ip, parse
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.model import Unreadable
from sbc_filter.rules.number_list import Entries, NumberList
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.trunk import TrunkTable
from sbc_filter.stir.credential import Credential, load_credential
from sbc_filter.stir.delegated_signing import RemoteCredential
from sbc_filter.stir.passport import canonical_json, encode_segment
from sbc_filter.stir.signature import sign_es256

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
MAKER = Maker(NOW, "tests")
LAB = MAKER.laboratory()
TRUST = TrustStore([LAB.root.certificate])
CREDENTIAL: Credential = load_credential("ours", key_pem(LAB.leaf.key), LAB.chain, X5U)
ORIGID = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"

CALLER, CALLED = "12155550100", "12155550199"
CARRIER, SBC, CORE = "192.0.2.7", "192.0.2.1", "198.51.100.7"
STRANGER, LEAVING = Party("", CARRIER), Party("outbound ", CARRIER)
"""Whose calls those of `arriving` and `leaving` are."""
VERIFY = '[[rule]]\nname = "verify"\ndirection = "inbound"\naction = "verify"\n'
SIGN = (
    f'[[rule]]\nname = "sign"\ndirection = "outbound"\naction = "sign"\n'
    f'[rule.sign]\ncredential = "ours"\norigid = "{ORIGID}"\nnumbers = ["{CALLER}"]\n'
)


def invite(
    *headers: str,
    caller: str = CALLER,
    called: str = CALLED,
    number: int = 1,
    to_tag: str = "",
    body: str = "",
) -> bytes:
    """An INVITE with `headers` behind Call-ID; `number` tells one call from another."""
    lines = [
        f"INVITE sip:+{called}@{SBC} SIP/2.0",
        f"Via: SIP/2.0/UDP {CARRIER}:5060;branch=z9hG4bK-{number}",
        "Max-Forwards: 70",
        f"From: <sip:+{caller}@carrier.example>;tag=f{number}",
        f"To: <sip:+{called}@sbc.example>{to_tag}",
        f"Call-ID: call-{number}@carrier.example",
        *headers,
        "CSeq: 1 INVITE",
        f"Contact: <sip:+{caller}@{CARRIER}>",
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def retargeted(message: bytes) -> bytes:
    """The INVITE to another target, without a `div`: To is still that of its token."""
    return re.sub(rb"^INVITE sip:\+[0-9]+@", b"INVITE sip:+12155550300@", message)


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of a true shaken token for `invite()` at `NOW`; None takes one out."""
    made: dict[str, Any] = {
        "attest": "A",
        "dest": {"tn": [CALLED]},
        "iat": int(NOW),
        "orig": {"tn": CALLER},
        "origid": ORIGID,
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}


def identity(
    payload: Mapping[str, Any] | bytes | None = None,
    *,
    jose: Mapping[str, Any] | None = None,
    parameters: str | None = None,
    key: Any = LAB.leaf.key,
    name: str = "Identity",
) -> str:
    """An Identity header line over these claims (default: true ones), signed with `key`."""
    header = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U, **(jose or {})}
    header = {key: value for key, value in header.items() if value is not None}
    body = payload if isinstance(payload, bytes) else canonical_json(claims() if payload is None else payload)
    signed = encode_segment(canonical_json(header)) + b"." + encode_segment(body)
    token = (signed + b"." + sign_es256(key, signed)).decode()
    if parameters is None:
        parameters = f"info=<{header.get('x5u', '')}>;alg=ES256;ppt={header.get('ppt', '')}"
    return f"{name}: {token};{parameters}"


def make_engine(
    rules: str = VERIFY + SIGN,
    *,
    sbc: Sequence[str] = (SBC, "2001:db8:1::1"),
    ports: Sequence[int] = (5060,),
    emergency: Sequence[str] = ("911", "urn:service:sos*"),
    lists: Mapping[str, str] | None = None,
    known: bool = True,
    chain: bytes = LAB.chain,
    trust: TrustStore = TRUST,
    held_limit: int = 1000,
    unreadable: str = "scrub",
    numbering: str = "nanp",
    seen: Seen | None = None,
    arrivals: Arrivals | None = None,
    credentials: Mapping[str, Credential | RemoteCredential] | None = None,
    state: EngineState | None = None,
    untrusted_headers: Sequence[str] = (),
    scrub_methods: Sequence[str] = (),
    protected: Sequence[str] = (),
) -> Engine:
    """An engine with these rules. With `known` it has `chain`, the laboratory's, in memory already."""
    ruleset, trunks = load_rules(
        {"rules.toml": rules}, lambda name: (lists or {})[name], ["ours"], verifiers=["theirs"]
    )
    protects = NumberList(Entries(protected, lambda name: (lists or {})[name])) if protected else None
    network = Network(
        sbc,
        ports,
        (),
        emergency,
        TrunkTable(trunks),
        Unreadable(unreadable),
        untrusted_headers,
        scrub_methods,
        protects=protects,
    )
    certificates, profile = CertificateMemory(trust), plan_named(numbering)
    assert profile is not None, numbering
    ours = credentials or {"ours": CREDENTIAL}
    made = Engine(
        ruleset,
        network,
        certificates,
        ours,
        b"secret",
        profile,
        held_limit=held_limit,
        seen=seen,
        arrivals=arrivals,
        state=state,
    )
    if known:
        made.add_certificate(X5U, Answer(chain, None, NOW + 86400), NOW)
    return made


def arriving(message: bytes, src: str = CARRIER, dst: str = SBC) -> bytes:
    """The packet in which a message comes to the SBC."""
    return datagram_to_ip(Datagram(src, 5060, dst, 5060, message))


def leaving(message: bytes, src: str = SBC, dst: str = CARRIER) -> bytes:
    """The packet in which a message leaves the SBC."""
    return datagram_to_ip(Datagram(src, 5060, dst, 5060, message))


def result(engine: Engine, raw: bytes, now: float = NOW) -> tuple[str, bytes, dict[str, Any]]:
    """(verdict, the SIP message that goes on or is answered with, the record) of a packet that needs nothing."""
    verdict = engine.process(raw, now)
    assert isinstance(verdict, Verdict)
    message = parse(verdict.payload or raw).payload
    if verdict.emit:
        message = verdict.emit[0].payload
    record = json.loads(verdict.record.to_json()) if verdict.record else {}
    return str(verdict.kind), message, record


def added(message: bytes, *lines: str) -> bytes:
    """The message of `invite()` with these lines where the engine adds its own: behind the last Via (S-156)."""
    at = message.index(b"Max-Forwards")
    return message[:at] + "".join(f"{line}\r\n" for line in lines).encode() + message[at:]


def pai(verstat: str, caller: str = CALLER) -> str:
    """The line that tells the trusted side the result for a caller who is named by From only (S-113)."""
    return f"P-Asserted-Identity: <sip:+{caller};verstat={verstat}@carrier.example>"


def status(message: bytes) -> str:
    """Status code and phrase on the wire."""
    version, _, rest = message.partition(b"\r\n")[0].decode().partition(" ")
    assert version == "SIP/2.0"
    return rest


def follow_up(message: bytes, method: str, to_tag: str = "") -> bytes:
    """The CANCEL of an INVITE, or the ACK of a failure answer to it: same top Via, Call-ID, From and CSeq number."""
    lines = message.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    kept = [line for line in lines if line.startswith(("Via:", "From:", "To:", "Call-ID:", "Max-Forwards:"))]
    kept = [line + (f";tag={to_tag}" if line.startswith("To:") and to_tag else "") for line in kept]
    first = lines[0].replace("INVITE", method, 1)
    return "\r\n".join([first, *kept, f"CSeq: 1 {method}", "Content-Length: 0", "", ""]).encode()


def response(status: str, *headers: str, number: int = 1, cseq: str = "1 INVITE", body: str = "") -> bytes:
    """What the SBC answers to `invite(number=number)`, with `headers` behind CSeq."""
    lines = [
        f"SIP/2.0 {status}",
        f"Via: SIP/2.0/UDP {CARRIER}:5060;branch=z9hG4bK-{number}",
        f"From: <sip:+{CALLER}@carrier.example>;tag=f{number}",
        f"To: <sip:+{CALLED}@sbc.example>;tag=s{number}",
        f"Call-ID: call-{number}@carrier.example",
        f"CSeq: {cseq}",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
