"""A UDP datagram of our own: the form in which the engine hands out answers to send."""

from typing import NamedTuple


class Datagram(NamedTuple):
    """Addresses as text (`"198.51.100.7"`, `"2001:db8::7"`), ports as integers, the UDP payload."""

    src: str
    sport: int
    dst: str
    dport: int
    payload: bytes
