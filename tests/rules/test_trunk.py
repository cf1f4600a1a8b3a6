"""Trunks: which one a flow belongs to (DESIGN §5)."""

from ipaddress import ip_network

import pytest

from sbc_filter.rules.toml_table import TomlTable, parse_toml
from sbc_filter.rules.trunk import Trunk, TrunkTable
from sbc_filter.rules.trunk_options import parse_endpoint, read_trunks

TRUNKS = """
[trunks.everybody]
addresses = ["0.0.0.0/0", "::/0"]

[trunks.acme]
addresses = ["198.51.100.0/24", "2001:db8:7::/48"]

[trunks.acme-host]
addresses = ["198.51.100.7"]
trusted = true

[trunks.acme-second]
addresses = ["198.51.100.7"]
local = ["203.0.113.10:5080", "[2001:db8::10]:5080", "203.0.113.11"]

[trunks.acme-tcp]
addresses = ["198.51.100.8"]
transport = "tcp"
"""


def read(text: str) -> tuple[list[Trunk], list[str]]:
    problems: list[object] = []
    top = TomlTable(parse_toml("t.toml", text, problems), "t.toml", "", problems)  # type: ignore[arg-type]
    trunks = read_trunks(top.table("trunks"))
    top.close()
    return trunks, list(map(str, problems))


@pytest.mark.parametrize(
    ("peer", "local", "port", "transport", "found"),
    [
        ("192.0.2.1", "203.0.113.10", 5060, "udp", ("everybody", False)),
        ("2001:db8::1", "2001:db8::10", 5060, "udp", ("everybody", False)),
        ("198.51.100.9", "203.0.113.10", 5060, "udp", ("acme", False)),  # the narrower network
        ("2001:db8:7::1", "2001:db8::10", 5060, "udp", ("acme", False)),
        ("2001:0DB8:0007:0::1", "2001:db8::10", 5060, "udp", ("acme", False)),
        ("198.51.100.7", "203.0.113.10", 5060, "udp", ("acme-host", True)),
        ("198.51.100.7", "203.0.113.10", 5080, "udp", ("acme-second", False)),  # the one with `local`
        ("198.51.100.7", "203.0.113.11", 5060, "udp", ("acme-second", False)),  # 5060 where none is written
        ("198.51.100.7", "203.0.113.11", 5080, "udp", ("acme-host", True)),
        ("198.51.100.8", "203.0.113.10", 5060, "udp", ("acme", False)),
        ("198.51.100.8", "203.0.113.10", 5060, "tcp", ("acme-tcp", False)),
        ("198.51.100.7", "203.0.113.10", 0, "tcp", ("acme-second", False)),  # a port that says nothing
        ("198.51.100.7", "203.0.113.12", 0, "tcp", ("acme-host", True)),
    ],
)
def test_the_trunk_of_a_flow(peer: str, local: str, port: int, transport: str, found: tuple[str, bool]) -> None:
    trunks, problems = read(TRUNKS)
    assert problems == []
    assert TrunkTable(trunks)(peer, local, port, transport) == found
    assert TrunkTable(reversed(trunks))(peer, local, port, transport) == found


INTERFACES = """
[trunks.world]
addresses = ["0.0.0.0/0"]

[trunks.core]
addresses = ["10.0.0.0/8"]
interface = "eth1"
trusted = true

[trunks.core-second]
addresses = ["10.0.0.0/8"]
interface = "eth1"
local = ["203.0.113.10:5080"]

[trunks.host]
addresses = ["10.0.0.7"]

[trunks.east]
addresses = ["198.51.100.0/24"]
interface = "eth2.100"

[trunks.west]
addresses = ["198.51.100.0/24"]
interface = "eth3"

[trunks.either]
addresses = ["198.51.100.0/24"]
"""


