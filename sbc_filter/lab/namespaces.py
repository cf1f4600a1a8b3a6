"""A laboratory network on one machine: namespaces as hosts, veth pairs as cables, all gone at exit.

A namespace has its own interfaces, routes, firewall and netfilter queues, so the live filter can be
tried with real packets and without touching the network of the machine.

    with Lab() as lab:
        lab.host("carrier")
        lab.host("sbc")
        lab.cable(("carrier", "192.0.2.7/24", "2001:db8::7/64"), ("sbc", "192.0.2.1/24", "2001:db8::1/64"))
        lab.run("carrier", "ping", "-c1", "192.0.2.1")
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from sbc_filter.errors import EnvironmentFault

_CLONE_NEWNET = 0x40000000
# Seconds for a command. The kernel adds and removes hosts one after another; a busy machine takes more than 30 s.
_PATIENCE = 180.0
_LIBC = ctypes.CDLL(None, use_errno=True)
_SERIAL = itertools.count()

End = tuple[str, str, str]
"""One end of a cable: host, IPv4 address with prefix length, IPv6 address with prefix length."""


class Lab:
    """Hosts and cables. Leaving the context ends the processes that were started in it, and deletes the hosts."""

    def __init__(self, prefix: str = "sbc") -> None:
        self._prefix = f"{prefix}-{os.getpid()}-{next(_SERIAL)}-"
        self._hosts: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise EnvironmentFault("network namespaces need root and iproute2: run as root, install iproute2")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def namespace(self, host: str) -> str:
        """Name of the network namespace of `host`, as `ip netns` knows it."""
        return self._prefix + host

    def host(self, name: str, forwarding: bool = False) -> None:
        """Add a host; with `forwarding` it is a router for both families."""
        self._hosts.append(name)  # noted first: a signal may arrive in between
        _ip("netns", "add", self.namespace(name))
        self.run(name, "ip", "link", "set", "lo", "up")
        self.sysctl(name, "net/ipv6/conf/default/accept_dad", "0")  # no other host can have the address
        if forwarding:
            self.sysctl(name, "net/ipv4/ip_forward", "1")
            self.sysctl(name, "net/ipv6/conf/all/forwarding", "1")

    def cable(self, one: End, other: End, mtu: int = 1500) -> None:
        """Join two hosts; the interface of each is named `to-` and the host at the other end."""
        device, peer = f"to-{other[0]}", f"to-{one[0]}"
        _ip(
            *("link", "add", device, "mtu", str(mtu), "netns", self.namespace(one[0]), "type", "veth"),
            *("peer", "name", peer, "mtu", str(mtu), "netns", self.namespace(other[0])),
        )
        for (host, v4, v6), name in ((one, device), (other, peer)):
            self.address(host, v4, name)
            self.address(host, v6, name)
            self.run(host, "ip", "link", "set", name, "up")

    def address(self, host: str, address: str, device: str) -> None:
        """Give an interface of `host` one more address (with prefix length) of either family.

        Without `nodad` no program can bind an IPv6 address until a kernel worker has run.
        """
        self.run(host, "ip", "address", "replace", address, "dev", device, *(["nodad"] if ":" in address else []))

    def route(self, host: str, destination: str, via: str) -> None:
        """Route `destination` (`default` or a prefix) of either family through `via`."""
        family = "-6" if ":" in via else "-4"
        self.run(host, "ip", family, "route", "add", destination, "via", via)

    def sysctl(self, host: str, key: str, value: str) -> None:
        """Set a kernel parameter of one host, named by its path below /proc/sys."""
        with self.inside(host):
            Path("/proc/sys", key).write_text(value)

    def wait_until_up(self, seconds: float = _PATIENCE) -> None:
        """Wait until all interfaces are up and the kernel receives for all addresses.

        This takes a second, or more on a busy machine. Until then, IPv6 neighbours do not find each other. Raises
        `EnvironmentFault` when it takes longer than `seconds`.
        """
        end = time.monotonic() + seconds
        for host in self._hosts:
            while not self._is_up(host):
                if time.monotonic() > end:
                    raise EnvironmentFault(f"an interface of {host} has not come up within {seconds:g} s")
                time.sleep(0.02)

    def _is_up(self, host: str) -> bool:
        if "NO-CARRIER" in self.run(host, "ip", "-o", "link"):
            return False
        addresses = [line.split() for line in self.run(host, "ip", "-6", "-o", "address").splitlines()]
        local = set(self.run(host, "ip", "-6", "route", "show", "table", "local").split())
        return all("tentative" not in words and words[3].partition("/")[0] in local for words in addresses)

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Move the calling thread into `host`: sockets opened and programs started here belong to it."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(f"/run/netns/{self.namespace(host)}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _enter(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)

    def run(self, host: str, *command: str, stdin: bytes = b"", timeout: float = _PATIENCE) -> str:
        """Run a command to its end and return its standard output; raises `EnvironmentFault` if it fails."""
        with self.inside(host):
            return _run(command, stdin, timeout)

    def start(self, host: str, *command: str, log: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start a command in the background. It is ended with the laboratory at the latest."""
        with self.inside(host):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self._processes.append(process)
        return process

    def close(self) -> None:
        """End the processes that were started here, then delete the hosts and with them their cables."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        for name in self._hosts:
            with contextlib.suppress(EnvironmentFault):
                _ip("netns", "delete", self.namespace(name))
        self._hosts.clear()


def _ip(*arguments: str) -> None:
    _run(("ip", *arguments), b"", _PATIENCE)


def _run(command: tuple[str, ...], stdin: bytes, timeout: float) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise EnvironmentFault(f"{' '.join(command)}: {said or f'exit code {done.returncode}'}")
    return done.stdout.decode(errors="replace")


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise EnvironmentFault(f"cannot enter a network namespace: {os.strerror(number)}; run as root")
