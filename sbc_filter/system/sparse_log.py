"""Counts what keeps happening, and says so the first, second, fourth, eighth … time.

An attacker who finds a way to cause it must not be able to fill the disk.
"""

import logging
from collections import Counter


class SparseLog:
    """Counts in `count`, by name, and writes to `log`."""

    def __init__(self, log: logging.Logger, count: Counter[str]) -> None:
        self._log = log
        self._count = count

    def warning(self, counter: str, text: str, *values: object) -> None:
        """Count it. `text` has a place for each of the values, as in `logging`, and a last one for the count."""
        count = self._counted(counter)
        if _is_power_of_two(count):
            self._log.warning(text, *values, count)

    def error(self, counter: str, error: BaseException | None) -> None:
        """Count an error inside the program, and log it with its trace."""
        count = self._counted(counter)
        if _is_power_of_two(count):
            self._log.error("%s: %d so far", counter, count, exc_info=error)

    def _counted(self, counter: str) -> int:
        self._count[counter] += 1
        return self._count[counter]


def _is_power_of_two(count: int) -> bool:
    """Whether to log the `count`-th occurrence of an event that keeps happening."""
    return count & (count - 1) == 0
