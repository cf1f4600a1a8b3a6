"""How the cost of a function grows with its input, whatever the speed of the machine."""

import gc
import time
from collections.abc import Callable

_ROUNDS = 3
_TIMES = 8  # the larger input is so many times the smaller one
LINEAR = 3.0 * _TIMES
"""More than a linear function reaches (8), far less than a quadratic one (64)."""


def growth(work: Callable[[int], object], size: int) -> float:
    """CPU time of `work(size)` divided by that of `work(size // 8)`; the best of some rounds each.

    CPU time of this thread, so that other programs do not count, and a ratio, so that a slow machine does not either.
    """
    small, large = size // _TIMES, size
    gc.collect()
    gc.disable()
    try:
        rounds = [(_cost(work, small), _cost(work, large)) for _ in range(_ROUNDS)]
    finally:
        gc.enable()
    return min(cost for _, cost in rounds) / min(cost for cost, _ in rounds)


def _cost(work: Callable[[int], object], size: int) -> float:
    begin = time.thread_time()
    work(size)
    return time.thread_time() - begin
