"""`make differential`: the filter against SIP stacks that are installed here.

The corpus (tests/support/corpus.py) and mutants of it go through the filter, which rejects every failure. What it lets
pass goes through all stacks. The last line says how many findings there are; with findings the exit code is 1. The
kinds of findings are explained in tests/support/differential.py.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support.corpus import cases
from support.differential import Filter, Finding, judged
from support.differential_command import main
from support.odd_base import Case
from support.odd_mutants import Mutator
from support.stacks import STACKS, Stack

_SHOWN = 6  # examples of a kind of finding
Kind = tuple[str, str, str]
"""What is wrong, the table of the corpus, the outcome in the record."""


class Run:
    """Counts what passed and what was found; keeps the first examples."""

    def __init__(self, stacks: list[Stack], seed: str) -> None:
        self._stacks = stacks
        self._filter = Filter()
        self.corpus, self.mutant = cases, Mutator(seed).mutant
        self._seen: set[bytes] = set()
        self.messages = self.passed = self.odd = 0
        self._found: defaultdict[Kind, Counter[str]] = defaultdict(Counter)
        self._examples: defaultdict[Kind, dict[str, tuple[Finding, bytes]]] = defaultdict(dict)

    def take(self, case: Case) -> None:
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

    def progress(self) -> str:
        """One line about all so far."""
        return f"{self.messages} messages, {self.passed} passed, {self.odd} of them with findings"

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
        write(self.progress())


if __name__ == "__main__":
    sys.exit(main(__doc__, list(STACKS), 200_000, Stack, Run))
