"""Capture files as streams: pcap and pcapng in, gzip or not; pcapng and pcap out.

Memory does not grow with the file. Formats: draft-ietf-opsawg-pcap and -pcapng (captures of
either byte order, several sections, interfaces and time resolutions). An ordinary packet costs two reads.
"""

import contextlib
import io
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from struct import Struct
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from sbc_filter.errors import FilterError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAX_DATA = 256 << 10  # bytes of a frame; what libpcap and Wireshark allow
_MAX_BLOCK = _MAX_DATA + (64 << 10)  # bytes of a pcapng block that we read, options included
_CHUNK = 64 << 10
_MAX_INTERFACES = 1 << 16
_SECOND = 10**9  # nanoseconds

_PCAP = {  # byte order and nanoseconds per unit, by the magic number
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_GZIP = b"\x1f\x8b"
_SHB, _IDB, _PB, _SPB, _EPB = 0x0A0D0D0A, 1, 2, 3, 6
_SECTION = b"\x0a\x0d\x0d\x0a"  # the same in either byte order
_READ = frozenset((_IDB, _PB, _SPB, _EPB))
_UNCAPTURED = frozenset((9, 0xBAD, 0x40000BAD))  # journal and custom blocks: Wireshark numbers them as frames
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_IF_TSRESOL, _IF_TSOFFSET = 9, 14


class CaptureError(FilterError):
    """A capture file cannot be read or written; one sentence with the file, and the place in it."""


class Frame(NamedTuple):
    """One captured frame."""

    number: int  # from 1, as Wireshark counts
    time: float  # seconds since 1970
    timestamp: int  # the same in nanoseconds; 0 where the file has none (simple packet blocks)
    linktype: int
    interface: int  # from 0, counted through all sections of the file
    data: bytes
    original_length: int  # bytes; more than `data` when the capture cut it


class _Interface(NamedTuple):
    number: int
    linktype: int
    snaplen: int  # 0: unlimited
    unit: tuple[int, int]  # nanoseconds per unit of its time stamps, as a fraction
    offset: int  # nanoseconds


class CaptureReader:
    """Iterates over the frames of a capture file, once; a context manager.

    Raises `CaptureError` at construction for a file that is no capture, while iterating for one that is
    damaged. A file that just ends within a record yields all before it, then `truncated` is true.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._at = 0  # bytes read, of the uncompressed data
        self._gunzip: _Gunzip | None = None
        self.truncated = False
        try:
            self._file: IO[bytes] = open(path, "rb", buffering=_MAX_DATA)  # noqa: SIM115 (closed by `close`)
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self._path}: {_reason(error)}") from error
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self._frames = self._open()
        except BaseException:
            self._file.close()
            raise

    @property
    def position(self) -> int:
        """Bytes of the file consumed; of a compressed file: the compressed bytes."""
        return self._gunzip.consumed if self._gunzip else self._at

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read any more."""
        self._file.close()

    def _open(self) -> Iterator[Frame]:
        magic = self._take(4) or b""
        if magic[:2] == _GZIP:
            self._gunzip = _Gunzip(self._file, magic)
            self._file = io.BufferedReader(self._gunzip, _MAX_DATA)
            self._at = 0
            magic = self._take(4) or b""
        if magic in _PCAP:
            return self._open_pcap(*_PCAP[magic])
        if magic == _SECTION:
            order = self._section()
            if not order:
                raise self._error("ends within its header")
            return self._pcapng(order)
        raise self._error("is not a capture (pcap or pcapng, gzip or not)" if self._at else "is empty")

    def _open_pcap(self, order: str, unit: int) -> Iterator[Frame]:
        header = self._take(20)
        if header is None:
            raise self._error("ends within its header")
        major, minor, _, _, _, linktype = struct.unpack(order + "HHIIII", header)
        if (major, minor) != (2, 4):
            raise self._error(f"is a pcap file of version {major}.{minor}; only 2.4 can be read")
        return self._pcap(Struct(order + "IIII"), unit, linktype & 0x03FFFFFF)  # above: FCS length

    def _pcap(self, record: Struct, unit: int, linktype: int) -> Iterator[Frame]:
        number = 0
        while header := self._take(16, start=True):
            seconds, fraction, captured, original = record.unpack(header)
            if captured > _MAX_DATA:
                raise self._error(f"has a frame of {captured} bytes at byte {self._at - 16}: it is damaged")
            data = self._take(captured)
            if data is None:
                return
            number += 1
            timestamp = seconds * _SECOND + fraction * unit
            yield Frame(number, timestamp / _SECOND, timestamp, linktype, 0, data, original)

    def _pcapng(self, order: str) -> Iterator[Frame]:
        number = base = 0
        interfaces: list[_Interface] = []
        head, trailer = Struct(order + "II"), Struct(order + "I")
        while header := self._take(8, start=True):
            if header[:4] == _SECTION:
                order = self._section(header[4:])
                if not order:
                    return
                head, trailer = Struct(order + "II"), Struct(order + "I")
                base, interfaces = base + len(interfaces), []
                continue
            kind, length = head.unpack(header)
            self._check_length(length, 12, kind in _READ)
            if kind not in _READ:
                number += kind in _UNCAPTURED
                if not self._skip(length - 12):
                    return
                body = self._take(4)
            else:
                body = self._take(length - 8)
            if body is None:
                return
            if trailer.unpack_from(body, len(body) - 4)[0] != length:
                raise self._error(f"has a block with two lengths before byte {self._at}: it is damaged")
            if kind == _IDB:
                if len(interfaces) >= _MAX_INTERFACES:
                    raise self._error(f"has more than {_MAX_INTERFACES} interfaces in one section")
                interfaces.append(self._interface(order, body, base + len(interfaces)))
            elif kind in _READ:
                number += 1
                yield self._frame(number, kind, order, body, interfaces)

    def _section(self, rest: bytes = b"") -> str:
        """Read a section header behind its type (and length); its byte order, "" when it is cut off."""
        begin = self._at - 4 - len(rest)
        head = self._take(10 - len(rest))
        if head is None:
            return ""
        head = rest + head
        order = _ORDERS.get(head[4:8])
        if order is None:
            raise self._error(f"has no pcapng section header at byte {begin}")
        length, major = struct.unpack(order + "I4xH", head)
        if major != 1:
            raise self._error(f"is a pcapng file of version {major}; only 1 can be read")
        self._check_length(length, 28, False)
        return order if self._skip(length - 14) else ""

    def _interface(self, order: str, body: bytes, number: int) -> _Interface:
        if len(body) < 12:
            raise self._error(f"has a damaged interface description before byte {self._at}")
        linktype, snaplen = struct.unpack_from(order + "HxxI", body)
        unit, offset, at = (1000, 1), 0, 8
        while at + 4 <= len(body) - 4:
            option, length = struct.unpack_from(order + "HH", body, at)
            value = body[at + 4 : min(at + 4 + length, len(body) - 4)]
            if not option:
                break
            if option == _IF_TSRESOL and len(value) == 1:
                unit = (_SECOND, (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F))
            elif option == _IF_TSOFFSET and len(value) == 8:
                offset = struct.unpack(order + "q", value)[0] * _SECOND
            at += 4 + length + -length % 4
        return _Interface(number, linktype, snaplen, unit, offset)

    def _frame(self, number: int, kind: int, order: str, body: bytes, interfaces: list[_Interface]) -> Frame:
        data_at = 4 if kind == _SPB else 20
        room = len(body) - 4 - data_at
        which = high = low = 0
        if room < 0:
            raise self._error(f"has a block without a frame before byte {self._at}: it is damaged")
        if kind == _SPB:
            original = captured = struct.unpack_from(order + "I", body)[0]
        else:
            which, high, low, captured, original = struct.unpack_from(order + "IIIII", body)
            if kind == _PB:
                which = struct.unpack_from(order + "H", body)[0]
        if which >= len(interfaces):
            raise self._error(f"has a frame of interface {which}, not described, before byte {self._at}")
        interface, linktype, snaplen, (numerator, denominator), offset = interfaces[which]
        if kind == _SPB:
            captured = min(captured, snaplen or captured, room)
        if captured > min(room, _MAX_DATA):
            raise self._error(f"has a frame of {captured} bytes before byte {self._at}: it is damaged")
        timestamp = 0
        if kind != _SPB:
            timestamp = ((high << 32) | low) * numerator // denominator + offset
        data = body[data_at : data_at + captured]
        return Frame(number, timestamp / _SECOND, timestamp, linktype, interface, data, original)

    def _check_length(self, length: int, least: int, whole: bool) -> None:
        if length < least or length % 4 or (whole and length > _MAX_BLOCK):
            raise self._error(f"has a block of {length} bytes before byte {self._at}: it is damaged")

    def _take(self, count: int, start: bool = False) -> bytes | None:
        """The next `count` bytes, or None: the file is truncated unless it ends where records `start`."""
        try:
            data = self._file.read(count)
        except (OSError, zlib.error) as error:
            raise self._error(f"cannot be read at byte {self.position}: {_reason(error)}") from error
        self._at += len(data)
        if len(data) == count:
            return data
        self.truncated = bool(data) or not start or (self._gunzip is not None and self._gunzip.truncated)
        return None

    def _skip(self, count: int) -> bool:
        while count and self._take(min(count, _CHUNK)) is not None:
            count -= min(count, _CHUNK)
        return not count

    def _error(self, what: str) -> CaptureError:
        return CaptureError(f"{self._path} {what}")


class CaptureWriter:
    """Writes a capture, whole or not at all; a context manager, which an exception makes leave nothing.

    pcapng with nanoseconds, or classic pcap with nanoseconds for a name in `.pcap`; that has room for
    one link type only. The same frames give the same bytes. Raises `CaptureError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._classic = self._path.endswith(".pcap")
        self._interfaces: dict[tuple[int, int], int] = {}  # (link type, interface) -> number in the output
        self._target = os.path.realpath(self._path)
        # A device or pipe cannot be replaced, and must not be.
        self._direct = os.path.exists(self._target) and not os.path.isfile(self._target)
        folder, name = os.path.split(self._target)
        self._partial = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.part")
        with self._errors():
            self._file = open(self._target, "wb") if self._direct else open(self._partial, "xb")  # noqa: SIM115
        if not self._classic:
            self._put(_block(_SHB, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def write(self, frame: Frame) -> None:
        """Append a frame; its number is not written, its interface only tells it from others."""
        try:
            record = self._record(frame) if self._classic else self._blocks(frame)
        except struct.error as error:
            raise CaptureError(f"{self._path}: frame {frame.number} has values beyond the format") from error
        self._put(record)

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._file.closed:
            return
        if self._classic and not self._interfaces:
            self._put(_pcap_header(1))  # no frame, no link type: any will do
        try:
            with self._errors():
                self._file.close()
                if not self._direct:
                    os.replace(self._partial, self._target)
        except CaptureError:
            self._remove()
            raise

    def discard(self) -> None:
        """Leave what was there before."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._file.close()
            self._remove()

    def _record(self, frame: Frame) -> bytes:
        seconds, nanoseconds = divmod(frame.timestamp, _SECOND)
        head = struct.pack("<IIII", seconds, nanoseconds, len(frame.data), frame.original_length)
        if not self._interfaces:
            head = _pcap_header(frame.linktype) + head
            self._interfaces[frame.linktype, 0] = 0
        elif (frame.linktype, 0) not in self._interfaces:
            raise CaptureError(
                f"{self._path}: frame {frame.number} has another link type than those before it, which a "
                "pcap file cannot hold: use a name that ends in .pcapng"
            )
        return head + frame.data

    def _blocks(self, frame: Frame) -> bytes:
        key = frame.linktype, frame.interface
        number = self._interfaces.get(key, len(self._interfaces))
        high, low = divmod(frame.timestamp, 1 << 32)
        head = struct.pack("<IIIII", number, high, low, len(frame.data), frame.original_length)
        block = _block(_EPB, head + frame.data)
        if key not in self._interfaces:
            resolution = struct.pack("<HHB3xHH", _IF_TSRESOL, 1, 9, 0, 0)
            block = _block(_IDB, struct.pack("<HHI", frame.linktype, 0, 0) + resolution) + block
            self._interfaces[key] = number
        return block

    def _put(self, data: bytes) -> None:
        with self._errors():
            self._file.write(data)

    def _remove(self) -> None:
        if not self._direct:
            with contextlib.suppress(OSError):
                os.unlink(self._partial)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self._path} cannot be written: {_reason(error)}") from error


