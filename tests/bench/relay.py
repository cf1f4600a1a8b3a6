"""The relay next to Kamailio and to plain forwarding, and what an INVITE costs over TCP and over UDP: as ratios.

    PYTHONPATH=build/compiled python tests/bench/relay.py        (as root: it builds hosts out of network namespaces)

Four ways for the same INVITEs with Identity from a carrier to an SBC, over four TCP connections: the kernel forwards;
Kamailio forwards, without state and in one process; `sbc-filter run` relays, in one process, once with a rule that
passes all calls, and once with one that verifies them. The ways take turns, and each figure is the median of the
rounds. The rate is that of an agent with a fixed number of INVITEs under way. Latency is from sending to arrival, of
fewer INVITEs than each way can do. The agent takes its share of the same processors, as everything else there does
(the last column).

Then the CPU time of the relay process for each INVITE that it verifies, as a multiple of what the worker of the same
filter takes for the same INVITEs over UDP.
"""

import contextlib
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.bench_calls import CORE, Agent, call, configured, connections, datagrams
from support.calls import VERIFY
from support.netns import ADDRESSES, three_hosts
from support.processes import busy_time, children, cpu
from support.runs import processes, started
from support.waiting import eventually

from sbc_filter.engine import engine
from sbc_filter.lab.namespaces import Lab

ROUNDS, INVITES, WARM, CONNECTIONS = 3, 6000, 500, 4
WINDOW = 256  # INVITEs under way
RATE, SECONDS = 200, 5  # for latency
TIMES = 1.6  # what an INVITE over TCP costs of that over UDP, at most
PASS = '[[rule]]\nname = "all"\naction = "pass"\n'
PLAIN, KAMAILIO, RELAY, VERIFIES, UDP = "plain", "Kamailio", "relay", "relay, verifies", "UDP, verifies"
SETTINGS = f"""
debug=0
log_stderror=yes
children=1
tcp_children=1
tcp_rd_buf_size=65536
tcp_conn_wq_max=4194304
tcp_wq_max=16777216
auto_aliases=no
dns=no
rev_dns=no
listen=tcp:{ADDRESSES["sbc"][4]}:5060
request_route {{
    forward_tcp("{CORE}", 5060);
    exit;
}}
"""


class Way(NamedTuple):
    """How INVITEs get to the core: the address that the carrier sends to, and the processes that have the work."""

    to: str
    processes: Sequence[int]
    worker: Sequence[int] = ()
    """The process that has the work over UDP."""


class Measured(NamedTuple):
    """INVITEs a second; latency in seconds; CPU time of each INVITE in µs, at full rate and at `RATE`."""

    rate: float
    median: float
    p99: float
    busy: float
    paced: float
    others: float
    """Processors that others took, at full rate."""


def main() -> None:
    """Print the tables."""
    print(f"{'compiled' if str(engine.__file__).endswith('.so') else 'as Python'}, {CONNECTIONS} connections\n")
    found: dict[str, list[Measured]] = {}
    with three_hosts() as lab, Agent(lab) as agent:
        for number in range(ROUNDS):
            for name, measured in _round(lab, agent, number):
                found.setdefault(name, []).append(measured)
    middle = {name: Measured(*map(statistics.median, zip(*each, strict=True))) for name, each in found.items()}
    print(f"{'':18}{'a second':>10}{'median':>12}{'p99':>12}{'CPU, all out':>15}{f'at {RATE}/s':>11}{'others':>9}")
    for name, each in middle.items():
        print(
            f"{name:18}{each.rate:10.0f}{each.median * 1e3:9.2f} ms{each.p99 * 1e3:9.2f} ms"
            f"{each.busy:12.0f} µs{each.paced:8.0f} µs{each.others:9.2f}"
        )
    print(f"\nas a multiple of{'rate':>12}{'median':>12}{'p99':>12}{'CPU':>15}")
    for one, other in ((KAMAILIO, PLAIN), (RELAY, PLAIN), (VERIFIES, PLAIN), (RELAY, KAMAILIO), (VERIFIES, KAMAILIO)):
        a, b = middle[one], middle[other]
        busy = f"{a.busy / b.busy:15.2f}" if b.busy else ""
        title = f"{one} / {other}"
        print(f"{title:27}{a.rate / b.rate:.2f}{a.median / b.median:12.2f}{a.p99 / b.p99:12.2f}{busy}")
    tcp, udp = middle[VERIFIES], middle[UDP]
    for name, times in (("all out", tcp.busy / udp.busy), (f"at {RATE} a second", tcp.paced / udp.paced)):
        exceeded = "" if times <= TIMES else "  EXCEEDED"
        print(f"CPU of an INVITE verified over TCP to UDP, {name:15} {times:.2f}   at most {TIMES}{exceeded}")


