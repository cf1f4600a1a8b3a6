"""10,000 URLs in a minute from one peer: what is fetched of them, and what the calls of known signers notice.

    python tests/bench/flood.py [SECONDS]        (as root: it builds hosts out of network namespaces)

100 calls a second of a signer who is known, for ten seconds alone; then the same beside 167 calls a second, each with a
URL of its own, of a domain of its own, that leads to a server that never answers: for a minute, or for SECONDS. Filter
and user agents are processes of their own; latencies are from sending to what a thread at the SBC's socket receives.
"""

import logging
import multiprocessing
import os
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.calls import VERIFY, claims, identity, invite, make_engine
from support.netns import ADDRESSES, endpoint, three_hosts

from sbc_filter.assembly.needs import Needs
from sbc_filter.certificates.cache import CachingSource
from sbc_filter.certificates.fetcher import Fetcher
from sbc_filter.engine.verdict import Answer
from sbc_filter.firewall.plan import DEFAULT_MARK, Plan
from sbc_filter.lab.certificate_maker import X5U, Maker
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.queue_shell import QueueShell
from sbc_filter.live.raw_send import Emitter
from sbc_filter.pki.trust_store import TrustStore

KNOWN_RATE, STRANGE_RATE, ALONE = 100, 10_000 / 60, 10.0
LAB = Maker(time.time()).laboratory()
_CALL = re.compile(rb"Call-ID: call-(\d+)@")
_STRANGE = 1_000_000  # numbers of the flood's calls begin here


def main(seconds: float) -> None:
    """Print the figures."""
    with three_hosts(plan=Plan()) as lab, tempfile.TemporaryDirectory() as place:
        fork = multiprocessing.get_context("fork")
        ready, lookups, resident = fork.Event(), fork.Value("i", 0), fork.Value("q", 0)
        process = fork.Process(target=_filter, args=(lab, Path(place), ready, lookups, resident), daemon=True)
        process.start()
        ready.wait(10)
        try:
            with endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
                alone, _ = _calls(carrier, sbc, 0, ALONE, flood=False)
                before = resident.value
                beside, verstats = _calls(carrier, sbc, 500_000, seconds, flood=True)
            strange = round(seconds * STRANGE_RATE)
            print(f"{strange} calls with URLs of strangers in {seconds:g} s: {lookups.value} of them were fetched,")
            print(f"at most {10 * (10 + seconds):.0f}; memory grew by {(resident.value - before) / 1e6:.1f} MB")
            print("                                   calls     median        p99")
            for name, latencies in (("known signer, alone", alone), ("known signer, beside the flood", beside)):
                ordered = sorted(latencies)
                p99 = ordered[int(len(ordered) * 0.99)]
                print(f"{name:32} {len(ordered):6}  {statistics.median(ordered) * 1e3:6.2f} ms  {p99 * 1e3:6.2f} ms")
            print(", ".join(f"{name} {calls}" for name, calls in sorted(verstats.items())))
        finally:
            process.terminate()
            process.join(5)


def _calls(
    carrier: socket.socket, sbc: socket.socket, first: int, seconds: float, *, flood: bool
) -> tuple[list[float], Counter[str]]:
    """Seconds that each call of the known signer took, and the `verstat` of all calls."""
    schedule = [(number / KNOWN_RATE, first + number) for number in range(int(seconds * KNOWN_RATE))]
    if flood:
        schedule += [(number / STRANGE_RATE, _STRANGE + number) for number in range(round(seconds * STRANGE_RATE))]
        schedule.sort()
    sent: dict[int, float] = {}
    latencies: list[float] = []
    verstats: Counter[str] = Counter()

    def receive() -> None:
        for _ in schedule:
            payload = sbc.recv(70000)
            now, found = time.time(), _CALL.search(payload)
            assert found is not None
            verstats[re.findall(rb"verstat=([A-Za-z-]+)", payload)[0].decode()] += 1
            if int(found[1]) < _STRANGE:
                latencies.append(now - sent[int(found[1])])

    receiver = threading.Thread(target=receive)
    receiver.start()
    begin = time.time()
    for at, number in schedule:
        fresh = claims(iat=int(time.time()), origid=f"{number:08x}-8f7a-4f0e-a863-f53a0e60251a")
        jose = {"x5u": f"https://www.{number}.example/{number}.pem"} if number >= _STRANGE else {}
        message = invite(identity(fresh, jose=jose, key=LAB.leaf.key), number=number)
        time.sleep(max(begin + at - time.time(), 0))
        sent[number] = time.time()
        carrier.sendto(message, (ADDRESSES["sbc"][4], 5060))
    receiver.join()
    return latencies, verstats


def _filter(
    lab: Lab,
    folder: Path,
    ready: "multiprocessing.synchronize.Event",
    lookups: "multiprocessing.sharedctypes.Synchronized[int]",
    resident: "multiprocessing.sharedctypes.Synchronized[int]",
) -> None:
    def resolve(_host: str) -> Sequence[str]:
        with lookups.get_lock():
            lookups.value += 1
        return ["127.0.0.1"]

    def watch() -> None:
        while True:
            resident.value = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            time.sleep(0.1)

    logging.disable()
    engine = make_engine(VERIFY, known=False, trust=TrustStore([LAB.root.certificate]))
    engine.add_certificate(X5U, Answer(LAB.chain, None, time.time() + 3600), time.time())
    with lab.inside("sbc"), socket.create_server(("127.0.0.1", 443), backlog=1024):
        fetcher = Fetcher(allowed_networks=[ip_network("127.0.0.0/8")], resolve=resolve)
        source = CachingSource(fetcher, folder)
        shell = QueueShell(engine, Needs(source, {}), Emitter(DEFAULT_MARK), lambda record: None)
        threading.Thread(target=watch, daemon=True).start()
        ready.set()
        shell.run()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
