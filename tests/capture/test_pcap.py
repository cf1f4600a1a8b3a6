"""Classic captures written by scapy, read by us."""

import struct
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader, RawPcapWriter, wrpcap
from support.captures import FRAMES, LINK, SECOND, UDP4, read, tshark, write

from sbc_filter.capture.frame import CaptureError


@pytest.mark.parametrize("nano", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compressed", [False, True])
def test_pcap_of_scapy(tmp_path: Path, nano: bool, order: str, compressed: bool) -> None:
    path = tmp_path / "in.pcap"
    with RawPcapWriter(str(path), linktype=1, nano=nano, endianness=order, gz=compressed) as writer:
        writer.write_header(None)
        for each in FRAMES:
            seconds, rest = divmod(each.timestamp, SECOND)
            writer.write_packet(
                each.data,
                sec=seconds,
                usec=rest if nano else rest // 1000,
                caplen=len(each.data),
                wirelen=each.original_length,
            )
    unit = 1 if nano else 1000
    assert [f._replace(time=0) for f in read(path)] == [
        f._replace(time=0, timestamp=f.timestamp // unit * unit) for f in FRAMES
    ]


def test_wrpcap(tmp_path: Path) -> None:
    """The plain way in and out of scapy."""
    path = tmp_path / "in.pcap"
    packets = [LINK / UDP4 / bytes((number,)) for number in range(5)]
    wrpcap(str(path), packets)
    out = write(tmp_path / "out.pcap", read(path))
    with RawPcapReader(str(out)) as reader:
        assert [data for data, _ in reader] == [bytes(packet) for packet in packets]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "minor", "record"),
    [
        (0xA1B2C3D4, 4, "{sec}{usec}{captured}{original}"),
        (0xA1B2C3D4, 3, "{sec}{usec}{original}{captured}"),
        (0xA1B2C3D4, 3, "{sec}{usec}{captured}{original}"),  # some programs wrote 2.3 so
        (0xA1B2C3D4, 2, "{sec}{usec}{original}{captured}"),
        (0xA1B2C3D4, 0, "{sec}{usec}{original}{captured}"),
        (0xA1B2CD34, 4, "{sec}{usec}{captured}{original}{index}{protocol}"),
    ],
)
def test_older_and_modified_formats(tmp_path: Path, order: str, magic: int, minor: int, record: str) -> None:
    """As libpcap reads them: `sf-pcap.c` of version 1.10."""

    def number(value: int) -> str:
        return struct.pack(order + "I", value).hex()

    content = struct.pack(order + "IHHIIII", magic, 2, minor, 0, 0, 65535, 1).hex()
    for each in FRAMES:
        seconds, rest = divmod(each.timestamp, SECOND)
        content += record.format(
            sec=number(seconds),
            usec=number(rest // 1000),
            captured=number(len(each.data)),
            original=number(each.original_length),
            index=number(2),
            protocol=struct.pack(order + "HBx", 0x0800, 0).hex(),
        )
        content += each.data.hex()
    path = tmp_path / "in.pcap"
    path.write_bytes(bytes.fromhex(content))
    assert [f._replace(time=0) for f in read(path)] == [
        f._replace(time=0, timestamp=f.timestamp // 1000 * 1000) for f in FRAMES
    ]
    if record.startswith("{sec}{usec}{original}") or magic != 0xA1B2C3D4:
        seen = tshark(path)
        assert [(each.captured, each.length) for each in seen] == [(len(f.data), f.original_length) for f in FRAMES]


@pytest.mark.parametrize("version", [(1, 2), (2, 5), (3, 0), (543, 0)])
def test_other_versions_are_refused(tmp_path: Path, version: tuple[int, int]) -> None:
    path = tmp_path / "in.pcap"
    path.write_bytes(struct.pack("<IHHIIII", 0xA1B2C3D4, *version, 0, 0, 65535, 1))
    with pytest.raises(CaptureError) as caught:
        read(path)
    assert (
        str(caught.value) == f"{path} is a pcap file of version {version[0]}.{version[1]}; only 2.0 to 2.4 can be read"
    )
