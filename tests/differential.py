"""`make differential`: the filter against SIP stacks that are installed here.

The corpus (tests/support/corpus.py) and mutants of it go through the filter, which rejects every failure. What it lets
pass goes through all stacks. The last line says how many findings there are; with findings the exit code is 1. The
kinds of findings are explained in tests/support/differential.py.
"""

import argparse
import secrets
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support.corpus import cases
from support.differential import Filter, Finding, judged
from support.odd_base import Case
from support.odd_mutants import Mutator
from support.stacks import STACKS, Missing, Stack

_SHOWN = 6  # examples of a kind of finding
Kind = tuple[str, str, str]
"""What is wrong, the table of the corpus, the outcome in the record."""


class Run:
    """Counts what passed and what was found; keeps the first examples."""

    def __init__(self, stacks: list[Stack]) -> None:
        self._stacks = stacks
        self._filter = Filter()
        self._seen: set[bytes] = set()
        self.messages = self.passed = self.odd = 0
        self._found: defaultdict[Kind, Counter[str]] = defaultdict(Counter)
        self._examples: defaultdict[Kind, dict[str, tuple[Finding, bytes]]] = defaultdict(dict)

    def case(self, case: Case) -> None:
        """One message through the filter and, if it passes, the stacks. What came before would be a retransmission."""
        if case.message in self._seen:
            return
        self._seen.add(case.message)
        self.messages += 1
        passed = self._filter.passed(case.message)
        if passed is None:
            return
        self.passed += 1
        found = judged(passed, self._stacks)
        self.odd += bool(found)
        for finding in found:
            kind = (finding.kind, case.table, finding.outcome)
            self._found[kind][finding.stack] += 1
            if len(self._examples[kind]) < _SHOWN:
                self._examples[kind].setdefault(f"{case.base}, {case.name}", (finding, passed.message))

    def report(self, write: Callable[[str], object] = print) -> None:
        """All kinds of findings with examples, then totals."""
        totals: Counter[tuple[str, str]] = Counter()
        for kind, stacks in sorted(self._found.items()):
            write(f"{' | '.join(kind)}: " + ", ".join(f"{stack} {number}" for stack, number in sorted(stacks.items())))
            examples = self._examples[kind]
            for name, (finding, _) in examples.items():
                write(f"    {name}: {finding.stack} sees {finding.seen}")
            write(f"        {next(iter(examples.values()))[1][:1500]!r}")
            totals.update({(kind[0], stack): number for stack, number in stacks.items()})
        for (what, stack), number in sorted(totals.items()):
            write(f"{number:8}  {what}, {stack}")
        for asked in self._stacks:
            if asked.faults:
                write(f"{asked.name} crashed or hung at {asked.faults} messages")
        write(f"{self.messages} messages, {self.passed} passed, {self.odd} of them with findings")


def available(names: list[str]) -> Iterator[Stack]:
    """The stacks that can be asked here; says why others cannot."""
    for name in names:
        try:
            yield Stack(name)
        except Missing as why:
            print(f"skipped: {name} {why}")


def main() -> int:
    """Run what is asked for; 1 with findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--count", type=int, default=200_000, help="mutants (default: 200000)")
    parser.add_argument("--stacks", default=",".join(STACKS), help="names with commas (default: all)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--corpus-only", action="store_true")
    only.add_argument("--mutants-only", action="store_true")
    arguments = parser.parse_args()
    names = arguments.stacks.split(",")
    if not STACKS.keys() >= set(names):
        parser.error(f"--stacks: the stacks are {', '.join(STACKS)}")
    stacks = list(available(names))
    if not stacks:
        parser.error("none of the stacks is installed; `make differential` installs them")
    print(f"seed {arguments.seed}; stacks: {', '.join(stack.name for stack in stacks)}", flush=True)
    mutator, run, shown = Mutator(arguments.seed), Run(stacks), time.monotonic()
    mutants = map(mutator.mutant, range(0 if arguments.corpus_only else arguments.count))
    try:
        for case in mutants if arguments.mutants_only else chain(cases(), mutants):
            run.case(case)
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                print(f"  {run.messages} messages, {run.passed} passed, {run.odd} with findings", flush=True)
    finally:  # what was found is not lost if the run ends early
        run.report()
        for stack in stacks:
            stack.close()
    return min(run.odd, 1)


if __name__ == "__main__":
    sys.exit(main())
