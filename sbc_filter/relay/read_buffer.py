"""The buffer into which all connections of a relay read, one after another, and what each peer may read in a round.

Each read is decided to its end before the next connection is read. So what the connections of one peer read before
those of others come again must not grow with their number: they share what one connection may read. Only those that
have something to read count. A peer with many connections, of which few are busy, reads as much at a time as one with
few.
"""

SIZE = 1 << 14
"""Octets that a peer may send in a round. The dearest of them take some ten milliseconds."""
LEAST = 1 << 7
"""Octets at a time at least, so that each connection gets on."""


class Share:
    """What the sides of a peer's connections have read in this round. A round ends when one of them is read again."""

    __slots__ = ("_number", "_octets", "_reads", "_reads_before")

    def __init__(self) -> None:
        self._number = 1
        self._octets = 0
        self._reads = self._reads_before = 0

    def turn(self, last: int) -> int:
        """A side is read that was read in the round `last` before, or never (0). Returns its round."""
        if last == self._number:
            self._number += 1
            self._reads_before, self._reads, self._octets = self._reads, 0, 0
        self._reads += 1
        return self._number

    @property
    def left(self) -> int:
        """Octets that the side may read whose turn it is."""
        return max(LEAST, min(SIZE // max(self._reads_before, 1), SIZE - self._octets))

    def take(self, octets: int) -> None:
        """It has read so many."""
        self._octets += octets


class ReadBuffer:
    """See the module."""

    def __init__(self) -> None:
        self._octets = memoryview(bytearray(SIZE))

    def portion(self, size: int) -> memoryview:
        """Where to read the next octets, at most so many."""
        return self._octets[:size]

    def received(self, count: int) -> bytes:
        """The first octets, which were read last."""
        return bytes(self._octets[:count])
