"""What the memories that go across calls add, as a multiple of the bare ECDSA verification of `cryptography`.

    python tests/bench/seen.py

Each operation: in the memory of one process, in that of all processes while nobody else is at it, and while another
process does the same without a pause (with a rate of the same trunk: both at the same number). Bare verification and
operations take turns, round by round; what counts are the medians of the rounds.
"""

import itertools
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
from support.calls import LAB, NOW, identity

from sbc_filter.engine.memory.arrivals import Arrival
from sbc_filter.rules.model import RateLimit
from sbc_filter.shared_memory.shared_state import SharedState

ROUNDS, OPERATIONS = 40, 500
_CALL = b"4b1e7a60-5d3f-11ef-9c5a-0242ac120002@192.0.2.7"
_LIMIT = RateLimit(20, 1, "trunk")
_LEAVES = ("session-id", b"a" * 32)
_IDENTITY = identity().removeprefix("Identity: ").encode()

Operation = Callable[[SharedState, bytes], object]  # the bytes are another each time, or always one of the same
OPERATIONS_BY_NAME: dict[str, Operation] = {
    "token, new": lambda memories, new: memories.seen.claim(new, _CALL, NOW + 65, NOW),
    "token, known": lambda memories, new: memories.seen.claim(_CALL, _CALL, NOW + 65, NOW),
    "rate of a trunk": lambda memories, new: memories.rates.exceeds("r", _LIMIT, "acme", NOW),
    "rate, new caller": lambda memories, new: memories.rates.exceeds("r", _LIMIT, str(new), NOW),
    "preserve, arrives": lambda memories, new: memories.arrivals.add(
        ("session-id", new), Arrival(("192.0.2.7", _CALL), NOW, (_IDENTITY,), None)
    ),
    "preserve, leaves": lambda memories, new: memories.arrivals.get(_LEAVES, NOW),
    "preserve, unknown": lambda memories, new: memories.arrivals.get(("session-id", new), NOW),
}


def main() -> None:
    """Print the ratios."""
    bare = _bare_verify()
    print("                                       bare    operation       ratio")
    for name, operation in OPERATIONS_BY_NAME.items():
        _compare(f"{name}, one process", bare, operation, _filled(SharedState.local()))
        shared = _filled(SharedState.shared(None, 50))
        _compare(f"{name}, shared", bare, operation, shared)
        rival = multiprocessing.get_context("fork").Process(target=_for_ever, args=(operation, shared), daemon=True)
        rival.start()
        try:
            _compare(f"{name}, beside another", bare, operation, shared)
        finally:
            rival.kill()
            rival.join()
        shared.close()


def _filled(memories: SharedState) -> SharedState:
    memories.arrivals.add(_LEAVES, Arrival(("192.0.2.7", _CALL), NOW, (_IDENTITY,), None))
    return memories


def _compare(name: str, bare: Callable[[], object], operation: Operation, memories: SharedState) -> None:
    bares, spent = [], []
    for _ in range(ROUNDS):
        news = _news()
        begin = time.perf_counter()
        for _ in range(50):
            bare()
        middle = time.perf_counter()
        for new in news:
            operation(memories, new)
        end = time.perf_counter()
        bares.append((middle - begin) / 50)
        spent.append((end - middle) / len(news))
    bare_time, time_spent = statistics.median(bares), statistics.median(spent)
    print(f"{name:37} {bare_time * 1e6:6.1f} µs  {time_spent * 1e6:7.2f} µs   {time_spent / bare_time:8.3f}")


def _news() -> list[bytes]:
    return [os.urandom(21).hex().encode() for _ in range(OPERATIONS)]


def _for_ever(operation: Operation, memories: SharedState) -> None:
    for new in itertools.cycle(itertools.chain.from_iterable(_news() for _ in range(100))):
        operation(memories, new)


def _bare_verify() -> Callable[[], object]:
    key, message, algorithm = LAB.leaf.key.public_key(), bytes(300), ec.ECDSA(hashes.SHA256())
    signature = LAB.leaf.key.sign(message, algorithm)
    return lambda: key.verify(signature, message, algorithm)


if __name__ == "__main__":
    main()
