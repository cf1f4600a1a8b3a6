"""A module of this package as a program of its own, in place of a forked process."""

import os
import sys
from collections.abc import Iterable
from typing import NoReturn


def execute(module: str, descriptors: Iterable[int]) -> NoReturn:
    """Execute `module`, with the numbers of these descriptors as its arguments; all others are closed.

    A forked process would still have our keys, the secret of our To tags and the shared memory of the workers. Modules
    come from the working folder only if they do here: it may be one that other users write to.
    """
    given = list(descriptors)
    for descriptor in given:
        os.set_inheritable(descriptor, True)
    flags = [] if {"", _working_folder()} & set(sys.path) else ["-P"]
    os.execv(sys.executable, [sys.executable, *flags, "-m", module, *map(str, given)])  # noqa: S606


def _working_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed
        return ""


def told(data: bytes) -> int:
    """A descriptor from which the program can read these octets."""
    descriptor = os.memfd_create("sbc-filter-told")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
