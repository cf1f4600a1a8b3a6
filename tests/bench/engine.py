"""What the engine spends on an INVITE, everything included, as a multiple of the bare operation of `cryptography`.

    python tests/bench/engine.py

Bare operation and engine take turns, packet by packet, so that both meet the same caches and the same noise of a
busy machine. The bare operation works on the very octets of that packet's token. A round is of distinct packets,
and its ratio is that of the medians. What counts is the median of the ratios of the sixth of rounds in which the
bare operation was fastest: those in which the machine was ours. All rounds together are printed as well.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from support.calls import LAB, NOW, arriving, claims, identity, invite, leaving, make_engine

from sbc_filter.engine import engine as engine_module
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.stir.passport import decode_segment

ROUNDS, PACKETS, QUIET = 60, 100, 10
PAUSE = 0.2  # seconds between rounds: noise comes in spells, and some rounds should fall between them
_PUBLIC = LAB.leaf.key.public_key()
_VERIFY = ec.ECDSA(hashes.SHA256())
_SIGN = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
    "m=audio 6000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n"
)
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
    kind = "compiled" if str(engine_module.__file__).endswith(".so") else "as Python"
    print(f"{kind:20}    bare        engine      ratio   at most   all rounds")
    verify = [_bare_verify(packet) for packet in signed]
    _compare("verify", verify, signed, VerdictKind.MODIFY, 1.6)
    _compare("sign", [_bare_sign(packet) for packet in signed], unsigned, VerdictKind.MODIFY, 3.0)
    _compare("not ours (of verify)", verify, other, VerdictKind.ACCEPT, 0.06)


def _compare(
    name: str, bare: Sequence[Callable[[], object]], packets: Sequence[bytes], expected: VerdictKind, limit: float
) -> None:
    engine = make_engine()
    ratios, bares, spent = [], [], []
    for turn in range(ROUNDS):
        time.sleep(PAUSE)
        bare_times, engine_times = [], []
        for number in range(turn * PACKETS, (turn + 1) * PACKETS):
            operation, packet = bare[number], packets[number]
            begin = time.perf_counter()
            operation()
            middle = time.perf_counter()
            verdict = engine.process(packet, NOW)
            end = time.perf_counter()
            assert isinstance(verdict, Verdict)
            assert verdict.kind is expected
            bare_times.append(middle - begin)
            engine_times.append(end - middle)
        bares.append(statistics.median(bare_times))
        spent.append(statistics.median(engine_times))
        ratios.append(spent[-1] / bares[-1])
    quiet = sorted(range(ROUNDS), key=bares.__getitem__)[:QUIET]
    ratio, of_all = statistics.median(ratios[turn] for turn in quiet), statistics.median(ratios)
    bare_time, engine_time = (statistics.median(times[turn] for turn in quiet) * 1e6 for times in (bares, spent))
    print(
        f"{name:20} {bare_time:7.1f} µs  {engine_time:7.1f} µs   {ratio:6.3f}    {limit:5.2f}     {of_all:6.3f}"
        f"{'' if ratio <= limit else '  EXCEEDED'}"
    )


def _bare_verify(packet: bytes) -> Callable[[], object]:
    header, payload, signature = _token(packet)
    key, message, raw = _PUBLIC, header + b"." + payload, decode_segment(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    return lambda: key.verify(der, message, _VERIFY)


def _bare_sign(packet: bytes) -> Callable[[], object]:
    header, payload, _ = _token(packet)
    key, message = LAB.leaf.key, header + b"." + payload
    return lambda: key.sign(message, _SIGN)


def _token(packet: bytes) -> list[bytes]:
    return packet.partition(b"\nIdentity: ")[2].partition(b";")[0].split(b".")


if __name__ == "__main__":
    main()
