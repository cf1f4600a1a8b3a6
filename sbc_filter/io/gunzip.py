"""A gzip file (RFC 1952) as a stream of what is in it."""

import io
import zlib
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAGIC = b"\x1f\x8b"
_CHUNK = 64 << 10


class Gunzip(io.RawIOBase):
    """The uncompressed bytes, the file cut off or not; no more in memory than asked for.

    `begun` is what was read of the file already; `consumed` counts its compressed bytes.
    """

    def __init__(self, file: IO[bytes], begun: bytes) -> None:
        self._file = file
        self._pending = begun
        self._inflate = zlib.decompressobj(31)  # with a gzip header
        self.consumed = len(begun)
        self.truncated = False

    def readable(self) -> bool:
        """Always: a stream to read."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a part of `buffer`, at least a byte; 0 at the end, then `truncated` tells whether it came too early."""
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
        """Close it, and the file below."""
        self._file.close()
        super().close()

    def _fill(self) -> bytes:
        data = self._file.read(_CHUNK)
        self.consumed += len(data)
        return data
