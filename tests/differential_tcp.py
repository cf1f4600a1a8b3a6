"""`make differential` over TCP: what the relay passes on of odd streams, against SIP stacks that are installed here.

The corpus (tests/support/odd_streams.py) and mutants of it go through a relayed direction, which rejects every failure.
What it writes onwards goes to all stacks on a connection. The last line says how many findings there are; with findings
the exit code is 1. The kinds of findings are explained in tests/support/stream_differential.py.
"""

import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

from support.differential_command import main
from support.odd_stream_base import Stream
from support.odd_stream_mutants import StreamMutator, cut
from support.odd_streams import streams
from support.stream_differential import Finding, StreamFilter, Written, findings, number_in
from support.stream_stacks import LARGEST, STREAM_STACKS, Read, StreamStack

from sbc_filter.relay.limits import Limits

_SHOWN = 6  # examples of a kind of finding
Kind = tuple[str, str]
"""What is wrong, the table of the corpus."""


class Run:
    """Counts what passed and what was found; keeps the first examples."""

    def __init__(self, stacks: list[StreamStack], seed: str) -> None:
        self._stacks = stacks
        sizes = {LARGEST.get(stack.name, Limits().message_octets) for stack in stacks}
        self._filters = {size: StreamFilter(size) for size in sorted(sizes, reverse=True)}
        self._pool = ThreadPoolExecutor(len(stacks))
        self._rng = Random(seed)
        self.corpus, self.mutant = streams, StreamMutator(seed).mutant
        self.streams = self.messages = self.passed = self.odd = 0
        self.refused: Counter[str] = Counter()
        self._read: Counter[str] = Counter()
        self._found: defaultdict[Kind, Counter[str]] = defaultdict(Counter)
        self._earlier = {stack.name: deque[Written](maxlen=5) for stack in stacks}
        self._examples: defaultdict[Kind, dict[str, tuple[Finding, bytes]]] = defaultdict(dict)

    def take(self, stream: Stream) -> None:
        """One stream through the filter; what it writes goes to the stacks, cut in another way."""
        self.streams += 1
        all_written = {size: judge.written(stream.pieces) for size, judge in self._filters.items()}
        largest = next(iter(all_written.values()))
        self.messages += largest.messages
        self.passed += len(largest.passed)
        if largest.fault:
            self.refused[largest.fault] += 1
        pieces = {size: self._cut(written) for size, written in all_written.items()}
        sizes = [LARGEST.get(stack.name, Limits().message_octets) for stack in self._stacks]
        odd = False
        asked = self._pool.map(lambda stack, size: stack.ask(pieces[size]), self._stacks, sizes)
        for stack, size, read in zip(self._stacks, sizes, asked, strict=True):
            self._read[stack.name] += len(read or [])
            for finding in self._findings(stack, all_written[size], read or []):
                odd = True
                self._add(stream, finding, b"".join(pieces[size]))
        self.odd += odd

    def _findings(self, stack: StreamStack, written: Written, read: Sequence[Read]) -> Iterator[Finding]:
        """What is wrong. On a busy machine a stack reads the end of a stream after the next one has begun."""
        earlier, numbers = self._earlier[stack.name], written.numbers
        late = [next((old for old in earlier if number_in(one.call_id) in old.numbers), None) for one in read]
        own = [one for one, old in zip(read, late, strict=True) if old is None or number_in(one.call_id) in numbers]
        yield from findings(written, stack.name, own)
        for one, old in zip(read, late, strict=True):
            if old is not None and number_in(one.call_id) not in numbers:
                yield from findings(old, stack.name, [one])
        earlier.append(written)

    def _cut(self, written: Written) -> Sequence[bytes]:
        """The segments that the stacks get."""
        return written.pieces if len(written.pieces) != 1 else cut(self._rng, written.pieces[0])

    def _add(self, stream: Stream, finding: Finding, octets: bytes) -> None:
        kind = (finding.kind, stream.table)
        self._found[kind][finding.stack] += 1
        if len(self._examples[kind]) < _SHOWN:
            self._examples[kind].setdefault(stream.name, (finding, octets))

    def progress(self) -> str:
        """One line about all so far."""
        refused = sum(self.refused.values())
        return (
            f"{self.streams} streams, {self.messages} messages, {self.passed} passed, {refused} streams refused, "
            f"{self.odd} with findings"
        )

    def report(self, write: Callable[[str], object] = print) -> None:
        """All kinds of findings with examples, then totals."""
        for kind, stacks in sorted(self._found.items()):
            write(f"{' | '.join(kind)}: " + ", ".join(f"{stack} {number}" for stack, number in sorted(stacks.items())))
            examples = self._examples[kind]
            for name, (finding, _) in examples.items():
                write(f"    {name}: {finding.stack} reads {finding.seen}")
            write(f"        {next(iter(examples.values()))[1][:1500]!r}")
        for fault, number in self.refused.most_common():
            write(f"{number:8}  refused, {fault}")
        for name, number in self._read.items():
            write(f"{number:8}  messages read, {name}")
        for asked in self._stacks:
            if asked.faults:
                write(f"{asked.name} crashed or hung at {asked.faults} streams")
        write(self.progress())


if __name__ == "__main__":
    sys.exit(main(__doc__, list(STREAM_STACKS), 20_000, StreamStack, Run))
