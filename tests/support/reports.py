"""Reports for tests and for the bench: made-up calls, and what `explain` says of one of them."""

import contextlib
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.report.contents import Detail, Line, Message, Report
from support.calls import CARRIER, LAB, NOW, SBC, VERIFY, identity, invite

PEER, OURS = f"{CARRIER}:5060", f"{SBC}:5060"
DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
SPOOFED = "13125550123"
RESULT = "invalid", "orig-mismatch"
KINDS = (
    # weight, outcome, detail, treatment, rule, attestation
    (700, "passed", "", "continue", "verify", "A"),
    (90, "passed", "", "continue", "verify", "B"),
    (60, "no-identity", "absent", "continue", "verify", ""),
    (50, "signed", "", "continue", "sign", "A"),
    (30, "invalid", "orig-mismatch", "reject", "verify", "A"),
    (25, "stale", "stale-date", "continue", "verify", "A"),
    (20, "untrusted", "untrusted-chain", "reject", "verify", "C"),
    (15, "not-examined", "no-rule", "continue", "", ""),
    (10, "unfetchable", "fetch-timeout", "continue", "verify", "B"),
)
PEERS = ("acme", "wholesale", "pbx", "softswitch")
RESPONSES = ("200", "487", "200", "486", "none, only 180", "200", "503")
SIGNERS = tuple(f"{1000 + 111 * n} SHAKEN {1000 + 111 * n}" for n in range(9))

HOSTILE = (
    # what a message may say to be taken for markup, a script or a template
    '"><script>canary=1</script>',
    "<img src=x onerror=canary=1>",
    "</script><script>canary=1</script>",
    "</title></style><!--<script>",
    "javascript:canary=1",
    "{{7*7}}{% raw %}${7*7}",
    "\u202egnp.exe\u2066",
    "a\u2028b\u2029c\x00\x1b[2J",
    "&lt;b&gt;&#60;",
)


def invite_of(number: int, caller: str = SPOOFED) -> bytes:
    """A signed call, whose token is of another caller."""
    return invite(DATE, identity(), caller=caller, number=number)


def tagged(received: bytes, verstat: str = "TN-Validation-Failed") -> bytes:
    """The INVITE as the filter sends it on."""
    head, _, rest = received.partition(b"Date: ")
    caller = head.partition(b"From: <sip:+")[2].partition(b"@")[0].decode()
    asserted = f"P-Asserted-Identity: <sip:+{caller};verstat={verstat}@example.org>\r\n"
    return head + asserted.encode() + b"Date: " + rest


def response(received: bytes, status: str) -> bytes:
    """A response with the fields that it takes over."""
    fields = [
        line for line in received.split(b"\r\n") if line.startswith((b"Via", b"From", b"To", b"Call-ID", b"CSeq"))
    ]
    return b"\r\n".join([f"SIP/2.0 {status}".encode(), *fields, b"Content-Length: 0", b"", b""])


def explained(message: bytes, folder: Path) -> dict[str, Any]:
    """What `sbc-filter explain --json` says of an INVITE, verified by one rule."""
    (folder / "call.sip").write_bytes(message)
    (folder / "chain.pem").write_bytes(LAB.chain)
    (folder / "root.pem").write_bytes(pem(LAB.root.certificate))
    (folder / "rules.toml").write_text(VERIFY)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        main(
            f"explain {folder}/call.sip --json --rules {folder}/rules.toml --certificate {folder}/chain.pem"
            f" --anchors {folder}/root.pem".split()
        )
    found: dict[str, Any] = json.loads(said.getvalue())
    return found


def line(number: int, time: float = NOW, **changes: Any) -> Line:
    """A call that failed, but for what is changed."""
    return Line(number, time, SPOOFED, "12155550199", f"call-{number}@carrier.example")._replace(
        **{
            "outcome": "invalid",
            "detail": "orig-mismatch",
            "treatment": "continue",
            "rule": "verify",
            "peer": "acme",
            "signer": "1234 SHAKEN 1234",
            "attestation": "A",
            "packet": number,
            "changed": True,
            **changes,
        }
    )


def detail(number: int, received: bytes, findings: dict[str, Any] | None = None, *, rejected: bool = False) -> Detail:
    """A call with its ladder: tagged and answered, or rejected."""
    sent = () if rejected else (tagged(received),)
    answers = (response(received, "438 Invalid Identity Header"),) if rejected else ()
    times = iter(range(10))

    def message(at: bytes, src: str, dst: str) -> Message:
        place = next(times)
        return Message(number + place, "", NOW + 0.18 * place, src, dst, "udp", at, (at,))

    first = message(received, PEER, OURS)._replace(sent=sent, answers=answers)
    if rejected:
        return Detail(number, *RESULT, (first,), 0, frozenset((OURS,)), findings)
    others = (
        message(response(received, "100 Trying"), OURS, PEER),
        message(response(received, "180 Ringing"), OURS, PEER),
        message(response(received, "200 OK"), OURS, PEER),
        message(received.split(b"Date")[0].replace(b"INVITE", b"ACK") + b"\r\n", PEER, OURS),
        message(received.split(b"Date")[0].replace(b"INVITE", b"BYE") + b"\r\n", OURS, PEER),
    )
    return Detail(number, *RESULT, (first, *others), 0, frozenset((OURS,)), findings)


def made_lines(count: int, *, seconds: float = 3600.0, seed: int = 1) -> list[Line]:
    """So many calls of a busy hour, the same for one seed."""
    draw = random.Random(seed)
    times = sorted(NOW + draw.betavariate(2, 2.6) * seconds for _ in range(count))
    kinds = draw.choices(KINDS, weights=[kind[0] for kind in KINDS], k=count)
    lines = []
    for number, (time, kind) in enumerate(zip(times, kinds, strict=True), 1):
        _, outcome, why, treatment, rule, attestation = kind
        lines.append(
            Line(
                number,
                round(time, 3),
                f"1{draw.randrange(201, 989)}555{draw.randrange(10000):04}",
                f"1215555{draw.randrange(10000):04}",
                f"{draw.getrandbits(64):016x}@{CARRIER}",
                outcome,
                why,
                treatment,
                rule,
                draw.choices(PEERS, weights=(60, 25, 10, 5))[0],
                draw.choices(SIGNERS, weights=range(9, 0, -1))[0] if attestation else "",
                attestation,
                6 * number,
                "",
                outcome not in ("not-examined", "no-identity"),
                response=RESPONSES[number % len(RESPONSES)],
            )
        )
    return lines


def report(lines: Sequence[Line], details: Sequence[Detail] = (), **rest: Any) -> Report:
    """A report of these."""
    given: dict[str, Any] = {
        "title": "day.pcap",
        "configuration": "/etc/sbc-filter/sbc-filter.toml; 2 rules of 2 files",
        "version": "0.1.0",
        "totals": (("packets", 6 * len(lines)), ("INVITEs", len(lines))),
        "commands": "sbc-filter explain day.pcap",
        **rest,
    }
    return Report(lines=lines, details=details, **given)
