"""How many files and sockets a process may have open (RLIMIT_NOFILE, getrlimit(2))."""

import resource
from contextlib import suppress

_OTHERS = 128  # files apart from connections: fetches, pipes of programs, logs, libraries

_OTHERS_OF_RELAY = 512  # connections that are being opened, requests for certificates, logs, libraries


def allow_descriptors(needed: int) -> int:
    """Raise the limit of this process, and of those that it starts, to `needed` if that is allowed; returns the limit.

    A limit that is higher already stays.
    """
    soft, hard = _limits()
    if soft < needed and soft < hard:
        with suppress(OSError, ValueError):  # a system call filter may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    return _limits()[0]


def allowed_descriptors() -> int:
    """The highest limit to which this process may raise its own."""
    return _limits()[1]


def room_for(connections: int) -> int:
    """Raise the limit as far as so many connections need it; returns how many of them there is room for."""
    allowed = allow_descriptors(connections + _OTHERS)
    return min(connections, max(allowed - _OTHERS, allowed // 2, 1))


def descriptors_of_relay(connections: int) -> int:
    """The files and sockets of a process that relays so many connections: each has two sides."""
    return _OTHERS_OF_RELAY + 2 * connections


def _limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)  # RLIM_INFINITY is a number that Linux does not use here
