"""Servers with one thread per connection, and a limit on their number."""

import threading
from socketserver import BaseServer, ThreadingMixIn
from typing import Any


class BoundedThreads(ThreadingMixIn, BaseServer):
    """At most `connections` at a time; further ones are closed at once. List it before the server class as a base."""

    daemon_threads = True

    def __init__(self, connections: int, *arguments: Any, **named: Any) -> None:
        """`arguments` go to the server class."""
        self._free = threading.BoundedSemaphore(connections)
        super().__init__(*arguments, **named)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the connection, if one is free."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve the connection, in its thread."""
        try:
            self.serve_connection(request, client_address)
        finally:
            self._free.release()

    def serve_connection(self, request: Any, client_address: Any) -> None:
        """Serve one connection; override to do something before and after."""
        super().process_request_thread(request, client_address)
