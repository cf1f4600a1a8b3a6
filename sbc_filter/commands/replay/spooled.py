"""What is kept in a temporary file meanwhile: captures from a pipe, to be read twice, and records of calls."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from sbc_filter.calls.call import Call
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.capture.frame import CaptureError
from sbc_filter.capture.merge import Source
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.errors import reason
from sbc_filter.records.journal import line_of

_CHUNK = 1 << 16  # bytes


def read_twice(sources: Sequence[Source], stack: contextlib.ExitStack) -> list[Source]:
    """The sources in the order given; call `rewind` in front of each reading. The copies go with the `stack`.

    What is not a capture stays as it is, however long: reading it is refused. `CaptureError` if there is no room.
    """
    return [each if _is_file(each) else _copied(each, stack) for each in sources]


def rewind(sources: Sequence[Source]) -> None:
    """Begin at the start of each copy again."""
    for each in sources:
        if each.descriptor is not None:
            with contextlib.suppress(OSError):  # a pipe that is not a capture
                os.lseek(each.descriptor, 0, os.SEEK_SET)


class SpooledRecords:
    """The records of calls, until it is known which calls are listed. `CaptureError` if there is no room for them."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._file: IO[str] = tempfile.TemporaryFile("w+", prefix="sbc-filter-")  # noqa: SIM115 (`stack`)
        stack.callback(self._close)

    def add(self, call: Call, message: SeenMessage) -> None:
        """Keep the records of this message of the call."""
        records = [each for each in (*message.monitored, message.record) if each is not None]
        try:
            self._file.writelines(f"{call.number} {line_of(each)}" for each in records)
        except OSError as error:
            raise _no_room("the records", error) from None

    def of(self, calls: Iterable[Call]) -> Iterator[str]:
        """The records of these calls as lines of JSON, in order of time."""
        chosen = {str(call.number) for call in calls}
        try:
            self._file.seek(0)
        except OSError as error:
            raise _no_room("the records", error) from None
        for number, _, line in (each.partition(" ") for each in self._file):
            if number in chosen:
                yield line

    def _close(self) -> None:
        with contextlib.suppress(OSError):  # what is written last may not have room either
            self._file.close()


def _no_room(what: str, error: OSError) -> CaptureError:
    return CaptureError(f"{what} cannot be kept in {tempfile.gettempdir()}: {reason(error)}")


def _is_file(source: Source) -> bool:
    return source.descriptor is None and not (os.path.exists(source.name) and not os.path.isfile(source.name))


def _copied(source: Source, stack: contextlib.ExitStack) -> Source:
    try:
        place = source.name if source.descriptor is None else source.descriptor
        copy: IO[bytes] = stack.enter_context(tempfile.TemporaryFile(prefix="sbc-filter-"))  # noqa: SIM115 (`stack`)
        copied = source._replace(descriptor=copy.fileno())
        with open(place, "rb", closefd=source.descriptor is None) as incoming:
            begun = False
            while chunk := incoming.read(_CHUNK):
                copy.write(chunk)
                if not begun and not _is_capture(copied, copy):
                    break
                begun = True
        copy.flush()
    except OSError as error:
        raise _no_room(source.name, error) from None
    rewind([copied])
    return copied


def _is_capture(source: Source, copy: IO[bytes]) -> bool:
    """Whether what was copied begins as a capture."""
    copy.flush()
    rewind([source])
    try:
        CaptureReader(source.name, source.descriptor).close()
    except CaptureError:
        return False
    finally:
        copy.seek(0, os.SEEK_END)
    return True
