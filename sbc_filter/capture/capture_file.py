"""Reads the bytes of a capture file in order, compressed or not, in constant memory."""

import io
import os
import select
from typing import Any

from sbc_filter.capture.compression import ERRORS, Decompressed, compression_of
from sbc_filter.capture.frame import MAX_DATA, CaptureError, NotACapture
from sbc_filter.capture.other_formats import NOT_A_CAPTURE, refusal
from sbc_filter.errors import reason
from sbc_filter.system.near_file import near_file

_CHUNK = 64 << 10  # bytes skipped at once
_BUFFER = 32 << 10  # bytes read at once; hundreds of files may be open
_LOOK = 200  # milliseconds


class CaptureFile:
    """Reads a capture file once; errors become a `CaptureError` that names the file.

    A `descriptor` is read in place of the path, and stays open.
    """

    def __init__(self, path: str | os.PathLike[str], descriptor: int | None = None) -> None:
        self._path = os.fspath(path)
        self._own = descriptor is None
        self._decompressed: Decompressed | None = None
        self.at = 0  # bytes read, of the uncompressed data
        self.truncated = False
        try:
            source = path if descriptor is None else descriptor
            self._file: io.BufferedReader = io.BufferedReader(_Patient(source, closefd=self._own), _BUFFER)
        except (OSError, ValueError) as error:
            near = near_file(self._path) if isinstance(error, FileNotFoundError) else ""
            raise CaptureError(f"{self._path}: {reason(error)}{near}") from error
        try:
            self.size = os.fstat(self._file.fileno()).st_size
        except BaseException:
            self._file.close()
            raise

    @property
    def position(self) -> int:
        """Bytes of the file consumed; of a compressed file: the compressed bytes."""
        return self._decompressed.consumed if self._decompressed else self.at

    @property
    def is_large(self) -> bool:
        """Whether reading takes megabytes of memory, as unpacking bzip2 and xz does."""
        return self._decompressed is not None and self._decompressed.is_large

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def magic(self) -> bytes:
        """The first 4 bytes, or fewer. Call this first: it detects compression."""
        magic = self.take(4) or b""
        compression = compression_of(magic)
        if compression is not None:
            self._decompressed = Decompressed(self._file, magic, compression)
            # bzip2 checks a block once all of it was taken
            self._file = io.BufferedReader(self._decompressed, MAX_DATA if compression.is_large else _BUFFER)
            self.at = 0
            magic = self.take(4) or b""
        return magic

    def take(self, count: int, start: bool = False) -> bytes | None:
        """The next `count` bytes, or None: the file is truncated unless it ends where records `start`."""
        try:
            data = self._file.read(count)
        except ERRORS as error:
            raise self.error(f"cannot be read at byte {self.position}: {reason(error)}") from error
        self.at += len(data)
        if len(data) == count:
            return data
        self.truncated = bool(data) or not start or (self._decompressed is not None and self._decompressed.truncated)
        return None

    def skip(self, count: int) -> bool:
        """Skip `count` bytes; false when the file ends before that."""
        while count and self.take(min(count, _CHUNK)) is not None:
            count -= min(count, _CHUNK)
        return not count

    def refused(self, magic: bytes) -> CaptureError:
        """The error for a file that begins with `magic` and is not a capture that is read."""
        packed = self._decompressed
        if not self.at:
            cut = packed is not None and packed.truncated
            return self.error("is cut off: nothing of it can be unpacked" if cut else "is empty", NotACapture)
        source = self._path if self._own else "-"
        sentence = refusal(magic, source, packed.command if packed is not None else "")
        return self.error(sentence, NotACapture if sentence.startswith(NOT_A_CAPTURE) else CaptureError)

    def error(self, what: str, kind: type[CaptureError] = CaptureError) -> CaptureError:
        """An error with the name of the file and `what` is wrong."""
        return kind(f"{self._path} {what}")


class _Patient(io.FileIO):
    """Python sees a signal that comes just before a read blocks only after it. So no read of a pipe blocks for long."""

    def readinto(self, buffer: Any) -> int | None:
        """As the base class."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        while not poll.poll(_LOOK):
            pass
        return super().readinto(buffer)
