"""Calls while `follow` and `status --watch` show them, and without: in one run, in turns.

    python tests/bench/follow.py        (as root: it builds hosts out of network namespaces)

200 calls a second, each with a token that is verified, through `sbc-filter run` with its default ring. Latencies are
from sending to what a thread at the SBC's socket receives. The rounds alternate, so that whatever else the machine does
meets both alike. The output of `follow` is complete, or the gaps that it says are added up.
"""

import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import calls
from support.netns import ADDRESSES, endpoint, three_hosts
from support.runs import asked, started

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import X5U, Maker, pem
from sbc_filter.lab.namespaces import Lab

RATE, SECONDS, ROUNDS, FOLLOWERS = 200, 5, 6, 1
MADE = Maker(time.time()).laboratory()
PROGRAM = [sys.executable, "-P", "-m", "sbc_filter"]
_CALL = re.compile(rb"Call-ID: call-(\d+)@")


def main() -> None:
    """Print the latencies of both, and what the follower showed."""
    with tempfile.TemporaryDirectory() as place, three_hosts() as lab:
        file = _configured(Path(place))
        with started(lab, file), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
            _calls(carrier, sbc, 0)  # warm up
            alone: list[float] = []
            beside: list[float] = []
            shown = missed = 0
            for number in range(ROUNDS):
                first = (number + 1) * 100_000
                if number % 2:
                    with _Watching(lab, file) as watching:
                        beside += _calls(carrier, sbc, first)
                    shown, missed = shown + watching.shown, missed + watching.missed
                else:
                    alone += _calls(carrier, sbc, first)
            lost = asked(file)["counters"].get("records-lost", 0)
    print(f"{'':32}{'calls':>7}{'median':>12}{'p99':>12}")
    for name, found in (("without", alone), ("follow and status --watch", beside)):
        print(f"{name:32}{len(found):7}{statistics.median(found) * 1e3:9.2f} ms{_p99(found) * 1e3:9.2f} ms")
    print(f"p99 with, as a multiple of p99 without: {_p99(beside) / _p99(alone):.2f}")
    print(f"follow showed {shown} records of {len(beside)} and said that {missed} were not; records lost: {lost}")


class _Watching:
    """`follow` and `status --watch` at work; both write to files."""

    def __init__(self, lab: Lab, file: Path) -> None:
        self._lab, self._file = lab, file
        self._stack = ExitStack()
        self._out = file.with_name("followed")
        self.shown = self.missed = 0

    def __enter__(self) -> "_Watching":
        for words, out in ((["follow", "--json"], self._out), (["status", "--watch"], self._file.with_name("watched"))):
            output = self._stack.enter_context(out.open("wb"))
            command = [*PROGRAM, *words, "--config", str(self._file)]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
            self._stack.callback(process.wait)
            self._stack.callback(process.terminate)
        time.sleep(3.0)  # both have started
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(1.0)
        self._stack.close()
        for line in map(json.loads, self._out.read_text().splitlines()):
            self.shown += "outcome" in line
            self.missed += line.get("not_shown", 0)


def _configured(folder: Path) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text('[[rule]]\nname = "verify"\ndirection = "inbound"\naction = "verify"\n')
    (folder / "root.pem").write_bytes(pem(MADE.root.certificate))
    target = certificate_path(folder / "certificates", X5U)
    target.parent.mkdir(parents=True)
    target.write_bytes(MADE.chain)
    file = folder / "c.toml"
    file.write_text(
        '[network]\nsbc = ["192.0.2.1"]\n[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "certificates"\n'
        '[log]\nrecords = "records.jsonl"\n[trunks.carrier]\naddresses = "192.0.2.7"\n'
    )
    return file


def _calls(carrier: socket.socket, sbc: socket.socket, first: int) -> list[float]:
    """The latency of each call, in seconds."""
    count = RATE * SECONDS
    fresh = calls.claims(iat=int(time.time()))
    messages = [
        calls.invite(calls.identity({**fresh, "origid": f"{first + at}"}, key=MADE.leaf.key), number=first + at)
        for at in range(count)
    ]
    sent: dict[int, float] = {}
    latencies: list[float] = []

    def receive() -> None:
        while len(latencies) < count:
            payload = sbc.recv(70000)
            now = time.monotonic()
            assert b"verstat=TN-Validation-Passed" in payload, payload
            found = _CALL.search(payload)
            assert found is not None
            latencies.append(now - sent[int(found[1])])

    receiver = threading.Thread(target=receive)
    receiver.start()
    begin = time.monotonic()
    for at, message in enumerate(messages):
        time.sleep(max(begin + at / RATE - time.monotonic(), 0))
        sent[first + at] = time.monotonic()
        carrier.sendto(message, (ADDRESSES["sbc"][4], 5060))
    receiver.join()
    return latencies


def _p99(found: list[float]) -> float:
    return sorted(found)[int(len(found) * 0.99)]


if __name__ == "__main__":
    main()
