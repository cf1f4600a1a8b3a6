"""The full screen: what is written to a terminal, and that the terminal is left as it was."""

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import LONG, eventually

from sbc_filter.system.screen import Screen

PROGRAM = """
import sys, time
from sbc_filter.system.screen import Screen
with Screen() as screen:
    while not screen.quit:
        screen.show(["hello \\x1b[2J\\u202e\\n", "x" * 500] + ["line"] * 100)
        screen.wait(time.monotonic() + 0.05)
"""
ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"


class Terminal:
    """A terminal, and the program on it."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (24, 80))
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=self.theirs, stdout=self.theirs, start_new_session=True
        )
        os.set_blocking(self.ours, False)
        self._written = b""

    def written(self) -> bytes:
        """Everything so far."""
        try:
            self._written += os.read(self.ours, 1 << 20)
        except BlockingIOError:
            pass
        return self._written

    def is_stopped(self) -> bool:
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal()
    yield found
    found.process.kill()
    found.process.wait()
    os.close(found.ours)
    os.close(found.theirs)


def test_lines_are_cut_and_escaped(terminal: Terminal) -> None:
    assert eventually(lambda: b"\x1b[J" in terminal.written())
    screen = terminal.written().partition(b"\x1b[H")[2].partition(b"\x1b[J")[0].decode()
    assert screen.split("\r\n") == ["hello \\x1b[2J\\x202e\\x0a\x1b[K", "x" * 80] + ["line\x1b[K"] * 22


def test_q_ends_it_and_restores_the_terminal(terminal: Terminal) -> None:
    assert eventually(lambda: b"\x1b[J" in terminal.written())
    assert terminal.written().startswith(ENTER)
    assert termios.tcgetattr(terminal.theirs) != terminal.before
    os.write(terminal.ours, b"x")
    os.write(terminal.ours, b"q")
    assert terminal.process.wait(LONG) == 0
    assert terminal.written().endswith(LEAVE)
    assert termios.tcgetattr(terminal.theirs) == terminal.before


def test_while_it_is_suspended_the_terminal_is_as_it_was(terminal: Terminal) -> None:
    assert eventually(lambda: b"\x1b[J" in terminal.written())
    terminal.process.send_signal(signal.SIGTSTP)
    assert eventually(terminal.is_stopped)
    assert terminal.written().endswith(LEAVE)
    assert termios.tcgetattr(terminal.theirs) == terminal.before
    terminal.process.send_signal(signal.SIGCONT)
    assert eventually(lambda: b"\x1b[H" in terminal.written().partition(LEAVE + ENTER)[2])
    os.write(terminal.ours, b"Q")
    assert terminal.process.wait(LONG) == 0
    assert terminal.written().endswith(LEAVE)


@pytest.mark.parametrize(
    ("said", "used"), [((24, 80), (80, 24)), ((0, 0), (80, 24)), ((1, 1), (1, 1)), ((50, 0), (80, 50))]
)
def test_the_size_of_the_terminal(
    said: tuple[int, int], used: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A serial line does not know it, and says 0."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, said)
    with open(theirs, "w") as output, open(ours):
        monkeypatch.setattr(sys, "stdout", output)
        assert Screen().size == used
