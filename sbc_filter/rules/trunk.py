"""Trunks: the parties at the other end, distinguished by addresses and interfaces."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

IpNetwork = IPv4Network | IPv6Network
TRANSPORTS = ("udp", "tcp")


@dataclass(frozen=True, slots=True)
class Trunk:
    """One `[trunks.NAME]`. `local` are (address, port) of the SBC's side; empty: any."""

    name: str
    addresses: tuple[IpNetwork, ...]
    local: frozenset[tuple[str, int]] = frozenset()
    transport: frozenset[str] = frozenset(TRANSPORTS)
    trusted: bool = False
    interface: str = ""  # towards the other end; empty: any


class TrunkTable:
    """Finds the trunk of a flow.

    If several match, those with `interface` come first, because a distant attacker cannot choose the interface. Then
    the narrowest network comes first, and then a trunk with `local`. If the interface is not known (as in most
    captures), a trunk with `interface` is matched by its other keys, after others with an equally narrow network.
    """

    def __init__(self, trunks: Iterable[Trunk]) -> None:
        self.trunks = {trunk.name: trunk for trunk in trunks}
        entries = [(network, trunk) for trunk in self.trunks.values() for network in trunk.addresses]
        self._blind = sorted(
            entries, key=lambda entry: (-entry[0].prefixlen, not entry[1].local, bool(entry[1].interface))
        )
        self._entries = sorted(self._blind, key=lambda entry: not entry[1].interface)

    def __call__(
        self, peer: str, local: str, port: int, transport: str, interface: str | None = None
    ) -> tuple[str, bool] | None:
        """(name, trusted) of the trunk that `peer` belongs to, None for an untrusted peer.

        `port` is 0 if the SBC's port says nothing: then its address decides, and
        a trunk with `local`, which may not be meant, is not trusted. `interface` is the one towards the peer;
        "" if there is none, None if it is not known.
        """
        address = ip_address(peer)
        for network, trunk in self._blind if interface is None else self._entries:
            if (
                address in network
                and (interface is None or not trunk.interface or trunk.interface == interface)
                and transport in trunk.transport
                and (not trunk.local or _is_of(local, port, trunk.local))
            ):
                return trunk.name, trunk.trusted and not (trunk.local and not port)
        return None


def _is_of(local: str, port: int, ends: frozenset[tuple[str, int]]) -> bool:
    return (local, port) in ends if port else any(local == address for address, _ in ends)
