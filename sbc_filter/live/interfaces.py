"""Names of network interfaces by their index."""

import fcntl
import socket
import struct

_SIOCGIFNAME = 0x8910  # <linux/sockios.h>
_IFREQ = struct.Struct("16si20x")  # struct ifreq: name and index; netdevice(7)


class InterfaceNames:
    """Looks names up in the network namespace in which it was made. Not cached, since interfaces can be renamed."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __call__(self, number: int) -> str:
        """The name of an interface; "" for index 0 (no interface) and for an interface that is gone."""
        if not number:
            return ""
        try:
            found = fcntl.ioctl(self._socket, _SIOCGIFNAME, _IFREQ.pack(b"", number))
        except OSError:
            return ""
        return found[:16].partition(b"\0")[0].decode(errors="replace")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
