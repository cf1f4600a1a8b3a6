"""A full screen on a terminal, which is left as it was: on every exit, and when the program is suspended."""

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from rich.cells import cell_len, set_cell_size

from sbc_filter.system.plain_text import plain

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # the alternate screen, without and with the cursor
_HOME, _TO_END_OF_LINE, _TO_END = "\x1b[H", "\x1b[K", "\x1b[J"


def is_terminal() -> bool:
    """Whether a screen can be shown, and keys be read."""
    return sys.stdin.isatty() and sys.stdout.isatty()


class Screen:
    """Shows lines in place of each other. Use it as a context; `quit` is true once `q` was typed."""

    def __init__(self) -> None:
        self._saved: list[Any] = []
        self._handler: Any = signal.SIG_DFL
        self.quit = False

    def __enter__(self) -> Self:
        """Enter the alternate screen."""
        self._saved = termios.tcgetattr(sys.stdin)
        self._handler = signal.signal(signal.SIGTSTP, self._suspend)
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""
        self._leave()
        signal.signal(signal.SIGTSTP, self._handler)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, now. A terminal that does not know them, such as a serial line, says 0."""
        try:
            found = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            return 80, 24
        return found.columns or 80, found.lines or 24

    def show(self, lines: Sequence[str]) -> None:
        """Show these lines, as far as they fit. Control characters in them are escaped."""
        width, height = self.size
        drawn = [_drawn(plain(line), width) for line in lines[:height]]
        sys.stdout.write(_HOME + "\n".join(drawn) + _TO_END)
        sys.stdout.flush()

    def wait(self, until: float, descriptors: Sequence[int] = ()) -> Sequence[int]:
        """Wait until this time of the monotonic clock, a key, or one of the descriptors; returns those that are
        readable."""
        keys = sys.stdin.fileno()
        readable, _, _ = select.select([keys, *descriptors], [], [], max(until - time.monotonic(), 0.0))
        if keys in readable:
            typed = os.read(keys, 100)
            self.quit = self.quit or not typed or b"q" in typed.lower()
        return [each for each in readable if each != keys]

    def _enter(self) -> None:
        tty.setcbreak(sys.stdin)
        sys.stdout.write(_ENTER)
        sys.stdout.flush()

    def _leave(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._saved)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: give the terminal back until the shell continues this program."""
        self._leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._enter()


def _drawn(line: str, width: int) -> str:
    """The line as it is written: what was there before is erased, unless nothing is left of it. After the last column
    a terminal would erase the last character."""
    text = set_cell_size(line, width).rstrip()
    return text if cell_len(text) == width else text + _TO_END_OF_LINE
