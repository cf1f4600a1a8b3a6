"""Calls to and from addresses that `[network].sbc` lacks, on a real kernel queue: the netfilter hook places them.

A broadcast, a group of multicast, a forgotten address of the host: what the kernel delivers to this host is inbound.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.calls import NOW, VERIFY, invite, make_engine
from support.netns import ADDRESSES, LIVE, NO_INVITE, endpoint, eventually, nothing_else, running, three_hosts
from support.runs import RUN, asked, started
from support.tiny import TinySource

from sbc_filter.cli import main
from sbc_filter.daemon.network_watch import NetworkWatch
from sbc_filter.engine.record import Record
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab
from sbc_filter.system.local_addresses import LocalAddress, local_addresses

pytestmark = LIVE
SBC = tuple(ADDRESSES["sbc"].values())
FORGOTTEN = {4: "192.0.2.99", 6: "2001:db8:1::99"}
GROUP = "ff02::1"  # all nodes of a link
REQUIRED = VERIFY + '[rule.on]\nno-identity = "reject"\n'
SPOOFED = "P-Asserted-Identity: <sip:+19005550123;verstat=TN-Validation-Passed@h>"
PLAIN = SPOOFED.replace(";verstat=TN-Validation-Passed", "")
NEAR = pytest.mark.parametrize(
    ("version", "target"),
    [(4, "192.0.2.255"), (4, "255.255.255.255"), (4, FORGOTTEN[4]), (6, FORGOTTEN[6]), (6, GROUP)],
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts(plan=Plan(sbc=SBC)) as made:
        for address in (f"{FORGOTTEN[4]}/24", f"{FORGOTTEN[6]}/64"):
            made.address("sbc", address, "to-carrier")
        made.wait_until_up()
        yield made


@contextmanager
def everywhere(lab: Lab, version: int) -> Iterator[socket.socket]:
    """A SIP stack of the SBC that listens on any address."""
    with endpoint(lab, "sbc", version, address="0.0.0.0" if version == 4 else "::") as opened:
        yield opened


def send(lab: Lab, sender: socket.socket, message: bytes, target: str) -> None:
    """Send a message to an address, a group or everybody on the carrier's cable."""
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if target != GROUP:
        sender.sendto(message, (target, 5060))
        return
    with lab.inside("carrier"):
        sender.sendto(message, (target, 5060, 0, socket.if_nametoindex("to-sbc")))


@NEAR
def test_a_call_that_is_delivered_here_is_verified_whatever_its_address(lab: Lab, version: int, target: str) -> None:
    records: list[Record] = []
    with (
        running(lab, make_engine(REQUIRED, sbc=SBC), TinySource(), clock=lambda: NOW, sink=records.append),
        endpoint(lab, "carrier", version) as carrier,
        everywhere(lab, version) as sbc,
    ):
        send(lab, carrier, invite(SPOOFED), target)
        assert eventually(lambda: bool(records))
        assert nothing_else(carrier, (ADDRESSES["sbc"][version], 5060), sbc, NO_INVITE)
    (record,) = records
    assert (record.direction, record.outcome, record.verdict) == ("inbound", "no-identity", "reject")


@NEAR
def test_such_a_call_says_nothing_about_its_verification(lab: Lab, version: int, target: str) -> None:
    with (
        running(lab, make_engine("", sbc=SBC), TinySource(), clock=lambda: NOW),
        endpoint(lab, "carrier", version) as carrier,
        everywhere(lab, version) as sbc,
    ):
        send(lab, carrier, invite(SPOOFED), target)
        assert sbc.recv(70000) == invite(PLAIN)


@pytest.mark.parametrize("version", [4, 6])
def test_a_refusal_from_a_forgotten_address_comes_from_it(lab: Lab, version: int) -> None:
    with (
        running(lab, make_engine(REQUIRED, sbc=SBC), TinySource(), clock=lambda: NOW),
        endpoint(lab, "carrier", version) as carrier,
    ):
        carrier.sendto(invite(SPOOFED), (FORGOTTEN[version], 5060))
        message, source = carrier.recvfrom(70000)
        assert message.startswith(b"SIP/2.0 428 ")
        assert source[:2] == (FORGOTTEN[version], 5060)


@pytest.mark.parametrize("version", [4, 6])
def test_a_call_that_this_host_sends_is_outbound(lab: Lab, version: int) -> None:
    records: list[Record] = []
    with (
        running(lab, make_engine(REQUIRED, sbc=SBC), TinySource(), clock=lambda: NOW, sink=records.append),
        endpoint(lab, "carrier", version) as carrier,
        endpoint(lab, "sbc", version, address=FORGOTTEN[version]) as sbc,
    ):
        sbc.sendto(invite(SPOOFED), (ADDRESSES["carrier"][version], 5060))
        assert carrier.recv(70000) == invite(SPOOFED)
        assert eventually(lambda: bool(records))
    assert [(record.direction, record.detail) for record in records] == [("outbound", "no-rule")]


