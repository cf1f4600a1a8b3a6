"""Capture files: written by scapy and by hand, read by us; written by us, read by scapy and tshark."""

import gzip
import os
import random
import shutil
import struct
import subprocess
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, Dot1Q, Ether
from scapy.packet import Packet
from scapy.utils import PcapNgWriter, RawPcapNgReader, RawPcapReader, RawPcapWriter, rdpcap, wrpcap

from sbc_filter.io.capture import CaptureError, CaptureReader, CaptureWriter, Frame
from sbc_filter.io.linklayer import answer_frame, locate_ip
from sbc_filter.packet.fragments import fragment

UDP4 = IP(src="198.51.100.7", dst="203.0.113.10") / UDP(sport=40000, dport=40001)
UDP6 = IPv6(src="2001:db8::7", dst="2001:db8::10") / UDP(sport=40000, dport=40001)
LINK = Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b")  # else scapy asks the network
SECOND = 10**9
T0 = 1_700_000_000 * SECOND + 123_456_789
STRANGE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def frame(number: int, data: bytes, linktype: int = 1, interface: int = 0, cut: int = 0) -> Frame:
    timestamp = T0 + number * SECOND
    return Frame(number, timestamp / SECOND, timestamp, linktype, interface, data, len(data) + cut)


FRAMES = [
    frame(1, bytes(LINK / UDP4 / b"one")),
    frame(2, bytes(LINK / Dot1Q(vlan=7) / UDP6 / b"two")),
    frame(3, bytes(LINK / UDP4 / bytes(99))[:60], cut=81),
    frame(4, b""),
]
MIXED = [
    *FRAMES,
    frame(5, bytes(CookedLinux() / UDP4 / b"five"), 113, 1),
    frame(6, bytes(UDP6 / b"six"), 101, 2),
]


def read(path: Path) -> list[Frame]:
    with CaptureReader(path) as reader:
        frames = list(reader)
        assert not reader.truncated
        assert reader.position == reader.size == path.stat().st_size
    return frames


def write(path: Path, frames: list[Frame]) -> Path:
    with CaptureWriter(path) as writer:
        for each in frames:
            writer.write(each)
    return path


class Seen(NamedTuple):
    """What tshark sees of a frame."""

    number: int
    timestamp: int
    captured: int
    length: int
    interface: int
    checksum: str


def tshark(path: Path) -> list[Seen]:
    if not shutil.which("tshark"):
        pytest.skip("needs tshark")
    names = ["number", "time_epoch", "cap_len", "len", "interface_id"]
    fields = [word for name in names for word in ("-e", f"frame.{name}")]
    command = ["tshark", "-r", path, "-T", "fields", *fields, "-e", "udp.checksum.status"]
    command += ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [Seen(int(a), int(b.replace(".", "") or 0), int(c), int(d), int(e or 0), f) for a, b, c, d, e, f in rows]


def test_transcript(tmp_path: Path) -> None:
    path = write(tmp_path / "calls.pcapng", MIXED)
    assert read(path) == MIXED
    assert [(seen.number, seen.captured, seen.interface) for seen in tshark(path)] == [
        (1, 45, 0), (2, 69, 0), (3, 60, 0), (4, 0, 0), (5, 48, 1), (6, 51, 2),
    ]  # fmt: skip
    with CaptureReader(path) as reader:
        first = next(iter(reader))
        assert (first.number, first.timestamp, first.linktype) == (1, T0 + SECOND, 1)
        assert 0 < reader.position < reader.size
    (tmp_path / "cut.pcapng").write_bytes(path.read_bytes()[:-1])
    with CaptureReader(tmp_path / "cut.pcapng") as reader:
        assert list(reader) == MIXED[:-1]
        assert reader.truncated
    with pytest.raises(CaptureError, match=r"README: No such file"):
        CaptureReader(tmp_path / "README")


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


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str) -> bytes:
    comment = struct.pack(order + "HH", 1, 5) + b"hello\0\0\0" + bytes(4)
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + comment)


