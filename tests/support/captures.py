"""Captures for tests: frames, files of them, pcapng blocks by hand, and what tshark sees of a file."""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, Dot1Q, Ether

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.capture.writer import CaptureWriter

UDP4 = IP(src="198.51.100.7", dst="203.0.113.10") / UDP(sport=40000, dport=40001)
UDP6 = IPv6(src="2001:db8::7", dst="2001:db8::10") / UDP(sport=40000, dport=40001)
LINK = Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b")  # else scapy asks the network
SECOND = 10**9
T0 = 1_700_000_000 * SECOND + 123_456_789


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


def packets(path: Path, *raw: bytes) -> Path:
    """A capture of these IP packets, one a second."""
    return write(
        path,
        [Frame(number, float(number), number * SECOND, 101, 0, data, len(data)) for number, data in enumerate(raw, 1)],
    )


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


PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
START = section("<") + interface("<", 1)


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
