"""Calls of honest peers, and floods beside them, at a running `sbc-filter run`: for live tests and figures.

The peers share the carrier's host: `TRUNK` is the address of a trunk, `STRANGER` an honest peer without one, and
`FLOODER` is the peer that floods, without a trunk. Every call has a true token.
"""

import contextlib
import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from sbc_filter.daemon.control_socket import ask
from sbc_filter.lab.certificate_maker import Laboratory, Maker, pem
from sbc_filter.lab.namespaces import Lab
from support.calls import VERIFY, claims, identity, invite
from support.netns import endpoint, three_hosts
from support.runs import started
from support.waiting import eventually

TRUNK, STRANGER, FLOODER = "192.0.2.7", "192.0.2.8", "192.0.2.66"
SBC = ("192.0.2.1", 5060)
KNOWN = "https://known.example/chain.pem"
"""A URL for calls that need nothing, once it was fetched."""
_CALL = re.compile(rb"Call-ID: call-(\d+)@")


class Ended(NamedTuple):
    """How the filter recorded a call: outcome and detail."""

    outcome: str
    detail: str | None = None

    def __str__(self) -> str:
        return f"{self.outcome}.{self.detail}" if self.detail else self.outcome


PASSED, UNSEEN = Ended("passed"), Ended("without record")


@contextlib.contextmanager
def hosts() -> Iterator[Lab]:
    """The three hosts, with the addresses of all peers at the carrier's."""
    with three_hosts() as lab:
        for address in (STRANGER, FLOODER):
            lab.address("carrier", f"{address}/24", "to-sbc")
        yield lab


def configure(folder: Path, made: Laboratory, sources: str, verify: str = "hold_ms = 4000", more: str = "") -> Path:
    """A configuration that verifies calls that arrive, with these lines in `[certificates]` and `[rule.verify]`."""
    folder.mkdir(exist_ok=True)
    (folder / "root.pem").write_bytes(pem(made.root.certificate))
    (folder / "chain.pem").write_bytes(made.chain)
    (folder / "rules").mkdir()
    (folder / "rules" / "verify.toml").write_text(f"{VERIFY}[rule.verify]\n{verify}\n")
    (folder / "c.toml").write_text(
        f'[network]\nsbc = ["{SBC[0]}"]\n[trunks.acme]\naddresses = ["{TRUNK}"]\n'
        f'[trust]\nanchors = ["root.pem"]\n[certificates]\n{sources}\n'
        f'[log]\nrecords = "records.jsonl"\n[control]\nsocket = "control"\n{more}'
    )
    return folder / "c.toml"


class Traffic:
    """Calls of the peers, and when each of them reached the SBC."""

    def __init__(self, peers: dict[str, socket.socket], sbc: socket.socket, file: Path, made: Laboratory) -> None:
        self._peers, self._sbc, self._key = peers, sbc, made.leaf.key
        self._file = file
        self._ended: dict[int, Ended] = {}
        self._at = 0  # how much of the records has been read
        self._numbers = count(int(time.time()) % 10**6 * 10**6)
        self.sent: dict[int, float] = {}
        self.arrived: dict[int, float] = {}
        sbc.settimeout(None)  # with one, `shutdown` would not wake the thread
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def close(self) -> None:
        """Listen no longer."""
        with contextlib.suppress(OSError):
            self._sbc.shutdown(socket.SHUT_RDWR)  # wakes the thread, although nothing is connected
        self._thread.join()

    def token(self, url: str) -> str:
        """The Identity of a new call, with a token that names `url`."""
        own = claims(iat=int(time.time()), origid=f"4437c7eb-8f7a-4f0e-a863-{next(self._numbers):012}")
        return identity(own, jose={"x5u": url}, key=self._key)

    def send(self, peer: str, url: str = KNOWN) -> int:
        """Send a call; returns its number."""
        number = next(self._numbers)
        message = invite(self.token(url), number=number)
        self.sent[number] = time.monotonic()
        self._peers[peer].sendto(message, SBC)
        return number

    def call(self, peer: str, url: str = KNOWN) -> Ended:
        """How a call ended, once it has."""
        number = self.send(peer, url)
        assert eventually(lambda: number in self.arrived)
        return self.ended([number])[number]

    def steadily(self, seconds: float, rate: float, one: Callable[[], int]) -> list[int]:
        """Calls at a steady rate; returns their numbers."""
        numbers, begin = list[int](), time.monotonic()
        while (at := begin + len(numbers) / rate) < begin + seconds:
            time.sleep(max(at - time.monotonic(), 0.0))
            numbers.append(one())
        return numbers

    @contextlib.contextmanager
    def flood(self, rate: float, url: Callable[[int], str], peers: Sequence[str] = (FLOODER,)) -> Iterator[list[int]]:
        """Calls of these peers beside the block, with a URL for each; yields their numbers, which grow.

        Those with one URL in a row have one token, too, so that they cost the flooder little.
        """
        over, numbers = threading.Event(), list[int]()
        token = lru_cache(self.token)

        def work() -> None:
            begin = time.monotonic()
            while not over.wait(max(begin + len(numbers) / rate - time.monotonic(), 0.0)):
                at, number = len(numbers), next(self._numbers)
                self._peers[peers[at % len(peers)]].sendto(invite(token(url(at)), number=number), SBC)
                numbers.append(number)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield numbers
        finally:
            over.set()
            thread.join()

    def ended(self, numbers: Sequence[int]) -> dict[int, Ended]:
        """How these calls ended, once all of them have."""

        def are_recorded() -> bool:
            self._read()
            return self._ended.keys() >= set(numbers)

        assert eventually(are_recorded), f"{len(set(numbers) - self._ended.keys())} calls were not recorded"
        return {number: self._ended[number] for number in numbers}

    def _read(self) -> None:
        """What was recorded since the last time."""
        with (self._file.parent / "records.jsonl").open("rb") as records:
            records.seek(self._at)
            whole = records.read().rpartition(b"\n")[0]
        self._at += len(whole) + bool(whole)
        for record in map(json.loads, whole.splitlines()):
            number = int(record["call_id"].removeprefix("call-").partition("@")[0])
            self._ended[number] = Ended(record["outcome"], record.get("detail"))

    def seen(self, numbers: Sequence[int], seconds: float) -> Counter[Ended]:
        """The same as `outcomes`, but calls without a record after so many seconds count as `UNSEEN`."""

        def are_recorded() -> bool:
            self._read()
            return self._ended.keys() >= set(numbers)

        eventually(are_recorded, seconds)
        return Counter(self._ended.get(number, UNSEEN) for number in numbers)

    def outcomes(self, numbers: Sequence[int]) -> Counter[Ended]:
        """How many of these calls ended in which way."""
        return Counter(self.ended(numbers).values())

    def counters(self) -> dict[str, int]:
        """Those of the filter."""
        counters: dict[str, int] = ask(self._file.parent / "control", "status")["counters"]
        return counters

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while message := self._sbc.recv(70000):
                found = _CALL.search(message)
                if found is not None:
                    self.arrived.setdefault(int(found[1]), time.monotonic())


