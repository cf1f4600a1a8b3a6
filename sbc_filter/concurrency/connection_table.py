"""The open connections of a server: how many there may be, and which of them gives way to a new one."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from sbc_filter.ranked_counts import RankedCounts

C = TypeVar("C")


class Client(Generic[C]):
    """A connection; `deadline` is when its request has to be complete, infinite while it is answered."""

    def __init__(self, address: str, connection: C, deadline: float) -> None:
        self.address = address
        self.connection = connection
        self.deadline = deadline


class ConnectionTable(Generic[C]):
    """At most `limit` connections, and at most `per_address` of one address. Thread-safe.

    A connection waits until its request is complete. If there is no room for a new one, the connection that has waited
    longest is given up: of its own address if that has `per_address`, else of the address with most that wait. A
    request that is complete is never given up. Honest requests are complete after some milliseconds, so those who only
    occupy connections displace each other.
    """

    def __init__(self, limit: int, per_address: int) -> None:
        self._limit = limit
        self._per_address = per_address
        self._lock = threading.Lock()
        self._total: dict[str, int] = {}  # connections by address; never zero
        self._waiting: dict[str, OrderedDict[Client[C], None]] = {}  # in the order in which they began; never empty
        self._most_waiting: RankedCounts[str] = RankedCounts()
        self._open: set[Client[C]] = set()

    def enter(self, address: str, connection: C, deadline: float) -> tuple[Client[C] | None, C | None]:
        """Admit a connection; returns its client, or None if there is no room, and the connection to close for it."""
        with self._lock:
            crowd: str | None = None
            if self._total.get(address, 0) >= self._per_address:
                crowd = address
            elif len(self._open) >= self._limit:
                crowd = self._most_waiting.largest()
            else:
                return self._add(address, connection, deadline), None
            if crowd is None or crowd not in self._waiting:
                return None, None
            oldest = next(iter(self._waiting[crowd]))
            self._remove(oldest)
            return self._add(address, connection, deadline), oldest.connection

    def wait(self, client: Client[C], deadline: float) -> None:
        """Note that a client waits for a request, or for the rest of it, from now until `deadline`."""
        with self._lock:
            if client in self._open:
                self._stop_waiting(client)
                self._start_waiting(client, deadline)

    def begin(self, client: Client[C]) -> None:
        """Note that a request is complete."""
        with self._lock:
            if client in self._open:
                self._stop_waiting(client)
                client.deadline = float("inf")

    def leave(self, client: Client[C]) -> None:
        """Forget a client whose connection is closed."""
        with self._lock:
            if client in self._open:
                self._remove(client)

    def overdue(self, now: float) -> list[C]:
        """The connections whose requests were not complete in time. They are forgotten: close them."""
        with self._lock:
            late = [client for client in self._open if client.deadline <= now]
            for client in late:
                self._remove(client)
        return [client.connection for client in late]

    def __contains__(self, client: Client[C]) -> bool:
        return client in self._open

    def __len__(self) -> int:
        return len(self._open)

    # The methods below need the lock.

    def _add(self, address: str, connection: C, deadline: float) -> Client[C]:
        client = Client(address, connection, deadline)
        self._open.add(client)
        self._total[address] = self._total.get(address, 0) + 1
        self._start_waiting(client, deadline)
        return client

    def _remove(self, client: Client[C]) -> None:
        self._stop_waiting(client)
        self._open.discard(client)
        self._total[client.address] -= 1
        if not self._total[client.address]:
            del self._total[client.address]

    def _start_waiting(self, client: Client[C], deadline: float) -> None:
        client.deadline = deadline
        self._waiting.setdefault(client.address, OrderedDict())[client] = None
        self._most_waiting.add(client.address)

    def _stop_waiting(self, client: Client[C]) -> None:
        waiting = self._waiting.get(client.address)
        if waiting is None or client not in waiting:
            return
        del waiting[client]
        if not waiting:
            del self._waiting[client.address]
        self._most_waiting.remove(client.address)
