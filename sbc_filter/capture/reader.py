"""Capture files as streams of frames: pcap and pcapng, compressed or not."""

import os
from collections.abc import Iterator
from typing import Self

from sbc_filter.capture import pcap, pcapng
from sbc_filter.capture.capture_file import CaptureFile
from sbc_filter.capture.frame import Frame


class CaptureReader:
    """Iterates over the frames of a capture file, once; a context manager.

    Raises `CaptureError` at construction for a file that is not a capture (`NotACapture`), while iterating for one that
    is damaged. A file that just ends within a record yields all before it, then `truncated` is true. A `descriptor` is
    read in place of the path, and stays open.
    """

    def __init__(self, path: str | os.PathLike[str], descriptor: int | None = None) -> None:
        self._file = CaptureFile(path, descriptor)
        self.size = self._file.size
        try:
            self._frames = self._open()
        except BaseException:
            self._file.close()
            raise

    @property
    def position(self) -> int:
        """Bytes of the file consumed; of a compressed file: the compressed bytes."""
        return self._file.position

    @property
    def truncated(self) -> bool:
        """Whether the file ended within a record."""
        return self._file.truncated

    @property
    def is_large(self) -> bool:
        """Whether reading takes megabytes of memory, as unpacking bzip2 and xz does."""
        return self._file.is_large

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> Iterator[Frame]:
        magic = self._file.magic()
        if magic in pcap.MAGICS:
            return pcap.frames(self._file, *pcap.MAGICS[magic])
        if magic == pcapng.SECTION:
            return pcapng.frames(self._file)
        raise self._file.refused(magic)
