"""A CRL of 200,000 entries is put in place while calls run: what it costs, and what the calls notice of it.

    python tests/bench/large_list.py        (as root: it builds hosts out of network namespaces)

Each entry has a certificateIssuer. 100 calls a second with true tokens, for some seconds alone, then while the list is
read. Printed are the delays of both as a ratio, the time until the list is in force, the CPU time and memory of all
processes of the filter, and how long `status` took at most.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.chains import entry as named
from support.large_lists import certificate_issuer, entry, many, signed
from support.listed_calls import Carrier, Issuer, calling, configuration, put
from support.netns import three_hosts
from support.runs import processes, started

from sbc_filter.daemon.control_socket import ask

ENTRIES, SECONDS, GAP = 200_000, 5.0, 0.01
TICKS = os.sysconf("SC_CLK_TCK")


class Delays(NamedTuple):
    """Seconds of each call, and of each question about the state."""

    calls: list[float]
    status: list[float]


class Used(NamedTuple):
    """CPU time in seconds and memory in MiB of all processes, shared pages by their share."""

    cpu: float
    memory: float


def main() -> None:
    """Print the figures."""
    issuer = Issuer()
    serial, name = named(issuer.leaf)
    last = entry(serial.to_bytes(serial.bit_length() // 8 + 1, "big"), certificate_issuer(name))
    large = signed(issuer.root, [*many(ENTRIES), last], number=5, begin=time.time() - 3600)
    folder = Path(tempfile.mkdtemp())
    with three_hosts() as lab:
        file = configuration(folder, issuer, 'crls = "list.crl"')
        with started(lab, file) as (process, _), calling(lab, issuer) as carrier:
            begin, at = used(process.pid, file), time.monotonic()
            alone = during(carrier, file, lambda _: time.monotonic() - at > SECONDS)
            before = used(process.pid, file)
            put(folder / "list.crl", large)
            at = time.monotonic()
            reading = during(carrier, file, lambda end: end not in ("", "passed"))
            took = time.monotonic() - at
            after = used(process.pid, file)
    calls = (before.cpu - begin.cpu) / SECONDS * took
    print(f"{ENTRIES:,} entries, {len(large) / 1e6:.1f} MB: in force after {took:.1f} s")
    print(
        f"CPU {after.cpu - before.cpu:.2f} s, of it calls {calls:.2f} s; memory {after.memory - before.memory:+.1f} MiB"
    )
    for what, one, other in (
        ("longest call", max(reading.calls), max(alone.calls)),
        ("median call", statistics.median(reading.calls), statistics.median(alone.calls)),
        ("longest status", max(reading.status), max(alone.status)),
    ):
        print(f"{what}: {one * 1000:.1f} ms, alone {other * 1000:.1f} ms: ratio {one / other:.2f}")


def during(carrier: Carrier, file: Path, is_over: Callable[[str], bool]) -> Delays:
    """Calls one after the other, until one ends so that it is over, and questions about the state beside them."""
    found = Delays([], [])
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(status, file)
        end = ""
        while not is_over(end):
            time.sleep(GAP)
            begin = time.monotonic()
            end = carrier.call()
            found.calls.append(time.monotonic() - begin)
            if asking.done():
                found.status.append(asking.result())
                asking = pool.submit(status, file)
        found.status.append(asking.result())
    return found


def status(file: Path) -> float:
    """How long the supervisor takes to answer, in seconds."""
    begin = time.monotonic()
    ask(file.parent / "control", "status")
    return time.monotonic() - begin


def used(supervisor: int, file: Path) -> Used:
    """What all processes of the filter have used so far."""
    pids = [supervisor, *(each["pid"] for each in processes(file).values())]
    cpu = memory = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu += sum(map(int, fields[11:15])) / TICKS  # its own, and of children that ended
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        memory += int(rollup.partition("\nPss:")[2].split()[0]) / 1024
    return Used(cpu, memory)


if __name__ == "__main__":
    main()
