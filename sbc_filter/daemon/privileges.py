"""What this process may do (capabilities(7)): as little as it needs."""

import ctypes
import grp
import os
import pwd
from pathlib import Path
from struct import Struct

from sbc_filter.errors import EnvironmentFault

_LIBC = ctypes.CDLL(None, use_errno=True)
_KEEP_CAPABILITIES, _AMBIENT, _RAISE, _LOWER_ALL = 8, 47, 2, 4  # PR_SET_KEEPCAPS, PR_CAP_AMBIENT and what it does
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS
_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_HEADER = Struct("=Ii")
_SETS = Struct("=6I")  # effective, permitted, inheritable: the lower halves, then the upper ones
NET_ADMIN, NET_RAW = 12, 13
NEEDED = (NET_ADMIN, NET_RAW)


def become(user: str) -> None:
    """Go on as `user`, with CAP_NET_ADMIN and CAP_NET_RAW and no other; programs that are started keep them. Group 0
    is kept as well: to it alone the kernel shows what waits in its queues.

    Raises `EnvironmentFault` where there is no such user, or this process may not.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise EnvironmentFault(f"process.user: there is no user {user!r}: `sbc-filter install` makes one") from None
    if os.geteuid() == entry.pw_uid:
        return
    try:
        _control(_KEEP_CAPABILITIES, 1)
        os.setgroups([0, entry.pw_gid, *(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
        _limit(NEEDED)
        for capability in NEEDED:
            _control(_AMBIENT, _RAISE, capability)
    except OSError as error:
        raise EnvironmentFault(f"process.user: cannot become {user!r}: {error.strerror}; start as root") from None
    if not os.access(__file__, os.R_OK):  # what is imported later would be missing
        raise EnvironmentFault(f"process.user: {user!r} may not read the program: install it outside of {_closed()}")


def _closed() -> str:
    """The first folder on the way to this file that cannot be entered."""
    folders = reversed(Path(__file__).parents)
    return str(next((folder for folder in folders if not os.access(folder, os.X_OK)), Path(__file__).parent))


def surrender() -> None:
    """Have no capability from now on, whoever we are; also not in programs that are started."""
    try:
        _control(_AMBIENT, _LOWER_ALL)
        _limit(())
        _control(_NO_NEW_PRIVILEGES, 1)  # else a program that root starts has all of them again
    except OSError as error:
        raise EnvironmentFault(f"capabilities cannot be given up: {error.strerror}") from None


def _limit(capabilities: tuple[int, ...]) -> None:
    bits = sum(1 << each for each in capabilities)
    lower, upper = bits & 0xFFFFFFFF, bits >> 32
    header = ctypes.create_string_buffer(_HEADER.pack(_VERSION, 0))
    sets = ctypes.create_string_buffer(_SETS.pack(lower, lower, lower, upper, upper, upper))
    if _LIBC.capset(header, sets):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _control(option: int, *arguments: int) -> None:
    values = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:4]]
    if _LIBC.prctl(option, *values):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
