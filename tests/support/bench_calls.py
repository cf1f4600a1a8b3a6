"""Calls over TCP from the carrier through a filter to the core, which is the SBC: for benchmarks of the relay.

Sender and receiver are one thread, which does one or the other. So a latency is never the wait for another thread.
"""

import contextlib
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import X5U, Maker, pem
from sbc_filter.lab.namespaces import Lab
from support import calls
from support.netns import ADDRESSES, endpoint
from support.relaying import begun
from support.waiting import LONG

CORE = ADDRESSES["core"][4]
MARK = b";verstat=TN-Validation-Passed"
_END = b"\r\n\r\n"
_CALL = re.compile(rb"\r\nCall-ID: call-(\d+)@")
_MADE = Maker(time.time(), "relay").laboratory()


def configured(folder: Path, rules: str = calls.VERIFY, more: str = "") -> Path:
    """The configuration of a filter that relays and has the certificate of `call`. `more` follows in `[relay]`."""
    (folder / "rules").mkdir()
    (folder / "rules" / "all.toml").write_text(rules)
    (folder / "root.pem").write_bytes(pem(_MADE.root.certificate))
    (folder / "certificates").mkdir()
    certificate_path(folder / "certificates", X5U).write_bytes(_MADE.chain)
    file = folder / "c.toml"
    file.write_text(
        f'[network]\nsbc = ["{CORE}"]\n[log]\nrecords = "records.jsonl"\n[trust]\nanchors = ["root.pem"]\n'
        f'[certificates]\ndirectory = "certificates"\n[relay]\nenabled = true\n{more}'
    )
    return file


def call(number: int, transport: str = "TCP", *, signed: bool = True) -> bytes:
    """An INVITE, with a token of its own that is valid now unless it is not `signed`."""
    claims = calls.claims(iat=int(time.time()), origid=f"{number:08x}-8f7a-4f0e-a863-f53a0e60251a")
    header = calls.identity(claims, key=_MADE.leaf.key) if signed else "User-Agent: unsigned"
    return calls.invite(header, number=number).replace(b"SIP/2.0/UDP", f"SIP/2.0/{transport}".encode())


def number_of(message: bytes) -> int:
    """The number of a call."""
    found = _CALL.search(message)
    assert found is not None, message
    return int(found[1])


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Messages without a body, without the empty lines at their ends; and what is left."""
    *messages, rest = data.split(_END)
    return messages, rest


@contextlib.contextmanager
def connections(lab: Lab, count: int, to: str = CORE) -> Iterator[list[socket.socket]]:
    """As many connections from the carrier."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(begun(lab, "carrier")) for _ in range(count)]
        for each in opened:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.connect((to, 5060))
        yield opened


@contextlib.contextmanager
def datagrams(lab: Lab) -> Iterator[list[socket.socket]]:
    """A socket of the carrier whose messages go over UDP."""
    with endpoint(lab, "carrier") as opened:
        opened.connect((CORE, 5060))
        yield [opened]


class Core:
    """The SBC: takes what arrives, over UDP and over any number of connections, while `poll` is called."""

    def __init__(self, lab: Lab, take: Callable[[bytes, int], None]) -> None:
        """`take` gets each message, which has no body, without its empty line, and the port of its sender."""
        self._take = take
        self._selector = selectors.DefaultSelector()
        self._undo = contextlib.ExitStack()
        self._undo.callback(self._selector.close)
        with lab.inside("core"):
            self._listener = self._undo.enter_context(socket.create_server((CORE, 5060), backlog=1024))
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        udp = self._undo.enter_context(endpoint(lab, "core"))
        udp.setblocking(False)
        self._selector.register(udp, selectors.EVENT_READ, partial(self._datagrams, udp))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._undo.close()

    def poll(self, seconds: float) -> bool:
        """Take what has arrived, or arrives within so many seconds; false if nothing did."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            key.data()
        return bool(ready)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                opened, peer = self._listener.accept()
                opened.setblocking(False)
                reads = partial(self._octets, opened, peer[1], bytearray())
                self._selector.register(opened, selectors.EVENT_READ, reads)

    def _octets(self, opened: socket.socket, port: int, begun: bytearray) -> None:
        try:
            data = opened.recv(1 << 18)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(opened)
            opened.close()
            return
        messages, begun[:] = split(bytes(begun) + data)
        for message in messages:
            self._take(message, port)

    def _datagrams(self, udp: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, peer = udp.recvfrom(70000)
                self._take(data, peer[1])


class Agent:
    """Sends calls by the carrier's sockets, in turn, and notes when each reaches the core."""

    def __init__(self, lab: Lab) -> None:
        self._core = Core(lab, self._arrive)
        self.arrived: dict[int, float] = {}
        """When each call came, by its number."""
        self.marked = 0
        """How many calls came with `MARK`, once."""
        self._expected: set[int] = set()  # others are not ours

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._core.__exit__()

    def pump(self, senders: Sequence[socket.socket], messages: Sequence[bytes], window: int) -> float:
        """Send them with `window` under way at a time; how many a second arrived."""
        self._expect(messages)
        begin, sent = time.monotonic(), 0
        while len(self.arrived) < len(messages):
            while sent < len(messages) and sent - len(self.arrived) < window:
                senders[sent % len(senders)].sendall(messages[sent])
                sent += 1
            assert self._core.poll(LONG), f"{sent - len(self.arrived)} calls of {sent} have not arrived"
        return len(messages) / (time.monotonic() - begin)

    def pace(self, senders: Sequence[socket.socket], messages: Sequence[bytes], rate: float) -> list[float]:
        """Send so many a second; the seconds that each took."""
        self._expect(messages)
        begin = time.monotonic()
        sent: dict[int, float] = {}
        for at, message in enumerate(messages):
            while (left := begin + at / rate - time.monotonic()) > 0:
                self._core.poll(left)
            sent[number_of(message)] = time.monotonic()
            senders[at % len(senders)].sendall(message)
        end = time.monotonic() + LONG
        while len(self.arrived) < len(messages) and time.monotonic() < end:
            self._core.poll(1)
        assert len(self.arrived) == len(messages), f"{len(messages) - len(self.arrived)} calls have not arrived"
        return [self.arrived[number] - at for number, at in sent.items()]

    def _expect(self, messages: Sequence[bytes]) -> None:
        self._expected = set(map(number_of, messages))
        self.arrived.clear()
        self.marked = 0

    def _arrive(self, message: bytes, _port: int) -> None:
        now = time.monotonic()
        number = number_of(message)
        if number not in self._expected:
            return
        assert number not in self.arrived, f"call {number} came twice"
        self.arrived[number] = now
        self.marked += message.count(MARK) == 1
