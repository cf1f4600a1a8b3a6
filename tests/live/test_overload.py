"""Packets that pass unfiltered because a queue is full are counted, and the end of an overload is reported."""

import contextlib
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import calls
from support.netns import LIVE, endpoint, eventually
from support.processes import stop
from support.runs import asked, is_ready, processes, started

from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
TARGET = ("192.0.2.1", 5090)  # where no socket listens; the packets come from a SIP port
ENDED = re.compile(
    r"the overload has ended: (\d+) packets? passed unfiltered(?: \((?:(\d+) inbound)?(?:, )?(?:(\d+) outbound)?\))?,"
    r" (\d+) were dropped"
)
MISSED = re.compile(r"while a process was replaced, at most (\d+) packets? passed unfiltered")
COUNTING = ("PREROUTING", "-p", "udp", "--dport", "5090")


def configured(folder: Path, queue: str = "", sbc: str = "192.0.2.1") -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text('[[rule]]\nname = "refuse"\ncalled = "12155550111"\naction = "reject"\n')
    (folder / "c.toml").write_text(
        f'[network]\nsbc = ["{sbc}"]\n[queue]\n{queue}\n[control]\nsocket = "control"\n'
        '[log]\nrecords = "records.jsonl"\n'
    )
    return folder / "c.toml"


@contextlib.contextmanager
def counting(lab: Lab) -> Iterator[None]:
    """A rule of another table counts what arrives."""
    lab.run("sbc", "iptables", "-t", "raw", "-I", *COUNTING)
    try:
        yield
    finally:
        lab.run("sbc", "iptables", "-t", "raw", "-D", *COUNTING)


def arrived(lab: Lab) -> int:
    saved = lab.run("sbc", "iptables-save", "-c", "-t", "raw")
    found = re.search(r"\[(\d+):\d+\] -A PREROUTING -p udp -m udp --dport 5090", saved)
    assert found is not None, saved
    return int(found[1])


def burst(flood: socket.socket, size: int = 6000, body: str = "", target: tuple[str, int] = TARGET) -> None:
    """INVITEs of ten calls, quickly: a worker that stands still for 5 s is replaced."""
    messages = [calls.invite(number=number, body=body) for number in range(10)]
    for number in range(size):
        flood.sendto(messages[number % len(messages)], target)


def counted(lab: Lab, file: Path) -> dict[str, Any]:
    """The state of the filter once every packet that arrived was either decided or counted."""

    def is_complete() -> bool:
        counters = asked(file)["counters"]
        return bool(counters.get("packets", 0) + counters.get("passed-unfiltered", 0) >= arrived(lab))

    assert eventually(is_complete), (asked(file)["counters"], arrived(lab))
    state = asked(file)
    assert state["counters"]["packets"] + state["counters"]["passed-unfiltered"] == arrived(lab)
    return state


@pytest.mark.parametrize("workers", [1, 2])
def test_what_passes_is_counted(lab: Lab, tmp_path: Path, workers: int) -> None:
    """A worker stands still during a burst, and the sentence of the end has the sum. Then the next one."""
    file = configured(tmp_path, f"workers = {workers}")
    with counting(lab), started(lab, file) as (process, log), endpoint(lab, "core") as flood:
        for turn in (1, 2):
            pids = [each["pid"] for name, each in processes(file).items() if name.startswith("worker")]
            for pid in pids:
                stop(pid)
            burst(flood, 6000 * workers)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            state = counted(lab, file)
            assert eventually(lambda: len(ENDED.findall(log.read_text())) == turn)  # noqa: B023
        assert state["counters"]["passed-unfiltered"] > 1000
        assert state["queues"]["50"]["unfiltered"] == state["counters"]["passed-unfiltered"]
        assert sum(int(passed) for passed, *_ in ENDED.findall(log.read_text())) == state["queues"]["50"]["unfiltered"]
        process.terminate()
        assert eventually(lambda: "stopped; " in log.read_text())
    assert f"passed-unfiltered {state['queues']['50']['unfiltered']}" in log.read_text().partition("stopped; ")[2]


