"""Servers with one thread per connection, in which no client can shut out the others."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from socketserver import BaseServer, ThreadingMixIn
from typing import Any

from sbc_filter.concurrency.connection_table import Client, ConnectionTable


class FairThreads(ThreadingMixIn, BaseServer):
    """A server whose connections are limited by a `ConnectionTable`. List it before the server class as a base.

    The thread of a connection says by `wait` and `complete` how far its request has come. A connection that is given
    up, or late, is shut down: its thread then reads the end of the stream.
    """

    daemon_threads = True

    def __init__(self, limit: int, per_address: int, patience: float, *arguments: Any, **named: Any) -> None:
        """`patience`: seconds in which the first request has to be complete. `arguments` go to the server class."""
        self._table: ConnectionTable[socket.socket] = ConnectionTable(limit, per_address)
        self._patience = patience
        self._clients: dict[socket.socket, Client[socket.socket]] = {}  # whose threads have not begun yet
        self._threads_client = threading.local()
        self.timer: Callable[[], float] = time.monotonic
        super().__init__(*arguments, **named)

    def address_of(self, client_address: Any) -> str:
        """The address by which connections are counted."""
        return str(client_address[0])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the connection, if there is room, or room can be made."""
        client, displaced = self._table.enter(self.address_of(client_address), request, self.timer() + self._patience)
        if displaced is not None:
            _hang_up(displaced)
        if client is None:
            self.shutdown_request(request)
            return
        try:
            self._clients[request] = client
            super().process_request(request, client_address)
        except BaseException:
            del self._clients[request]
            self._table.leave(client)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve the connection, in its thread."""
        self._threads_client.client = client = self._clients.pop(request)
        try:
            self.serve_connection(request, client_address)
        finally:
            self._table.leave(client)

    def serve_connection(self, request: Any, client_address: Any) -> None:
        """Serve one connection; override to do something before and after."""
        super().process_request_thread(request, client_address)

    def use(self, connection: socket.socket) -> None:
        """Note that another object has taken over the connection of this thread, as TLS does. Raises `OSError` if the
        connection was given up before that."""
        self._client.connection = connection
        if self._client not in self._table:
            raise ConnectionAbortedError("given up")

    def wait(self, patience: float) -> None:
        """Note that this thread's connection waits for a request, or its rest, for at most `patience` seconds."""
        self._table.wait(self._client, self.timer() + patience)

    def complete(self) -> None:
        """Note that the request of this thread's connection is complete."""
        self._table.begin(self._client)

    def service_actions(self) -> None:
        """Shut down late connections; `serve_forever` calls this at each turn."""
        super().service_actions()
        for connection in self._table.overdue(self.timer()):
            _hang_up(connection)

    @property
    def client(self) -> str:
        """The address of the connection that this thread serves, as it is counted."""
        return self._client.address

    @property
    def _client(self) -> Client[socket.socket]:
        client: Client[socket.socket] = self._threads_client.client
        return client


def _hang_up(connection: socket.socket) -> None:
    """Make the thread of a connection read the end of the stream."""
    with contextlib.suppress(OSError):  # its thread may have closed it
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not that of TLS, which its thread still uses
