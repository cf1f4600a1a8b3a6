"""What the processes of a filter share, and what not."""

import itertools
import os
import signal
from pathlib import Path

from support.load import Load
from support.netns import LIVE, eventually, three_hosts
from support.processes import children, descriptors
from support.runs import processes, started

from sbc_filter.recent.handover import SHARED

pytestmark = LIVE
CHILDREN = ("certificates", "recent", "worker 1", "worker 2", "dispatcher")


def test_nobody_holds_what_is_another_s(tmp_path: Path) -> None:
    """No socket is open in two processes that the supervisor made, nor in those that it made in their place; the tables
    that workers share are out of reach for who does not need them. Nobody who has ended stays behind."""
    with three_hosts() as lab:
        file = Load(lab, tmp_path).configure(queue="workers = 2\n")
        with started(lab, file) as (process, _):
            first = assert_apart(process.pid, file)
            for pid in first.values():
                os.kill(pid, signal.SIGKILL)
            assert eventually(lambda: is_new(file, first))
            assert_apart(process.pid, file)


def test_processes_that_decide_no_call_give_way_to_those_that_do(tmp_path: Path) -> None:
    with three_hosts() as lab:
        file = Load(lab, tmp_path).configure(queue="workers = 2\n")
        with started(lab, file):
            niceness = {name: os.getpriority(os.PRIO_PROCESS, each["pid"]) for name, each in processes(file).items()}
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert {name: each - own for name, each in niceness.items()} == dict.fromkeys(CHILDREN, 0) | {
        "certificates": min(5, 19 - own),
        "recent": min(10, 19 - own),
    }


def assert_apart(supervisor: int, file: Path) -> dict[str, int]:
    """All of it; gives the processes that there are."""
    pids = {name: each["pid"] for name, each in processes(file).items()}
    assert sorted(pids) == sorted(CHILDREN)
    # Programs that read the counters of the firewall rules come and go.
    assert eventually(lambda: sorted(pid for pid, _ in children(supervisor)) == sorted(pids.values()))
    held = {name: list(descriptors(pid).values()) for name, pid in pids.items()}
    for one, other in itertools.combinations(CHILDREN, 2):
        sockets = {each for each in held[one] if each.startswith("socket:")}
        assert sockets
        assert not sockets & set(held[other]), f"{one} and {other}"
    for name in CHILDREN:
        worker = name.startswith("worker")
        assert any("memfd" in each and SHARED not in each for each in held[name]) is worker, name
        assert any(SHARED in each for each in held[name]) is (worker or name == "recent"), name
        assert held[name].count("anon_inode:[eventpoll]") == 1, name
    return pids


def is_new(file: Path, before: dict[str, int]) -> bool:
    """Whether all have been made anew, and work."""
    now = processes(file)
    return now.keys() == before.keys() and all(
        each["ready"] and each["pid"] != before[name] for name, each in now.items()
    )