def interface(order: str, linktype: int, snaplen: int = 0, resolution: int = -1, offset: int = 0) -> bytes:
    options = struct.pack(order + "HH", 2, 3) + b"eth\0"
    if resolution >= 0:
        options += struct.pack(order + "HHBxxx", 9, 1, resolution)
    if offset:
        options += struct.pack(order + "HHq", 14, 8, offset)
    return block(order, 1, struct.pack(order + "HHI", linktype, 0, snaplen) + options + bytes(4))


def enhanced(order: str, which: int, units: int, data: bytes, kind: int = 6) -> bytes:
    first = struct.pack(order + "I", which) if kind == 6 else struct.pack(order + "HH", which, 0xFFFF)
    head = first + struct.pack(order + "IIII", units >> 32, units & 0xFFFFFFFF, len(data), len(data) + 9)
    comment = struct.pack(order + "HH", 1, 2) + b"ok\0\0" + bytes(4)
    return block(order, kind, head + data + bytes(-len(data) % 4) + comment)


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
    assert [tuple(each)[2:] for each in read(path)] == [
        (1_700_000_000_000_001_000, 1, 0, b"a", 10),
        (1_699_999_900_000_000_001, 101, 1, b"bb", 11),
        (1_700_000_000_500_000_000, 113, 2, b"ccc", 12),
        (5_000, 1, 0, b"old", 12),
        (0, 1, 3, b"simp", 7),
        (6_000, 1, 3, b"dddd", 13),
    ]
    expected = [Seen(f.number, f.timestamp, len(f.data), f.original_length, f.interface, "") for f in read(path)]
    assert [*expected[:4], *(seen._replace(interface=0) for seen in expected[4:])] == tshark(path)  # begins anew


def test_numbers_are_those_of_wireshark(tmp_path: Path) -> None:
    """A journal entry has a number there, though it is no frame to us."""
    path = tmp_path / "in.pcapng"
    journal = block("<", 9, b"__REALTIME_TIMESTAMP=1\nMESSAGE=x\n")
    parts = [section("<"), interface("<", 1), enhanced("<", 0, 1, b"a"), journal, enhanced("<", 0, 2, b"b")]
    path.write_bytes(b"".join(parts))
    assert [each.number for each in read(path)] == [1, 3]
    assert [each.number for each in tshark(path)] == [1, 2, 3]


