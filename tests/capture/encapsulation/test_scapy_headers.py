"""scapy reads one header at a time: no more than asked for, in silence, and only when it is needed."""

import subprocess
import sys
from random import Random

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, LLC, STP, Dot3, Ether
from scapy.packet import Raw
from support.encapsulations import ETHER, SNAPPED

from sbc_filter.capture.encapsulation import scapy_headers
from sbc_filter.capture.encapsulation.scapy_headers import Step, step

# The name of a header, its octets, and some of what follows; then what is found.
HEADERS = [
    ("GRE", "0000 0800 4500", Step("GRE", 4, "IP")),
    ("GRE", "0000 6558 0200", Step("GRE", 4, "Ether")),
    ("GRE", "b000 86dd 1234 0000 00000007 00000009 6000", Step("GRE", 16, "IPv6")),
    ("GRE", "1000 88be 00000001 1007", Step("GRE", 8, "ERSPAN_II")),
    ("GRE", "0000 88be 0200", Step("GRE", 4, "ERSPAN")),
    ("GRE", "3081 880b 0040 0007 00000001 00000002 ff03", Step("GRE_PPTP", 16, "PPP")),
    ("MPLS", "00010040 00", Step("MPLS", 4, "MPLS")),
    ("MPLS", "00010140 4500", Step("MPLS", 4, "IP")),
    ("MPLS", "00010140 6000", Step("MPLS", 4, "IPv6")),
    ("MPLS", "00010140 0000", Step("MPLS", 4, "EoMCW")),
    ("PPP", "ff03 0021", Step("HDLC", 2, "PPP")),
    ("PPP", "0021 45", Step("PPP", 2, "IP")),
    ("PPP", "21 45", Step("PPP", 1, "IP")),
    ("PPP", "0057 60", Step("PPP", 2, "IPv6")),
    ("PPPoE", "1100 0001 0010 0021", Step("PPPoE", 6, "PPP")),
    ("VXLAN", "08000000 00000500 02", Step("VXLAN", 8, "Ether")),
    ("VXLAN", "0c000001 00000500 45", Step("VXLAN", 8, "IP")),
    ("GENEVE", "0000 6558 00000500 02", Step("GENEVE", 8, "Ether")),
    ("GENEVE", "0200 86dd 00000500 0102 80 01 0000 0000 60", Step("GENEVE", 16, "IPv6")),
    ("GTP_U_Header", "30ff 0014 00000001 45", Step("GTP_U_Header", 8, "IP")),
    (
        "GTP_U_Header",
        "34ff 001c 00000001 0000 00 85 01 10 03 00 45",
        Step("GTP_U_Header", 12, "GTPPDUSessionContainer"),
    ),
    ("GTPPDUSessionContainer", "01 10 03 00 45", Step("GTPPDUSessionContainer", 4, "IP")),
]


@pytest.mark.parametrize(("name", "data", "found"), HEADERS)
@pytest.mark.parametrize("rest", [b"", bytes(40), b"\xff" * 600])
def test_headers(name: str, data: str, found: Step, rest: bytes) -> None:
    octets = bytes.fromhex(data) + rest
    for at in (0, 3):
        assert step(name, bytes(at) + octets, at, at + len(octets)) == found
    assert step(name, octets, 0, found.size) is None  # nothing follows


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("VXLAN", "00000000 00000500 02"),
        ("VXLAN", b"INVITE sip:a@b SIP/2.0".hex()),
        ("GENEVE", b"INVITE sip:a@b SIP/2.0".hex()),
        ("GENEVE", "4000 6558 00000500 02"),
        ("GTP_U_Header", "3001 0004 00000001 45"),
        ("IP", "45" + "00" * 19),  # never by scapy
        ("DNS", "00" * 40),
        ("", "00"),
    ],
)
def test_what_is_not_read(name: str, data: str) -> None:
    octets = bytes.fromhex(data)
    found = step(name, octets, 0, len(octets))
    assert found is None or found.following not in scapy_headers._MODULES | {"IP": "", "IPv6": "", "Ether": ""}


def test_a_short_window_finds_what_a_long_one_does() -> None:
    """What is cached depends on the octets of the window alone."""
    random = Random(1)
    for name in scapy_headers._MODULES:
        for _ in range(60):
            data = bytes(random.choice((0, 0x08, 0x80, random.randrange(256))) for _ in range(64))
            found = step(name, data, 0, len(data))
            assert found == scapy_headers._step(name, data[:512])
            assert step(name, data, 0, len(data)) == found


def test_hostile_octets_reach_scapy_in_small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Radiotap's presence masks follow each other without end: scapy makes an object of each."""
    seen: list[int] = []
    real = scapy_headers._step

    def noting(name: str, data: bytes) -> Step | None:
        seen.append(len(data))
        return real(name, data)

    monkeypatch.setattr(scapy_headers, "_step", noting)
    assert step("RadioTap", b"\0\0\xff\xff" + b"\0\0\0\x80" * 60_000, 0, 240_004) is None
    assert max(seen) == 512


PLAIN = [
    bytes(ETHER / IP() / UDP(dport=5060) / Raw(b"INVITE")),
    bytes(ETHER / ARP(psrc="192.0.2.1", hwsrc="02:00:00:00:00:01")),
    bytes(Dot3() / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP()),
    bytes(Ether(type=0x88CC)) + bytes(46),
    bytes(Dot3() / SNAPPED / IP() / UDP()),
]
_LOOK = """
import sys
from sbc_filter.capture.encapsulation.dissector import may_be_tunnel, open_frame, open_tunnel
found = open_frame(1, bytes.fromhex(sys.argv[1]))
raw = found.raw if found else b""
if raw and may_be_tunnel(raw):
    open_tunnel(raw)
print("scapy" in sys.modules)
"""


@pytest.mark.parametrize(
    ("data", "imports"),
    [*((data, False) for data in PLAIN), (bytes(ETHER / IP(proto=47) / Raw(b"\0\0\x88\xbe" + bytes(60))), True)],
    ids=["SIP", "ARP", "spanning tree", "LLDP", "SNAP", "GRE"],
)
def test_scapy_is_imported_only_if_it_is_needed_and_says_nothing(data: bytes, imports: bool) -> None:
    done = subprocess.run([sys.executable, "-c", _LOOK, data.hex()], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{imports}\n", "")
