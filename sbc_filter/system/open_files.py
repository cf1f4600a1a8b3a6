"""The limit of open files of this process (RLIMIT_NOFILE), and how many connections it has room for."""

import contextlib
import resource

_OTHERS = 128  # files apart from connections: fetches, pipes of programs, logs, libraries


def room_for(connections: int) -> int:
    """Raise the soft limit as far as so many connections need it; returns how many of them there is room for.

    The usual soft limit of 1024 exists for programs that use `select`. The hard limit is the operator's, and stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OTHERS
    if 0 <= soft < needed:
        wanted = needed if hard < 0 else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):  # a filter of system calls may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return connections if soft < 0 or soft >= needed else max(soft - _OTHERS, soft // 2, 1)