def test_gzip(tmp_path: Path) -> None:
    """Several members, padding behind them; cut and damaged ones."""
    raw = write(tmp_path / "in.pcapng", MIXED * 50).read_bytes()
    path = tmp_path / "in.pcapng.gz"
    path.write_bytes(gzip.compress(raw[:1000]) + gzip.compress(raw[1000:]) + bytes(512))
    with CaptureReader(path) as reader:
        assert [each.data for each in reader] == [each.data for each in MIXED] * 50
        assert not reader.truncated
        assert 0 < reader.position <= reader.size
    squeezed = gzip.compress(raw, 0)
    for cut in (len(squeezed) // 2, len(squeezed) - 1):
        path.write_bytes(squeezed[:cut])
        with CaptureReader(path) as reader:
            assert len(list(reader)) in (149, 150, 151, 300)
            assert reader.truncated
    path.write_bytes(squeezed[:-8] + bytes(8))  # the check sum is not that of the data
    with pytest.raises(CaptureError, match="cannot be read at byte"), CaptureReader(path) as reader:
        list(reader)


@pytest.mark.parametrize(
    "content", [b"", b"\x0a", b"INVITE sip:x SIP/2.0", b"\x1f\x8b", gzip.compress(b"no"), b"\x0a\x0d\x0d\x0a"]
)
def test_no_capture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in.pcap"
    path.write_bytes(content)
    with pytest.raises(CaptureError) as caught:
        CaptureReader(path)
    assert str(caught.value).startswith(str(path))
    with pytest.raises(CaptureError, match="directory"):
        CaptureReader(tmp_path)


PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
START = section("<") + interface("<", 1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            PCAP + struct.pack("<IIII", 0, 0, 1 << 31, 1 << 31),
            "has a frame of 2147483648 bytes at byte 24: it is damaged",
        ),
        (PCAP[:4] + b"\1\0" + PCAP[6:], "is a pcap file of version 1.4; only 2.4 can be read"),
        (START + struct.pack("<II", 6, 0xFFFFFFF0), "has a block of 4294967280 bytes before byte"),
        (START + struct.pack("<III", 99, 13, 0), "has a block of 13 bytes before byte"),
        (START + struct.pack("<III", 99, 12, 16), "two lengths before byte"),
        (START + block("<", 6, bytes(8)), "has a block without a frame before byte"),
        (START + enhanced("<", 1, 0, b""), "has a frame of interface 1, not described"),
        (
            START + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"four"),
            "has a frame of 5 bytes before byte",
        ),
        (START + struct.pack("<III", 0x0A0D0D0A, 28, 1), "has no pcapng section header at byte"),
        (section("<") + block("<", 1, bytes(4)), "has a damaged interface description before byte"),
    ],
)
def test_damaged(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "in.pcap"
    path.write_bytes(content + bytes(400))
    tracemalloc.start()
    try:
        with pytest.raises(CaptureError) as caught, CaptureReader(path) as reader:
            list(reader)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
    assert sentence in str(caught.value)


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_cut_anywhere(tmp_path: Path, suffix: str) -> None:
    between = {write(tmp_path / f"{count}.{suffix}", FRAMES[:count]).stat().st_size for count in range(5)}
    content = (tmp_path / f"4.{suffix}").read_bytes()
    if suffix == "pcapng":
        between.add(28 + 32)  # behind the interface
    for cut in range(28, len(content) + 1):
        part = tmp_path / "part"
        part.write_bytes(content[:cut])
        with CaptureReader(part) as reader:
            frames = list(reader)
            assert frames == FRAMES[: len(frames)]
            assert reader.truncated == (cut not in between)
    for cut in range(24):
        part.write_bytes(content[:cut])
        with pytest.raises(CaptureError, match=r"is empty|is not a capture|ends within its header"):
            CaptureReader(part)


_START = st.sampled_from(
    [b"", PCAP, section("<"), START, START + enhanced("<", 0, 1, b"x"), section(">"), b"\x1f\x8b\x08\0"]
)


@STRANGE
@given(
    _START,
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda kind, body: block("<", kind, body),
            st.sampled_from([1, 2, 3, 6, 0x0A0D0D0A, 9]),
            st.binary(max_size=80),
        ),
    ),
    st.booleans(),
)
def test_any_bytes(tmp_path: Path, start: bytes, rest: bytes, compressed: bool) -> None:
    path = tmp_path / "any"
    content = start + rest
    path.write_bytes(gzip.compress(content, 1) if compressed else content)
    sentence = str(path)
    try:
        with CaptureReader(path) as reader:
            for each in reader:
                assert len(each.data) <= len(content)
    except CaptureError as error:
        sentence = str(error)
    assert sentence.startswith(str(path))


def test_memory_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(START + struct.pack("<II", 99, 65 << 20))
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with CaptureReader(path) as reader:
            assert list(reader) == []
            assert reader.truncated
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


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


def test_wrpcap(tmp_path: Path) -> None:
    """The plain way in and out of scapy."""
    path = tmp_path / "in.pcap"
    packets = [LINK / UDP4 / bytes((number,)) for number in range(5)]
    wrpcap(str(path), packets)
    out = write(tmp_path / "out.pcap", read(path))
    with RawPcapReader(str(out)) as reader:
        assert [data for data, _ in reader] == [bytes(packet) for packet in packets]


def test_a_pipe(tmp_path: Path) -> None:
    """Nothing is read twice: standard input will do."""
    source, sink = os.pipe()
    with open(sink, "wb") as file:
        file.write(write(tmp_path / "in.pcapng", MIXED).read_bytes())
    with CaptureReader(f"/dev/fd/{source}") as reader:
        assert list(reader) == MIXED
    os.close(source)
