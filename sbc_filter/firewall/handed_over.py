"""Reads the applied firewall rules, and how many packets they handed over to each queue, without waiting for programs.

A firewall program may wait for a lock of another one, so it runs alongside the caller. Its output goes to memory and
not to a pipe, which could be full.
"""

import contextlib
import os
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import BinaryIO, NamedTuple

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall import iptables, nft
from sbc_filter.firewall.backend import backend
from sbc_filter.firewall.iptables import firewall_environment
from sbc_filter.firewall.policy_routing import PROGRAM
from sbc_filter.firewall.rule_tables import MAIN

_PATIENCE = 30.0  # seconds after which a firewall program is killed
_FULL_EVERY = 5  # readings
_NOTHING = {"nft": "No such file or directory", PROGRAM: "RTNETLINK answers"}
"""What a program says of a table or route that is not there."""


class Reading(NamedTuple):
    """What the firewall programs print of our rules."""

    handed_over: Mapping[int, int]
    """Packets by the number of the queue; queues that no rule feeds are absent."""
    listings: Mapping[tuple[str, str], str]
    """The rules by program and table (of nft: our own); without the programs that could not read any.

    Of `ip`, the route of a packet for the relay, by its destination.
    """


class HandedOverReader:
    """One reading at a time: `start` it, then `collect` until the result is there.

    Tables in which our rules were not found are read at every fifth reading only, after `forget`, and when those with
    our rules change: then other programs may have them.
    """

    def __init__(self) -> None:
        try:
            self._commands = backend("iptables").readings  # of all programs; this one is chosen without a trial
        except EnvironmentFault:
            self._commands = nft.Nft().readings
        self._running: list[_Program] = []
        self._end = 0.0
        self._incomplete = False  # a program could not be started
        self._worked: set[str] = set()  # the programs that could read their rules
        self._readings = 0
        self._is_full = True
        self._listings: dict[tuple[str, str], str] = {}  # the last ones

    @property
    def is_running(self) -> bool:
        """Whether a reading has been started and not been collected."""
        return bool(self._running)

    def start(self) -> None:
        """Start a reading."""
        self._begin(is_full=self._readings % _FULL_EVERY == 0)
        self._readings += 1

    def forget(self) -> None:
        """Read all tables at the next reading: the rules are not as they should be, and may soon be elsewhere."""
        self._listings = {}

    def _begin(self, *, is_full: bool) -> None:
        ours = _with_ours(self._listings)
        self._is_full = is_full or not ours
        self._end = time.monotonic() + _PATIENCE
        self._incomplete = False
        for command in self._commands():
            if not self._is_full and (command[0], command[-1]) not in ours:
                continue
            try:
                self._running.append(_started(command))
            except FileNotFoundError:  # it is not installed, or is just being replaced
                self._incomplete |= command[0] in self._worked
            except OSError:  # no descriptor or no process is left: the reading fails, the filter goes on
                self._incomplete = True

    def collect(self, seconds: float) -> Reading | None:
        """The rules; None while a program runs, waiting for it at most `seconds`, and when it failed."""
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
        listings: dict[tuple[str, str], str] = {}
        failed = self._incomplete
        for program in self._running:
            listing, complaint = program.printed()
            if program.process.returncode == 0:
                self._worked.add(program.name)
                listings[program.name, program.table] = listing
                found.update((nft if program.name == "nft" else iptables).handed_over(listing))  # keeps zeros
            elif program.name in _NOTHING and _NOTHING[program.name] in complaint:
                listings[program.name, program.table] = ""
            elif program.name in self._worked or program.process.returncode < 0:  # killed: it says nothing of the rules
                failed = True
        self._running = []
        if failed:
            return None
        if not self._is_full:
            ours = _with_ours(self._listings)
            if _with_ours(listings) != ours:
                self._begin(is_full=True)
                return self.collect(max(0.0, end - time.monotonic()))
            listings = {key: text for key, text in self._listings.items() if key not in ours} | listings
        self._listings = listings
        return Reading(found, listings)

    def close(self) -> None:
        """Kill the programs that still run."""
        for program in self._running:
            program.process.kill()
            program.process.wait()
            program.printed()
        self._running = []


def _with_ours(listings: Mapping[tuple[str, str], str]) -> set[tuple[str, str]]:
    """The programs and tables that have rules of ours."""
    return {key for key, text in listings.items() if MAIN in text or (key[0] in _NOTHING and text)}


class _Program(NamedTuple):
    name: str
    table: str
    process: "subprocess.Popen[bytes]"
    output: BinaryIO
    errors: BinaryIO

    def printed(self) -> tuple[str, str]:
        """Its output and its errors, which can be read once."""
        found = []
        for file in (self.output, self.errors):
            with file:
                file.seek(0)
                found.append(file.read().decode("utf-8", "replace"))
        return found[0], found[1]


def _started(command: Sequence[str]) -> _Program:
    """A firewall program that writes to memory; `OSError`."""
    with contextlib.ExitStack() as opened:
        output, errors = (opened.enter_context(_memory()) for _ in range(2))
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=firewall_environment()
        )
        opened.pop_all()
    return _Program(command[0], command[-1], process, output, errors)


def _memory() -> BinaryIO:
    return os.fdopen(os.memfd_create("rules"), "w+b")
