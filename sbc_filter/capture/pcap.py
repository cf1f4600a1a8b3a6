"""Reads the classic capture format (draft-ietf-opsawg-pcap) in both byte orders and time resolutions."""

import struct
from collections.abc import Iterator
from struct import Struct

from sbc_filter.capture.capture_file import CaptureFile
from sbc_filter.capture.frame import MAX_DATA, SECOND, Frame

MAGICS = {  # byte order and nanoseconds per unit, by the magic number
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}


def frames(file: CaptureFile, order: str, unit: int) -> Iterator[Frame]:
    """The frames after the magic number, which has given byte order and unit."""
    header = file.take(20)
    if header is None:
        raise file.error("ends within its header")
    major, minor, _, _, _, linktype = struct.unpack(order + "HHIIII", header)
    if (major, minor) != (2, 4):
        raise file.error(f"is a pcap file of version {major}.{minor}; only 2.4 can be read")
    return _frames(file, Struct(order + "IIII"), unit, linktype & 0x03FFFFFF)  # above: FCS length


def _frames(file: CaptureFile, record: Struct, unit: int, linktype: int) -> Iterator[Frame]:
    number = 0
    while header := file.take(16, start=True):
        seconds, fraction, captured, original = record.unpack(header)
        if captured > MAX_DATA:
            raise file.error(f"has a frame of {captured} bytes at byte {file.at - 16}: it is damaged")
        data = file.take(captured)
        if data is None:
            return
        number += 1
        timestamp = seconds * SECOND + fraction * unit
        yield Frame(number, timestamp / SECOND, timestamp, linktype, 0, data, original)
