"""Reads the pcapng capture format (draft-ietf-opsawg-pcapng).

Sections of either byte order, interfaces and their time resolutions. An ordinary packet costs two reads.
"""

import struct
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from sbc_filter.capture.capture_file import CaptureFile
from sbc_filter.capture.frame import MAX_DATA, SECOND, Frame

_MAX_BLOCK = MAX_DATA + (64 << 10)  # bytes of a block at most, including options
MAX_INTERFACES = 1 << 13  # of a section; a hostile file could define millions, and each is kept

SHB, IDB, _PB, _SPB, EPB = 0x0A0D0D0A, 1, 2, 3, 6
SECTION = b"\x0a\x0d\x0d\x0a"  # the same in either byte order
_READ = frozenset((IDB, _PB, _SPB, EPB))
_TIMES = 1 << 64  # nanoseconds since 1970 that a time stamp can be: until 2554
_UNCAPTURED = frozenset((9, 0xBAD, 0x40000BAD))  # journal and custom blocks: Wireshark numbers them as frames
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_IF_NAME, IF_TSRESOL, _IF_TSOFFSET = 2, 9, 14
_MAX_NAME = 256  # bytes; Windows has names of about fifty


class _Interface(NamedTuple):
    number: int
    linktype: int
    snaplen: int  # 0: unlimited
    unit: tuple[int, int]  # nanoseconds per unit of its time stamps, as a fraction
    offset: int  # nanoseconds
    name: str


def frames(file: CaptureFile) -> Iterator[Frame]:
    """The frames after the first `SECTION`, which has been read."""
    order = _section(file)
    if not order:
        raise file.error("ends within its header")
    return _frames(file, order)


def _frames(file: CaptureFile, order: str) -> Iterator[Frame]:
    number = base = 0
    interfaces: list[_Interface] = []
    head, trailer = Struct(order + "II"), Struct(order + "I")
    while header := file.take(8, start=True):
        if header[:4] == SECTION:
            order = _section(file, header[4:])
            if not order:
                return
            head, trailer = Struct(order + "II"), Struct(order + "I")
            base, interfaces = base + len(interfaces), []
            continue
        kind, length = head.unpack(header)
        _check_length(file, length, 12, kind in _READ)
        if kind not in _READ:
            number += kind in _UNCAPTURED
            if not file.skip(length - 12):
                return
            body = file.take(4)
        else:
            body = file.take(length - 8)
        if body is None:
            return
        if trailer.unpack_from(body, len(body) - 4)[0] != length:
            raise file.error(f"has a block with two lengths before byte {file.at}: it is damaged")
        if kind == IDB:
            if len(interfaces) >= MAX_INTERFACES:
                raise file.error(f"has more than {MAX_INTERFACES} interfaces in one section")
            interfaces.append(_interface(file, order, body, base + len(interfaces)))
        elif kind in _READ:
            number += 1
            yield _frame(file, number, kind, order, body, interfaces)


def _section(file: CaptureFile, rest: bytes = b"") -> str:
    """Read a section header after its type (and length); returns its byte order, "" when it is cut off."""
    begin = file.at - 4 - len(rest)
    head = file.take(10 - len(rest))
    if head is None:
        return ""
    head = rest + head
    order = _ORDERS.get(head[4:8])
    if order is None:
        raise file.error(f"has no pcapng section header at byte {begin}")
    length, major = struct.unpack(order + "I4xH", head)
    if major != 1:
        raise file.error(f"is a pcapng file of version {major}; only 1 can be read")
    _check_length(file, length, 28, False)
    return order if file.skip(length - 14) else ""


def _interface(file: CaptureFile, order: str, body: bytes, number: int) -> _Interface:
    if len(body) < 12:
        raise file.error(f"has a damaged interface description before byte {file.at}")
    linktype, snaplen = struct.unpack_from(order + "HxxI", body)
    unit, offset, name, at = (1000, 1), 0, "", 8
    while at + 4 <= len(body) - 4:
        option, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : min(at + 4 + length, len(body) - 4)]
        if not option:
            break
        if option == IF_TSRESOL and len(value) == 1:
            unit = (SECOND, (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F))
        elif option == _IF_NAME:
            name = value[:_MAX_NAME].rstrip(b"\0").decode(errors="replace")
        elif option == _IF_TSOFFSET and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0] * SECOND
        at += 4 + length + -length % 4
    return _Interface(number, linktype, snaplen, unit, offset, name)


def _frame(file: CaptureFile, number: int, kind: int, order: str, body: bytes, interfaces: list[_Interface]) -> Frame:
    data_at = 4 if kind == _SPB else 20
    room = len(body) - 4 - data_at
    which = high = low = 0
    if room < 0:
        raise file.error(f"has a block without a frame before byte {file.at}: it is damaged")
    if kind == _SPB:
        original = captured = struct.unpack_from(order + "I", body)[0]
    else:
        which, high, low, captured, original = struct.unpack_from(order + "IIIII", body)
        if kind == _PB:
            which = struct.unpack_from(order + "H", body)[0]
    if which >= len(interfaces):
        raise file.error(f"has a frame of interface {which}, not described, before byte {file.at}")
    interface, linktype, snaplen, (numerator, denominator), offset, name = interfaces[which]
    if kind == _SPB:
        captured = min(captured, snaplen or captured, room)
    if captured > min(room, MAX_DATA):
        raise file.error(f"has a frame of {captured} bytes before byte {file.at}: it is damaged")
    timestamp = 0
    if kind != _SPB:
        timestamp = ((high << 32) | low) * numerator // denominator + offset
        if not 0 < timestamp < _TIMES:  # a wrong resolution or offset; no other file could hold it
            timestamp = 0
    data = body[data_at : data_at + captured]
    return Frame(number, timestamp / SECOND, timestamp, linktype, interface, data, original, name)


def _check_length(file: CaptureFile, length: int, least: int, whole: bool) -> None:
    if length < least or length % 4 or (whole and length > _MAX_BLOCK):
        raise file.error(f"has a block of {length} bytes before byte {file.at}: it is damaged")
