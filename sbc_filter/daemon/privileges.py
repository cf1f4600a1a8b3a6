"""Reduces the privileges of this process to what it needs (capabilities(7))."""

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
    """Switch to `user`, with CAP_NET_ADMIN and CAP_NET_RAW and no other capability; child programs inherit them.

    Group 0 is kept as well: only root and its group can read the kernel's queue statistics.
    Raises `EnvironmentFault` if there is no such user, or this process may not switch.
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
    if not os.access(__file__, os.R_OK):  # modules that are imported later must be readable
        raise EnvironmentFault(f"process.user: {user!r} may not read the program: install it outside of {_closed()}")


def _closed() -> str:
    """The first folder on the path to this file that cannot be entered."""
    folders = reversed(Path(__file__).parents)
    return str(next((folder for folder in folders if not os.access(folder, os.X_OK)), Path(__file__).parent))


def surrender() -> None:
    """Give up all capabilities, for this process and for the programs that it starts, even as root."""
    try:
        _control(_AMBIENT, _LOWER_ALL)
        _limit(())
        _control(_NO_NEW_PRIVILEGES, 1)  # without this, a program started as root would regain them all
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
