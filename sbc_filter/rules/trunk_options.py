"""The reader for `[trunks.NAME]` of the configuration, and for what rules say in the same words."""

import re
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from sbc_filter.rules.toml_table import TomlTable
from sbc_filter.rules.trunk import TRANSPORTS, IpNetwork, Trunk

_INTERFACE = re.compile(r"(?!\.{1,2}$)[^/:\s]+")  # Linux: dev_valid_name()
_MAX_INTERFACE = 15  # bytes; IFNAMSIZ without the NUL


def read_trunks(table: TomlTable) -> list[Trunk]:
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


def read_networks(table: TomlTable, key: str) -> tuple[IpNetwork, ...]:
    """A list of addresses and networks, IPv4 or IPv6."""
    found = []
    for text in table.texts(key):
        try:
            found.append(ip_network(text))
        except ValueError as error:
            table.problem(key, f"{error}: write an address or a network such as 198.51.100.0/24")
    return tuple(found)


def read_transport(table: TomlTable) -> frozenset[str] | None:
    """The condition `transport` of a rule; None if absent."""
    if table.raw("transport") == []:
        table.problem("transport", 'is an empty list: write "udp" or "tcp", or leave the key out')
    return table.choices("transport", TRANSPORTS)


def parse_endpoint(text: str, default_port: int) -> tuple[str, int]:
    """(address, port) of `203.0.113.10:5080`, `[2001:db8::10]:5080` or an address alone; `ValueError` for anything
    else."""
    try:
        return str(ip_address(text)), default_port
    except ValueError:
        address, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{text!r} is not an address with a port such as 203.0.113.10:5080") from None
        return str(ip_address(address.strip("[]"))), int(port)


def _locals(table: TomlTable) -> Iterable[tuple[str, int]]:
    for text in table.texts("local"):
        try:
            yield parse_endpoint(text, 5060)
        except ValueError as error:
            table.problem("local", str(error))


def _interface(table: TomlTable) -> str:
    """A name that Linux accepts for an interface; "" if absent."""
    name = table.text("interface")
    if name and not (_INTERFACE.fullmatch(name) and len(name.encode()) <= _MAX_INTERFACE):
        table.problem("interface", f"{name!r} is not an interface name such as 'eth1'")
        return ""
    return name
