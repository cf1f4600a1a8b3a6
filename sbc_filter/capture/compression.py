"""Decompresses gzip, bzip2 and xz as a stream, in constant memory."""

import bz2
import errno
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 16 << 10  # compressed bytes read at once; hundreds of files may be open
MAX_MEMORY = 128 << 20
"""Bytes that one xz stream may take to unpack. The strongest setting of `xz` takes 65 MiB; a file may ask for 4 GiB."""
ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a `Decompressed` raises for a damaged file."""


class _Decompressor(Protocol):
    """What `bz2` and `lzma` have in common; of one stream of a file."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gunzip:
    """`zlib` as a `_Decompressor`."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)  # with a gzip header
        self._pending = b""

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._pending and not self.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = self._inflate.decompress(self._pending + data, max(max_length, 0))
        self._pending = self._inflate.unconsumed_tail
        return out


class Compression(NamedTuple):
    """A compression that is read."""

    name: str
    magic: bytes  # with which each stream begins
    command: str  # that unpacks a file to standard output
    start: Callable[[], _Decompressor]
    is_large: bool  # whether unpacking takes megabytes


READ = (
    Compression("gzip", b"\x1f\x8b", "zcat", _Gunzip, False),
    Compression("bzip2", b"BZh", "bzcat", bz2.BZ2Decompressor, True),
    Compression("xz", b"\xfd7zX", "xzcat", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_MEMORY), True),
)


def compression_of(magic: bytes) -> Compression | None:
    """The compression of a file that begins with these 4 bytes; None if it is not one that is read."""
    return next((each for each in READ if magic.startswith(each.magic)), None)


class Decompressed(io.RawIOBase):
    """The uncompressed bytes of a file of one stream or several; buffers no more than requested.

    Zeros between and after the streams are padding. Anything else there is an error: it might be a capture.

    `begun` is what was read of the file already; `consumed` counts its compressed bytes. Reading raises `ERRORS`.
    """

    def __init__(self, file: IO[bytes], begun: bytes, compression: Compression) -> None:
        self._file = file
        self._begun = begun
        self._compression = compression
        self._stream = compression.start()
        self.command = compression.command
        self.is_large = compression.is_large
        self.consumed = len(begun)
        self.truncated = False

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill at least one byte of `buffer`; 0 at the end, when `truncated` says whether the file is cut off."""
        view = memoryview(buffer).cast("B")
        while True:
            if self._stream.eof and not self._next_stream():
                return 0
            given, last = b"", False
            if self._stream.needs_input:
                given, self._begun = self._begun or self._fill(), b""
                last = not given
            data = self._unpack(given, len(view))
            if data:
                view[: len(data)] = data
                return len(data)
            if last and not self._stream.eof:
                self.truncated = True
                return 0

    def close(self) -> None:
        """Close it and the underlying file."""
        self._file.close()
        super().close()

    def _unpack(self, given: bytes, most: int) -> bytes:
        try:
            return self._stream.decompress(given, most)
        except lzma.LZMAError as error:
            if "Memory usage" in str(error):
                remedy = f"it needs more than {MAX_MEMORY >> 20} MiB to unpack: unpack it first (xz -d)"
                raise OSError(errno.ENOMEM, remedy) from error
            raise

    def _next_stream(self) -> bool:
        """Begin the stream that follows, if there is one."""
        rest = self._stream.unused_data.lstrip(b"\0")
        while not rest and (chunk := self._fill()):
            rest = chunk.lstrip(b"\0")
        if not rest:
            return False
        if rest[:1] != self._compression.magic[:1]:
            raise OSError(errno.EILSEQ, f"what follows is not compressed by {self._compression.name}")
        self._begun, self._stream = rest, self._compression.start()
        return True

    def _fill(self) -> bytes:
        data = self._file.read(_CHUNK)
        self.consumed += len(data)
        return data
