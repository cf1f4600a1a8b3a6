"""A DNS server for laboratories: A records out of a table, nothing else (RFC 1035 §4)."""

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

Table = Callable[[str, int], Sequence[str]]
"""(name, how often it was asked for before) -> addresses; none: the name exists and has none."""


class NameServer:
    """Answers on a UDP socket until that is closed; `asked` counts the queries for A records by name."""

    def __init__(self, opened: socket.socket, table: Table) -> None:
        self._socket = opened
        self._table = table
        self.asked: Counter[str] = Counter()

    def run(self) -> None:
        """Serve."""
        with contextlib.suppress(OSError):  # the socket was shut down
            while True:
                query, peer = self._socket.recvfrom(4096)
                if not query:
                    return
                self._socket.sendto(self._answer(query), peer)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = int.from_bytes(query[at + 1 : at + 3], "big")
        name = ".".join(labels)
        addresses: Sequence[str] = ()
        if kind == 1:
            addresses = self._table(name, self.asked[name])
            self.asked[name] += 1
        # The question again, then a record for each address: a pointer to the name in it, A, IN, no time to live.
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(addresses), 0, 0)
        records = [struct.pack("!HHHIH4s", 0xC00C, 1, 1, 0, 4, socket.inet_aton(address)) for address in addresses]
        return head + query[12 : at + 5] + b"".join(records)


@contextlib.contextmanager
def name_server(address: tuple[str, int], table: Table) -> Iterator[NameServer]:
    """One at work in a thread, in the network namespace in which it is made."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(address)
        made = NameServer(opened, table)
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield made
        finally:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)  # wakes the thread, although nothing is connected
            thread.join()
