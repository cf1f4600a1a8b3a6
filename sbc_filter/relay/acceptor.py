"""New connections of the relay: each is accepted, its far side is opened, and then it is read.

A far side that refuses, or does not answer, is passed on as a reset of the near side. No peer has more connections
than `Limits` says.
"""

import asyncio
import contextlib
import errno
import inspect
import logging
import socket
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, cast

from sbc_filter.counters import CounterName, is_power_of_two
from sbc_filter.engine.call.network import Flow, Interfaces
from sbc_filter.engine.memory.shares import party_of
from sbc_filter.engine.verdict import Party
from sbc_filter.packet.ip import sender_of
from sbc_filter.relay.connection import Connection, Owner, probe_when_idle, reset_when_closed
from sbc_filter.relay.limits import Senders
from sbc_filter.relay.read_buffer import ReadBuffer, Share
from sbc_filter.relay.transparent import Opener

_LOG = logging.getLogger(__name__)
_AT_ONCE = 16  # connections that are accepted before others are read again
_PAUSE = 0.05  # seconds without accepting, while no file can be opened
_NO_INTERFACE = Interfaces("", "")  # a socket does not say by which one its peer's packets came
_PORT_TAKEN = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)


class Acceptor:
    """See the module. It closes `listeners`, and counts in `count`."""

    def __init__(self, owner: Owner, listeners: Sequence[socket.socket], opener: Opener, count: Counter[str]) -> None:
        self._owner = owner
        self._listeners = list(listeners)
        self._opener = opener
        self._count = count
        self._senders = Senders()
        self._shares: dict[str, Share] = {}  # of each sender with a connection
        self._buffer = ReadBuffer()
        self._opening: dict[asyncio.Task[None], Party] = {}  # the oldest first
        self._closed = False
        self.connections: set[Connection] = set()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to accept."""
        for listener in self._listeners:
            listener.setblocking(False)
            self._watch(loop, listener)

    def stop(self) -> None:
        """Accept no more, and reset what is not open on both sides."""
        self._closed = True
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()
        for task in self._opening:
            task.cancel()

    def gone(self, connection: Connection) -> None:
        """A connection is closed."""
        self.connections.discard(connection)
        self._remove(connection.party.sender)

    def _remove(self, sender: str) -> None:
        """A connection of this sender, or what would have become one, is gone."""
        self._senders.remove(sender)
        if not self._senders[sender]:
            self._shares.pop(sender, None)

    def _watch(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        if not self._closed:
            loop.add_reader(listener, self._accept, loop, listener)

    def _accept(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                near, _ = listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError:  # no more files: the connection stays in the queue of the kernel
                loop.remove_reader(listener)
                loop.call_later(_PAUSE, self._watch, loop, listener)
                return
            try:
                self._take(loop, near)
            except OSError:
                near.close()  # it was reset before we saw it

    def _take(self, loop: asyncio.AbstractEventLoop, near: socket.socket) -> None:
        near.setblocking(False)
        reset_when_closed(near)
        source, target = near.getpeername(), near.getsockname()
        flow = Flow(source[0], source[1], target[0], target[1], "tcp", _NO_INTERFACE)
        place, limits = self._owner.place(flow), self._owner.limits
        end = sender_of(flow.dst if place.direction == "outbound" else flow.src)
        party = Party(party_of(place).group, end)
        if self._senders[end] >= limits.connections_per_peer:
            self._refuse(near, flow, CounterName.RELAY_LIMIT_PEER)
        elif len(self.connections) + len(self._opening) >= limits.connections and not self._make_room(party):
            self._refuse(near, flow, CounterName.RELAY_LIMIT_CONNECTIONS)
        else:
            self._senders.add(end)
            task = loop.create_task(self._open(near, flow, party))
            self._opening[task] = party
            task.add_done_callback(self._opening.pop)

    def _make_room(self, party: Party) -> bool:
        """For a peer of a trunk, reset a connection of a peer without one, if any: the one that has waited longest for
        its far side, or else the one that has been silent longest."""
        if not party.group:
            return False
        strangers = (task for task, each in self._opening.items() if not each.group)
        opening = next(filter(_may_be_cancelled, strangers), None)
        others = [each for each in self.connections if not each.party.group and not each.closed]
        if opening is not None:
            opening.cancel()
        elif others:
            min(others, key=lambda each: each.touched).reset()
        else:
            return False
        self._count[CounterName.RELAY_LIMIT_CONNECTIONS] += 1
        return True

    def _refuse(self, near: socket.socket, flow: Flow, counter: CounterName, why: str = "") -> None:
        self._count[counter] += 1
        near.close()
        if is_power_of_two(self._count[counter]):
            _LOG.warning("%s to %s over TCP: %s%s; %d so far", flow.src, flow.dst, counter, why, self._count[counter])

    async def _open(self, near: socket.socket, flow: Flow, party: Party) -> None:
        """Open the far side, then read both. The near side is reset if that fails."""
        with contextlib.ExitStack() as undo:
            undo.callback(near.close)
            undo.callback(self._remove, party.sender)
            try:
                far = await self._far_side(flow)
            except OSError as error:
                self._refuse(near, flow, CounterName.RELAY_FAR_SIDE_REFUSED, f": {error.strerror or 'no answer'}")
                return
            undo.callback(far.close)
            for each in (near, far):
                probe_when_idle(each)
            loop = asyncio.get_running_loop()
            share = self._shares.setdefault(party.sender, Share())
            connection = Connection(flow, party, self._owner, self._buffer, share)
            await loop.connect_accepted_socket(lambda: connection.far, far)
            await loop.connect_accepted_socket(lambda: connection.near, near)
            undo.pop_all()
            self.connections.add(connection)
            self._count[CounterName.RELAY_CONNECTIONS] += 1
        connection.regulate()

    async def _far_side(self, flow: Flow) -> socket.socket:
        """The socket to the far side, connected; `OSError` if there is none, also if it does not answer."""
        async with asyncio.timeout(self._owner.limits.connect_seconds):
            try:
                return await self._connected(flow, same_port=True)
            except OSError as error:
                if error.errno not in _PORT_TAKEN:
                    raise
            return await self._connected(flow, same_port=False)

    async def _connected(self, flow: Flow, *, same_port: bool) -> socket.socket:
        far, address = self._opener(flow, same_port)
        try:
            await asyncio.get_running_loop().sock_connect(far, address)
        except BaseException:
            far.close()
            raise
        return far


def _may_be_cancelled(task: asyncio.Task[None]) -> bool:
    """Whether it has begun, so that it tidies up, and was not cancelled before."""
    coroutine = cast("Coroutine[Any, Any, None]", task.get_coro())
    return not task.cancelling() and inspect.getcoroutinestate(coroutine) == inspect.CORO_SUSPENDED
