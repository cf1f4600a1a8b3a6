"""`sbc-filter run` as a process on the SBC's host of a laboratory."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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


def asked(file: Path) -> dict[str, Any]:
    """What a running filter says of itself."""
    command = [sys.executable, "-P", "-m", "sbc_filter", "status", "--json", "--config", str(file)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONG).stdout)
    assert isinstance(found, dict)
    return found


def processes(file: Path) -> dict[str, dict[str, Any]]:
    """Its processes, by name."""
    return {each["name"]: each for each in asked(file)["processes"]}
