"""What one peer, and all of them, may use of the relay: what a slow or hostile peer can take is bounded."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

K = TypeVar("K")


class Limits(NamedTuple):
    """Connections are counted by sender: an IPv4 address, or the first 64 bits of an IPv6 address.

    It is the end that is not the SBC's, whichever of them opened the connection. Where the SBC's addresses are not
    known, it is the end that opened it.
    """

    connections: int = 4096
    """Connections at a time. More are reset at once. Those of trunks take places of those of peers without one."""
    connections_per_peer: int = 256
    """Connections at a time from one sender. More are reset at once."""
    connect_seconds: float = 10.0
    """For which the far side may leave a connection unanswered."""
    message_octets: int = 65_535
    """Of one message. A larger one cannot be framed."""
    message_seconds: float = 10.0
    """From the first octet of a message to its last."""
    idle_seconds: float = 3600.0
    """Without an octet in either direction, after which a connection is reset."""
    close_seconds: float = 30.0
    """After both peers have ended, for what they have not taken."""
    drain_seconds: float = 5.0
    """After a stop, for what has begun."""
    held_octets: int = 1 << 18
    """Of messages that wait in one direction. With more, that direction is not read."""
    unwritten_octets: int = 1 << 16
    """That a peer has not taken. With more, the other peer is not read."""
    octets: int = 64 << 20
    """Of all connections in memory. With more, connections of the sender that has most are reset."""
    answer_octets: int = 1 << 18
    """That a peer has not taken, with the responses of the filter. With more, that peer itself is not read."""


class Senders:
    """The connections of each sender."""

    def __init__(self) -> None:
        self._connections: dict[str, int] = {}

    def __getitem__(self, sender: str) -> int:
        """How many there are."""
        return self._connections.get(sender, 0)

    def add(self, sender: str) -> None:
        """Count one more."""
        self._connections[sender] = self[sender] + 1

    def remove(self, sender: str) -> None:
        """Count one less."""
        left = self[sender] - 1
        if left > 0:
            self._connections[sender] = left
        else:
            self._connections.pop(sender, None)

    def __len__(self) -> int:
        """How many senders have a connection."""
        return len(self._connections)


RankedSender = tuple[bool, str]
"""Whether it belongs to a trunk, and its address."""


def to_reset(sizes: Mapping[K, tuple[RankedSender, int]], most: int) -> list[K]:
    """Which connections to reset so that at most so many octets are left; `sizes` has sender and octets of each.

    The sender that has most gives way, with its largest connections first; those of no trunk before all others.
    """
    total = sum(size for _, size in sizes.values())
    if total <= most:
        return []
    shares: dict[RankedSender, int] = {}
    of_sender: dict[RankedSender, list[K]] = {}  # the largest first
    for each in sorted(sizes, key=lambda each: -sizes[each][1]):
        sender, size = sizes[each]
        shares[sender] = shares.get(sender, 0) + size
        of_sender.setdefault(sender, []).append(each)
    found: list[K] = []
    for sender in sorted(shares, key=lambda each: (each[0], -shares[each])):
        for each in of_sender[sender]:
            if total <= most:
                return found
            found.append(each)
            total -= sizes[each][1]
    return found
