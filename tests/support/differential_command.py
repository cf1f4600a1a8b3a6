"""The command of `make differential`, for datagrams and streams: a corpus, and mutants of it, shown to SIP stacks."""

import argparse
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar

from support.stacks import Missing

_PAUSE = 10  # seconds between two lines about the progress


class Asked(Protocol):
    """A stack that is installed here."""

    name: str

    def close(self) -> None:
        """End its process."""


S = TypeVar("S", bound=Asked)


class Run(Protocol):
    """Counts what passes the filter, and what the stacks find in it."""

    odd: int
    """Items with findings."""

    def corpus(self) -> Iterable[Any]:
        """The items that are the same each time."""

    def mutant(self, number: int, /) -> Any:
        """One of the others."""

    def take(self, item: Any, /) -> None:
        """Show one item to the filter, and what passes to the stacks."""

    def progress(self) -> str:
        """One line about all so far."""

    def report(self) -> None:
        """Print all findings with examples, then totals."""


def main(
    description: str | None,
    known: Sequence[str],
    mutants: int,
    stack: Callable[[str], S],
    begin: Callable[[list[S], str], Run],
) -> int:
    """Run what is asked for; 1 with findings. `stack` starts one that is `known`, `begin` gets stacks and seed."""
    parser = _parser(description, known, mutants)
    arguments = parser.parse_args()
    names = arguments.stacks.split(",")
    if not set(names) <= set(known):
        parser.error(f"--stacks: the stacks are {', '.join(known)}")
    stacks = list(_available(names, stack))
    if not stacks:
        parser.error("none of the stacks is installed; `make differential` installs them")
    print(f"seed {arguments.seed}; stacks: {', '.join(each.name for each in stacks)}", flush=True)
    run, shown = begin(stacks, arguments.seed), time.monotonic()
    others = map(run.mutant, range(0 if arguments.corpus_only else arguments.count))
    try:
        for item in others if arguments.mutants_only else chain(run.corpus(), others):
            run.take(item)
            if time.monotonic() - shown > _PAUSE:
                shown = time.monotonic()
                print(f"  {run.progress()}", flush=True)
    finally:  # what was found is not lost if the run ends early
        run.report()
        for each in stacks:
            each.close()
    return min(run.odd, 1)


def _parser(description: str | None, known: Sequence[str], mutants: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--count", type=int, default=mutants, help="mutants (default: %(default)s)")
    parser.add_argument("--stacks", default=",".join(known), help="names with commas (default: all)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--corpus-only", action="store_true")
    only.add_argument("--mutants-only", action="store_true")
    return parser


def _available(names: Iterable[str], stack: Callable[[str], S]) -> Iterator[S]:
    """The stacks that can be asked here; says why others cannot."""
    for name in names:
        try:
            yield stack(name)
        except Missing as why:
            print(f"skipped: {name} {why}")
