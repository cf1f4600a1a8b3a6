"""Whether the clock of this host is kept right by others (NTP), as the kernel knows it: adjtimex(2).

A wrong clock makes tokens stale. chrony, ntpd and systemd-timesyncd tell the kernel when they have set it.
"""

import ctypes
from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

_TIMEX = Struct("@I4li")  # struct timex: modes, offset, frequency, maximum and estimated error, status
_LARGEST = 256  # octets of struct timex, on all architectures
_UNSYNC = 0x40  # STA_UNSYNC of <sys/timex.h>


class ClockState(NamedTuple):
    """What the kernel says of its clock; `max_error` is in seconds, and grows while nothing sets the clock."""

    synchronized: bool
    max_error: float


def clock_state(adjtimex: Callable[[Any], int] | None = None) -> ClockState | None:
    """The state of the clock, which is only read; None if the kernel does not report it, as in some sandboxes.

    `adjtimex` gets a buffer with a struct timex, and returns -1 if it fails.
    """
    buffer = ctypes.create_string_buffer(_LARGEST)  # modes 0: only read
    try:
        call = ctypes.CDLL(None).adjtimex if adjtimex is None else adjtimex
        if call(buffer) < 0:
            return None
    except (OSError, AttributeError):
        return None
    _, _, _, max_error, _, status = _TIMEX.unpack_from(buffer)
    return ClockState(not status & _UNSYNC, max_error / 1e6)
