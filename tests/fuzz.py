"""`make fuzz`: six kinds of cases through the program, each a function of its seed, SEED:KIND:NUMBER.

- mutant: 10,000 true calls with Identity header fields and certificates bent.
- signed: 100,000 calls with hostile claims that a believed key signed, under all kinds of rules. What leaves
  (INVITE, 302, rejection, Reason, put-back tokens, record) has exactly the header fields that came and those that
  the manual documents, as a reader of its own sees them.
- random: 1,000,000 random Identity values and INVITEs.
- certificate, crl, trustlist: 40,000, 40,000 and 20,000 of them, bent in what is signed and signed again. Only the
  documented errors; what is accepted is good to openssl, but for what `support.trustfuzz.LISTED` names.

No exception, no false `passed`, bounded time and memory for each. `--only` runs one case again, `--start`
continues an interrupted run.
"""

import argparse
import resource
import secrets
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support.fuzzing import Fuzzer, Result

SECONDS = 1.0  # of CPU for one case
MEMORY = 64 * 1024  # KiB by which one case may raise the peak
_SHOWN = 20  # faults of a kind of case


class Run:
    """All cases of one kind."""

    def __init__(self, kind: str, seed: str) -> None:
        self.kind, self.seed = kind, seed
        self.outcomes: Counter[str] = Counter()
        self.stricter: Counter[str] = Counter()
        self.faults: list[str] = []
        self.slowest = (0.0, "")
        self.largest = (0, "")
        self._fuzzer = Fuzzer()

    def case(self, number: int) -> None:
        """Run one case and note what became of it."""
        seed = f"{self.seed}:{self.kind}:{number}"
        before, began = _peak(), time.process_time()
        try:
            found: Result = getattr(self._fuzzer, self.kind)(seed)
        except Exception as error:
            self.faults.append(f"{seed}: {type(error).__name__}: {str(error)[:3000]}")
            self._fuzzer = Fuzzer()
            return
        took, grown = time.process_time() - began, _peak() - before
        self.outcomes[found.outcome] += 1
        if found.would_pass and found.outcome != "passed":
            self.stricter[f"{found.outcome}: {', '.join(found.what)}"] += 1
        self.slowest = max(self.slowest, (took, seed))
        if number > 1000:
            self.largest = max(self.largest, (grown, seed))
        if took > SECONDS or (grown > MEMORY and number > 1000):
            self.faults.append(f"{seed}: {took:.2f} s, {grown} KiB more")

    def run(self, start: int, count: int) -> bool:
        """Run cases from number `start` on; whether all of them were run."""
        shown = time.monotonic()
        for number in range(start, count):
            try:
                self.case(number)
            except KeyboardInterrupt:
                print(f"\nended; go on with --seed {self.seed} --start {self.kind}:{number}", flush=True)
                return False
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                print(f"  {self.kind} {number} of {count}, {len(self.faults)} faults", flush=True)
        return True

    def report(self) -> None:
        print(f"{self.kind}: {sum(self.outcomes.values())} cases, {len(self.faults)} faults")
        for outcome, number in self.outcomes.most_common():
            print(f"  {number:8}  {outcome}")
        if self.stricter:
            print(f"  {sum(self.stricter.values())} that the independent judge would pass; the most frequent:")
            for what, number in self.stricter.most_common(8):
                print(f"  {number:8}  {what}")
        print(f"  slowest: {self.slowest[0] * 1000:.1f} ms ({self.slowest[1]})")
        print(f"  most memory: {self.largest[0]} KiB more ({self.largest[1]}); peak {_peak() // 1024} MiB")
        for fault in self.faults[:_SHOWN]:
            print(f"  FAULT {fault}")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    """Run what is asked for; 1 when there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--signed", type=int, default=100_000)
    parser.add_argument("--random", type=int, default=1_000_000)
    parser.add_argument("--certificates", type=int, default=40_000)
    parser.add_argument("--crls", type=int, default=40_000)
    parser.add_argument("--trustlists", type=int, default=20_000)
    parser.add_argument("--start", default="mutant:0", help="KIND:NUMBER of the first case")
    parser.add_argument("--only", help="SEED:KIND:NUMBER of one case, which may raise")
    arguments = parser.parse_args()
    if arguments.only:
        print(getattr(Fuzzer(), arguments.only.split(":")[1])(arguments.only))
        return 0
    first, _, number = arguments.start.partition(":")
    print(f"seed {arguments.seed}", flush=True)
    faults = 0
    counts = {
        "mutant": arguments.mutants,
        "signed": arguments.signed,
        "random": arguments.random,
        "certificate": arguments.certificates,
        "crl": arguments.crls,
        "trustlist": arguments.trustlists,
    }
    if first not in counts:
        parser.error(f"--start: the kinds are {', '.join(counts)}")
    for kind in list(counts)[list(counts).index(first) :]:
        run = Run(kind, arguments.seed)
        went_on = run.run(int(number) if kind == first else 0, counts[kind])
        run.report()
        faults += len(run.faults)
        if not went_on:
            return 130
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
