"""How the cost of a function grows with its input, whatever the speed of the machine."""

import gc
import time
from collections.abc import Callable, Iterator

_ROUNDS = 3
_TIMES = 8  # the larger input is so many times the smaller one
LINEAR = 3.0 * _TIMES
"""More than a linear function reaches (8), far less than a quadratic one (64)."""


def growth(work: Callable[[int], object], size: int) -> float:
    """CPU time of `work(size)` divided by that of `work(size // 8)`; more than `LINEAR` only if it is so every time.

    CPU time of this thread, so that other programs do not count, and a ratio, so that a slow machine does not either.
    Nothing is collected meanwhile, nor before: among thousands of tests that costs more than what is measured.
    """
    gc.disable()
    try:
        return next((ratio for ratio in _ratios(work, size) if ratio < LINEAR), LINEAR)
    finally:
        gc.enable()


def _ratios(work: Callable[[int], object], size: int) -> Iterator[float]:
    for _ in range(_ROUNDS):
        small = min(_cost(work, size // _TIMES) for _ in range(_ROUNDS))
        yield _cost(work, size) / small


def _cost(work: Callable[[int], object], size: int) -> float:
    begin = time.thread_time()
    work(size)
    return time.thread_time() - begin
