"""Hostile peers of the relay, each kind next to honest calls: its memory, and how long the honest calls take.

    PYTHONPATH=build/compiled python tests/bench/hostile_peers.py        (as root: it builds hosts)

`sbc-filter run` with one relay process, which gives a peer 5 seconds for a message, and starts again for each kind.
200 honest calls a second are verified over 10 connections, alone and then next to the hostile peers. These are a
process of their own, last as long as the calls, and replace each connection that the relay resets. They have five
addresses, as the relay allows one address 256 connections. Memory is what the kernel accounts to the relay process
(VmRSS): before the hostile peers come, and at most while they are there. CPU is what the relay process takes of one
processor; unlike p99, it does not depend on what else the machine does. Each figure is the median of the rounds.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import hostile_peers
from support.bench_calls import Agent, call, configured, connections
from support.hostile_peers import ADDRESSES, KINDS, Kind
from support.netns import three_hosts
from support.processes import cpu
from support.runs import asked, processes, started
from support.waiting import LONG, eventually

from sbc_filter.engine import engine
from sbc_filter.lab.namespaces import Lab

ROUNDS, RATE, SECONDS, CONNECTIONS = 3, 200, 8, 10
MOVED = 5.0  # ms by which hostile peers may move the p99 of the others
GROWTH = 64.0  # MiB that hostile peers may take
COUNTERS = ("relay-resets", "relay-refused-streams", "relay-limit-message")


class Measured(NamedTuple):
    """One kind: latency of honest calls in ms, the relay's share of a processor, memory in MiB."""

    alone_median: float
    alone_p99: float
    alone_cpu: float
    beside_median: float
    beside_p99: float
    beside_cpu: float
    before: float
    most: float
    opened: int
    """Hostile connections."""
    resets: int
    refused: int
    late: int


class Memory:
    """The memory of a process, in MiB, looked at all the time."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self.before = self.most = self.now()

    def now(self) -> float:
        line = next(line for line in self._status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at it in a thread."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, self.now())


def main() -> None:
    """Print the tables."""
    print(f"{'compiled' if str(engine.__file__).endswith('.so') else 'as Python'}; {RATE} honest calls a second\n")
    found: dict[str, list[Measured]] = {kind.name: [] for kind in KINDS}
    with three_hosts() as lab, Agent(lab) as agent:
        for address in ADDRESSES:
            lab.address("carrier", f"{address}/24", "to-sbc")
        for _ in range(ROUNDS):
            for kind in KINDS:
                found[kind.name].append(_measured(lab, agent, kind))
    titles = ("median", "beside", "p99", "beside", "ratio", "memory", "at most", "ratio")
    print(" " * 24 + "".join(f"{title:>{7 if title == 'ratio' else 10}}" for title in titles))
    for name, each in found.items():
        one = Measured(*map(statistics.median, zip(*each, strict=True)))
        print(
            f"{name:24}{one.alone_median:7.2f} ms{one.beside_median:7.2f} ms{one.alone_p99:7.2f} ms"
            f"{one.beside_p99:7.2f} ms{one.beside_p99 / one.alone_p99:7.2f}"
            f"{one.before:6.1f} MiB{one.most:6.1f} MiB{one.most / one.before:7.2f}"
            f"{'' if one.beside_p99 - one.alone_p99 < MOVED else '  p99 EXCEEDED'}"
            f"{'' if one.most - one.before < GROWTH else '  memory EXCEEDED'}"
        )
    shares = ("CPU", "beside", "connections", "resets", "refused streams", "messages too late")
    print(f"\n{'':24}" + "".join(f"{title:>{len(title) + 3}}" for title in shares))
    for name, each in found.items():
        one = Measured(*map(statistics.median, zip(*each, strict=True)))
        print(
            f"{name:24}{one.alone_cpu:6.0%}{one.beside_cpu:9.0%}"
            f"{one.opened:14.0f}{one.resets:9.0f}{one.refused:18.0f}{one.late:20.0f}"
        )
    print(f"\nall honest calls arrived verified; p99 may move by {MOVED:g} ms, and memory grow by {GROWTH:g} MiB")


def _measured(lab: Lab, agent: Agent, kind: Kind) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        file = configured(Path(folder), more="message_seconds = 5\n")
        with started(lab, file):
            pid = processes(file)["relay 1"]["pid"]
            _honest(lab, agent, pid, 0, 1)  # warm up
            alone = _honest(lab, agent, pid, 100_000)
            before, memory = asked(file)["counters"], Memory(pid)
            log = Path(folder) / "hostile"
            with memory.watched(), log.open("wb") as out:
                words = (sys.executable, str(hostile_peers.__file__), kind.name)
                hostile = lab.start("carrier", *words, log=out)
                assert eventually(lambda: b"begun" in log.read_bytes())
                beside = _honest(lab, agent, pid, 200_000)
                hostile.terminate()
                hostile.wait(LONG)
            count = int(log.read_text().split()[-1])
            after = asked(file)["counters"]
    resets, refused, late = (after.get(name, 0) - before.get(name, 0) for name in COUNTERS)
    return Measured(*alone, *beside, memory.before, memory.most, count, resets, refused, late)


def _honest(lab: Lab, agent: Agent, pid: int, first: int, seconds: int = SECONDS) -> tuple[float, float, float]:
    """Median and p99, in ms, of calls over new connections, and what share of a processor the relay took meanwhile. All
    of them arrive verified."""
    count = RATE * seconds
    messages = [call(first + at) for at in range(count)]
    with connections(lab, CONNECTIONS) as senders:
        begin, spent = time.monotonic(), cpu(pid)
        latencies = sorted(agent.pace(senders, messages, RATE))
        share = (cpu(pid) - spent) / (time.monotonic() - begin)
    assert agent.marked == count, f"{count - agent.marked} calls of {count} came unverified"
    return statistics.median(latencies) * 1e3, latencies[int(count * 0.99)] * 1e3, share


if __name__ == "__main__":
    main()
