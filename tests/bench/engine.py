"""What the engine spends on an INVITE, everything included, as a multiple of the bare operation of `cryptography`.

    python tests/bench/engine.py

Each round measures the bare operation and the engine on as many distinct packets, one after the other; what
counts is the median of the ratios of all rounds, which a busy machine disturbs least.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from support.calls import LAB, NOW, arriving, claims, identity, invite, leaving, make_engine

from sbc_filter.engine.verdict import Action, Verdict

ROUNDS, PACKETS = 15, 400
_VERIFY = ec.ECDSA(hashes.SHA256())
_SIGN = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n"
HEADERS = (
    "Record-Route: <sip:192.0.2.7;lr>",
    "User-Agent: softswitch/7.1",
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK",
    "Supported: timer, 100rel",
    "Session-Expires: 1800",
    "P-Asserted-Identity: <sip:+12155550100@carrier.example>",
    "Content-Type: application/sdp",
)


def main() -> None:
    """Print the three ratios."""
    signed, unsigned, other = [], [], []
    for number in range(ROUNDS * PACKETS):
        caller = f"1215555{number % 10000:04}"
        headers = (*HEADERS[:5], f"P-Asserted-Identity: <sip:+{caller}@carrier.example>", HEADERS[6])
        token = identity(claims(orig={"tn": caller}))
        signed.append(arriving(invite(*headers, token, caller=caller, number=number, body=SDP)))
        unsigned.append(leaving(invite(*headers, caller=caller, number=number, body=SDP)))
        other.append(arriving(b"\x80\x00" + number.to_bytes(4, "big") + bytes(166)))
    print("                        bare        engine      ratio   at most")
    _compare("verify", _bare_verify(), signed, Action.MODIFY, 1.6)
    _compare("sign", _bare_sign(), unsigned, Action.MODIFY, 3.0)
    _compare("not ours (of verify)", _bare_verify(), other, Action.ACCEPT, 0.06)


def _compare(name: str, bare: Callable[[], object], packets: Sequence[bytes], action: Action, limit: float) -> None:
    engine = make_engine()
    ratios, bares, spent = [], [], []
    for turn in range(ROUNDS):
        batch = packets[turn * PACKETS : (turn + 1) * PACKETS]
        begin = time.perf_counter()
        for _ in batch:
            bare()
        middle = time.perf_counter()
        verdicts = [_one(engine.process(packet, NOW)) for packet in batch]
        end = time.perf_counter()
        assert {verdict.action for verdict in verdicts} == {action}
        bares.append((middle - begin) / PACKETS)
        spent.append((end - middle) / PACKETS)
        ratios.append(spent[-1] / bares[-1])
    ratio = statistics.median(ratios)
    print(
        f"{name:20} {statistics.median(bares) * 1e6:7.1f} µs  {statistics.median(spent) * 1e6:7.1f} µs"
        f"   {ratio:6.3f}    {limit:5.2f} {'' if ratio <= limit else ' EXCEEDED'}"
    )


def _one(decision: object) -> Verdict:
    assert isinstance(decision, Verdict)
    if decision.record is not None:
        decision.record.to_json()
    return decision


def _bare_verify() -> Callable[[], object]:
    key, message = LAB.leaf.key, b"x" * 400
    signature, public = key.sign(message, _SIGN), key.public_key()
    return lambda: public.verify(signature, message, _VERIFY)


def _bare_sign() -> Callable[[], object]:
    key, message = LAB.leaf.key, b"x" * 400
    return lambda: key.sign(message, _SIGN)


if __name__ == "__main__":
    main()
