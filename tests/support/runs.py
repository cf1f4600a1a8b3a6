"""`sbc-filter run` as a process on the SBC's host of a laboratory, and the commands that talk to it."""

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sbc_filter.cli import main
from sbc_filter.config.configuration_file import read_configuration
from sbc_filter.daemon.control_socket import answers, default_path
from sbc_filter.lab.namespaces import Lab
from support.processes import heeding_signals
from support.waiting import LONG, eventually

RUN = (sys.executable, "-P", "-m", "sbc_filter", "run", "--firewall", "--config")


@contextlib.contextmanager
def started(lab: Lab, file: Path, command: Sequence[str] = RUN) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """The process, and the file of what it says; ended with the block."""
    log = file.with_name("log")
    if "[control]" not in file.read_text():  # each has its own, whoever else runs on this machine
        with file.open("a") as more:
            more.write('\n[control]\nsocket = "control"\n')
    with lab.inside("sbc"), log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(file)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=heeding_signals
        )
    try:
        assert eventually(lambda: b"listening" in log.read_bytes())
        yield process, log
    finally:
        process.terminate()
        process.wait(LONG)


def says(log: Path, sentence: str) -> bool:
    """Whether a running filter says this, perhaps soon: what it says to others may come a moment earlier."""
    return eventually(lambda: sentence in " ".join(log.read_text().split()))


def commanded(*words: str) -> "subprocess.CompletedProcess[bytes]":
    """What a command of ours returns and prints. It runs in this process: most take less time than a new process."""
    out, error = io.BytesIO(), io.BytesIO()
    with (
        io.TextIOWrapper(out, "utf-8", write_through=True) as stdout,
        io.TextIOWrapper(error, "utf-8", write_through=True) as stderr,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        code = main(words)
        return subprocess.CompletedProcess(words, code, out.getvalue(), error.getvalue())


def commanded_text(*words: str) -> "subprocess.CompletedProcess[str]":
    """The same, as text."""
    done = commanded(*words)
    return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())


def asked(file: Path) -> dict[str, Any]:
    """What a running filter says of itself, as `sbc-filter status --json` prints it. Asked here, and not by a process
    of its own, because most tests ask again and again. Returns when the filter has closed the connection."""
    path = read_configuration(file, []).control or default_path()
    with answers(path, "status", LONG) as connection, connection.makefile("rb") as answer:
        found = json.loads(answer.read())
    assert isinstance(found, dict)
    return found


def processes(file: Path) -> dict[str, dict[str, Any]]:
    """Its processes, by name."""
    return {each["name"]: each for each in asked(file)["processes"]}


def is_ready(file: Path, name: str, other_than: int = 0) -> bool:
    """Whether the process of this name works, and is another one than this. One that is being replaced has no entry."""
    found = processes(file).get(name)
    return found is not None and found["ready"] and found["pid"] != other_than
