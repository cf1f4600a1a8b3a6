"""A relay of a few lines, to show which connections the kernel hands over: `python small_relay.py PORT`.

It writes `ready`, then a line for each connection: the peer, where it wants to go, and the address to the far side.
What it relays says so: `plain` becomes `RELAY`.
"""

import random
import socket
import struct
import sys
import threading

OWN, LOCAL = 0x2000_0000, 0x1000_0000
_SO_MARK, _TRANSPARENT = 36, {4: (socket.IPPROTO_IP, 19), 6: (socket.IPPROTO_IPV6, 75)}


def opened(version: int, mark: int) -> socket.socket:
    """A socket that may have any address."""
    made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6)
    made.setsockopt(*_TRANSPARENT[version], 1)
    made.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if version == 6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def is_local(version: int, address: str) -> bool:
    """Whether this host has the address: then the port of the peer is taken."""
    with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
        return True


def copy(source: socket.socket, target: socket.socket) -> None:
    """Relay one direction up to its end."""
    try:
        while data := source.recv(65536):
            target.sendall(data.replace(b"plain", b"RELAY"))
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            end.close()


def connected(version: int, source: tuple[str, int], target: tuple[str, int]) -> socket.socket:
    """A connection from this address, which may be that of another host."""
    far = opened(version, OWN)
    far.bind(source)
    far.connect(target)
    return far


def relay(version: int, near: socket.socket, peer: tuple[str, int]) -> None:
    """Connect to where the peer wants to go, from its address."""
    target = near.getsockname()[:2]
    if is_local(version, peer[0]):
        port = 0
    else:  # to this host, one that no other connection of the peer has
        port = random.randrange(16_384, 32_768) if is_local(version, target[0]) else peer[1]
    try:
        far = connected(version, (peer[0], port), target)
    except OSError:  # an earlier connection of the same ports is just being closed
        far = connected(version, (peer[0], 0), target)
    print(peer, target, far.getsockname()[:2], flush=True)
    threading.Thread(target=copy, args=(far, near), daemon=True).start()
    copy(near, far)


def listening(version: int, port: int) -> socket.socket:
    """The listener for all addresses of a version."""
    listener = opened(version, OWN | LOCAL)
    listener.bind(("", port))
    listener.listen()
    return listener


def accept(version: int, listener: socket.socket) -> None:
    """Accept connections for ever."""
    while True:
        near, peer = listener.accept()
        threading.Thread(target=relay, args=(version, near, peer[:2]), daemon=True).start()


if __name__ == "__main__":
    listeners = {version: listening(version, int(sys.argv[1])) for version in (4, 6)}
    print("ready", flush=True)
    threading.Thread(target=accept, args=(4, listeners[4]), daemon=True).start()
    accept(6, listeners[6])
