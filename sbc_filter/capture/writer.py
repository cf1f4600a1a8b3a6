"""Writes capture files, pcapng or classic pcap, which replace an existing file only when complete."""

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from sbc_filter.capture.frame import MAX_DATA, SECOND, CaptureError, Frame
from sbc_filter.capture.pcapng import EPB, IDB, IF_TSRESOL, MAX_INTERFACES, SHB
from sbc_filter.errors import reason
from sbc_filter.system.output_file import READER_PATIENCE, OutputFile


class CaptureWriter:
    """Writes a capture completely or not at all. A context manager: after an exception nothing is left.

    pcapng with nanoseconds, or classic pcap with nanoseconds for a name in `.pcap`; that has room for
    one link type only. The same frames give the same bytes. Where there are more interfaces than one section may have,
    the next section begins. A device or pipe is written to in place (`OutputFile`). Only its owner can read the file,
    since it shows who called whom. Raises `CaptureError`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._classic = self._path.endswith(".pcap")
        self._closed = False
        self._interfaces: dict[tuple[int, int], int] = {}  # (link type, interface) -> number in the output
        with self._errors():
            self._file = OutputFile(Path(self._path), mode=0o600, patience=READER_PATIENCE)
        if not self._classic:
            self._put(_section())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def write(self, frame: Frame) -> None:
        """Append a frame. Its number is not written; its interface only separates it from others."""
        try:
            record = self._record(frame) if self._classic else self._blocks(frame)
        except struct.error as error:
            raise CaptureError(f"{self._path}: {_named(frame)} has values beyond the format") from error
        self._put(record)

    def close(self) -> None:
        """Finish the file and rename it into place."""
        if self._closed:
            return
        self._closed = True
        if self._classic and not self._interfaces:
            self._put(_pcap_header(1))  # without frames, any link type is right
        with self._errors():
            self._file.close()

    def discard(self) -> None:
        """Discard the output, and keep the old file."""
        self._closed = True
        self._file.discard()

    def _record(self, frame: Frame) -> bytes:
        seconds, nanoseconds = divmod(frame.timestamp, SECOND)
        head = struct.pack("<IIII", seconds, nanoseconds, len(frame.data), frame.original_length)
        if not self._interfaces:
            head = _pcap_header(frame.linktype) + head
            self._interfaces[frame.linktype, 0] = 0
        elif (frame.linktype, 0) not in self._interfaces:
            raise CaptureError(
                f"{self._path}: {_named(frame)} has another link type than those before it, which a "
                "pcap file cannot hold: use a name that ends in .pcapng"
            )
        return head + frame.data

    def _blocks(self, frame: Frame) -> bytes:
        key, begin = (frame.linktype, frame.interface), b""
        if len(self._interfaces) >= MAX_INTERFACES and key not in self._interfaces:
            begin = _section()
            self._interfaces.clear()
        number = self._interfaces.get(key, len(self._interfaces))
        high, low = divmod(frame.timestamp, 1 << 32)
        head = struct.pack("<IIIII", number, high, low, len(frame.data), frame.original_length)
        block = _block(EPB, head + frame.data)
        if key not in self._interfaces:
            resolution = struct.pack("<HHB3xHH", IF_TSRESOL, 1, 9, 0, 0)
            block = _block(IDB, struct.pack("<HHI", frame.linktype, 0, 0) + resolution) + block
            self._interfaces[key] = number
        return begin + block

    def _put(self, data: bytes) -> None:
        with self._errors():
            self._file.write(data)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self._path} cannot be written: {reason(error)}") from error


def _named(frame: Frame) -> str:
    return f"frame {frame.number}{f' of {frame.file}' if frame.file else ''}"


def _section() -> bytes:
    return _block(SHB, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body) + -len(body) % 4)
    return struct.pack("<I", kind) + length + body + bytes(-len(body) % 4) + length


def _pcap_header(linktype: int) -> bytes:
    return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, MAX_DATA, linktype)
