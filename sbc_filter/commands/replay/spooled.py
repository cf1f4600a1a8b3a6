"""Captures that can be read twice: what comes through a pipe is kept in a temporary file meanwhile."""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from typing import IO

from sbc_filter.capture.frame import CaptureError
from sbc_filter.capture.merge import Source
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.errors import reason

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
        raise CaptureError(f"{source.name} cannot be kept in {tempfile.gettempdir()}: {reason(error)}") from None
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
