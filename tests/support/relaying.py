"""TCP between the hosts of a laboratory, and the small relay on one of them."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from sbc_filter.lab.namespaces import Lab
from support.netns import ADDRESSES
from support.waiting import LONG, eventually

_RELAY = Path(__file__).with_name("small_relay.py")


@contextlib.contextmanager
def small_relay(lab: Lab, port: int = 5059) -> Iterator[subprocess.Popen[bytes]]:
    """The relay at work on the host `sbc`, listening."""
    with tempfile.NamedTemporaryFile() as log:
        process = lab.start("sbc", sys.executable, str(_RELAY), str(port), log=log)
        try:
            assert eventually(lambda: b"ready" in Path(log.name).read_bytes())
            yield process
        finally:
            process.kill()
            process.wait(LONG)


@contextlib.contextmanager
def echo(lab: Lab, host: str, version: int, port: int = 5060, address: str = "") -> Iterator[socket.socket]:
    """A server of `host` that answers each message with the address and port of its peer, and the message."""
    with lab.inside(host):
        listener = socket.create_server(
            (address or ADDRESSES[host][version], port), family=socket.AF_INET if version == 4 else socket.AF_INET6
        )
    taken: list[socket.socket] = []

    def serve(end: socket.socket, peer: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            while data := end.recv(65536):
                end.sendall(f"{peer[0]} {peer[1]} ".encode() + data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                end, peer = listener.accept()
                taken.append(end)
                threading.Thread(target=serve, args=(end, peer[:2]), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener
    finally:
        for each in (listener, *taken):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        thread.join(LONG)


@contextlib.contextmanager
def connected(lab: Lab, host: str, to: str, version: int, port: int = 5060) -> Iterator[socket.socket]:
    """A connection from `host` to an address."""
    with begun(lab, host, version) as opened:
        opened.connect((to, port))
        yield opened


@contextlib.contextmanager
def begun(lab: Lab, host: str, version: int = 4) -> Iterator[socket.socket]:
    """A socket of `host` that waits for `LONG` at most."""
    with lab.inside(host):
        opened = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6)
    with opened:
        opened.settimeout(LONG)
        yield opened


def asked(opened: socket.socket, data: bytes = b"plain") -> tuple[str, int, bytes]:
    """The address and port that the server sees, and what it received."""
    opened.sendall(data)
    address, port, received = opened.recv(65536).split(b" ", 2)
    return address.decode(), int(port), received
