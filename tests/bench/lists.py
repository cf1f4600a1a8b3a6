"""Lists of a million numbers: what they cost to load, to keep and to ask, as multiples of a set of strings.

    python tests/bench/lists.py

The set is what a list could be at best: made of the same text, asked for the same numbers. List and set take turns,
round by round; what counts are the medians of the rounds. Behind each row stand its limits where one is exceeded.
"""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import TypeVar

from sbc_filter.rules.number_list import Entries, NumberList

T = TypeVar("T")
ENTRIES, ASKED, ROUNDS = 1_000_000, 20_000, 15
FIRST, STEP = 12_000_000_000, 7  # every seventh number


def main() -> None:
    """Print the ratios."""
    print(f"{ENTRIES:,} entries         load         ratio   memory        ratio   look-up     ratio")
    every = range(FIRST, FIRST + ENTRIES * STEP, STEP)
    asked = [str(FIRST + at) for at in range(0, ENTRIES * STEP, ENTRIES * STEP // ASKED)]
    _compare("exact", (str(number) for number in every), asked, (8, 1.5, 3))
    _compare("prefixes", (f"{number}*" for number in every), [f"{number}00" for number in asked], (8, 1.5, 4))
    _compare("ranges", (f"{number}-{number + 3}" for number in every), asked, (12, 2, 10))


def _compare(name: str, entries: Iterator[str], asked: list[str], limits: tuple[float, float, float]) -> None:
    text = "\n".join(entries)
    plain, bare_load, bare_memory = _made(lambda: frozenset(text.splitlines()))
    listed, load, memory = _made(lambda: NumberList(Entries(["@list"], lambda _: text)))
    bares, spent = [], []
    for _ in range(ROUNDS):
        bares.append(_asked(plain.__contains__, asked))
        spent.append(_asked(listed, asked))
    bare, each = statistics.median(bares), statistics.median(spent)
    ratios = load / bare_load, memory / bare_memory, each / bare
    over = f"  EXCEEDED: {limits}" if any(ratio > limit for ratio, limit in zip(ratios, limits, strict=True)) else ""
    print(
        f"{name:20} {load:7.2f} s   {ratios[0]:9.2f}   {memory / ENTRIES:4.0f} bytes  {ratios[1]:7.2f}"
        f"   {each * 1e6:5.2f} µs  {ratios[2]:7.2f}{over}"
    )


def _made(make: Callable[[], T]) -> tuple[T, float, int]:
    """(what is made, seconds, bytes that it keeps); made twice, since to watch the memory takes time."""
    gc.collect()
    begin = time.perf_counter()
    make()
    spent = time.perf_counter() - begin
    tracemalloc.start()
    made = make()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return made, spent, kept


def _asked(ask: Callable[[str], bool], numbers: list[str]) -> float:
    """Seconds for one look-up."""
    begin = time.perf_counter()
    for number in numbers:
        ask(number)
    return (time.perf_counter() - begin) / len(numbers)


if __name__ == "__main__":
    main()
