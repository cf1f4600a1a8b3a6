"""Calls over TCP in both directions, on connections that may break: the caller opens another one, and goes on.

These are the calls of `load.Load`, and are judged as those. SIPp does not serve here: after a reset, it sends the rest
of a message that it had begun as the first octets of the next connection.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from support.load import CALLED, HOSTS, Load, Outcome, call_of, numbers
from support.netns import bracketed
from support.waiting import LONG, eventually

T = TypeVar("T")


class TcpCalls:
    """`begin` calls, `end` and judge them. Their number depends on how long that takes."""

    def __init__(self, load: Load, connections: int = 8) -> None:
        """`connections` of each direction, on which the calls go in turn."""
        self.load = load
        self._loop = asyncio.new_event_loop()
        self._failures: list[str] = []
        self._loop.set_exception_handler(lambda loop, context: self._failures.append(str(context)))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._called = {direction: Called(load, direction) for direction in HOSTS}
        self._callers = {direction: Caller(load, direction, connections) for direction in HOSTS}

    def begin(self, rate: int = 100) -> None:
        """Begin so many calls a second in each direction, until `end`."""
        self._thread.start()
        for called in self._called.values():
            self._await(called.listen())
        for caller in self._callers.values():
            self._await(caller.begin(rate))

    def end(self) -> dict[str, Outcome]:
        """Begin no more calls, wait for the last one, and judge. Fails if a side took a message that is none."""
        for caller in self._callers.values():
            self._await(caller.end())
        self.close()
        assert not self._failures, self._failures
        return {
            direction: self.load.judged(direction, caller.begun, caller.ends, self._called[direction].heard)
            for direction, caller in self._callers.items()
        }

    def close(self) -> None:
        """Close all connections."""
        if not self._thread.is_alive():
            return
        for called in self._called.values():
            self._await(called.close())
        for caller in self._callers.values():
            self._await(caller.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LONG)
        self._loop.close()

    def go_on(self, calls: int = 50) -> bool:
        """Wait until so many more calls have been answered or refused in each direction."""
        before = {direction: caller.finished for direction, caller in self._callers.items()}
        return eventually(lambda: all(self._callers[each].finished >= before[each] + calls for each in before))

    def begun(self, direction: str) -> int:
        """How many calls have begun so far; the number of the next one."""
        return self._callers[direction].begun

    @property
    def opened(self) -> int:
        """Connections that were opened so far, in both directions."""
        return sum(caller.opened for caller in self._callers.values())

    @property
    def torn(self) -> int:
        """Connections that ended in the middle of a message, as the called side sees them."""
        return sum(called.torn for called in self._called.values())

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(2 * LONG)


class Caller:
    """Who calls in one direction."""

    def __init__(self, load: Load, direction: str, connections: int) -> None:
        self._load, self._direction = load, direction
        self._host, called = HOSTS[direction]
        self._near, self._far = load.addresses[self._host], load.addresses[called]
        self._trunks: list[Trunk | None] = [None] * connections
        self._locks = [asyncio.Lock() for _ in range(connections)]  # for who opens the connection
        self._calling: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self.begun = self.opened = self.finished = 0
        self.ends: dict[int, set[str]] = {}
        """How each call ended: `answered`, `refused`, or `reset` if its connection ended first."""

    async def begin(self, rate: int) -> None:
        """Begin to call."""
        self._task = asyncio.create_task(self._begin_all(rate))

    async def end(self) -> None:
        """Begin no more calls, and wait until the last one has ended, but not for ever."""
        self._ended = True
        assert self._task is not None
        await self._task
        if self._calling:
            await asyncio.wait(self._calling, timeout=LONG)
        for _ in range(int(LONG / 0.01)):
            if not any(trunk.pending for trunk in self._trunks if trunk is not None):
                return
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Close the connections, also if calls have not ended."""
        for task in (self._task, *self._calling):
            if task is not None:
                task.cancel()
        for trunk in self._trunks:
            if trunk is not None:
                trunk.close()

    def note(self, number: int, end: str) -> None:
        """A call has ended."""
        self.ends.setdefault(number, set()).add(end)
        self.finished += end != "reset"

    def request(self, method: str, number: int, sequence: int, to_tag: str = "") -> bytes:
        """A request of a call."""
        caller, called = numbers(number)
        near, far = bracketed(self._near), bracketed(self._far)
        token = self._load.line(self._direction, number)[2:] if method == "INVITE" else ()
        identity = [f"Identity: {token[0]};info=<{token[1]}>;alg=ES256;ppt=shaken"] if token else []
        lines = [
            f"{method} sip:+{called}@{far} SIP/2.0",
            f"Via: SIP/2.0/TCP {near}:5070;branch=z9hG4bK-{self._direction}-{number}-{sequence}",
            "Max-Forwards: 70",
            f"From: <sip:+{caller}@{near}>;tag={number}",
            f"To: <sip:+{called}@{far}>{to_tag}",
            f"Call-ID: {number}-{self._direction}@{near}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:+{caller}@{near}:5070>",
            *identity,
            "Content-Length: 0",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def _begin_all(self, rate: int) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while not self._ended:
            await asyncio.sleep(max(0.0, begin + self.begun / rate - loop.time()))
            task = asyncio.create_task(self._call(self.begun))
            self._calling.add(task)
            task.add_done_callback(self._calling.discard)
            self.begun += 1

    async def _call(self, number: int) -> None:
        at = number % len(self._trunks)
        async with self._locks[at]:
            trunk = self._trunks[at]
            if trunk is None or trunk.ended:
                try:
                    trunk = self._trunks[at] = await self._open()
                except OSError:
                    self.note(number, "reset")
                    return
        trunk.call(number)

    async def _open(self) -> "Trunk":
        loop = asyncio.get_running_loop()
        with self._load.lab.inside(self._host):
            opened = socket.socket(socket.AF_INET6 if ":" in self._near else socket.AF_INET)
        try:
            opened.setblocking(False)
            opened.bind((self._near, 0))
            await loop.sock_connect(opened, (self._far, 5060))
        except BaseException:
            opened.close()
            raise
        _, trunk = await loop.create_connection(lambda: Trunk(self), sock=opened)
        self.opened += 1
        return trunk


class Messages(asyncio.Protocol):
    """One end of a connection with messages without a body."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.ended = False
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Octets came."""
        *messages, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for message in messages:
            self.take(message + b"\r\n\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, in whatever way."""
        self.ended = True

    def close(self) -> None:
        """End it, without waiting for the peer."""
        if self.transport is not None:
            self.transport.abort()

    def send(self, message: bytes) -> None:
        """Send a message, unless the connection has ended."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(message)

    def take(self, message: bytes) -> None:
        """A message came."""
        raise NotImplementedError


class Trunk(Messages):
    """A connection of a caller, with several calls at a time."""

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self._caller = caller
        self.pending: set[int] = set()

    def call(self, number: int) -> None:
        """Begin a call."""
        if self.ended:
            self._caller.note(number, "reset")
            return
        self.pending.add(number)
        self.send(self._caller.request("INVITE", number, 1))

    def take(self, message: bytes) -> None:
        """ACK a final response to an INVITE, then end the call with BYE."""
        found = CALLED.search(message)
        assert found is not None, message
        number = call_of(found[1])
        if b"\r\nCSeq: 1 INVITE\r\n" not in message or number not in self.pending:
            return
        self.pending.discard(number)
        to_tag = message[found.end() : message.index(b"\r\n", found.end())].partition(b">")[2].decode()
        self.send(self._caller.request("ACK", number, 1, to_tag=to_tag))
        if message.startswith(b"SIP/2.0 200 "):
            self._caller.note(number, "answered")
            self.send(self._caller.request("BYE", number, 2, to_tag=to_tag))
        else:
            assert message.startswith(b"SIP/2.0 438 "), message
            self._caller.note(number, "refused")

    def connection_lost(self, exc: Exception | None) -> None:
        """Its calls end with it."""
        super().connection_lost(exc)
        for number in self.pending:
            self._caller.note(number, "reset")
        self.pending.clear()


class Called:
    """Who is called in one direction."""

    def __init__(self, load: Load, direction: str) -> None:
        self._load, self._host = load, HOSTS[direction][1]
        self._server: asyncio.Server | None = None
        self._closed = False
        self._connections: set[Answering] = set()
        self.torn = 0
        self.heard: dict[int, list[bytes]] = {}
        """The INVITEs of each call."""

    async def listen(self) -> None:
        """Take connections."""
        address = self._load.addresses[self._host]
        with self._load.lab.inside(self._host):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            opened = socket.create_server((address, 5060), family=family, backlog=128)
        self._server = await asyncio.get_running_loop().create_server(lambda: Answering(self), sock=opened)

    async def close(self) -> None:
        """Take no more connections, and end those that there are."""
        if self._server is not None:
            self._server.close()
        self._closed = True
        for each in list(self._connections):
            each.close()

    def begins(self, connection: "Answering") -> None:
        """A connection is open."""
        self._connections.add(connection)

    def ends(self, connection: "Answering") -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self.torn += bool(connection.rest) and not self._closed


class Answering(Messages):
    """A connection to the called side, which answers each request."""

    def __init__(self, called: Called) -> None:
        super().__init__()
        self._called = called
        called.begins(self)

    def take(self, message: bytes) -> None:
        """Note an INVITE, and answer with 200."""
        found = CALLED.search(message)
        assert found is not None, message
        number, method = call_of(found[1]), message.partition(b" ")[0]
        if method == b"INVITE":
            self._called.heard.setdefault(number, []).append(message)
        assert method in {b"INVITE", b"ACK", b"BYE"}, message
        assert number in self._called.heard, message
        if method == b"ACK":
            return
        lines = [line for line in message.split(b"\r\n") if line.startswith((b"Via:", b"From:", b"Call-ID:", b"CSeq:"))]
        to = found[0].strip() + message[found.end() : message.index(b"\r\n", found.end())]
        lines += [to if b";tag=" in to else to + b";tag=called", b"Content-Length: 0", b"", b""]
        self.send(b"\r\n".join([b"SIP/2.0 200 OK", *lines]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        super().connection_lost(exc)
        self._called.ends(self)
