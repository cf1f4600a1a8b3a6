"""Whether the kernel tracks connections in this network namespace."""

import contextlib
import socket
from pathlib import Path

_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")


def is_tracking() -> bool:
    """Whether any connection is tracked. One is made for this: a datagram of this process to itself.

    The kernel does not say whether tracking is on. It is as soon as any rule of a namespace needs it, and then tracks
    everything, media included.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as loopback:
        loopback.bind(("127.0.0.1", 0))
        loopback.sendto(b"", loopback.getsockname())
    try:
        return int(_COUNT.read_text()) > 0
    except (OSError, ValueError):
        return False  # the module is not loaded
