"""The loop of the process that keeps recent calls: takes what workers hand over, and serves followers and questions.

It reads in rounds with a short rest between them, so that a flood wakes it a hundred times a second and not for each
call. What comes in between waits in the sockets of the workers.
"""

import base64
import json
import logging
import os
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Any

from sbc_filter.numbering.numbering_plans import NANP, plan_named
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.messages import Heartbeat, Keep, Ready, Stop
from sbc_filter.recent.clients import Client, Follower, Question, line_of, sliced
from sbc_filter.recent.handover import Reading
from sbc_filter.recent.ring import KeptCall, Ring
from sbc_filter.recent.wanted import Wanted, record_of

_LOG = logging.getLogger(__name__)
CLIENTS = 32  # at a time, all together
STOPPED = "the filter has stopped"
_REQUEST = 1 << 15  # octets of a request; at the control socket it has 4096, and escapes take up to three times more
_ROUND = 256  # calls of one worker that are taken before the others get a turn
_SHARE = 0.5  # seconds for the calls of all workers in one round: heartbeats and clients have to get their turn, too
_REST = 0.01  # seconds between two rounds
_HEARTBEAT = 1.0  # seconds between two heartbeats: a fifth of `process_group.STUCK`
_AT_END = 0.5  # seconds that clients have, when the filter stops, to read what waits for them
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_PEER = Struct("=iII")  # struct ucred: process, user, group


