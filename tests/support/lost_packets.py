"""INVITEs over many connections while packets are lost: what was sent, what arrived, and what the records say.

From the carrier through `sbc-filter run` with two relay processes to the core, which is the SBC. Each connection sends
bursts of INVITEs, cut at random octets. Every fifth INVITE has no Identity, and is rejected. Each of the three hosts
drops 5 % of the TCP packets that reach it, from the moment that all connections are open and have carried a call.
"""

import json
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sbc_filter.lab.namespaces import Lab
from support.bench_calls import MARK, Core, call, configured, connections, number_of, split
from support.calls import VERIFY
from support.runs import asked, started
from support.waiting import LONG

CONNECTIONS, LOSS = 50, 0.05
BURST, PAUSE = 40, 0.05  # INVITEs of a burst, and seconds after it, at most
APART = 10_000  # between the first numbers of two connections
PIECE = 3000  # octets of a piece, at most
RULES = VERIFY + '[rule.on]\nno-identity = "reject"\n'
HOSTS = {"carrier": "to-sbc", "sbc": "to-+", "core": "to-sbc"}
_DROPPED = re.compile(r"\[(\d+):\d+\] -A PREROUTING .*--mode random")


class Peer(threading.Thread):
    """A connection of the carrier: sends its calls, then reads the responses."""

    def __init__(self, opened: socket.socket, numbers: range) -> None:
        super().__init__()
        self.port = opened.getsockname()[1]
        self.accepted = [number for number in numbers if not is_rejected(number)]
        self.rejected = [number for number in numbers if is_rejected(number)]
        self.responses: list[tuple[bytes, int]] = []
        """Status line and call of each response."""
        self._opened, self._numbers = opened, numbers
        self._random = random.Random(numbers[0])

    def run(self) -> None:
        rest = bytearray()
        for burst in self._bursts():
            for piece in self._pieces(burst):
                self._opened.sendall(piece)
            time.sleep(self._random.uniform(0, PAUSE))
        while len(self.responses) < len(self.rejected):
            data = self._opened.recv(65536)
            if not data:
                return
            messages, rest[:] = split(bytes(rest) + data)
            self.responses += [(each.split(b"\r\n", 1)[0], number_of(each)) for each in messages]

    def _bursts(self) -> Iterator[bytes]:
        at = 1  # the first call was sent before
        while at < len(self._numbers):
            size = self._random.randint(1, BURST)
            yield b"".join(call(each, signed=not is_rejected(each)) for each in self._numbers[at : at + size])
            at += size

    def _pieces(self, burst: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(burst):
            size = self._random.randint(1, PIECE)
            yield burst[at : at + size]
            at += size


class Arrived:
    """What the core took, by the port of the sender: call and whether it is marked, in order."""

    def __init__(self) -> None:
        self.count = 0
        self.by_port: dict[int, list[tuple[int, bool]]] = {}

    def take(self, message: bytes, port: int) -> None:
        self.count += 1
        self.by_port.setdefault(port, []).append((number_of(message), message.count(MARK) == 1))


def is_rejected(number: int) -> bool:
    """Whether a call has no Identity."""
    return number % 5 == 4


class Result(NamedTuple):
    """What became of the INVITEs."""

    seconds: float
    dropped: dict[str, int]
    """Packets that were lost on the way to each host."""
    arrived: int
    rejected: int
    wrong: dict[str, int]
    """How many are wrong, and in which way; every way is listed."""


def lossy_calls(lab: Lab, folder: Path, invites: int) -> Result:
    """Send so many INVITEs, and compare what the core took, the responses, and the records with what was sent."""
    arrived = Arrived()
    file = configured(folder, RULES, more=f"message_seconds = {LONG:g}\n[queue]\nworkers = 2\n")
    with Core(lab, arrived.take) as core, started(lab, file), connections(lab, CONNECTIONS) as opened:
        each = invites // CONNECTIONS
        peers = [Peer(near, range(at * APART, at * APART + each)) for at, near in enumerate(opened)]
        begin = time.monotonic()
        _send(lab, core, arrived, peers, opened)
        seconds = time.monotonic() - begin
        dropped = {host: _dropped(lab, host) for host in HOSTS}
        counters = asked(file)["counters"]
    records = [json.loads(line) for line in file.with_name("records.jsonl").read_text().splitlines()]
    wrong = _wrong(peers, arrived, records, counters)
    return Result(seconds, dropped, arrived.count, sum(len(peer.responses) for peer in peers), wrong)


def _send(lab: Lab, core: Core, arrived: Arrived, peers: Sequence[Peer], opened: Sequence[socket.socket]) -> None:
    """One call by each connection, so that each relay has the certificate; then all others, with loss."""
    for peer, near in zip(peers, opened, strict=True):
        near.sendall(call(peer.accepted[0]))
    while arrived.count < len(peers):
        assert core.poll(LONG), "the first calls have not arrived"
    for host, device in HOSTS.items():
        lose = f"-t raw -I PREROUTING -i {device} -p tcp -m statistic --mode random --probability {LOSS} -j DROP"
        lab.run(host, "iptables", *lose.split())
    for peer in peers:
        peer.start()
    expected = sum(len(peer.accepted) for peer in peers)
    while arrived.count < expected and core.poll(LONG):
        pass
    for peer in peers:
        peer.join(LONG)
    core.poll(1)  # what must not come


def _dropped(lab: Lab, host: str) -> int:
    """Packets that were lost on the way to a host."""
    found = _DROPPED.search(lab.run(host, "iptables-save", "-c", "-t", "raw"))
    assert found is not None
    return int(found[1])


def _wrong(
    peers: Sequence[Peer], arrived: Arrived, records: Sequence[dict[str, object]], counters: dict[str, int]
) -> dict[str, int]:
    got = {peer.port: arrived.by_port.get(peer.port, []) for peer in peers}
    decided = Counter(str(record["call_id"]) for record in records)
    outcomes = {str(record["call_id"]): record["outcome"] for record in records}
    numbers = [number for peer in peers for number in (*peer.accepted, *peer.rejected)]
    expected = {_name(number): "no-identity" if is_rejected(number) else "passed" for number in numbers}
    wrong = {
        "calls without a record": len(expected.keys() - decided.keys()),
        "calls decided more than once": sum(count > 1 for count in decided.values()),
        "calls decided wrongly": sum(outcomes.get(name, each) != each for name, each in expected.items()),
        "records that are not of TCP": sum(record["transport"] != "tcp" for record in records),
        "calls that did not arrive": sum(len({*peer.accepted} - {at for at, _ in got[peer.port]}) for peer in peers),
        "calls that arrived and were rejected": sum(is_rejected(at) for each in got.values() for at, _ in each),
        "calls that arrived unfiltered": sum(not marked for each in got.values() for _, marked in each),
        "connections out of order": sum([at for at, _ in got[peer.port]] != peer.accepted for peer in peers),
        "connections with wrong responses": sum(not _is_answered(peer) for peer in peers),
        "connections of unknown peers": len(arrived.by_port.keys() - got.keys()),
        "messages that the relay did not count": len(numbers) - counters.get("relay-messages", 0),
    }
    never = ("relay-refused-streams", "relay-unfiltered-streams", "relay-resets", "records-lost", "unrelayed-new")
    return {**wrong, **{name: counters.get(name, 0) for name in never}}


def _name(number: int) -> str:
    return f"call-{number}@carrier.example"


def _is_answered(peer: Peer) -> bool:
    return peer.responses == [(b"SIP/2.0 428 Use Identity Header", number) for number in peer.rejected]
