"""What one and two workers do on the same cores with the same load of a single trunk: rate, and CPU time of a packet.

    python tests/bench/workers.py        (as root: it builds hosts out of network namespaces)

`sbc-filter run` as a process, one and two workers in turns. A user agent keeps a fixed number of packets under way,
fewer than the queue holds, so that its rate is the highest at which none is lost; that each INVITE comes out marked is
checked. CPU time is the kernel's account of each process. The user agent takes its share of the same cores: with two
of them, two workers cannot be twice as fast; and where others took theirs (the last column), rates say little.

Then: each call's INVITE, copy and CANCEL in one go, which have to come out in this order; and ACKs of strangers, for
what a packet costs that needs nothing.
"""

import itertools
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.calls import follow_up, invite
from support.load import Load
from support.netns import endpoint, three_hosts
from support.processes import busy_time, cpu
from support.runs import processes, started

from sbc_filter.engine import engine
from sbc_filter.lab.namespaces import Lab

ROUNDS, INVITES, ORDERED, ACKS = 3, 8000, 1000, 16000
WINDOW = 256  # packets under way
SBC = ("192.0.2.1", 5060)
DISPATCHER = 0.15  # of what a worker spends on an INVITE, at most
_CALL = re.compile(rb"\r\nCall-ID: call-(\d+)@")
_numbers = itertools.count()


class Phase(NamedTuple):
    """Packets a second, and CPU time of each in microseconds, by kind of process; processors that others took."""

    rate: float
    workers: float
    dispatcher: float
    agent: float
    others: float


class Agent:
    """Sends from one socket, and takes at another what comes through."""

    def __init__(self, lab: Lab, load: Load, file: Path, carrier: socket.socket, sbc: socket.socket) -> None:
        self._load, self._file, self._carrier, self._sbc = load, file, carrier, sbc
        self._pids = {name: each["pid"] for name, each in processes(file).items()}
        sbc.settimeout(5)

    def phase(self, packets: list[bytes], check: Callable[[bytes], None]) -> Phase:
        """All of these, `WINDOW` at a time; each that arrives is checked."""
        before, begin, agent, busy = self._spent(), time.monotonic(), time.process_time(), busy_time()
        waiting = 0
        for packet in packets:
            if waiting == WINDOW:
                for _ in range(WINDOW // 2):
                    check(self._sbc.recv(70000))
                waiting -= WINDOW // 2
            self._carrier.sendto(packet, SBC)
            waiting += 1
        for _ in range(waiting):
            check(self._sbc.recv(70000))
        seconds, agent = time.monotonic() - begin, time.process_time() - agent
        busy = busy_time() - busy
        spent = {name: after - before[name] for name, after in self._spent().items()}
        each = 1e6 / len(packets)
        workers = sum(seconds for name, seconds in spent.items() if name.startswith("worker"))
        others = max(busy - sum(spent.values()) - agent, 0.0) / seconds
        return Phase(len(packets) / seconds, workers * each, spent.get("dispatcher", 0.0) * each, agent * each, others)

    def invites(self, count: int) -> list[bytes]:
        """As many calls, each with a token of its own."""
        return [self._invite(next(_numbers)) for _ in range(count)]

    def _invite(self, number: int) -> bytes:
        caller, called = f"1215{number % 10**7:07}", f"1216{number % 10**7:07}"
        return invite(self._load.identity(0, caller, called, number), caller=caller, called=called, number=number)

    def _spent(self) -> dict[str, float]:
        return {name: cpu(pid) for name, pid in self._pids.items()}


def main() -> None:
    """Print the table."""
    print(f"{'compiled' if str(engine.__file__).endswith('.so') else 'as Python'}; µs of CPU time for each packet\n")
    print(f"{'':26}{'a second':>10}{'workers':>10}{'dispatcher':>12}{'both':>8}{'user agent':>12}{'others took':>14}")
    found: dict[tuple[str, int], list[Phase]] = {}
    with three_hosts() as lab:
        for _ in range(ROUNDS):
            for workers in (1, 2):
                for name, phase in _round(lab, workers):
                    found.setdefault((name, workers), []).append(phase)
    middle = {key: Phase(*map(statistics.median, zip(*phases, strict=True))) for key, phases in found.items()}
    for (name, workers), each in sorted(middle.items(), key=lambda entry: entry[0][0], reverse=True):
        both = each.workers + each.dispatcher
        title = f"{name}, {workers} worker{'s' * (workers > 1)}"
        print(
            f"{title:26}{each.rate:10.0f}{each.workers:10.1f}{each.dispatcher:12.1f}{both:8.1f}{each.agent:12.1f}"
            f"{each.others:8.2f} cores"
        )
    one, two = middle["INVITE", 1], middle["INVITE", 2]
    share = two.dispatcher / two.workers
    print(f"\nrate of two to one          {two.rate / one.rate:6.2f}")
    print(f"CPU time of two to one      {(two.workers + two.dispatcher) / one.workers:6.2f}")
    print(
        f"dispatcher to worker        {share:6.2f}   at most {DISPATCHER}{'' if share <= DISPATCHER else '  EXCEEDED'}"
    )
    print(f"order kept                  {ROUNDS * 2 * ORDERED} calls of three packets")


def _round(lab: Lab, workers: int) -> Iterator[tuple[str, Phase]]:
    with tempfile.TemporaryDirectory() as folder:
        load = Load(lab, Path(folder))
        file = load.configure(queue=f"workers = {workers}\n")
        with started(lab, file), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
            agent = Agent(lab, load, file, carrier, sbc)
            agent.phase(agent.invites(500), _is_marked)  # certificate and allocator
            yield "INVITE", agent.phase(agent.invites(INVITES), _is_marked)
            _in_order(agent)
            acks = [follow_up(each, "ACK", "x") for each in agent.invites(ACKS // 16) for _ in range(16)]
            yield "ACK", agent.phase(acks, lambda packet: None)


def _is_marked(packet: bytes) -> None:
    assert packet.count(b";verstat=TN-Validation-Passed") == 1, packet


def _in_order(agent: Agent) -> None:
    """Three packets of each call in one go. Without Identity: copies of what waits for a certificate are dropped."""
    seen: dict[int, bytes] = {}

    def take(packet: bytes) -> None:
        call = _CALL.search(packet)
        assert call is not None
        seen[int(call[1])] = seen.get(int(call[1]), b"") + packet[:1]

    agent.phase(list(_threes(invite(number=next(_numbers)) for _ in range(ORDERED))), take)
    wrong = {order for order in seen.values() if order != b"IIC"}
    assert len(seen) == ORDERED, f"{ORDERED - len(seen)} calls did not arrive"
    assert not wrong, f"out of order: {wrong}"


def _threes(invites: Iterable[bytes]) -> Iterator[bytes]:
    for message in invites:
        yield from (message, message, follow_up(message, "CANCEL"))


if __name__ == "__main__":
    main()
