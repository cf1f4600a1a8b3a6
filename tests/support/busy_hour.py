"""A capture of a made-up hour at a carrier's SBC: calls that pass, fail and leave, each with its ladder.

Every token is signed, every chain is real, so that a replay finds what it finds on a real host.
"""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import X5U, Maker, key_pem, pem
from sbc_filter.pki.tnauthlist import TnAuthList
from sbc_filter.sip.date import format_date
from support.calls import CARRIER, NOW, ORIGID, SBC, arriving, claims, identity, leaving

HOUR = 3600.0
RETAIL, WHOLESALE = CARRIER, "198.51.100.20"
PEERS = {RETAIL: 65, WHOLESALE: 35}
_MAKER = Maker(NOW, "busy hour")
_ROOT = _MAKER.root()
_ISSUING = _MAKER.issuing(_ROOT)
_OTHER = _MAKER.issuing(_MAKER.root("Unknown Root"), "Unknown CA")
_SPCS = ("7421", "505J", "0916", "318K")
_SIGNERS = {spc: _MAKER.leaf(_ISSUING, TnAuthList((spc,))) for spc in (*_SPCS, "1234")}
_FOREIGN = _MAKER.leaf(_OTHER, TnAuthList(("999X",)))
# kind, weight
KINDS = {"good": 780, "unsigned": 60, "spoofed": 30, "stale": 25, "foreign": 15, "nowhere": 10, "broken": 6, "out": 90}
CONFIGURATION = f"""
[network]
sbc = ["{SBC}"]
[trust]
anchors = ["root.pem"]
[certificates]
directory = "certificates"
[trunks.retail]
addresses = ["{RETAIL}"]
[trunks.wholesale]
addresses = ["{WHOLESALE}"]
[credentials.ours]
key = "ours.key"
certificate = "ours.pem"
x5u = "{X5U}"
"""
RULES = f"""
[[rule]]
name = "verify"
direction = "inbound"
action = "verify"
[rule.on]
"invalid.orig-mismatch" = "reject"
untrusted = "reject"
[[rule]]
name = "sign"
direction = "outbound"
action = "sign"
[rule.sign]
credential = "ours"
origid = "{ORIGID}"
numbers = ["1215555*"]
"""


class _Call(NamedTuple):
    kind: str
    number: int
    time: float
    peer: str
    caller: str
    called: str
    spc: str


def write(folder: Path, calls: int, *, seconds: float = HOUR, seed: int = 7) -> Path:
    """Write the capture of so many calls with its configuration; returns the path of the capture."""
    (folder / "certificates").mkdir()
    (folder / "rules").mkdir()
    (folder / "sbc-filter.toml").write_text(CONFIGURATION)
    (folder / "rules/rules.toml").write_text(RULES)
    (folder / "root.pem").write_bytes(pem(_ROOT.certificate))
    for spc, leaf in _SIGNERS.items():
        chain = pem(leaf.certificate) + pem(_ISSUING.certificate)
        certificate_path(folder / "certificates", _x5u(spc)).write_bytes(chain)
    ours = _SIGNERS["1234"]
    (folder / "ours.pem").write_bytes(pem(ours.certificate) + pem(_ISSUING.certificate))
    (folder / "ours.key").write_bytes(key_pem(ours.key))
    (folder / "ours.key").chmod(0o600)
    chain = pem(_FOREIGN.certificate) + pem(_OTHER.certificate)
    certificate_path(folder / "certificates", _x5u("999X")).write_bytes(chain)
    packets = sorted(
        (each for call in _calls(calls, seconds, seed) for each in _packets(call)), key=lambda each: each[0]
    )
    path = folder / "busy-hour.pcap"
    with CaptureWriter(path) as writer:
        for number, (time, raw) in enumerate(packets, 1):
            writer.write(Frame(number, time, round(time * 1e9), 101, 0, raw, len(raw)))
    return path


def _x5u(spc: str) -> str:
    return f"https://certificates.example.net/{spc}.pem"


