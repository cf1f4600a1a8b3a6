"""Two workers under calls of every kind for as long as wanted: their memory, descriptors, and each packet's verdict.

All of what is bounded fills within 64 seconds (transactions are remembered for 32, in two generations), so a run of
minutes is looked at from the second minute on, and then nothing may grow by more than `TOLERANCE`: that is what the
allocator moves by between two looks, four of its arenas of 1 MiB; in 28 minutes at this load, 5 bytes a packet. A
shorter run is one of filling: `FILLING` for each packet covers what is remembered of calls, not a KiB beside it.
"""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from sbc_filter.daemon.control_socket import ask
from sbc_filter.lab.namespaces import Lab
from support.calls import invite
from support.fuzzing import soup
from support.load import Load
from support.mutate import mutant
from support.netns import endpoint, eventually
from support.processes import Memory, children, descriptors, memory
from support.runs import started
from support.torture import MESSAGES, OTHERS, OVERLOOKED
from support.traffic import Traffic, mixed

RATE, OTHERS_RATE = 200, 40  # a second: calls each way, packets that are no calls
TOLERANCE, FILLING = 4096.0, 0.5  # KiB: of a process, and for each packet of one
_FULL = 64 + 56  # seconds, from which on all that is bounded is full
_QUEUED = re.compile(r"\[(\d+):\d+\] -A SBC-FILTER-QUEUE .*NFQUEUE")


def zombies(pid: int) -> list[int]:
    """Its children that have ended and were not asked for."""
    return [child for child, kind in children(pid) if kind == "Z"]


@dataclass
class Look:
    """The processes at one time, by name."""

    at: float
    pids: dict[str, int] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    descriptors: dict[str, int] = field(default_factory=dict)
    packets: dict[str, int] = field(default_factory=dict)


