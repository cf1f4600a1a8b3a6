"""Trunks: who is at the other end, told apart by addresses (DESIGN §5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from sbc_filter.rules.schema import Table

IpNetwork = IPv4Network | IPv6Network
TRANSPORTS = ("udp", "tcp")


@dataclass(frozen=True, slots=True)
class Trunk:
    """One `[trunks.NAME]`. `local` are (address, port) of our side, empty where it does not matter."""

    name: str
    addresses: tuple[IpNetwork, ...]
    local: frozenset[tuple[str, int]] = frozenset()
    transport: frozenset[str] = frozenset(TRANSPORTS)
    trusted: bool = False


class TrunkTable:
    """Finds the trunk of a flow: of all that match the one with the narrowest network, then the one with `local`."""

    def __init__(self, trunks: Iterable[Trunk]) -> None:
        self.trunks = {trunk.name: trunk for trunk in trunks}
        entries = [(network, trunk) for trunk in self.trunks.values() for network in trunk.addresses]
        self._entries = sorted(entries, key=lambda entry: (-entry[0].prefixlen, not entry[1].local))

    def __call__(self, peer: str, local: str, port: int, transport: str) -> tuple[str, bool] | None:
        """(name, trusted) of the trunk to which `peer` belongs, None for a stranger."""
        address = ip_address(peer)
        for network, trunk in self._entries:
            if (
                address in network
                and transport in trunk.transport
                and (not trunk.local or (local, port) in trunk.local)
            ):
                return trunk.name, trunk.trusted
        return None


def read_trunks(table: Table) -> list[Trunk]:
    """The trunks of a `[trunks]` table."""
    found = []
    for name in table:
        entry = table.table(name)
        addresses = read_networks(entry, "addresses")
        if "addresses" not in entry:
            entry.problem("addresses", "is missing: the addresses or networks of the other end")
        local = frozenset(_locals(entry))
        transport = entry.choices("transport", TRANSPORTS)
        trusted = entry.flag("trusted", False)
        entry.close()
        found.append(Trunk(name, addresses, local, transport or frozenset(TRANSPORTS), trusted))
    return found


def read_networks(table: Table, key: str) -> tuple[IpNetwork, ...]:
    """A list of addresses and networks of either family."""
    found = []
    for text in table.texts(key):
        try:
            found.append(ip_network(text))
        except ValueError as error:
            table.problem(key, f"{error}: write an address or a network such as 198.51.100.0/24")
    return tuple(found)


def parse_endpoint(text: str, default_port: int) -> tuple[str, int]:
    """(address, port) of `203.0.113.10:5080`, `[2001:db8::10]:5080` or an address alone; `ValueError` else."""
    try:
        return str(ip_address(text)), default_port
    except ValueError:
        address, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{text!r} is no address with a port such as 203.0.113.10:5080") from None
        return str(ip_address(address.strip("[]"))), int(port)


def _locals(table: Table) -> Iterable[tuple[str, int]]:
    for text in table.texts("local"):
        try:
            yield parse_endpoint(text, 5060)
        except ValueError as error:
            table.problem("local", str(error))
