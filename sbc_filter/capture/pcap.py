"""Reads the classic capture format (draft-ietf-opsawg-pcap) in both byte orders and time resolutions.

Also read is what older programs wrote: versions 2.0 to 2.3, which have the two lengths of a frame the other way round,
and the modified format of early Linux, with 8 more bytes for each frame.
"""

import struct
from collections.abc import Callable, Iterator
from struct import Struct

from sbc_filter.capture.capture_file import CaptureFile
from sbc_filter.capture.frame import MAX_DATA, SECOND, Frame

MAGICS = {  # byte order, nanoseconds per unit, and bytes of a frame's header, by the magic number
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
}
_LATEST = (2, 4)
_LENGTHS_MIXED = (2, 3)  # some programs wrote this version with the lengths in the order of 2.4
_Lengths = Callable[[int, int], tuple[int, int]]


def frames(file: CaptureFile, order: str, unit: int, head: int) -> Iterator[Frame]:
    """The frames after the magic number, which has given the other arguments: see `MAGICS`."""
    header = file.take(20)
    if header is None:
        raise file.error("ends within its header")
    major, minor, _, _, _, linktype = struct.unpack(order + "HHIIII", header)
    version = (major, minor)
    if not (2, 0) <= version <= _LATEST:
        raise file.error(f"is a pcap file of version {major}.{minor}; only 2.0 to 2.4 can be read")
    lengths = _smaller_first if version == _LENGTHS_MIXED else _swapped if version < _LATEST else None
    record = Struct(f"{order}IIII{head - 16}x")
    return _frames(file, record, unit, linktype & 0x03FFFFFF, lengths)  # above: FCS length


def _swapped(first: int, second: int) -> tuple[int, int]:
    return second, first


def _smaller_first(first: int, second: int) -> tuple[int, int]:
    """What was captured is never more than what was sent."""
    return min(first, second), max(first, second)


def _frames(file: CaptureFile, record: Struct, unit: int, linktype: int, lengths: _Lengths | None) -> Iterator[Frame]:
    number = 0
    size = record.size
    while header := file.take(size, start=True):
        seconds, fraction, captured, original = record.unpack(header)
        if lengths is not None:
            captured, original = lengths(captured, original)
        if captured > MAX_DATA:
            raise file.error(f"has a frame of {captured} bytes at byte {file.at - size}: it is damaged")
        data = file.take(captured)
        if data is None:
            return
        number += 1
        timestamp = seconds * SECOND + fraction * unit
        yield Frame(number, timestamp / SECOND, timestamp, linktype, 0, data, original)
