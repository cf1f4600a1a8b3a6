"""`sbc-filter status --watch` on a terminal and without one."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import calls
from support.netns import LIVE, endpoint, eventually
from support.processes import heeding_signals
from support.runs import started
from support.waiting import LONG

from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
SBC = ("192.0.2.1", 5060)
COMMAND = [sys.executable, "-P", "-m", "sbc_filter", "status", "--watch", "--config"]
OURS = re.compile(rb"\x1b\[(\?1049[hl]|\?25[hl]|H|K|J)")


def configured(folder: Path) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text('[[rule]]\nname = "no"\naction = "reject"\n')
    (folder / "c.toml").write_text(
        f'[network]\nsbc = ["192.0.2.1"]\n[control]\nsocket = "{folder}/control"\n[log]\nrecords = "records.jsonl"\n'
        '[trunks."\\u001b[2Jacme"]\naddresses = "192.0.2.7"\n'
    )
    return folder / "c.toml"


class Shown:
    """A terminal on which the screen is shown, and everything written to it."""

    def __init__(self, file: Path, columns: int, lines: int) -> None:
        self.ours, self.theirs = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            [*COMMAND, str(file)], stdin=self.theirs, stdout=self.theirs, stderr=subprocess.PIPE,
            preexec_fn=heeding_signals,
        )  # fmt: skip
        os.set_blocking(self.ours, False)
        self.written = b""

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def text(self) -> str:
        """The last whole screen."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.written += os.read(self.ours, 65536)
        screens = re.findall(rb"\x1b\[H((?:(?!\x1b\[H).)*?)\x1b\[J", self.written, re.DOTALL)
        return OURS.sub(b"", screens[-1]).decode() if screens else ""


@contextlib.contextmanager
def watching(file: Path, columns: int = 80, lines: int = 24) -> Iterator[Shown]:
    shown = Shown(file, columns, lines)
    try:
        yield shown
    finally:
        shown.process.kill()
        shown.process.communicate()
        os.close(shown.ours)
        os.close(shown.theirs)


@pytest.mark.parametrize("end", [b"q", signal.SIGINT, signal.SIGTERM, "the filter"])
def test_the_terminal_is_left_as_it_was(lab: Lab, tmp_path: Path, end: object) -> None:
    """With figures on it that fit, and no escape sequence but our own, whatever a name contains."""
    file = configured(tmp_path)
    with started(lab, file) as (process, _), endpoint(lab, "carrier") as carrier, watching(file) as shown:
        assert eventually(lambda: "Latency" in shown.text())
        carrier.sendto(calls.invite(), SBC)
        carrier.recv(70000)
        assert eventually(lambda: "100.0 %" in shown.text())
        lines = shown.text().split("\r\n")
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80
        assert any(re.fullmatch(r"Outcomes +Trunks +Signers", line) for line in lines)
        assert any(r"1 not-examined" in line and r"1 \x1b[2Jacme" in line for line in lines)
        if end == b"q":
            os.write(shown.ours, b"q")
        elif isinstance(end, signal.Signals):
            shown.process.send_signal(end)
        else:
            process.terminate()
        code = shown.process.wait(LONG)
        shown.text()
        assert code == {b"q": 0, signal.SIGINT: 130, signal.SIGTERM: 143}.get(end, 3)
        assert shown.written.startswith(b"\x1b[?1049h\x1b[?25l")
        assert shown.written.endswith(b"\x1b[?25h\x1b[?1049l")
        assert b"\x1b" not in OURS.sub(b"", shown.written)
        assert termios.tcgetattr(shown.theirs) == shown.before


def test_it_fits_another_size(lab: Lab, tmp_path: Path) -> None:
    file = configured(tmp_path)
    with started(lab, file), watching(file, 40, 10) as shown:
        assert eventually(lambda: shown.text())
        lines = shown.text().split("\r\n")
        assert (len(lines), max(map(len, lines)) <= 40) == (10, True)
        shown.resize(120, 30)
        assert eventually(lambda: len(shown.text().split("\r\n")) > 10)


def test_without_a_terminal_it_prints_blocks(lab: Lab, tmp_path: Path) -> None:
    file = configured(tmp_path)
    with started(lab, file):
        command = [*COMMAND, str(file)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            blocks = 0
            while blocks < 3:
                line = process.stdout.readline()
                assert b"\x1b" not in line
                blocks += line.startswith(b"Latency")
        finally:
            process.kill()
            process.communicate()