def _round(lab: Lab, agent: Agent, number: int) -> Iterator[tuple[str, Measured]]:
    ways: dict[str, Callable[[Lab, Path], contextlib.AbstractContextManager[Way]]] = {
        PLAIN: _plain,
        KAMAILIO: _kamailio,
        RELAY: lambda lab, folder: _relay(lab, folder, PASS),
        VERIFIES: lambda lab, folder: _relay(lab, folder, VERIFY),
    }
    for name, start in ways.items():
        with tempfile.TemporaryDirectory() as folder, start(lab, Path(folder)) as way:
            with connections(lab, CONNECTIONS, way.to) as senders:
                yield name, _measured(agent, senders, way.processes, "TCP", number * 100_000, name == VERIFIES)
            if way.worker and name == VERIFIES:
                with datagrams(lab) as senders:
                    yield UDP, _measured(agent, senders, way.worker, "UDP", 50_000 + number * 100_000, True)


def _measured(
    agent: Agent, senders: Sequence[socket.socket], pids: Sequence[int], transport: str, first: int, verified: bool
) -> Measured:
    def spent() -> float:
        return sum(map(cpu, pids))

    def made(start: int, count: int) -> list[bytes]:
        return [call(first + start + at, transport) for at in range(count)]

    agent.pump(senders, made(0, WARM), WINDOW)  # certificate and allocator
    messages = made(WARM, INVITES)
    before, busy, begin, own = spent(), busy_time(), time.monotonic(), time.process_time()
    rate = agent.pump(senders, messages, WINDOW)
    own, seconds = time.process_time() - own, time.monotonic() - begin
    cost, busy = spent() - before, busy_time() - busy
    assert agent.marked == (INVITES if verified else 0), f"{agent.marked} INVITEs of {INVITES} came out verified"
    messages = made(WARM + INVITES, RATE * SECONDS)
    before = spent()
    latencies = sorted(agent.pace(senders, messages, RATE))
    paced = spent() - before
    return Measured(
        rate,
        statistics.median(latencies),
        latencies[int(len(latencies) * 0.99)],
        cost / INVITES * 1e6,
        paced / len(messages) * 1e6,
        max(busy - cost - own, 0.0) / seconds,
    )


@contextlib.contextmanager
def _plain(lab: Lab, folder: Path) -> Iterator[Way]:
    yield Way(CORE, [])


@contextlib.contextmanager
def _kamailio(lab: Lab, folder: Path) -> Iterator[Way]:
    (folder / "kamailio.cfg").write_text(SETTINGS)
    command = ("kamailio", "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-m", "64", "-M", "8")
    process = lab.start("sbc", *command, "-Y", str(folder), "-w", str(folder))
    try:
        assert eventually(lambda: ":5060" in lab.run("sbc", "ss", "-ltn"))
        yield Way(ADDRESSES["sbc"][4], [process.pid, *(pid for pid, _ in children(process.pid))])
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _relay(lab: Lab, folder: Path, rules: str) -> Iterator[Way]:
    file = configured(folder, rules)
    with started(lab, file):
        found = processes(file)
        yield Way(CORE, [found["relay 1"]["pid"]], [found["worker 1"]["pid"]])


if __name__ == "__main__":
    main()