class _Gunzip(io.RawIOBase):
    """The uncompressed bytes of a gzip file (RFC 1952), cut off or not; no more in memory than asked for."""

    def __init__(self, file: IO[bytes], begun: bytes) -> None:
        self._file = file
        self._pending = begun
        self._inflate = zlib.decompressobj(31)  # with a gzip header
        self.consumed = len(begun)
        self.truncated = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        while True:
            if self._inflate.eof:  # another member may follow; anything else is padding
                self._pending = self._inflate.unused_data or self._fill()
                if self._pending[:1] != _GZIP[:1]:
                    return 0
                self._inflate = zlib.decompressobj(31)
            self._pending = self._pending or self._fill()
            last = not self._pending
            data = self._inflate.decompress(self._pending, len(view))
            self._pending = self._inflate.unconsumed_tail
            if data:
                view[: len(data)] = data
                return len(data)
            if last and not self._inflate.eof:
                self.truncated = True
                return 0

    def close(self) -> None:
        self._file.close()
        super().close()

    def _fill(self) -> bytes:
        data = self._file.read(_CHUNK)
        self.consumed += len(data)
        return data


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body) + -len(body) % 4)
    return struct.pack("<I", kind) + length + body + bytes(-len(body) % 4) + length


def _pcap_header(linktype: int) -> bytes:
    return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, _MAX_DATA, linktype)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
