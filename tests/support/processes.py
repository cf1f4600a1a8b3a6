"""Programs that tests start and end."""

import contextlib
import os
import signal
from pathlib import Path
from typing import NamedTuple

from support.waiting import eventually


def heeding_signals() -> None:
    """For `preexec_fn`: what ignores signals in the test's own surroundings (nohup, a job in the background) does
    not reach the program."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def stop(pid: int) -> None:
    """Have a process do nothing more from now on, until SIGCONT."""
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")


class Memory(NamedTuple):
    """KiB of a process. `anonymous` counts what was inherited by a fork as well, so that it does not move when a page
    is copied because it is written; `proportional` (PSS) shares what is shared among those who do."""

    proportional: int
    anonymous: int


def memory(pid: int) -> Memory:
    """What a process takes now."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return Memory(*(int(fields[name].split()[0]) for name in ("Pss", "Anonymous")))


def descriptors(pid: int) -> dict[int, str]:
    """What a process has open: number, and what it leads to."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(path.name)] = str(path.readlink())
    return found


def cpu(pid: int) -> float:
    """Seconds that a process has spent on the processor, in all its threads that live."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def busy_time() -> float:
    """Seconds that all processors of the host together were not idle."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[tuple[int, str]]:
    """Those of a process: number, and state (`Z`: ended, and not asked for)."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found.append((int(child), Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]))
    return found


def holds(pid: int, wanted: bytes) -> bool:
    """Whether these octets are anywhere in what a process may write to."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            extent, rights, *_ = line.split()
            if rights.startswith("rw"):
                begin, end = (int(each, 16) for each in extent.split("-"))
                with contextlib.suppress(OSError):
                    if wanted in os.pread(memory.fileno(), end - begin, begin):
                        return True
    return False
