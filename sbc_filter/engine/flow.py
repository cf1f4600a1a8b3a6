"""Between whom a message travels."""

from typing import NamedTuple


class Interfaces(NamedTuple):
    """By which network interfaces of this host a packet came in and leaves; "" where it does neither."""

    came: str
    leaves: str


class Flow(NamedTuple):
    """Addresses as text, ports, `udp` or `tcp`, and the interfaces where trunks are told apart by them and they
    are known."""

    src: str
    sport: int
    dst: str
    dport: int
    transport: str
    interfaces: Interfaces | None = None
