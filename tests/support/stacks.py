"""SIP stacks as judges: what they see in a message, each in a process of its own.

The drivers in tests/judges/drivers read messages from stdin, each behind its length (4 bytes, big-endian), and answer
each with one line of JSON:

- `refused`: why the stack does not hand the message on. Then nothing else.
- `method`, `call` (the stack takes it for an INVITE), `uri`;
- `from` and `pai`: the user part, or the number of a tel URI, as an application gets it; absent if there is none that
  the stack can read;
- `to_tag`: absent if the stack sees none;
- `marks`: [place, name, value] of everything in which a mark could be read, after the escapes that the stack undoes.
"""

import contextlib
import functools
import importlib.util
import json
import os
import select
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
DRIVERS = ROOT / "tests" / "judges" / "drivers"
BUILD = ROOT / "build" / "judges"
SECONDS = 20.0
"""For one message. A stack that takes longer is hung; it is ended and started again."""


class Seen(NamedTuple):
    """What a stack sees. `refused` is why it sees nothing; "crashed" and "hung" are the stack's own faults."""

    refused: str | None = None
    method: str = ""
    call: bool = False
    uri: str = ""
    from_user: str | None = None
    pai: str | None = None
    to_tag: str | None = None
    marks: Sequence[tuple[str, str, str]] = ()

    @property
    def caller(self) -> str | None:
        """The caller for an SBC that believes P-Asserted-Identity, where it can read it."""
        return self.from_user if self.pai is None else self.pai

    @property
    def new_call(self) -> bool:
        """Whether the stack sets up a call: an INVITE outside of any dialog."""
        return self.call and not self.to_tag


class Missing(Exception):
    """The stack is not installed here; says what it needs."""


def compiled(name: str, package: str, flags: Sequence[str]) -> list[str]:
    """Compile a driver in C, unless that is done already."""
    source, program = DRIVERS / f"{name}.c", BUILD / name
    newest = max(file.stat().st_mtime for file in (source, *DRIVERS.glob("*.h")))
    if not program.exists() or program.stat().st_mtime < newest:
        for needed in ("gcc", "pkg-config"):
            if shutil.which(needed) is None:
                raise Missing(f"needs {needed}")
        BUILD.mkdir(parents=True, exist_ok=True)
        found = subprocess.run(
            ["pkg-config", "--cflags", "--libs", package], capture_output=True, text=True, check=False
        )
        if found.returncode:
            raise Missing(f"needs the development files of {package}")
        part = BUILD / f"{name}.{os.getpid()}"
        made = ["gcc", "-O2", "-Wall", "-Wextra", *flags, "-o", str(part), str(source), *found.stdout.split()]
        subprocess.run(made, check=True)
        part.rename(program)
    return [str(program)]


def node(name: str, package: str) -> list[str]:
    """The command of a driver in JavaScript, for a package."""
    if shutil.which("node") is None:
        raise Missing("needs node")
    if not (BUILD / "node_modules" / package).is_dir():
        raise Missing(f"needs the package {package} of npm")
    return ["node", str(DRIVERS / f"{name}.js")]


def perl(name: str) -> list[str]:
    """The command of a driver in Perl."""
    tried = subprocess.run(["perl", "-MNet::SIP::Packet", "-e", "1"], capture_output=True, check=False)
    if tried.returncode:
        raise Missing("needs the Perl module Net::SIP")
    return ["perl", str(DRIVERS / f"{name}.pl")]


def pjsip(name: str) -> list[str]:
    """The command of a driver of PJSIP."""
    if importlib.util.find_spec("pjsua2") is None:
        raise Missing("needs the package pjsua2-python")
    return [sys.executable, str(DRIVERS / f"{name}.py")]


def _kamailio() -> list[str]:
    if shutil.which("kamailio") is None:
        raise Missing("needs kamailio")
    return ["/usr/bin/python3", str(DRIVERS / "kamailio.py")]


LIBRE = ("-DHAVE_STDBOOL_H", "-DHAVE_INTTYPES_H")
STACKS: Mapping[str, Callable[[], list[str]]] = {
    "osip2": functools.partial(compiled, "osip", "libosip2", ()),
    "sofia": functools.partial(compiled, "sofia", "sofia-sip-ua", ()),
    "libre": functools.partial(compiled, "re", "libre", LIBRE),
    "pjsip": functools.partial(pjsip, "pjsip"),
    "netsip": functools.partial(perl, "netsip"),
    "node-sip": functools.partial(node, "node_sip", "sip"),
    "jssip": functools.partial(node, "jssip", "jssip"),
    "kamailio": _kamailio,
}
_ALONE = ("sofia", "kamailio")
"""Those that listen: each in a network of its own, from which nothing leaves."""


def apart(command: Sequence[str]) -> list[str]:
    """The command in a network of its own, from which nothing leaves."""
    script = 'ip link set lo up && exec "$0" "$@"'
    # In a process namespace, those that the driver started end with it, even if it is killed.
    namespaces = ("--map-root-user", "--net", "--pid", "--fork", "--kill-child")
    return ["unshare", *namespaces, "sh", "-c", script, *command]


class Driver:
    """The process of a stack, started when it is asked first, and again after a crash."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.faults = 0
        self.fault = ""
        """The last one: `crashed` or `hung`."""
        self._command = command
        self.process: subprocess.Popen[bytes] | None = None

    def answer(self, question: bytes) -> object:
        """What the driver answers to these octets; None if it crashed or hung, which is counted."""
        process = self.process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(question)
            process.stdin.flush()
            line = self._line(process)
        except BrokenPipeError:
            line = b""
        if line is None or not line.endswith(b"\n"):
            self.kill()
            self.faults += 1
            self.fault = "hung" if line is None else "crashed"
            return None
        found: object = json.loads(line)
        return found

    def close(self) -> None:
        """End the process, which tidies up after its last message."""
        if self.process is not None:
            assert self.process.stdin is not None
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self.process.stdin.close()
                self.process.wait(SECONDS)
            self.kill()

    def kill(self) -> None:
        """End the process that hangs or has crashed."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def _start(self) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "NODE_PATH": str(BUILD / "node_modules"), "LC_ALL": "C"}
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        self.process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=null, env=environment)
        return self.process

    @staticmethod
    def _line(process: "subprocess.Popen[bytes]") -> bytes | None:
        """The answer; what there is of it if the process has ended, None if it takes too long."""
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], SECONDS)
        return process.stdout.readline() if ready else None


class Stack(Driver):
    """One stack; `Missing` if it is not installed."""

    def __init__(self, name: str) -> None:
        command = STACKS[name]()
        super().__init__(name, apart(command) if name in _ALONE else command)

    def ask(self, message: bytes) -> Seen:
        """What the stack sees in a message."""
        found = self.answer(struct.pack(">I", len(message)) + message)
        return _seen(found) if isinstance(found, dict) else Seen(self.fault)


def _seen(found: dict[str, Any]) -> Seen:
    if "refused" in found:
        return Seen(found["refused"])
    marks = [(place, name, value) for place, name, value in found.get("marks", ())]
    return Seen(
        None,
        found["method"],
        found["call"],
        found.get("uri") or "",
        found.get("from"),
        found.get("pai"),
        found.get("to_tag"),
        marks,
    )