class RecentServer:
    """See the module. `requests` brings connections that the control socket has accepted, each with its request."""

    def __init__(self, handover: Reading, requests: socket.socket, channel: Channel, keep: Keep) -> None:
        self._handover, self._requests, self._channel = handover, requests, channel
        self._ring = Ring(keep.calls)
        self._keep = keep
        self._clients: dict[Client, int] = {}  # with the events that are watched
        self._lost = handover.lost[0]
        self._stop = False
        self._busy = False
        self._next_heartbeat = 0.0
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, _READ, lambda _: self._listen())
        self._selector.register(requests, _READ, lambda _: self._accept())
        for end in handover.ends:
            self._selector.register(end, _READ, lambda _, end=end: self._take(end))

    def run(self) -> None:
        """Serve until a stop order, or until the supervisor is gone."""
        self._say_what_is_wanted()
        self._channel.send(Ready())
        while not self._stop:
            self._turn(_HEARTBEAT)
            if self._busy:
                time.sleep(_REST)
        self._end()

    def stop(self) -> None:
        """Make `run` return. Safe to call from a signal handler."""
        self._stop = True

    def _turn(self, seconds: float) -> None:
        self._busy = False
        for key, events in self._selector.select(seconds):
            key.data(events)
        self._note_lost()
        self._watch()
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + _HEARTBEAT
            self._channel.send(Heartbeat({}, []))

    def _end(self) -> None:
        """Give the clients what the last calls left, then say that it is over."""
        end = time.monotonic() + _AT_END
        self._turn(0.0)
        while time.monotonic() < end and (self._busy or any(client.waits for client in self._clients)):
            self._turn(_REST)
        for client in [*self._clients]:
            client.end(STOPPED)
        self._selector.close()

    # What comes: records and calls, orders, and clients.

    def _take(self, end: socket.socket) -> None:
        followers = [each for each in self._clients if isinstance(each, Follower)]
        until = time.monotonic() + _SHARE / len(self._handover.ends)
        for handed in self._handover.receive(end, _ROUND):
            self._busy = True
            for follower in followers:
                follower.show(handed)
            if handed.received:
                self._ring.add(handed)
            if time.monotonic() >= until:
                return

    def _listen(self) -> None:
        for message in self._channel.receive():
            match message:
                case Stop():
                    self._stop = True
                case Keep(calls):
                    self._keep = message
                    self._ring.resize(calls)
                    self._say_what_is_wanted()
                    for client in self._clients:
                        if isinstance(client, Follower):
                            client.tell("the filter has read its files again")
        self._stop = self._stop or self._channel.closed

    def _accept(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._requests, _REQUEST, 1)
        except OSError:
            return
        for descriptor in descriptors:
            connection = socket.socket(fileno=descriptor)
            try:
                client = self._client(json.loads(data), connection)
            except Exception:  # a request that ends this process would end the others, too
                _LOG.exception("a request at the control socket")
                connection.close()
            else:
                self._clients.update({} if client is None else {client: 0})
        self._say_what_is_wanted()

    def _client(self, request: Mapping[str, Any], connection: socket.socket) -> Client | None:
        """A client for a request; None after a refusal."""
        if len(self._clients) >= CLIENTS:
            Client(connection).end(f"{CLIENTS} others are connected already: end one of them first", 3)
            return None
        texts = [str(request.get(name) or "") for name in ("number", "call_id", "trunk")]
        if request["ask"] == "follow":
            return self._follower(connection, *texts)
        if not _may_read_messages(connection):
            Client(connection).end("only root may read the messages that the filter keeps", 3)
            return None
        if request["ask"] == "message":
            return Question(connection, self._messages(request.get("kept")))
        since = request.get("since")
        wanted = self._wanted(*texts)
        return Question(connection, sliced(self._found(wanted, since if isinstance(since, int | float) else 0.0)))

    def _follower(self, connection: socket.socket, number: str, call_id: str, trunk: str) -> Client | None:
        trunks = self._keep.trunks
        if trunk and trunk not in trunks:
            known = f"the trunks are {', '.join(trunks)}" if trunks else "the configuration names no trunks"
            Client(connection).end(f"there is no trunk {trunk!r}: {known}", 2)
            return None
        return Follower(connection, self._wanted(number, call_id, trunk))

    def _wanted(self, number: str, call_id: str, trunk: str) -> Wanted:
        return Wanted(number, call_id, trunk, plan_named(self._keep.numbering) or NANP)

    # Answers to questions.

    def _found(self, wanted: Wanted, since: float) -> Iterator[bytes]:
        """The calls that were kept and are selected, newest first; then how far back they reach."""
        for call in self._ring.newest_first():
            if wanted(call.line) and record_of(call.line).get("time", 0.0) >= since:
                yield b'{"kept":%d,"record":%b}\n' % (call.number, call.line.rstrip())
            else:
                yield b""
        yield line_of({"end": "", "calls": len(self._ring), "of": self._ring.calls, "lost": self._handover.lost[1]})

    def _messages(self, number: object) -> Iterator[bytes]:
        """The messages of one call."""
        try:
            call: KeptCall = self._ring[int(str(number))]
        except (KeyError, ValueError):
            yield line_of({"end": f"call {number} is not kept: see `sbc-filter find`", "code": 1})
            return
        received, sent = (base64.b64encode(each).decode() for each in (call.received, call.sent))
        yield line_of({"record": record_of(call.line), "received": received, "sent": sent})

    # After each round.

    def _note_lost(self) -> None:
        lost, self._lost = self._handover.lost[0] - self._lost, self._handover.lost[0]
        for client in self._clients:
            if lost and isinstance(client, Follower):
                client.note_lost(lost)

    def _watch(self) -> None:
        """Watch each client for what it waits for, and forget those that are gone."""
        gone = False
        for client, watched in [*self._clients.items()]:
            events = _READ | _WRITE if client.waits else _READ
            if client.over:
                gone = True
                del self._clients[client]
                if watched:
                    self._selector.unregister(client)
                client.close()
            elif not watched:
                self._selector.register(client, events, lambda events, client=client: _serve(client, events))
            elif events != watched:
                self._selector.modify(client, events, self._selector.get_key(client).data)
            if not client.over:
                self._clients[client] = events
        if gone:
            self._say_what_is_wanted()

    def _say_what_is_wanted(self) -> None:
        followed = any(isinstance(client, Follower) for client in self._clients)
        self._handover.wanted(followed=followed, kept=self._ring.calls > 0)


def _serve(client: Client, events: int) -> None:
    if events & _READ:
        client.read()
    if events & _WRITE and not client.over:
        client.write()


def _may_read_messages(connection: socket.socket) -> bool:
    """Whether root, or the user of the filter, has connected."""
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return _PEER.unpack(peer)[1] in (0, os.geteuid())
