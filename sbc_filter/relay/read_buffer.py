"""The buffer into which all connections of a relay read, one after another.

A peer with many connections reads less at a time from each. So all of them together delay the connections of others
hardly more than one would: each read is decided to its end before the next connection is read.
"""

from sbc_filter.relay.limits import Senders

SIZE = 1 << 14
"""Octets that a peer with one connection may send at a time. The dearest of them take some ten milliseconds."""
LEAST = 1 << 11
"""Octets at a time at least: an INVITE with its token fits."""


class ReadBuffer:
    """See the module; `senders` counts the connections of each peer."""

    def __init__(self, senders: Senders) -> None:
        self._senders = senders
        self._octets = memoryview(bytearray(SIZE))

    def portion(self, sender: str) -> memoryview:
        """Where to read the next octets of a connection of this peer."""
        return self._octets[: max(LEAST, SIZE // max(self._senders[sender], 1))]

    def received(self, count: int) -> bytes:
        """The first octets, which were read last."""
        return bytes(self._octets[:count])
