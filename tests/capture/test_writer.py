"""Captures written by us, read by us, scapy and tshark; written whole or not at all."""

import os
import random
from pathlib import Path

import pytest
from scapy.layers.l2 import CookedLinux, Dot1Q
from scapy.packet import Packet
from scapy.utils import rdpcap
from support.captures import FRAMES, LINK, MIXED, UDP4, UDP6, frame, read, tshark, write

from sbc_filter.capture import writer
from sbc_filter.capture.frame import CaptureError, Frame
from sbc_filter.capture.link_types import answer_frame, locate_ip
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.packet.fragments import fragment


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_others_read_what_we_write(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"out.{suffix}", FRAMES)
    assert read(path) == FRAMES
    again = write(tmp_path / f"again.{suffix}", read(path))
    assert again.read_bytes() == path.read_bytes()
    assert sorted(os.listdir(tmp_path)) == [f"again.{suffix}", f"out.{suffix}"]
    assert [(bytes(packet), round(float(packet.time) * 1e6)) for packet in rdpcap(str(path), 3)] == [
        (each.data, round(each.timestamp / 1000)) for each in FRAMES[:3]
    ]
    assert [seen[:4] for seen in tshark(path)] == [
        (each.number, each.timestamp, len(each.data), each.original_length) for each in FRAMES
    ]
    assert [seen.checksum for seen in tshark(path)[:2]] == ["1", "1"]  # good


def test_tshark_puts_our_fragments_together(tmp_path: Path) -> None:
    """And reads the link headers of our answers."""
    frames: list[Frame] = []
    links: list[tuple[int, Packet]] = [(1, LINK), (1, LINK / Dot1Q(vlan=3)), (113, CookedLinux())]
    for linktype, link in links:
        for packet in (UDP4 / random.Random(1).randbytes(3000), UDP6 / random.Random(2).randbytes(3000)):
            for piece in fragment(bytes(packet), 1300):
                whole = bytes(link / UDP4)
                found = locate_ip(linktype, whole)
                assert found
                frames.append(
                    frame(len(frames) + 1, answer_frame(linktype, whole, found[0], piece), linktype, linktype)
                )
    seen = tshark(write(tmp_path / "out.pcapng", frames))
    assert [each.checksum for each in seen] == ["", "", "1"] * 6


def test_pcap_has_room_for_one_link_type(tmp_path: Path) -> None:
    path = tmp_path / "out.pcap"
    path.write_bytes(b"before")
    with pytest.raises(CaptureError, match=r"frame 5 has another link type .* ends in \.pcapng"):
        write(path, MIXED)
    assert os.listdir(tmp_path) == ["out.pcap"]
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_what_the_format_cannot_hold(tmp_path: Path, suffix: str) -> None:
    for odd in (FRAMES[0]._replace(timestamp=-1), FRAMES[0]._replace(linktype=1 << 33)):
        with pytest.raises(CaptureError, match="frame 1 has values beyond the format"):
            write(tmp_path / f"out.{suffix}", [odd])
    assert os.listdir(tmp_path) == []
    assert read(write(tmp_path / f"none.{suffix}", [])) == []
    assert tshark(tmp_path / f"none.{suffix}") == []


def test_where_it_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "target.pcap", tmp_path / "link.pcap"
    write(target, FRAMES)
    link.symlink_to(target)
    write(link, FRAMES[:1])
    assert link.is_symlink()
    assert read(target) == FRAMES[:1]
    write(Path("/dev/null"), FRAMES)
    assert not Path("/dev/null").is_file()
    with pytest.raises(CaptureError, match="cannot be written"):
        CaptureWriter(tmp_path / "no" / "such" / "folder.pcap")
    with pytest.raises(CaptureError, match="cannot be written"):
        CaptureWriter(tmp_path)


def test_interfaces_beyond_those_of_one_section_go_into_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A capture may have any number of sections, each with interfaces of its own."""
    monkeypatch.setattr(writer, "MAX_INTERFACES", 2)
    frames = [frame(n, b"%d" % n, interface=which) for n, which in enumerate((0, 1, 0, 2, 1, 3, 2), 1)]
    path = write(tmp_path / "out.pcapng", frames)
    assert [each.data for each in read(path)] == [each.data for each in frames]
    #       0  1  0 | 2  1 | 3  2
    assert [each.interface for each in read(path)] == [0, 1, 0, 2, 3, 4, 5]
    assert [(each.number, each.timestamp) for each in tshark(path)] == [(f.number, f.timestamp) for f in frames]
