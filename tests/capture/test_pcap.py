"""Classic captures written by scapy, read by us."""

from pathlib import Path

import pytest
from scapy.utils import RawPcapReader, RawPcapWriter, wrpcap
from support.captures import FRAMES, LINK, SECOND, UDP4, read, write


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