@pytest.mark.parametrize("version", [4, 6])
def test_a_call_that_only_passes_through_is_scrubbed_and_goes_on(lab: Lab, version: int) -> None:
    """Neither end is the SBC's: the rules are not asked, and a counter says so."""
    records: list[Record] = []
    engine = make_engine(REQUIRED.replace('direction = "inbound"\n', ""), sbc=SBC)
    with (
        running(lab, engine, TinySource(), clock=lambda: NOW, sink=records.append),
        endpoint(lab, "carrier", version) as carrier,
        endpoint(lab, "core", version) as core,
    ):
        carrier.sendto(invite(SPOOFED), (ADDRESSES["core"][version], 5060))
        assert core.recv(70000) == invite(PLAIN)
        assert eventually(lambda: bool(records))
    assert [(record.direction, record.detail, record.verdict) for record in records] == [
        (None, "no-direction", "modify")
    ]
    assert engine.counters["no-direction"] == 1


# --- addresses of this host ---


def warning(address: str, interface: str) -> str:
    return (
        f"warning: {address} on {interface} is an address of this host, but not in [network].sbc:"
        " calls to it are treated as inbound from an untrusted peer, and pass unfiltered over TCP"
    )


def test_addresses_are_those_of_the_namespace(lab: Lab) -> None:
    with lab.inside("carrier"):
        found = local_addresses()
    assert {LocalAddress(ADDRESSES["carrier"][version], "to-sbc") for version in (4, 6)} <= set(found)
    assert LocalAddress("127.0.0.1", "lo") in found
    assert not {LocalAddress(address, "to-carrier") for address in SBC} & set(found)


def test_of_a_point_to_point_link_the_near_end_is_this_host(lab: Lab) -> None:
    lab.run("carrier", "ip", "address", "add", "10.9.9.1", "peer", "10.9.9.2/32", "dev", "to-sbc")
    with lab.inside("carrier"):
        found = {each.address for each in local_addresses()}
    assert "10.9.9.1" in found
    assert "10.9.9.2" not in found


def test_forgotten_addresses_are_said_at_start_and_when_they_come(lab: Lab) -> None:
    watch = NetworkWatch()
    known = (*SBC, "198.51.100.1", "2001:db8:2::1")
    late = "192.0.2.55"
    with lab.inside("sbc"):
        assert sorted(watch.news(known, 0)) == sorted(warning(each, "to-carrier") for each in FORGOTTEN.values())
        assert list(watch.news(known, 0)) == []
        lab.address("sbc", f"{late}/24", "to-carrier")
        assert list(watch.news(known, 0)) == [warning(late, "to-carrier")]
        lab.run("sbc", "ip", "address", "del", f"{late}/24", "dev", "to-carrier")
        assert list(watch.news(known, 0)) == []
        lab.address("sbc", f"{late}/24", "to-carrier")
        assert not any(late in line for line in watch.news((*known, late), 0))  # a reload has added it
        lab.run("sbc", "ip", "address", "del", f"{late}/24", "dev", "to-carrier")


def test_a_host_in_the_path_is_not_told_of_its_own_addresses(lab: Lab) -> None:
    with lab.inside("sbc"):
        assert list(NetworkWatch().news(("203.0.113.1",), 0)) == []


def test_check_names_them(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sbc-filter.toml"
    file.write_text(f"[network]\nsbc = {list(SBC)}\n")
    with lab.inside("sbc"):
        main(["check", "--config", str(file)])
    said = " ".join(capsys.readouterr().out.split())
    for address in FORGOTTEN.values():
        assert warning(address, "to-carrier") in said
    assert warning("198.51.100.1", "to-core") in said
    assert "127.0.0.1" not in said
    assert "fe80" not in said


def test_run_says_both(lab: Lab, tmp_path: Path) -> None:
    """Addresses that the list lacks, and calls that only pass through, as the operator of a running filter sees it."""
    file = tmp_path / "sbc-filter.toml"
    file.write_text(f'[network]\nsbc = {list(SBC)}\n[control]\nsocket = "control"\n')
    with (
        started(lab, file, [word for word in RUN if word != "--firewall"]) as (_, log),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "core") as core,
    ):
        assert eventually(lambda: warning(FORGOTTEN[4], "to-carrier") in log.read_text())
        carrier.sendto(invite(SPOOFED), (ADDRESSES["core"][4], 5060))
        assert core.recv(70000) == invite(PLAIN)
        assert eventually(lambda: "warning: 1 INVITE so far was neither to nor from" in log.read_text())
        assert asked(file)["counters"]["no-direction"] == 1
