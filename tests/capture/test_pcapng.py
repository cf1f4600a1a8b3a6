"""pcapng captures written by scapy and by hand, read by us and by tshark."""

import struct
from pathlib import Path

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, RawPcapNgReader
from support.captures import FRAMES, SECOND, Seen, block, enhanced, interface, read, section, tshark, write

from sbc_filter.capture.frame import CaptureError
from sbc_filter.capture.pcapng import MAX_INTERFACES


def test_pcapng_of_scapy(tmp_path: Path) -> None:
    path = tmp_path / "in.pcapng"
    packets = [Ether(each.data) for each in FRAMES if each.data]
    for number, packet in enumerate(packets):
        packet.time = 1_700_000_000.25 + number
    writer = PcapNgWriter(str(path))
    writer.write(packets)
    writer.close()
    assert [(f.data, f.time) for f in read(path)] == [(bytes(p), float(p.time)) for p in packets]
    assert [f.data for f in read(path)] == [data for data, _ in RawPcapNgReader(str(path))]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_by_hand(tmp_path: Path, order: str) -> None:
    other = "<" if order == ">" else ">"
    parts = [
        section(order),
        interface(order, 1),  # microseconds
        interface(order, 101, resolution=9, offset=-100),
        interface(order, 113, resolution=0x80 | 10),
        block(order, 4, bytes(8)),  # name resolution: skipped
        enhanced(order, 0, 1_700_000_000_000_001, b"a"),
        enhanced(order, 1, 1_700_000_000_000_000_001, b"bb"),
        enhanced(order, 2, 1_700_000_000 * 1024 + 512, b"ccc"),
        block(order, 0x12345678, b"whatever"),
        enhanced(order, 0, 5, b"old", kind=2),
        section(other),
        interface(other, 1, snaplen=4),
        block(other, 3, struct.pack(other + "I", 7) + b"simp"),
        enhanced(other, 0, 6, b"dddd"),
    ]
    path = tmp_path / "in.pcapng"
    path.write_bytes(b"".join(parts))
    assert [tuple(each)[2:-1] for each in read(path)] == [
        (1_700_000_000_000_001_000, 1, 0, b"a", 10, "eth"),
        (1_699_999_900_000_000_001, 101, 1, b"bb", 11, "eth"),
        (1_700_000_000_500_000_000, 113, 2, b"ccc", 12, "eth"),
        (5_000, 1, 0, b"old", 12, "eth"),
        (0, 1, 3, b"simp", 7, "eth"),
        (6_000, 1, 3, b"dddd", 13, "eth"),
    ]
    expected = [Seen(f.number, f.timestamp, len(f.data), f.original_length, f.interface, "") for f in read(path)]
    assert [*expected[:4], *(seen._replace(interface=0) for seen in expected[4:])] == tshark(path)  # begins anew


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (b"eth0.100", "eth0.100"),
        (b"eth1\0\0\0\0", "eth1"),  # some writers count the padding
        (b"caf\xc3\xa9", "café"),
        (b"\xff", "\ufffd"),
        (b"x" * 300, "x" * 256),
        (b"", ""),
        (None, ""),
    ],
)
def test_the_name_of_an_interface(tmp_path: Path, option: bytes | None, name: str) -> None:
    """draft-ietf-opsawg-pcapng §4.2: if_name."""
    options = b""
    if option is not None:
        options = struct.pack("<HH", 2, len(option)) + option + bytes(-len(option) % 4)
    described = block("<", 1, struct.pack("<HHI", 1, 0, 0) + options)
    path = tmp_path / "in.pcapng"
    path.write_bytes(section("<") + described + enhanced("<", 0, 1, b"a"))
    assert [each.interface_name for each in read(path)] == [name]


def test_numbers_are_those_of_wireshark(tmp_path: Path) -> None:
    """A journal entry has a number there, though it is no frame to us."""
    path = tmp_path / "in.pcapng"
    journal = block("<", 9, b"__REALTIME_TIMESTAMP=1\nMESSAGE=x\n")
    parts = [section("<"), interface("<", 1), enhanced("<", 0, 1, b"a"), journal, enhanced("<", 0, 2, b"b")]
    path.write_bytes(b"".join(parts))
    assert [each.number for each in read(path)] == [1, 3]
    assert [each.number for each in tshark(path)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("units", "resolution", "offset", "timestamp"),
    [
        (1_700_000_000, 0, 0, 1_700_000_000 * SECOND),
        (18_446_744_073, 0, 0, 18_446_744_073 * SECOND),  # in the year 2554
        (18_446_744_074, 0, 0, 0),  # more nanoseconds than 64 bits have
        (2**64 - 1, 6, 0, 0),
        (2**64 - 1, 0, 2**63 - 1, 0),
        (1_700_000_000, 0, -1_699_999_999, SECOND),
        (1_700_000_000, 0, -1_700_000_000, 0),  # 1970
        (1_700_000_000, 0, -1_700_000_001, 0),
        (1_700_000_000, 0, -(2**63), 0),
        (2**64 - 1, 0x7F, 0, 0),
        (2**64 - 1, 0xFF, 0, 0),
    ],
)
def test_a_time_that_cannot_be_is_none(
    units: int, resolution: int, offset: int, timestamp: int, tmp_path: Path
) -> None:
    """It would be told to the engine, and no capture could be written with it."""
    path = tmp_path / "in.pcapng"
    path.write_bytes(
        section("<") + interface("<", 1, resolution=resolution, offset=offset) + enhanced("<", 0, units, b"x")
    )
    found = read(path)
    assert [(each.timestamp, each.time) for each in found] == [(timestamp, timestamp / SECOND)]
    assert [each.timestamp for each in read(write(tmp_path / "out.pcapng", found))] == [timestamp]


def test_a_section_has_a_limit_on_interfaces_and_the_next_has_as_many(tmp_path: Path) -> None:
    path = tmp_path / "in.pcapng"
    most = section("<") + interface("<", 1) * MAX_INTERFACES + enhanced("<", MAX_INTERFACES - 1, 1, b"x")
    path.write_bytes(most * 2)
    assert [each.interface for each in read(path)] == [MAX_INTERFACES - 1, 2 * MAX_INTERFACES - 1]
    path.write_bytes(most + interface("<", 1) + most)
    with pytest.raises(CaptureError, match=f"has more than {MAX_INTERFACES} interfaces in one section"):
        read(path)
