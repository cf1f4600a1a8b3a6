"""Trunks told apart by the interface, on a real kernel queue: delivered, sent and forwarded; forged addresses."""

import socket
from collections.abc import Iterator

import pytest
from support.calls import invite, make_engine
from support.netns import ADDRESSES, LIVE, endpoint, running, three_hosts
from support.tiny import TinySource

from sbc_filter.engine.record import Record
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.interfaces import InterfaceNames

pytestmark = LIVE
RULES = """
[trunks.outside]
addresses = ["0.0.0.0/0", "::/0"]
interface = "to-carrier"
[trunks.inside]
addresses = ["0.0.0.0/0", "::/0"]
interface = "to-core"
trusted = true
[[rule]]
name = "let"
action = "pass"
"""
FORGED = "P-Attestation-Indicator: A"
SPOOFED = "203.0.113.99"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts(plan=Plan()) as made:
        yield made


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("start", "end", "sbc", "trunk"),
    [
        ("carrier", "sbc", "sbc", "outside"),  # INPUT
        ("core", "sbc", "sbc", "inside"),
        ("sbc", "carrier", "sbc", "outside"),  # OUTPUT
        ("sbc", "core", "sbc", "inside"),
        ("carrier", "core", "core", "outside"),  # FORWARD: the SBC stands behind this host, both interfaces are known
        ("core", "carrier", "core", "outside"),
        ("carrier", "core", "carrier", "inside"),
    ],
)
def test_the_trunk_by_its_interface(lab: Lab, start: str, end: str, sbc: str, trunk: str, version: int) -> None:
    records: list[Record] = []
    engine = make_engine(RULES, sbc=[ADDRESSES[sbc][version]])
    with (
        running(lab, engine, TinySource(), sink=records.append, interfaces=True),
        endpoint(lab, start, version) as sender,
        endpoint(lab, end, version) as receiver,
    ):
        sender.sendto(invite(FORGED), (ADDRESSES[end][version], 5060))
        message = receiver.recv(70000)
    assert [record.trunk for record in records] == [trunk]
    believed = trunk == "inside" or end != sbc
    assert (FORGED.encode() in message) is believed


def test_an_address_forged_on_the_wrong_cable(lab: Lab) -> None:
    """The same address by either cable: it is the cable that is believed."""
    for host in ("carrier", "core"):
        lab.address(host, f"{SPOOFED}/32", "lo")
    records: list[Record] = []
    with (
        running(lab, make_engine(RULES), TinySource(), sink=records.append, interfaces=True),
        endpoint(lab, "sbc") as receiver,
    ):
        for host, believed in (("core", True), ("carrier", False)):
            with lab.inside(host):
                sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with sender:
                sender.bind((SPOOFED, 5060))
                sender.sendto(invite(FORGED), ("192.0.2.1", 5060))
            assert (FORGED.encode() in receiver.recv(70000)) is believed
    assert [(record.src, record.trunk) for record in records] == [
        (f"{SPOOFED}:5060", "inside"),
        (f"{SPOOFED}:5060", "outside"),
    ]


def test_names_are_those_of_the_namespace(lab: Lab) -> None:
    """Whatever namespace the thread is in that asks; renamed interfaces are known by their new names."""
    with lab.inside("sbc"):
        names = InterfaceNames()
        number = socket.if_nametoindex("to-core")
    try:
        assert (names(number), names(0), names(1), names(1 << 20)) == ("to-core", "", "lo", "")
        lab.run("sbc", "ip", "link", "set", "to-core", "down")
        lab.run("sbc", "ip", "link", "set", "to-core", "name", "renamed")
        assert names(number) == "renamed"
    finally:
        names.close()