class Soak:
    """`run` it; then `faults` are none, if all is well, and `str` is a table."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self._load = Load(lab, folder, signers=4)
        self._file = self._load.configure('[log]\nrecords = "/dev/null"\nrecent = 20\n', queue="workers = 2\n")
        self.looks: list[Look] = []
        self.faults: list[str] = []
        self.queued = 0
        self.state: dict[str, Any] = {}

    def run(self, seconds: float, rate: int = RATE, others_rate: int = OTHERS_RATE) -> None:
        """Calls for so long; three looks at the processes, the first when all that is bounded is full."""
        first = min(_FULL, seconds * 0.3)
        due = [first, (first + seconds) / 2, seconds - 0.5]
        others = mixed(disturbances("soak", 400), "soak")
        with (
            started(self._lab, self._file) as (process, log),
            endpoint(self._lab, "carrier") as carrier,
            endpoint(self._lab, "sbc") as sbc,
        ):
            self.traffic = Traffic(self._load, carrier, sbc, 2.0)
            for now in self.traffic.run(seconds, rate, others, others_rate):
                if due and now >= due[0]:
                    due.pop(0)
                    self.looks.append(self._look(now, process.pid))
            while due:
                due.pop(0)
                self.looks.append(self._look(seconds, process.pid))
            eventually(self._settled, 4)
            # What processes report may be seconds old, on a busy machine: of the last look, it is what came in all.
            self.looks[-1].packets = _packets(self.state)
            # A program that has read the firewall rules is one for a moment.
            eventually(lambda: not zombies(process.pid), 4)
            self.faults += [f"process {pid} is a zombie" for pid in zombies(process.pid)]
            self.said = log.read_text()
        self._judge()

    def __str__(self) -> str:
        lines = [str(self.traffic), "", f"{'':14}" + "".join(f"{f'at {look.at:.0f} s':>30}" for look in self.looks)]
        for name in self.looks[0].pids:
            cells = (_cell(look.memory[name], look.descriptors[name]) for look in self.looks)
            lines.append(f"{name:14}" + "".join(f"{cell:>30}" for cell in cells))
        lines.append(f"{'':14}" + f"{'PSS, anonymous, descriptors':>30}" * len(self.looks))
        lines += ["", "packets: " + ", ".join(f"{name} {count}" for name, count in self.account().items())]
        lines += [
            f"{kind['calls']:9} {kind['rule']}: {kind['outcome']} ({kind['detail']}), {kind['treatment']}"
            for kind in self.state["calls"]
        ]
        waiting = (f"{name} {self.state['counters'].get(name, 0)}" for name in ("held", "deadlines", "late-answers"))
        lines += [", ".join(waiting)]
        return "\n".join([*lines, *(f"FAULT {fault}" for fault in self.faults)])

    def account(self) -> dict[str, int]:
        """Packets by who counted them."""
        counters = self.state["counters"]
        sent = self.traffic.sent
        return {
            "sent": sent.total() - sent["others, not for the filter"],
            "queued by the kernel": self.queued,
            "handed on": counters["handed-on"],
            "arrived at workers": counters["packets"],
            "verdicts": sum(counters.get(name, 0) for name in ("accepted", "modified", "dropped")),
            "lost in queues": sum(queue["dropped"] for queue in self.state["queues"].values()),
        }

    def _settled(self) -> bool:
        self.state = ask(self._file.with_name("control"), "status")
        with self._lab.inside("sbc"):
            saved = self._lab.run("sbc", "iptables-save", "-c", "-t", "mangle")
        self.queued = sum(map(int, _QUEUED.findall(saved)))
        return len(set(list(self.account().values())[:-1])) == 1

    def _look(self, at: float, supervisor: int) -> Look:
        found = Look(at)
        found.pids = {"supervisor": supervisor}
        state = ask(self._file.with_name("control"), "status")
        found.pids |= {each["name"]: each["pid"] for each in state["processes"]}
        found.packets = _packets(state)
        time.sleep(0.02)  # the connection of who asked is gone
        for name, pid in found.pids.items():
            found.memory[name], found.descriptors[name] = memory(pid), len(descriptors(pid))
        return found

    def _judge(self) -> None:
        first, last = self.looks[0], self.looks[-1]
        self.faults += [f"{count} times {what}" for what, count in self.traffic.wrong.items()]
        if first.pids != last.pids:
            self.faults.append(f"processes {first.pids} became {last.pids}")
        for name in first.pids:
            grown = last.memory[name].anonymous - first.memory[name].anonymous
            packets = last.packets.get(name, 0) - first.packets.get(name, 0)
            limit = TOLERANCE if first.at >= _FULL else 1024 + FILLING * packets
            if grown > limit:
                self.faults.append(f"{name}: {grown} KiB more, over {packets} packets; at most {limit:.0f}")
            if first.descriptors[name] != last.descriptors[name]:
                self.faults.append(f"{name}: {first.descriptors[name]} descriptors became {last.descriptors[name]}")
        account = self.account()
        if len(set(list(account.values())[:-1])) != 1 or account["lost in queues"]:
            self.faults.append(f"packets are not accounted for: {account}")
        counters = self.state["counters"]
        for counter in ("engine-errors", "record-errors", "source-errors", "records-lost", "overruns", "held-now"):
            if counters.get(counter):
                self.faults.append(f"{counter}: {counters[counter]}")
        if "Traceback" in self.said or "restarting it" in self.said:
            self.faults.append(self.said)


def _packets(state: dict[str, Any]) -> dict[str, int]:
    """The packets of each process, by its name."""
    counters = {each["name"]: each["counters"] for each in state["processes"]}
    return {name: each.get("packets", each.get("handed-on", 0)) for name, each in counters.items()}


def _cell(taken: Memory, opened: int) -> str:
    return f"{taken.proportional} KiB, {taken.anonymous} KiB, {opened:2}"


def disturbances(seed: str, count: int) -> list[bytes]:
    """Torture messages, and so many mutants and soups: none says itself that it has passed."""
    rng = Random(seed)
    made = [message for _, message in MESSAGES.values()] + [*OVERLOOKED.values(), *OTHERS.values()]
    for number in range(count // 2):
        made.append(mutant(f"{seed}:{number}").message)
        made.append(invite("@", number=number).replace(b"@\r\n", b"Identity: " + soup(rng) + b"\r\n", 1))
    rng.shuffle(made)
    return [message for message in made if len(message) <= 65000 and b"Passed" not in message]
