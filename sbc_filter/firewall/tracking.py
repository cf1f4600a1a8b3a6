"""Whether the kernel tracks connections in this network namespace."""

import contextlib
import socket
from pathlib import Path

_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")


def is_tracking() -> bool:
    """Whether any connection is tracked. Two are made for this: datagrams of this process to itself.

    The kernel does not say whether tracking is on. It is as soon as any rule of a namespace needs it, and then tracks
    everything, media included.
    """
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as loopback:
            loopback.bind((address, 0))
            loopback.sendto(b"", loopback.getsockname())
    try:
        return int(_COUNT.read_text()) > 0
    except (OSError, ValueError):
        return False  # the module is not loaded
