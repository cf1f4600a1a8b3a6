"""Standard input, output and error: reports failures, and never confuses them with other files."""

import contextlib
import errno
import os
import sys
from typing import TextIO, cast

from sbc_filter.errors import FilterError


class OutputFault(FilterError):
    """Standard output cannot be written."""


def complete() -> None:
    """Replace closed streams by a descriptor that refuses everything.

    Otherwise the next file to be opened would get the number of a stream, and messages would be written into that file.
    """
    for number, (name, wrong_way) in enumerate(
        (("stdin", os.O_WRONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_RDWR))
    ):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            opened = os.open(os.devnull, wrong_way)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115


def finish() -> None:
    """Flush standard output; `OutputFault` when that fails, `BrokenPipeError` when the reader is gone."""
    try:
        _stdout().flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon()
        raise OutputFault(f"standard output cannot be written: {error.strerror}") from None


def is_output(error: OSError) -> bool:
    """Whether an error is about a standard stream: all others name their file."""
    return error.filename is None and error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO)


def abandon(stream: TextIO | None = None) -> None:
    """Discard what a stream (default: standard output) still holds, so that the interpreter does not report it."""
    stream = stream or _stdout()
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    with contextlib.suppress(OSError, ValueError):
        stream.flush()


def _stdout() -> TextIO:
    return cast(TextIO, sys.stdout)
