"""Names of the network interfaces that the kernel speaks of by number."""

import fcntl
import socket
import struct

_SIOCGIFNAME = 0x8910  # <linux/sockios.h>
_IFREQ = struct.Struct("16si20x")  # struct ifreq: the name, and here the number; netdevice(7)


class InterfaceNames:
    """Asks the kernel each time, for interfaces are renamed; in the network namespace in which this was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __call__(self, number: int) -> str:
        """The name of an interface; "" for number 0, which is none, and for one that is gone."""
        if not number:
            return ""
        try:
            found = fcntl.ioctl(self._socket, _SIOCGIFNAME, _IFREQ.pack(b"", number))
        except OSError:
            return ""
        return found[:16].partition(b"\0")[0].decode(errors="replace")

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()
