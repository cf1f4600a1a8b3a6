"""Several capture files as one, in order of time.

A file is open only while it is read: a year of hourly files takes one descriptor. Files that overlap in time are read
alongside each other.
"""

import heapq
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple, Self

from sbc_filter.capture.frame import CaptureError, Frame, NotACapture
from sbc_filter.capture.reader import CaptureReader

_MOST_OPEN = 500  # captures that are read at the same time; a process may usually have 1024 files open
_MOST_LARGE = 32  # of these, such as take megabytes to unpack
_CAPTURE_NAME = re.compile(r"\.p?cap", re.IGNORECASE)  # also .pcapng, .pcap3, .pcap.gz


class Source(NamedTuple):
    """A capture to read."""

    name: str  # its path, as the operator gave it
    found: bool = False  # in a folder, where other files may be as well
    descriptor: int | None = None  # read in place of the path


class Captures:
    """Iterates over the frames of all captures, once, the earliest first; a context manager.

    The frames of one capture stay in their order, even if their times do not. Of frames with the same time, those of
    the capture that begins first come first. A frame without a time stamp follows the frame before it in its capture.

    With `several`, each frame names its capture (`Frame.file`), and what cannot be read is skipped. Without, there is
    one capture, and `CaptureError` is raised at construction if it cannot be opened. In both cases `faults` has a
    sentence for each capture that was not read completely.
    """

    def __init__(self, sources: Sequence[Source], *, several: bool) -> None:
        self.faults: list[str] = []
        self.skipped: list[str] = []  # what is in a folder and is not a capture
        self.opened = 0  # captures of which at least the beginning was readable
        self.size = 0  # bytes of all files
        self._several = several
        self._read = 0  # bytes of the captures that were read
        self._waiting: deque[_Capture] = deque()
        self._reading: dict[int, _Capture] = {}  # by a number that grows
        try:
            for source in sources:
                self._look_at(source)
        except BaseException:
            self.close()
            raise
        self._waiting = deque(sorted(self._waiting, key=lambda capture: capture.time))

    @property
    def position(self) -> int:
        """Bytes that have been read, of `size`."""
        reading = self._reading.values() if self._several else self._waiting
        return self._read + sum(capture.position for capture in reading)

    def __iter__(self) -> Iterator[Frame]:
        if self._several:
            yield from self._merged()
            return
        for capture in self._waiting:
            try:
                yield from capture.frames()
            except CaptureError as error:
                self.faults.append(_ended(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for capture in (*self._reading.values(), *self._waiting):
            capture.close()

    def _look_at(self, source: Source) -> None:
        try:
            capture = _Capture(source)
            if not self._several or capture.look_ahead():
                self._waiting.append(capture)
                self.size += capture.size
            self.opened += 1
        except CaptureError as error:
            if not self._several:
                raise
            named_so = _CAPTURE_NAME.search(os.path.basename(source.name))
            if source.found and isinstance(error, NotACapture) and not named_so:
                self.skipped.append(source.name)
            else:
                self.faults.append(str(error))

    def _merged(self) -> Iterator[Frame]:
        heap: list[tuple[int, int, Frame]] = []  # of each capture that is being read: time, number, next frame
        number = 0
        while self._waiting or heap:
            while self._waiting and (not heap or self._waiting[0].time <= heap[0][0]):
                number += 1
                self._reading[number] = self._waiting.popleft()
                self._push(heap, number)
            if heap:
                _, earliest, frame = heapq.heappop(heap)
                yield frame._replace(file=self._reading[earliest].name)
                self._push(heap, earliest)

    def _push(self, heap: list[tuple[int, int, Frame]], number: int) -> None:
        """Add the next frame of a capture; at its end, close it."""
        capture = self._reading[number]
        begun = capture.is_open
        try:
            if not begun:
                self._check_room(capture)
            frame = capture.following()
        except CaptureError as error:
            self.faults.append(_ended(error) if begun else str(error))
            frame = None
        if frame is not None:
            heapq.heappush(heap, (capture.time, number, frame))
        else:
            self._read += capture.size
            self._reading.pop(number).close()

    def _check_room(self, capture: "_Capture") -> None:
        """Refuse a capture that would be one too many to read at the same time."""
        if len(self._reading) > _MOST_OPEN:
            raise CaptureError(f"{capture.name} was not read: it overlaps with {_MOST_OPEN} others")
        if capture.is_large and sum(each.is_large for each in self._reading.values()) > _MOST_LARGE:
            raise CaptureError(
                f"{capture.name} was not read: it overlaps with {_MOST_LARGE} others that are compressed by bzip2 or"
                " xz: unpack it first"
            )


def _ended(error: CaptureError) -> str:
    return f"{error}; everything before it was replayed"


class _Capture:
    """One capture. After a look at its first frame it is closed until its turn, unless it is a pipe."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.time = 0  # nanoseconds, of the last frame that has a time stamp
        self.is_open = True
        self._descriptor = source.descriptor
        self._reader: CaptureReader | None = CaptureReader(self.name, self._descriptor)
        self._frames: Iterator[Frame] = self.frames()
        self.size = self._reader.size
        self.is_large = self._reader.is_large

    @property
    def position(self) -> int:
        """Bytes that have been read; 0 while it is closed."""
        return self._reader.position if self._reader is not None else 0

    def look_ahead(self) -> bool:
        """Read the first frame, for its time; false if there is none."""
        try:
            first = self.following()
        except CaptureError:
            self.close()
            raise
        if first is None or self._can_be_read_again():
            self.close()
        else:
            self._frames = chain((first,), self._frames)
        return first is not None

    def following(self) -> Frame | None:
        """The next frame; None at the end. Raises `CaptureError` where the capture is damaged or cut off."""
        if not self.is_open:
            self._reader = CaptureReader(self.name)
            self._frames, self.is_open = self.frames(), True
        frame = next(self._frames, None)
        if frame is not None and frame.timestamp:
            self.time = frame.timestamp
        return frame

    def frames(self) -> Iterator[Frame]:
        """All frames of a capture that is open; `CaptureError`."""
        reader = self._reader
        if reader is None:
            return
        yield from reader
        if reader.truncated:
            raise CaptureError(f"{self.name} ends within a packet")

    def close(self) -> None:
        """Close the file, and keep nothing of what it takes to read it."""
        self.is_open, self._frames = False, iter(())
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _can_be_read_again(self) -> bool:
        return self._descriptor is None and os.path.isfile(self.name)
