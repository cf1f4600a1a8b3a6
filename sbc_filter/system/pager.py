"""Shows long output on a terminal through a pager, as git does: `$PAGER`, or `less`."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from typing import IO

_DEFAULT = "less"
_OPTIONS = {"LESS": "FRX", "LV": "-c"}  # as git: ends at once if all fits on the screen, and leaves it there


def show(lines: Iterable[str], stream: IO[str], *, paged: bool = True) -> None:
    """Write the lines to `stream`; through a pager if this is standard output and a terminal, and `paged` is true.

    `$PAGER` is a command with its arguments. Without it `less` is used; if it is empty, `cat` or not installed, none.
    """
    command = _pager() if paged and stream is sys.stdout and stream.isatty() else []
    if not command:
        stream.writelines(f"{line}\n" for line in lines)
        return
    stream.flush()
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=_OPTIONS | os.environ, text=True) as pager:
        assert pager.stdin is not None
        with contextlib.suppress(BrokenPipeError), pager.stdin:  # broken if the reader has seen enough
            pager.stdin.writelines(f"{line}\n" for line in lines)


def _pager() -> list[str]:
    """The words of the command; empty if there is no pager."""
    try:
        words = shlex.split(os.environ.get("PAGER", _DEFAULT))
    except ValueError:  # a quote that is not closed
        return []
    return words if words and words != ["cat"] and shutil.which(words[0]) else []