@contextlib.contextmanager
def traffic(
    lab: Lab, file: Path, made: Laboratory, peers: Sequence[str] = (TRUNK, STRANGER, FLOODER)
) -> Iterator[Traffic]:
    """The filter with this configuration, and calls of these peers."""
    with started(lab, file), contextlib.ExitStack() as stack:
        opened = {each: stack.enter_context(endpoint(lab, "carrier", address=each)) for each in peers}
        sbc = stack.enter_context(endpoint(lab, "sbc"))
        yield stack.enter_context(contextlib.closing(Traffic(opened, sbc, file, made)))


def laboratory() -> Laboratory:
    """Keys of today."""
    return Maker(time.time()).laboratory()


def obtaining(folder: Path, seconds: float, slow: float) -> str:
    """The `command` of a configuration that has the chain for every URL, after some seconds; others for `slow` URLs."""
    script = f'case "$1" in *slow*) sleep {slow:g};; *) sleep {seconds:g};; esac; cat {folder}/chain.pem'
    return f"command = {json.dumps(['/bin/sh', '-c', script, 'obtain'])}"


class SocketServer(ThreadingUnixStreamServer):
    """A server of `[certificates].socket` that has the chain for every URL; `pace` is called before each answer."""

    request_queue_size = 64
    daemon_threads = True

    def __init__(self, path: Path, chain: bytes, pace: Callable[[str], object]) -> None:
        super().__init__(str(path), _Handler)
        self.chain, self.pace = chain, pace

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the filter closes connections that take too long


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SocketServer

    def do_GET(self) -> None:
        self.server.pace(parse_qs(urlsplit(self.path).query)["url"][0])
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.chain)))
        self.end_headers()
        self.wfile.write(self.server.chain)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def socket_server(folder: Path, chain: bytes, pace: Callable[[str], object]) -> Iterator[str]:
    """One at work; yields the line of a configuration that names it."""
    with SocketServer(folder / "socket", chain, pace) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f'socket = "{folder}/socket"'
        finally:
            made.shutdown()
            thread.join()


class Drip:
    """Connections from one address that send a request byte by byte, and are opened again when they are closed."""

    def __init__(self, lab: Lab, host: str, target: tuple[str, int], source: str, connections: int) -> None:
        self._lab, self._host, self._target, self._source = lab, host, target, source
        self.lost = 0  # connections that the server closed
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        with lab.inside(host):
            for _ in range(connections):
                self._open.append(self._connect())
        self._thread = threading.Thread(target=self._drip)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for each in self._open:
            each.close()

    def _connect(self) -> socket.socket:
        made = socket.create_connection(self._target, timeout=30.0, source_address=(self._source, 0))
        made.sendall(b"POST /stir/v1/verification HTTP/1.1\r\nX: ")
        made.setblocking(False)
        return made

    def _drip(self) -> None:
        with self._lab.inside(self._host):
            while not self._over.wait(0.05):
                for place, each in enumerate(self._open):
                    if not self._is_open(each):
                        each.close()
                        self.lost += 1
                        self._open[place] = self._connect()

    def _is_open(self, connection: socket.socket) -> bool:
        try:
            connection.send(b"x")
            return bool(connection.recv(1))
        except BlockingIOError:
            return True
        except OSError:
            return False
