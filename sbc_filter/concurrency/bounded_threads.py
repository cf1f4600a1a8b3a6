"""Servers with a thread for each connection, and a bound on how many."""

import threading
from socketserver import BaseServer, ThreadingMixIn
from typing import Any


class BoundedThreads(ThreadingMixIn, BaseServer):
    """At most `connections` at one time: the next is closed unheard. Stands before the class of the server."""

    daemon_threads = True

    def __init__(self, connections: int, *arguments: Any, **named: Any) -> None:
        """`arguments` are those of the class of the server."""
        self._free = threading.BoundedSemaphore(connections)
        super().__init__(*arguments, **named)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, if one is free."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In its thread."""
        try:
            self.serve_connection(request, client_address)
        finally:
            self._free.release()

    def serve_connection(self, request: Any, client_address: Any) -> None:
        """All of one connection; what is to be done before and behind it."""
        super().process_request_thread(request, client_address)
