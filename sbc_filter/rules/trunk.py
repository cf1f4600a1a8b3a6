"""Trunks: who is at the other end, told apart by addresses and interfaces (DESIGN §5)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from sbc_filter.rules.toml_table import Table

IpNetwork = IPv4Network | IPv6Network
TRANSPORTS = ("udp", "tcp")
_INTERFACE = re.compile(r"(?!\.{1,2}$)[^/:\s]+")  # Linux: dev_valid_name()
_MAX_INTERFACE = 15  # bytes; IFNAMSIZ without the NUL


@dataclass(frozen=True, slots=True)
class Trunk:
    """One `[trunks.NAME]`. `local` are (address, port) of our side, empty where it does not matter."""

    name: str
    addresses: tuple[IpNetwork, ...]
    local: frozenset[tuple[str, int]] = frozenset()
    transport: frozenset[str] = frozenset(TRANSPORTS)
    trusted: bool = False
    interface: str = ""  # towards the other end; empty where it does not matter


class TrunkTable:
    """Finds the trunk of a flow: of all that match those with `interface` come first, for nobody far away can choose
    by which cable he comes; then the one with the narrowest network, then the one with `local`.

    Where the interface is not known (most captures) such a trunk matches by its other keys, and comes behind others
    as narrow.
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
        """(name, trusted) of the trunk to which `peer` belongs, None for a stranger; `interface` is the one towards
        the peer, "" when there is none, None when it is not known."""
        address = ip_address(peer)
        for network, trunk in self._blind if interface is None else self._entries:
            if (
                address in network
                and (interface is None or not trunk.interface or trunk.interface == interface)
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
        interface = _interface(entry)
        entry.close()
        found.append(Trunk(name, addresses, local, transport or frozenset(TRANSPORTS), trusted, interface))
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


def _interface(table: Table) -> str:
    """A name that Linux could give to an interface, "" when absent."""
    name = table.text("interface")
    if name and not (_INTERFACE.fullmatch(name) and len(name.encode()) <= _MAX_INTERFACE):
        table.problem("interface", f"{name!r} is no name of an interface such as 'eth1'")
        return ""
    return name
