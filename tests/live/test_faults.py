"""What goes wrong while 200 calls a second arrive and 200 leave: none is treated wrongly, and what is lost or passes
unfiltered is what the policy says. Each test is a row of the table of failures in docs/service.md.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator
from pathlib import Path

import pytest
from support import calls
from support.load import Load, Outcome
from support.netns import LIVE, NO_INVITE, endpoint, eventually, nothing_else, running
from support.processes import stop
from support.runs import asked, is_ready, processes, started
from support.waiting import LONG

from sbc_filter.assembly.certificate_sources import certificate_source
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import read_all
from sbc_filter.firewall.iptables import Iptables
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.netlink import queue_statistics
from sbc_filter.system.steady_clock import SteadyClock

pytestmark = [*LIVE, pytest.mark.skipif(shutil.which("sipp") is None, reason="needs sipp")]
SECONDS, RATE = 4.0, 200
# Where each packet counts, the same calls come more slowly. A busy machine that cannot keep up with them delays packets
# until they are sent again. What is sent again after this time was lost.
SLOWER, LONG_T1 = 4, 15_000  # ms
WORKERS = "workers = 2\n"
DROP = 'on_overload = { inbound = "drop", outbound = "drop" }\n'


@pytest.fixture
def load(lab: Lab, tmp_path: Path) -> Iterator[Load]:
    with contextlib.closing(Load(lab, tmp_path)) as made:
        yield made


def told(found: dict[str, Outcome]) -> str:
    return "; ".join(f"{direction}: {outcome}" for direction, outcome in found.items())


def assert_all_right(
    found: dict[str, Outcome], *, unfiltered: bool = False, unchecked: Container[int] = (0,), seconds: float = SECONDS
) -> None:
    """Every call has an end, every tenth that arrives is refused, each is treated as the rules say; or it passed by
    the filter where that may be. So many may have had no certificate."""
    print(told(found))
    for outcome in found.values():
        assert not outcome.wrong, told(found)
        assert outcome.lost == 0, told(found)
        assert outcome.answered + outcome.refused == outcome.offered == int(seconds * RATE)
        assert unfiltered or outcome.unfiltered == 0, told(found)
    assert found["inbound"].unchecked in unchecked, told(found)
    assert found["outbound"].refused == 0
    assert unfiltered or found["inbound"].refused == found["inbound"].offered // 10


def assert_nothing_lost(load: Load, found: dict[str, Outcome]) -> None:
    """No packet is sent again, but for those that the kernel discarded because a caller did not read its socket."""
    assert sum(outcome.resent for outcome in found.values()) <= load.discarded, told(found)


def begin_slowly(load: Load) -> None:
    """Begin calls of which no packet may be lost."""
    load.begin(SECONDS * SLOWER, RATE // SLOWER, t1_ms=LONG_T1)


def meanwhile(load: Load, *, every: float, do: Callable[[], object], slowly: bool = False) -> dict[str, Outcome]:
    """Calls, and something that is done again and again while they go on."""
    if slowly:
        begin_slowly(load)
    else:
        load.begin(SECONDS, RATE)
    begin, seconds = time.monotonic(), SECONDS * SLOWER if slowly else SECONDS
    turn = 0
    while (turn := turn + 1) * every < seconds:
        time.sleep(max(0.0, begin + turn * every - time.monotonic()))
        do()
    return load.end()


def test_nothing_goes_wrong(lab: Lab, load: Load) -> None:
    """The measure for all others: no packet is sent again."""
    with started(lab, load.configure(queue=WORKERS)):
        found = meanwhile(load, every=SECONDS, do=lambda: None, slowly=True)
    assert_all_right(found)
    assert_nothing_lost(load, found)


def test_workers_are_killed_and_drop_is_the_policy(lab: Lab, load: Load) -> None:
    """One after the other, nine times, or five where new workers take long to be ready. The peers send again what was
    held, and nothing passes unfiltered."""
    file = load.configure(queue=WORKERS + DROP)
    with started(lab, file) as (_, log):
        turn, end = itertools.count(), time.monotonic() + SECONDS

        def kill() -> None:
            assert eventually(lambda: all(is_ready(file, name) for name in ("worker 1", "worker 2")))
            killed = next(turn)
            if killed < 5 or time.monotonic() < end:
                os.kill(processes(file)[f"worker {killed % 2 + 1}"]["pid"], signal.SIGKILL)

        found = meanwhile(load, every=0.4, do=kill)
        assert eventually(lambda: log.read_text().count("ended with signal 9: restarting it") >= 5)
    assert_all_right(found)


@pytest.mark.parametrize("policy", ["accept", "drop"])
def test_all_is_killed_and_started_again(lab: Lab, load: Load, policy: str) -> None:
    """As a service manager does. `accept`: calls go on unfiltered meanwhile. `drop`: they wait, and are filtered."""
    seconds = 2 * SECONDS if policy == "accept" else SECONDS
    file = load.configure(queue=WORKERS + (DROP if policy == "drop" else ""))
    with contextlib.ExitStack() as stack:
        process, _ = stack.enter_context(started(lab, file))
        pids = process.pid, *(each["pid"] for each in processes(file).values())
        load.begin(seconds, RATE)
        assert eventually(lambda: all(load.ended(way) > 50 for way in ("inbound", "outbound")))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        process.wait()
        ended = {way: load.ended(way) for way in ("inbound", "outbound")}
        if policy == "accept":
            assert eventually(lambda: all(load.ended(way) > ended[way] + 50 for way in ended))
        else:
            time.sleep(0.5)  # for some to wait
        stack.enter_context(started(lab, file))
        found = load.end()
    assert_all_right(found, unfiltered=policy == "accept", seconds=seconds)
    if policy == "accept":
        assert all(outcome.unfiltered > 0 for outcome in found.values()), told(found)


@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_stopped_gracefully(lab: Lab, load: Load, workers: int) -> None:
    """What waits is decided, what comes later passes: not one packet is lost."""
    file = load.configure(queue=f"workers = {workers}\n", source=served(load))
    with serving(load), started(lab, file) as (process, _):
        call_until_known(lab, load)
        begin_slowly(load)
        assert eventually(lambda: all(load.ended(way) > 100 for way in ("inbound", "outbound")))
        process.terminate()
        assert process.wait(LONG) == 0
        found = load.end()
    assert_all_right(found, unfiltered=True)
    assert_nothing_lost(load, found)


def test_a_storm_of_reloads(lab: Lab, load: Load) -> None:
    """Forty, every other one of files that are wrong."""
    file = load.configure(queue=WORKERS)
    rules = file.parent / "rules" / "all.toml"
    text, turn = rules.read_text(), itertools.count()
    with started(lab, file) as (process, log):

        def reload(*, good: bool) -> None:
            (file.parent / "new").write_text(text if good else text.replace('"verify"', '"verifi"'))
            (file.parent / "new").rename(rules)
            process.send_signal(signal.SIGHUP)

        found = meanwhile(load, every=0.4, do=lambda: reload(good=bool(next(turn) % 2)), slowly=True)
        # On a busy machine a reload takes longer than it takes to ask for the next one.
        endings = {False: "reload refused: everything stays as it was", True: "reloaded; rules"}
        for _, good in itertools.product(range(5), endings):
            seen = log.read_text().count(endings[good])
            reload(good=good)
            assert eventually(lambda: log.read_text().count(endings[good]) > seen)  # noqa: B023
    assert_all_right(found)
    assert_nothing_lost(load, found)


def test_who_gets_certificates_is_killed(lab: Lab, load: Load) -> None:
    """Again and again: what is known stays known."""
    file = load.configure(queue=WORKERS, source=served(load))
    with serving(load), started(lab, file):
        call_until_known(lab, load)

        def kill() -> None:
            with contextlib.suppress(KeyError):
                os.kill(processes(file)["certificates"]["pid"], signal.SIGKILL)

        found = meanwhile(load, every=0.5, do=kill)
        assert asked(file)["counters"]["certificates-restarts"] >= 3
    assert_all_right(found)


def test_the_disk_is_full(lab: Lab, load: Load) -> None:
    """Records are lost, and counted; calls are not."""
    small = load.folder / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        file = load.configure('[log]\nrecords = "small/records.jsonl"\n', queue=WORKERS)
        with started(lab, file):
            found = meanwhile(load, every=SECONDS, do=lambda: None)
            assert eventually(lambda: sum(asked(file)["outcomes"].values()) == 2 * SECONDS * RATE)
            counters = asked(file)["counters"]
        kept = len((small / "records.jsonl").read_text().splitlines())
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert_all_right(found)
    assert counters["records-lost"] > 1000
    assert 50 < kept <= 2 * SECONDS * RATE - counters["records-lost"] + 2


@pytest.mark.parametrize("policy", ["accept", "drop"])
def test_the_queue_is_full(lab: Lab, load: Load, policy: str) -> None:
    """A flood meets a filter that stands still: what does not fit passes, or waits, as the policy says."""
    file = load.configure(queue=DROP if policy == "drop" else "")
    with started(lab, file) as (_, log), endpoint(lab, "core") as flood:
        load.begin(SECONDS, RATE)
        assert eventually(lambda: all(load.ended(way) > 50 for way in ("inbound", "outbound")))
        worker = processes(file)["worker 1"]["pid"]
        os.kill(worker, signal.SIGSTOP)
        for number in range(6000):
            flood.sendto(calls.invite(number=number), ("192.0.2.1", 5090))  # nobody's, but of a SIP port
        assert eventually(lambda: ": overload" in log.read_text())
        os.kill(worker, signal.SIGCONT)
        found = load.end()
        state = asked(file)
        overloads = log.read_text().count(": overload")  # a busy machine may not keep up with the calls afterwards
    assert_all_right(found, unfiltered=policy == "accept")
    assert state["counters"]["queue-full"] == overloads
    assert policy == "accept" or state["queues"]["50"]["dropped"] > 1000


@pytest.mark.parametrize("policy", ["accept", "drop"])
def test_the_socket_is_full(lab: Lab, tmp_path: Path, policy: str) -> None:
    """What waits has a limit in bytes, too: a flood of large messages, and one call behind it."""
    file = Load(lab, tmp_path).configure(queue=DROP if policy == "drop" else "")
    with (
        started(lab, file),
        endpoint(lab, "core") as flood,
        endpoint(lab, "sbc") as sbc,
        endpoint(lab, "sbc", port=5090) as other,
    ):
        worker = processes(file)["worker 1"]["pid"]
        large = calls.invite(body="x" * 60000)
        stop(worker)
        other.setblocking(False)

        def is_full() -> bool:
            """Whether packets pass or are dropped after more of the flood. A busy machine loses much of it."""
            for _ in range(1200):
                flood.sendto(large, ("192.0.2.1", 5090))
            with contextlib.suppress(BlockingIOError):
                return bool(other.recv(70000))
            return bool(asked(file)["queues"].get("50", {}).get("dropped"))

        assert eventually(is_full)
        flood.sendto(calls.invite(number=2), ("192.0.2.1", 5060))
        if policy == "accept":
            assert sbc.recv(70000) == calls.invite(number=2)  # as if there were no filter
        else:
            assert nothing_else(flood, ("192.0.2.1", 5060), sbc, NO_INVITE)
        os.kill(worker, signal.SIGCONT)
        assert eventually(lambda: asked(file)["queues"]["50"]["waiting"] == 0)
        flood.sendto(calls.invite(number=3), ("192.0.2.1", 5060))
        while b"call-3@" not in (arrived := sbc.recv(70000)):
            pass
        assert b"verstat=No-TN-Validation" in arrived
        assert eventually(lambda: asked(file)["counters"].get("overruns", 0) > 0)


@pytest.mark.parametrize("policy", ["accept", "drop"])
def test_a_worker_is_killed_with_calls_that_are_held(lab: Lab, tmp_path: Path, policy: str) -> None:
    """The kernel drops what it held, whatever the policy; the peers send again, and who takes its place holds them,
    until `hold_ms` is over."""
    load = Load(lab, tmp_path)
    file = load.configure(source=served(load), queue=DROP if policy == "drop" else "")
    invites = [calls.invite(token, number=number) for number, token in enumerate(load.tokens(20))]
    with (
        serving(load) as server,
        started(lab, file),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
    ):
        stop(server.pid)
        worker = processes(file)["worker 1"]["pid"]
        for invite in invites:
            carrier.sendto(invite, ("192.0.2.1", 5060))
        with lab.inside("sbc"):
            assert eventually(lambda: queue_statistics()[50].waiting == 20)
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: asked(file)["counters"].get("worker-restarts") == 1)
        assert nothing_else(carrier, ("192.0.2.1", 5060), sbc, NO_INVITE)
        assert eventually(lambda: is_ready(file, "worker 1", other_than=worker))
        for invite in invites:
            carrier.sendto(invite, ("192.0.2.1", 5060))
        arrived = [sbc.recv(70000) for _ in invites]
    assert all(b"verstat=No-TN-Validation" in message for message in arrived)
    assert len({message.partition(b"Call-ID: ")[2][:8] for message in arrived}) == 20


def test_every_twentieth_packet_is_lost(lab: Lab, load: Load) -> None:
    """5 %, of what arrives at either host: who sends again is answered with the same."""
    file = load.configure(queue=WORKERS)
    chance = ("-p", "udp", "-m", "statistic", "--mode", "random", "--probability", "0.05", "-j", "DROP")
    with started(lab, file):
        for host in ("carrier", "sbc"):
            lab.run(host, "iptables", "-t", "raw", "-I", "PREROUTING", *chance)
        try:
            found = meanwhile(load, every=SECONDS, do=lambda: None)
        finally:
            for host in ("carrier", "sbc"):
                lab.run(host, "iptables", "-t", "raw", "-D", "PREROUTING", *chance)
        assert asked(file)["counters"]["retransmission"] > 20
    assert_all_right(found)
    assert all(outcome.resent > 20 for outcome in found.values())


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_the_clock_is_set(lab: Lab, load: Load, step: float) -> None:
    """By an hour, and back after two seconds: calls are judged, held and signed by the time that went on."""
    setup = read_all(load.configure())
    offset = 0.0
    clock = SteadyClock(lambda: time.time() + offset)
    source = Needs(certificate_source(setup.configuration.certificates, fetch=False), {})
    with lab.inside("sbc"):
        Iptables().apply(setup.plan())
    try:
        with running(lab, setup.engine(b"secret"), source, clock=clock, queues=setup.plan().queues):
            load.begin(SECONDS, RATE)
            time.sleep(1)
            offset = step
            time.sleep(2)
            offset = 0.0
            found = load.end()
    finally:
        with lab.inside("sbc"):
            Iptables().remove()
    assert_all_right(found)
    assert clock.jumps == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "nothing_else"])
def test_a_certificate_server_dies(lab: Lab, tmp_path: Path, number: signal.Signals) -> None:
    """Carriers that are known go on; calls of the one that is not continue without a result, at the latest when
    `hold_ms` is over; and those that leave do not notice."""
    load = Load(lab, tmp_path, signers=4)
    file = load.configure(source=served(load), queue=WORKERS)
    with contextlib.closing(load), serving(load) as server, started(lab, file):
        for signer in range(3):  # the fourth is not known
            call_until_known(lab, load, signer)
        begin_slowly(load)
        assert eventually(lambda: load.ended("inbound") > 20)  # of the first of four carriers, which call in turn
        server.send_signal(number)
        found = load.end()
    of_the_last = 180  # calls of the carrier that is not known; its other twenty are refused without a certificate
    assert_all_right(found, unchecked=(of_the_last,))
    assert found["outbound"].resent <= load.discarded


def call_until_known(lab: Lab, load: Load, signer: int = 0) -> None:
    """Calls of a carrier, until all workers have its certificate: until twenty in a row pass, whose Call-IDs lead to
    any worker by chance."""
    in_a_row = 0
    with endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        for number in range(1000 * signer, 1000 * signer + 200):
            identity = load.identity(signer, calls.CALLER, calls.CALLED, number)
            carrier.sendto(calls.invite(identity, number=number), ("192.0.2.1", 5060))
            in_a_row = in_a_row + 1 if b"verstat=TN-Validation-Passed" in sbc.recv(70000) else 0
            if in_a_row == 20:
                return
    pytest.fail(f"the workers do not get the certificate of carrier {signer}")


def served(load: Load) -> str:
    """The setting of the source that `serving` is."""
    return f'socket = "{load.folder / "server"}"'


@contextlib.contextmanager
def serving(load: Load) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that answers for certificates at a Unix socket. Each answer is valid for an hour: calls wait for it
    once."""
    path, folder = load.folder / "server", load.folder / "certificates"
    program = (
        "import sys; from pathlib import Path; from sbc_filter.certificates.socket_server import CertificateServer; "
        "from sbc_filter.certificates.folder import DirectorySource; "
        "CertificateServer(sys.argv[1], DirectorySource(Path(sys.argv[2]), valid=3600.0)).serve_forever()"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path), str(folder)])
    try:
        assert eventually(path.exists)
        yield process
    finally:
        process.kill()
        process.wait()
