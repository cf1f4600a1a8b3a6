"""A process that is killed while it writes, at a place of the test's choice."""

import itertools
from collections.abc import Callable


def dies_after(writes: int, write: Callable[[int, bytes], None]) -> Callable[[int, bytes], None]:
    """`write` of a process that is killed after so many; of the next, half is written if it is not one word."""
    left = itertools.count(writes, -1)

    def dying(at: int, data: bytes) -> None:
        if next(left) > 0:
            write(at, data)
            return
        if len(data) > 8:
            write(at, data[: len(data) // 2])
        raise InterruptedError

    return dying
