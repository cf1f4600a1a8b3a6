"""Three hosts on two cables for live tests: carrier (192.0.2.7) - sbc (.1) - core (198.51.100.7)."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.packet import Packet

from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import DEFAULT_MARK, Plan, QueueSettings
from sbc_filter.holding.holding import Source
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.queue_shell import Core, QueueShell
from sbc_filter.live.raw_send import Emitter
from support.tiny import invite
from support.waiting import LONG
from support.waiting import eventually as eventually

ADDRESSES = {
    "carrier": {4: "192.0.2.7", 6: "2001:db8:1::7"},
    "sbc": {4: "192.0.2.1", 6: "2001:db8:1::1"},
    "core": {4: "198.51.100.7", 6: "2001:db8:2::7"},
}
PATHS = [  # from, to: delivered to this host, sent by this host, forwarded
    pytest.param(start, end, version, id=f"{start}-{end}-v{version}")
    for start, end in (("carrier", "sbc"), ("sbc", "carrier"), ("carrier", "core"))
    for version in (4, 6)
]


def _missing() -> str | None:
    if os.geteuid() != 0:
        return "needs root"
    for program in ("ip", "iptables-restore", "ip6tables-restore"):
        if shutil.which(program) is None:
            return f"needs {program}"
    tried = subprocess.run(["ip", "netns", "list"], capture_output=True, check=False)
    if tried.returncode or not Path("/proc/self/net/netfilter/nfnetlink_queue").exists():
        return "needs network namespaces and nfnetlink_queue"
    return None


NO_MOUNTS = "needs a mount namespace, which a root folder that is no mount point (chroot) does not have"


def may_mount() -> bool:
    """Whether there are mount namespaces here, in which `ip netns exec` gives a host files of its own."""
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


_REASON = _missing()
LIVE = [pytest.mark.live, pytest.mark.skipif(_REASON is not None, reason=str(_REASON))]


@contextlib.contextmanager
def three_hosts(mtu: int = 1500, plan: Plan | None = None) -> Iterator[Lab]:
    """The hosts, with the rules of `plan` in force at the SBC."""
    with Lab("sbct") as lab:
        lab.host("carrier")
        lab.host("sbc", forwarding=True)
        lab.host("core")
        lab.cable(("carrier", "192.0.2.7/24", "2001:db8:1::7/64"), ("sbc", "192.0.2.1/24", "2001:db8:1::1/64"), mtu)
        lab.cable(
            ("core", "198.51.100.7/24", "2001:db8:2::7/64"),
            ("sbc", "198.51.100.1/24", "2001:db8:2::1/64"),
            mtu,
        )
        for host, v4, v6 in (
            ("carrier", "192.0.2.1", "2001:db8:1::1"),
            ("core", "198.51.100.1", "2001:db8:2::1"),
        ):
            lab.route(host, "default", v4)
            lab.route(host, "default", v6)
        lab.wait_until_up()
        if plan is not None:
            with lab.inside("sbc"):
                Iptables().apply(plan)
        yield lab


@contextlib.contextmanager
def endpoint(
    lab: Lab, host: str, version: int = 4, port: int = 5060, dont_fragment: bool = False, address: str = ""
) -> Iterator[socket.socket]:
    """A UDP socket of `host`; `recv` waits for `LONG`. With `dont_fragment` it forbids fragments (PMTUDISC_DO)."""
    with lab.inside(host):
        opened = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    with opened:
        opened.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        if dont_fragment:
            level, option = (socket.IPPROTO_IP, 10) if version == 4 else (socket.IPPROTO_IPV6, 23)
            opened.setsockopt(level, option, 2)
        opened.settimeout(LONG)
        opened.bind((address or ADDRESSES[host][version], port))
        yield opened


def transmit(lab: Lab, packets: list[Packet]) -> None:
    """Packets from the carrier, byte for byte."""
    family = socket.AF_INET if packets[0].version == 4 else socket.AF_INET6
    with lab.inside("carrier"), socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for packet in packets:
            raw.sendto(bytes(packet), (packet.dst, 0))


def fragments(version: int, end: str, message: bytes, identification: int = 7) -> list[Packet]:
    """A message from the carrier to another host in fragments, in order."""
    source, target = ADDRESSES["carrier"][version], ADDRESSES[end][version]
    udp = UDP(sport=5062, dport=5060) / message
    if version == 4:
        return fragment(IP(src=source, dst=target, id=identification) / udp, 1000)  # type: ignore[no-untyped-call,no-any-return]
    whole = IPv6(src=source, dst=target) / IPv6ExtHdrFragment(id=identification) / udp
    return fragment6(whole, 1000)  # type: ignore[no-untyped-call,no-any-return]


def bracketed(address: str) -> str:
    """An address as a URI has it."""
    return f"[{address}]" if ":" in address else address


INVITE = invite(999_999)  # which goes through the queue, as those of a test do, behind them
NO_INVITE = b"OPTIONS sip:999999@b SIP/2.0\r\n\r\n"  # which the firewall rules do not queue


def settled(shell: QueueShell) -> None:
    """Wait until every packet that was in the queue has got its verdict, or is held."""
    for _ in range(2):  # the first turn of the loop may have begun before the last packet came
        done = threading.Event()
        shell.soon(done.set)
        assert done.wait(LONG)


def nothing_else(sender: socket.socket, to: tuple[str, int], receiver: socket.socket, marker: bytes = INVITE) -> bool:
    """True when the next thing that arrives at `receiver` is what `sender` sends now: nothing was on its way before.

    Choose the marker so that it takes the way of what must not arrive.
    """
    sender.sendto(marker, to)
    return b"999999" in receiver.recv(70000)


@contextlib.contextmanager
def running(lab: Lab, engine: Core, source: Source, **options: Any) -> Iterator[QueueShell]:
    """The shell at work in a thread, on the queues of both directions of the host `sbc`, or of another `host`."""
    options.setdefault("queues", (QueueSettings(50), QueueSettings(51)))
    with lab.inside(options.pop("host", "sbc")):
        emitter = Emitter(DEFAULT_MARK)
        shell = QueueShell(engine, source, emitter, options.pop("sink", lambda record: None), **options)
    thread = threading.Thread(target=shell.run)
    thread.start()
    try:
        yield shell
    finally:
        shell.stop()
        thread.join(LONG)
        emitter.close()
        assert not thread.is_alive()
