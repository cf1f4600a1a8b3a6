"""Reads how many packets the applied firewall rules have handed over to each queue, without waiting for the programs.

A firewall program may wait for a lock of another one, so it runs alongside the caller. Its output goes to memory and
not to a pipe, which could be full.
"""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall import iptables, nft
from sbc_filter.firewall.backend import backend
from sbc_filter.firewall.iptables import firewall_environment

_PATIENCE = 30.0  # seconds after which a firewall program is killed


class HandedOverReader:
    """One reading at a time: `start` it, then `collect` until the result is there."""

    def __init__(self) -> None:
        try:
            self._commands = backend("iptables").readings  # of all programs; this one is chosen without a trial
        except EnvironmentFault:
            self._commands = nft.Nft().readings
        self._running: list[_Program] = []
        self._end = 0.0
        self._incomplete = False  # a program could not be started
        self._worked: set[str] = set()  # the programs that could read their rules

    @property
    def is_running(self) -> bool:
        """Whether a reading has been started and not been collected."""
        return bool(self._running)

    def start(self) -> None:
        """Start a reading."""
        self._end = time.monotonic() + _PATIENCE
        self._incomplete = False
        for command in self._commands():
            try:
                self._running.append(_started(command))
            except FileNotFoundError:
                continue  # it is not installed
            except OSError:  # no descriptor or no process is left: the reading fails, the filter goes on
                self._incomplete = True

    def collect(self, seconds: float) -> Counter[int] | None:
        """The packets by queue; None while a program runs, waiting for it at most `seconds`, and when it failed.

        Queues that no rule feeds are absent.
        """
        end = time.monotonic() + seconds
        for program in self._running:
            try:
                program.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                if time.monotonic() < self._end:
                    return None
                program.process.kill()
                program.process.wait()
        found: Counter[int] = Counter()
        failed = self._incomplete
        for program in self._running:
            with program.output as output:
                output.seek(0)
                listing = output.read().decode("utf-8", "replace")
            if program.process.returncode == 0:
                self._worked.add(program.name)
                found.update((nft if program.name == "nft" else iptables).handed_over(listing))  # keeps zeros
            elif program.name in self._worked and program.name != "nft":  # nft fails when our table is not there
                failed = True
        self._running = []
        return None if failed else found

    def close(self) -> None:
        """Kill the programs that still run."""
        for program in self._running:
            program.process.kill()
            program.process.wait()
            program.output.close()
        self._running = []


class _Program(NamedTuple):
    name: str
    process: "subprocess.Popen[bytes]"
    output: BinaryIO


def _started(command: Sequence[str]) -> _Program:
    """A firewall program that writes to memory; `OSError`."""
    output = os.fdopen(os.memfd_create("counters"), "w+b")
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            env=firewall_environment(),
        )
    except OSError:
        output.close()
        raise
    return _Program(command[0], process, output)
