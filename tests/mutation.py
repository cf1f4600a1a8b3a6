"""`make mutants`: changes the product in one place at a time, and shows which changes no test notices.

MUTANTS="--all" takes every mutant, MUTANTS="--sample 200 stir/path engine" more of them for some modules, and
MUTANTS="--at sbc_filter/stir/path.py:70" those of one line. The sample depends on the seed and the module alone.
"""

import argparse
import fnmatch
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import CodeType
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from support.mutationruns import Reached, Warm, cold, exchanged, measure, warm
from support.mutations import Mutant, Uses, mutants_of

TOP = Path(__file__).resolve().parents[1]

FILES = 4  # of tests that are most devoted to a module: they are run first, or alone where it is imported again


class Room(NamedTuple):
    """Modules, as patterns below `sbc_filter/`, and the tests that are to notice what changes there."""

    modules: str
    tests: str


ROOMS = (
    Room(
        "sip/numbers.py numbering/numbering_plans.py stir/*.py pki/*.py engine/decide/*.py engine/act/*.py"
        " rules/ruleset.py",
        "tests/packet tests/sip tests/pki tests/stir tests/rules tests/engine",
    ),
    Room("web/*.py certificates/fetcher.py", "tests/web tests/certificates"),
)


class Job(NamedTuple):
    """A mutant, and the functions that it exchanges: None where its module has to be imported again."""

    mutant: Mutant
    codes: dict[CodeType, CodeType] | None


class Module:
    """The mutants of one file, and what became of them."""

    def __init__(self, path: Path, options: argparse.Namespace, tried: Sequence[int]) -> None:
        self.path = path
        self.name = str(path.relative_to(TOP))
        self._most = options.tests
        self.source = path.read_bytes()
        found = mutants_of(self.source)
        self.known = len(found)
        if options.again:
            found = [each for each in found if self.shown(each) in options.again]
        elif tried:
            found = [each for each in found if each.line(self.source) in tried]
        elif not options.all and len(found) > options.sample:
            rng = random.Random(f"{options.seed}:{path.name}")
            found = sorted(rng.sample(found, options.sample), key=found.index)
        self.jobs = [Job(each, exchanged(path, self.source, each.apply(self.source))) for each in found]
        self.survivors: list[Mutant] = []

    def tests(self, job: Job, reached: Reached, uses: Uses) -> list[str]:
        """The tests that reach a mutant, those first that are likely to notice it: of the files that are most devoted
        to its module; then in turns the most special ones for its module, the most special ones altogether, and the
        most devoted ones."""
        mutant, path = job.mutant, str(self.path)
        orders = [reached.special(path), reached.special(), reached.devoted(path)]
        found = reached.tests((path, line) for line in range(mutant.first, mutant.last + 1))
        if job.codes is None:
            found = reached.tests(uses.of(self.path, mutant.first)).union(orders[0])
        ordered = [sorted(found, key=lambda test: (-order.get(test, 0.0), test)) for order in orders]
        chosen = list(dict.fromkeys(test for turn in zip(*ordered, strict=True) for test in turn))
        files = reached.files(path)[:FILES]
        chosen.sort(key=lambda test: test.partition("::")[0] not in files)
        if job.codes is None:  # to import a file of tests takes longer than to run them
            chosen = [test for test in chosen if test.partition("::")[0] in files]
        return chosen[: self._most]

    def heading(self) -> str:
        """How many of its mutants survive."""
        return f"{self.name}: {len(self.survivors)} of {len(self.jobs)} survive ({self.known} known)"

    def shown(self, mutant: Mutant) -> str:
        """A survivor and its diff."""
        return f"  {self.name}:{mutant.line(self.source)}\n{mutant.diff(self.source)}"


def run(room: Room, modules: Sequence[Module]) -> None:
    """Try all mutants of these modules with the tests of their room."""
    product = TOP / "sbc_filter"
    files = [file for each in room.tests.split() for file in sorted([TOP / each, *(TOP / each).glob("test_*.py")])]
    files = [file for file in files if file.is_file()]
    print(f"measuring {len(files)} files of tests", flush=True)
    reached = measure(files, TOP, TOP / "build" / "mutants")
    for test in reached.failed:
        print(f"left out, since it fails without any change: {test}", flush=True)
    uses = Uses(sorted(product.rglob("*.py")))
    tests = [str(file) for file in files]
    chosen = {id(job): module.tests(job, reached, uses) for module in modules for job in module.jobs}

    def seconds(tests: Sequence[str]) -> float:
        return 5.0 + 4.0 * sum(reached.seconds[test] for test in tests)

    def in_warm(process: Warm) -> bytes:
        lost = []
        for number, (module, job) in enumerate(jobs):
            mine = chosen[id(job)]
            if not mine or (job.codes is not None and process.survives(module.path, job.codes, mine, seconds(mine))):
                lost.append(str(number))
                process.say(module.shown(job.mutant))
        return " ".join(lost).encode()

    began = time.monotonic()
    jobs = [(module, job) for module in modules for job in module.jobs if job.codes is not None]
    for number in warm(tests, in_warm).split():
        jobs[int(number)][0].survivors.append(jobs[int(number)][1].mutant)
    print(f"{len(jobs)} mutants in {time.monotonic() - began:.0f} s; now those that need another import", flush=True)
    for module in modules:
        for job in module.jobs:
            mine = chosen[id(job)]
            name = ".".join(module.path.relative_to(TOP).with_suffix("").parts)
            if job.codes is None and (
                not mine or cold(module.path, name, job.mutant.apply(module.source), mine, seconds(mine))
            ):
                module.survivors.append(job.mutant)
                print(module.shown(job.mutant), flush=True)


def _text(file: str) -> str:
    return Path(file).read_text()


def main() -> int:
    """0 when every mutant is noticed, 1 when some survive."""
    parser = argparse.ArgumentParser(description="Shows which changes of the product no test notices.")
    parser.add_argument("modules", nargs="*", help="only these, such as stir/path or engine")
    parser.add_argument("--sample", type=int, default=60, metavar="N", help="mutants of each module (default: 60)")
    parser.add_argument("--all", action="store_true", help="all mutants of each module")
    parser.add_argument("--tests", type=int, default=300, metavar="N", help="for one mutant (default: 300)")
    parser.add_argument("--seed", default="1", help="another sample (default: 1)")
    parser.add_argument("--at", action="append", default=[], metavar="PATH:LINE", help="only the mutants of this line")
    parser.add_argument("--again", type=_text, metavar="FILE", help="only the survivors in the output of another run")
    options = parser.parse_args()
    os.chdir(TOP)
    lines: dict[str, list[int]] = {}
    for place in options.at:
        path, _, line = place.rpartition(":")
        lines.setdefault(str(Path(path).resolve()), []).append(int(line))
    done = []
    for room in ROOMS:
        modules = []
        for path in sorted((TOP / "sbc_filter").rglob("*.py")):
            name = str(path.relative_to(TOP / "sbc_filter"))
            wanted = not options.modules or any(name.startswith(each) for each in options.modules)
            wanted = str(path) in lines if lines else wanted
            if wanted and any(fnmatch.fnmatchcase(name, pattern) for pattern in room.modules.split()):
                module = Module(path, options, lines.get(str(path), ()))
                if module.jobs:
                    modules.append(module)
        if modules:
            run(room, modules)
            done += modules
    print("\nSurvivors by module")
    for module in done:
        print(module.heading())
    survivors, tried = sum(len(each.survivors) for each in done), sum(len(each.jobs) for each in done)
    print(f"total: {survivors} of {tried} survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
