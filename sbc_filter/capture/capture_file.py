"""Reads the bytes of a capture file in order, gzip or not, in constant memory."""

import io
import os
import zlib
from typing import IO, TYPE_CHECKING

from sbc_filter.capture.frame import MAX_DATA, CaptureError
from sbc_filter.errors import reason

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


MAGIC = b"\x1f\x8b"
_CHUNK = 64 << 10


class Gunzip(io.RawIOBase):
    """The uncompressed bytes of a gzip file, complete or cut off; buffers no more than requested.

    `begun` is what was read of the file already; `consumed` counts its compressed bytes.
    """

    def __init__(self, file: IO[bytes], begun: bytes) -> None:
        self._file = file
        self._pending = begun
        self._inflate = zlib.decompressobj(31)  # with a gzip header
        self.consumed = len(begun)
        self.truncated = False

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill at least one byte of `buffer`; 0 at the end, when `truncated` says whether the file is cut off."""
        view = memoryview(buffer).cast("B")
        while True:
            if self._inflate.eof:  # another member may follow; anything else is padding
                self._pending = self._inflate.unused_data or self._fill()
                if self._pending[:1] != MAGIC[:1]:
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
        """Close it and the underlying file."""
        self._file.close()
        super().close()

    def _fill(self) -> bytes:
        data = self._file.read(_CHUNK)
        self.consumed += len(data)
        return data


_CHUNK = 64 << 10


class CaptureFile:
    """Reads a capture file once; errors become a `CaptureError` that names the file.

    A `descriptor` is read in place of the path, and stays open.
    """

    def __init__(self, path: str | os.PathLike[str], descriptor: int | None = None) -> None:
        self._path = os.fspath(path)
        self._gunzip: Gunzip | None = None
        self.at = 0  # bytes read, of the uncompressed data
        self.truncated = False
        try:
            source, own = (path, True) if descriptor is None else (descriptor, False)
            self._file: IO[bytes] = open(source, "rb", buffering=MAX_DATA, closefd=own)  # noqa: SIM115 (`close`)
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self._path}: {reason(error)}") from error
        try:
            self.size = os.fstat(self._file.fileno()).st_size
        except BaseException:
            self._file.close()
            raise

    @property
    def position(self) -> int:
        """Bytes of the file consumed; of a compressed file: the compressed bytes."""
        return self._gunzip.consumed if self._gunzip else self.at

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def magic(self) -> bytes:
        """The first 4 bytes, or fewer. Call this first: it detects compression."""
        magic = self.take(4) or b""
        if magic[:2] == MAGIC:
            self._gunzip = Gunzip(self._file, magic)
            self._file = io.BufferedReader(self._gunzip, MAX_DATA)
            self.at = 0
            magic = self.take(4) or b""
        return magic

    def take(self, count: int, start: bool = False) -> bytes | None:
        """The next `count` bytes, or None: the file is truncated unless it ends where records `start`."""
        try:
            data = self._file.read(count)
        except (OSError, zlib.error) as error:
            raise self.error(f"cannot be read at byte {self.position}: {reason(error)}") from error
        self.at += len(data)
        if len(data) == count:
            return data
        self.truncated = bool(data) or not start or (self._gunzip is not None and self._gunzip.truncated)
        return None

    def skip(self, count: int) -> bool:
        """Skip `count` bytes; false when the file ends before that."""
        while count and self.take(min(count, _CHUNK)) is not None:
            count -= min(count, _CHUNK)
        return not count

    def error(self, what: str, kind: type[CaptureError] = CaptureError) -> CaptureError:
        """An error with the name of the file and `what` is wrong."""
        return kind(f"{self._path} {what}")