def _calls(count: int, seconds: float, seed: int) -> Iterator[_Call]:
    draw = random.Random(seed)
    kinds = draw.choices(list(KINDS), weights=list(KINDS.values()), k=count)
    times = sorted(NOW + draw.betavariate(2, 2.6) * seconds for _ in range(count))
    for number, (kind, time) in enumerate(zip(kinds, times, strict=True), 1):
        peer = draw.choices(list(PEERS), weights=list(PEERS.values()))[0]
        caller, called = (
            f"1{draw.choice((312, 415, 646, 972))}555{draw.randrange(10000):04}",
            f"1215555{draw.randrange(10000):04}",
        )
        if kind == "out":
            caller, called = called, caller
        yield _Call(kind, number, round(time, 3), peer, caller, called, draw.choices(_SPCS, weights=(8, 5, 3, 1))[0])


def _invite(call: _Call) -> bytes:
    ends = (SBC, call.peer) if call.kind == "out" else (call.peer, SBC)
    iat = int(call.time) - (300 if call.kind == "stale" else 0)
    body = (
        f"v=0\r\no=- {call.number} 1 IN IP4 {ends[0]}\r\ns=-\r\nc=IN IP4 {ends[0]}\r\nt=0 0\r\n"
        f"m=audio {20000 + 2 * call.number % 9000} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
    lines = [
        f"INVITE sip:+{call.called}@{ends[1]};user=phone SIP/2.0",
        f"Via: SIP/2.0/UDP {ends[0]}:5060;branch=z9hG4bK{call.number:06x}",
        "Max-Forwards: 69",
        f"From: <sip:+{call.caller}@{ends[0]};user=phone>;tag=f{call.number:x}",
        f"To: <sip:+{call.called}@{ends[1]};user=phone>",
        f"Call-ID: {call.number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF:016x}@{ends[0]}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:{ends[0]}:5060>",
        f"Date: {format_date(iat)}",
        *_identities(call, iat),
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def _identities(call: _Call, iat: int) -> list[str]:
    if call.kind in ("unsigned", "out"):
        return []
    spc = {"foreign": "999X", "nowhere": "nowhere"}.get(call.kind, call.spc)
    key = (_FOREIGN if spc == "999X" else _SIGNERS.get(spc, _FOREIGN)).key
    orig = "12155550100" if call.kind == "spoofed" else call.caller
    attest = "ABC"[(call.number * 7) % 10 // 7 + (call.number % 10 == 9)]
    made = identity(
        claims(orig={"tn": orig}, dest={"tn": [call.called]}, iat=iat, attest=attest), jose={"x5u": _x5u(spc)}, key=key
    )
    return (
        [re.sub(r"(\.[A-Za-z0-9_-]{10})(?=[A-Za-z0-9_-]{76};)", ".AAAAAAAAAA", made)]
        if call.kind == "broken"
        else [made]
    )


def _packets(call: _Call) -> Iterator[tuple[float, bytes]]:
    """The packets of the call with their times, as captured without the filter: all are answered by the SBC."""
    first = _invite(call)
    there, back = (leaving, arriving) if call.kind == "out" else (arriving, leaving)
    ends = (SBC, call.peer) if call.kind == "out" else (call.peer, SBC)
    fields = [line for line in first.decode().split("\r\n") if line.startswith(("Via", "From", "To", "Call-ID"))]

    def response(status: str, method: str = "INVITE") -> bytes:
        named = [line + ";tag=s1" if line.startswith("To") and status != "100 Trying" else line for line in fields]
        return "\r\n".join([f"SIP/2.0 {status}", *named, f"CSeq: 1 {method}", "Content-Length: 0", "", ""]).encode()

    def request(method: str) -> bytes:
        named = [line + ";tag=s1" if line.startswith("To") else line for line in fields]
        start = f"{method} sip:{ends[1]}:5060 SIP/2.0"
        return "\r\n".join([start, *named, f"CSeq: 1 {method}", "Content-Length: 0", "", ""]).encode()

    yield call.time, there(first, *ends)
    yield call.time + 0.004, back(response("100 Trying"), *ends[::-1])
    if call.kind in ("spoofed", "foreign"):
        return
    yield call.time + 0.18, back(response("180 Ringing"), *ends[::-1])
    yield call.time + 4.2, back(response("200 OK"), *ends[::-1])
    yield call.time + 4.25, there(request("ACK"), *ends)
    yield call.time + 64.0, there(request("BYE"), *ends)
    yield call.time + 64.01, back(response("200 OK", "BYE"), *ends[::-1])
