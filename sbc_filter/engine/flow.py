"""Between whom a message travels."""

from typing import NamedTuple


class Flow(NamedTuple):
    """Addresses as text, ports, and `udp` or `tcp`."""

    src: str
    sport: int
    dst: str
    dport: int
    transport: str