def test_each_direction_is_counted(lab: Lab, tmp_path: Path) -> None:
    """Queues 50 and 51. A thousand more pass from the SBC than to it, and the sentence of the end has both numbers.

    The SBC is behind the filter: what a host sends itself waits in its own socket, and is not lost.
    """
    file = configured(tmp_path, sbc="198.51.100.7")
    with started(lab, file) as (_, log), endpoint(lab, "carrier") as peer, endpoint(lab, "core") as sbc:
        worker = processes(file)["worker 1"]["pid"]
        stop(worker)
        burst(peer, 5000, target=("198.51.100.7", 5090))
        burst(sbc, 6000, target=("192.0.2.7", 5090))
        os.kill(worker, signal.SIGCONT)
        assert eventually(lambda: ENDED.search(log.read_text()))

        def decided_and_counted() -> int:
            counters = asked(file)["counters"]
            return sum(counters[name] for name in ("packets", "unfiltered-inbound", "unfiltered-outbound"))

        assert eventually(lambda: decided_and_counted() == 11000), decided_and_counted()
        state = asked(file)
        inbound, outbound = (state["counters"][f"unfiltered-{way}"] for way in ("inbound", "outbound"))
        assert outbound - inbound == 1000
        assert [state["queues"][number]["unfiltered"] for number in ("50", "51")] == [inbound, outbound]
        assert ENDED.findall(log.read_text()) == [(str(inbound + outbound), str(inbound), str(outbound), "0")]


def test_bursts_that_no_look_sees(lab: Lab, tmp_path: Path) -> None:
    """Ten bursts beyond a filter that works: some are over before a look at the queue. No packet is missed."""
    file = configured(tmp_path)
    with counting(lab), started(lab, file), endpoint(lab, "core") as flood:
        for _ in range(10):
            burst(flood)
            counters = asked(file)["counters"]
            assert counters.get("packets", 0) + counters.get("passed-unfiltered", 0) <= arrived(lab)
        worker = processes(file)["worker 1"]["pid"]
        stop(worker)
        burst(flood)
        os.kill(worker, signal.SIGCONT)
        counted(lab, file)


def test_a_full_socket_is_counted_as_well(lab: Lab, tmp_path: Path) -> None:
    """Large packets fill the socket before the queue is full."""
    file = configured(tmp_path)
    with counting(lab), started(lab, file), endpoint(lab, "core") as flood:
        worker = processes(file)["worker 1"]["pid"]
        stop(worker)
        burst(flood, 3000, "x" * 30000)
        os.kill(worker, signal.SIGCONT)
        state = counted(lab, file)
        assert state["counters"]["overruns"] > 0
        assert state["counters"]["passed-unfiltered"] > 100


def test_what_is_dropped_is_part_of_the_sentence(lab: Lab, tmp_path: Path) -> None:
    file = configured(tmp_path, 'on_overload = { inbound = "drop", outbound = "drop" }')
    with started(lab, file) as (_, log), endpoint(lab, "core") as flood:
        worker = processes(file)["worker 1"]["pid"]
        stop(worker)
        burst(flood)
        os.kill(worker, signal.SIGCONT)
        assert eventually(lambda: ENDED.search(log.read_text()))
        dropped = asked(file)["queues"]["50"]["dropped"]
        assert ENDED.findall(log.read_text()) == [("0", "", "", str(dropped))]
        assert "unfiltered" not in asked(file)["queues"]["50"]


def test_a_worker_that_is_killed_leaves_a_limit(lab: Lab, tmp_path: Path) -> None:
    """What its queue held is gone, with its number. What was counted before stays, and the count goes on."""
    file = configured(tmp_path)
    with counting(lab), started(lab, file) as (_, log), endpoint(lab, "core") as flood:
        killed = processes(file)["worker 1"]["pid"]
        stop(killed)
        burst(flood)
        passed = arrived(lab) - 4096
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: is_ready(file, "worker 1", other_than=killed))
        assert eventually(lambda: ENDED.search(log.read_text()) or MISSED.search(log.read_text()))
        certain = asked(file)["counters"].get("passed-unfiltered", 0)
        missed = sum(map(int, MISSED.findall(log.read_text())))
        assert certain <= passed <= certain + missed
        first = arrived(lab)
        worker = processes(file)["worker 1"]["pid"]
        stop(worker)
        burst(flood)
        os.kill(worker, signal.SIGCONT)

        def is_exact() -> bool:
            counters = asked(file)["counters"]
            return bool(
                counters.get("passed-unfiltered", 0) - certain + counters.get("packets", 0) == arrived(lab) - first
            )

        assert eventually(is_exact)
