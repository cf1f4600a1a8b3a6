"""What replay protection adds to a verified call, as a multiple of the bare ECDSA verification of `cryptography`.

    python tests/bench/seen.py

A claim of a new token and of a known one: in the memory of one process, in the table of all processes while nobody
else claims, and while another process claims without a pause. Bare verification and claims take turns, round by
round; what counts are the medians of the rounds.
"""

import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from support.calls import LAB, NOW

from sbc_filter.engine.seen import LocalSeen, Seen
from sbc_filter.io.seen import SharedSeen

ROUNDS, CLAIMS = 40, 500
_END = NOW + 65
_CALL = b"4b1e7a60-5d3f-11ef-9c5a-0242ac120002@192.0.2.7"


def main() -> None:
    """Print the ratios."""
    bare = _bare_verify()
    print("                              bare        claim       ratio")
    _compare("one process, new", bare, LocalSeen(), new=True)
    _compare("one process, known", bare, LocalSeen(), new=False)
    shared = SharedSeen()
    _compare("shared, new", bare, shared, new=True)
    _compare("shared, known", bare, shared, new=False)
    rival = multiprocessing.get_context("fork").Process(target=_claim_for_ever, args=(shared,), daemon=True)
    rival.start()
    try:
        _compare("shared, beside another, new", bare, shared, new=True)
    finally:
        rival.kill()
        rival.join()


def _compare(name: str, bare: Callable[[], object], seen: Seen, *, new: bool) -> None:
    bares, spent = [], []
    known = _tokens()
    for token in known:
        seen.claim(token, _CALL, _END, NOW)
    for _ in range(ROUNDS):
        tokens = _tokens() if new else known
        begin = time.perf_counter()
        for _ in tokens[:50]:
            bare()
        middle = time.perf_counter()
        for token in tokens:
            assert seen.claim(token, _CALL, _END, NOW)
        end = time.perf_counter()
        bares.append((middle - begin) / 50)
        spent.append((end - middle) / len(tokens))
    bare_time, time_spent = statistics.median(bares), statistics.median(spent)
    print(f"{name:28} {bare_time * 1e6:6.1f} µs  {time_spent * 1e6:7.2f} µs   {time_spent / bare_time:8.3f}")


def _tokens() -> list[bytes]:
    return [os.urandom(21).hex().encode() for _ in range(CLAIMS)]


def _claim_for_ever(seen: Seen) -> None:
    while True:
        for token in _tokens():
            seen.claim(token, _CALL, _END, NOW)


def _bare_verify() -> Callable[[], object]:
    key, message, algorithm = LAB.leaf.key.public_key(), bytes(300), ec.ECDSA(hashes.SHA256())
    signature = LAB.leaf.key.sign(message, algorithm)
    return lambda: key.verify(signature, message, algorithm)


if __name__ == "__main__":
    main()