@pytest.mark.parametrize(
    ("peer", "port", "interface", "found"),
    [
        ("10.0.0.1", 5060, "eth1", ("core", True)),
        ("10.0.0.1", 5080, "eth1", ("core-second", False)),  # of several with `interface` as without: `local`
        ("10.0.0.7", 5060, "eth1", ("core", True)),  # before a narrower network without `interface`
        ("10.0.0.1", 5060, "eth0", ("world", False)),  # whoever writes that address
        ("10.0.0.7", 5060, "eth0", ("host", False)),
        ("10.0.0.1", 5060, "", ("world", False)),  # known to be none
        ("10.0.0.1", 5060, "ETH1", ("world", False)),
        ("198.51.100.9", 5060, "eth2.100", ("east", False)),
        ("198.51.100.9", 5060, "eth2", ("either", False)),
        ("198.51.100.9", 5060, "eth3", ("west", False)),
        # not known, as in most captures: the other keys alone
        ("10.0.0.1", 5060, None, ("core", True)),
        ("10.0.0.1", 5080, None, ("core-second", False)),
        ("10.0.0.7", 5060, None, ("host", False)),
        ("198.51.100.9", 5060, None, ("either", False)),
    ],
)
def test_the_trunk_by_its_interface(peer: str, port: int, interface: str | None, found: tuple[str, bool]) -> None:
    trunks, problems = read(INTERFACES)
    assert problems == []
    assert TrunkTable(trunks)(peer, "203.0.113.10", port, "udp", interface) == found
    assert TrunkTable(reversed(trunks))(peer, "203.0.113.10", port, "udp", interface) == found


@pytest.mark.parametrize("name", ["eth1", "eth0.100", "br-lan", "a" * 15, "..."])
def test_a_name_of_an_interface(name: str) -> None:
    trunks, problems = read(f'[trunks.a]\naddresses = ["10.0.0.1"]\ninterface = "{name}"\n')
    assert ([trunk.interface for trunk in trunks], problems) == ([name], [])


@pytest.mark.parametrize("name", ["a" * 16, "é" * 8, "eth1:0", "eth 1", "a/b", ".", "..", " "])
def test_what_is_no_name_of_an_interface(name: str) -> None:
    """Linux, dev_valid_name(): an alias such as eth1:0 is no interface."""
    _, problems = read(f'[trunks.a]\naddresses = ["10.0.0.1"]\ninterface = "{name}"\n')
    assert problems == [f"t.toml: trunks.a.interface: {name!r} is not an interface name such as 'eth1'"]


def test_an_interface_that_is_no_text() -> None:
    _, problems = read('[trunks.a]\naddresses = ["10.0.0.1"]\ninterface = 1\n')
    assert problems == ["t.toml: trunks.a.interface: has to be a string, not 1"]


def test_a_stranger_has_no_trunk() -> None:
    table = TrunkTable([Trunk("acme", (ip_network("198.51.100.0/24"),))])
    assert table("192.0.2.1", "203.0.113.10", 5060, "udp") is None
    assert table("2001:db8::1", "2001:db8::10", 5060, "udp") is None
    assert TrunkTable([])("192.0.2.1", "203.0.113.10", 5060, "udp") is None


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("203.0.113.10", ("203.0.113.10", 5060)),
        ("203.0.113.10:5080", ("203.0.113.10", 5080)),
        ("2001:DB8::10", ("2001:db8::10", 5060)),
        ("[2001:db8:0::10]:5080", ("2001:db8::10", 5080)),
        ("203.0.113.10:65535", ("203.0.113.10", 65535)),
    ],
)
def test_an_endpoint(text: str, endpoint: tuple[str, int]) -> None:
    assert parse_endpoint(text, 5060) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":5060",
        "5060",
        "h.example:5060",
        "203.0.113.10:",
        "203.0.113.10:0",
        "203.0.113.10:65536",
        "203.0.113.10:sip",
    ],
)
def test_what_is_no_endpoint(text: str) -> None:
    expected = r"is not an address with a port|does not appear to be an IPv4 or IPv6 address"
    with pytest.raises(ValueError, match=expected):
        parse_endpoint(text, 5060)


def test_problems_are_collected() -> None:
    trunks, problems = read(
        '[trunks.a]\nlocal = ["x:1"]\ntrustd = true\n[trunks.b]\naddresses = ["198.51.100.0/24", "1.2.3"]\n'
    )
    assert problems == [
        "t.toml: trunks.a.addresses: is missing: the addresses or networks of the other end",
        "t.toml: trunks.a.local: 'x' does not appear to be an IPv4 or IPv6 address",
        "t.toml: trunks.a.trustd: is unknown; did you mean 'trusted'?",
        "t.toml: trunks.b.addresses: '1.2.3' does not appear to be an IPv4 or IPv6 network:"
        " write an address or a network such as 198.51.100.0/24",
    ]
    assert [str(network) for network in trunks[1].addresses] == ["198.51.100.0/24"]
