"""Packets that are odd, and that the host of the SBC takes all the same: nothing in them is believed (S-154)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.packet import Packet
from support import calls
from support.netns import ADDRESSES, LIVE, endpoint, eventually, three_hosts, transmit
from support.runs import asked, started

from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
PASSED = "P-Asserted-Identity: <tel:+12155550100;verstat=TN-Validation-Passed>"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts() as made:
        yield made


def odd(number: int) -> Iterator[Packet]:
    """INVITEs over IPv6 by which somebody says that a call has passed; their calls count from `number`."""
    udp = UDP(sport=5062, dport=5060)
    many: list[list[Packet]] = [
        [],
        [IPv6ExtHdrDestOpt()] * 30,
        [IPv6ExtHdrHopByHop(), *[IPv6ExtHdrDestOpt()] * 9],
        [IPv6ExtHdrFragment()],
    ]
    for at, headers in enumerate(many):
        packet = IPv6(src=ADDRESSES["carrier"][6], dst=ADDRESSES["sbc"][6])
        for header in headers:
            packet /= header
        yield packet / udp / calls.invite(PASSED, number=number + at)
    whole = IPv6(src=ADDRESSES["carrier"][6], dst=ADDRESSES["sbc"][6], plen=0)
    yield whole / IPv6ExtHdrHopByHop() / udp / calls.invite(PASSED, number=number + 4)
    # A UDP length of 0 (RFC 2675): for the checksum it is what it is without.
    good = IPv6(bytes(IPv6(src=whole.src, dst=whole.dst) / udp / calls.invite(PASSED, number=number + 5)))
    good[UDP].len = 0
    yield good


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_stranger_says_is_removed(lab: Lab, tmp_path: Path, workers: int) -> None:
    (tmp_path / "rules").mkdir()
    file = tmp_path / "c.toml"
    file.write_text(
        f'[network]\nsbc = ["192.0.2.1", "{ADDRESSES["sbc"][6]}"]\n[queue]\nworkers = {workers}\n'
        f'[control]\nsocket = "{tmp_path}/control"\n[log]\nrecords = "records.jsonl"\n'
    )
    with started(lab, file), endpoint(lab, "sbc", 6) as sbc:
        for number, packet in enumerate(odd(1), 1):
            transmit(lab, [packet])
            assert sbc.recv(70000) == calls.invite(PASSED.replace(";verstat=TN-Validation-Passed", ""), number=number)
        assert eventually(lambda: asked(file)["counters"].get("modified") == 6)
