"""Standard input, output and error: there, or a sentence; never another file by mistake."""

import contextlib
import errno
import os
import sys
from typing import TextIO, cast

from sbc_filter.errors import FilterError


class OutputFault(FilterError):
    """Standard output does not take what we have to say."""


def complete() -> None:
    """Give closed streams a descriptor that refuses everything: else the next file opened would get their number,
    and what is meant for a person would be written into it."""
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
    """Write what is still to be written; `OutputFault` when it cannot be, `BrokenPipeError` when nobody reads it."""
    try:
        _stdout().flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon()
        raise OutputFault(f"standard output cannot be written: {error.strerror}") from None


def is_output(error: OSError) -> bool:
    """Whether this is an error of writing to a stream: all others name their file."""
    return error.filename is None and error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO)


def abandon() -> None:
    """Forget what was not written, so that the interpreter does not complain of it at its end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, _stdout().fileno())
        os.close(null)
    with contextlib.suppress(OSError, ValueError):
        _stdout().flush()


def _stdout() -> TextIO:
    return cast(TextIO, sys.stdout)
