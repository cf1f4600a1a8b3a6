"""Sends our own datagrams: responses to a peer, and rewritten packets that the kernel must fragment.

One raw UDP socket for each family. The kernel writes the IP header, finds the route and fragments;
the source may be any address (IP_TRANSPARENT), because a response comes from the address that the INVITE
was sent to (S-143). All carry a mark, so that the filter's own rules pass them unfiltered, and a host firewall that is
closed can accept them (S-157).
"""

import contextlib
import ctypes
import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import Mapping
from ipaddress import ip_address
from struct import Struct
from struct import error as StructError  # noqa: N812

from sbc_filter.counters import CounterName
from sbc_filter.errors import EnvironmentFault, PacketError
from sbc_filter.firewall.plan import admission
from sbc_filter.firewall.rule_tables import IpFamily
from sbc_filter.packet.udp import Datagram, Packet, datagram_to_ip, parse
from sbc_filter.system.sparse_log import SparseLog

# Constants of linux/in.h, linux/in6.h and asm-generic/socket.h that Python does not name.
_IP_TRANSPARENT, _IP_MTU_DISCOVER, _IP_PKTINFO = 19, 10, 8
_IPV6_TRANSPARENT, _IPV6_MTU_DISCOVER = 75, 23
_PMTUDISC_DONT = 0
_SO_MARK, _SO_ATTACH_FILTER, _SO_SNDBUFFORCE = 36, 26, 32

_SEND_BUFFER = 4 << 20  # bytes that may be queued to the interfaces before sending fails
_INT = Struct("=i")
_U32 = Struct("=I")
_PKTINFO_V4 = Struct("=i4s4s")  # interface, source, (received: destination)
_PKTINFO_V6 = Struct("=16sI")
_INSTRUCTION = Struct("=HBBI")  # sock_filter
_PROGRAM = Struct("@HP")  # sock_fprog
_REJECT_ALL = ctypes.create_string_buffer(_INSTRUCTION.pack(0x06, 0, 0, 0), _INSTRUCTION.size)  # RET 0

_Ancillary = list[tuple[int, int, bytes]]
_LOG = logging.getLogger(__name__)
_COUNTED = (CounterName.EMITTED, CounterName.REEMITTED, CounterName.EMIT_ERRORS)
_REMEDIES = {
    errno.ENETUNREACH: "there is no route to it: see docs/placement.md",
    errno.EHOSTUNREACH: "there is no route to it: see docs/placement.md",
    errno.EMSGSIZE: "it is too large for a datagram: see max_size of [rule.sign]",
    errno.EAGAIN: "the interface is too slow, and the send buffer full",
    errno.ENOBUFS: "the interface is too slow, and its queue full",
}


def dscp_of(raw: bytes) -> int:
    """The DSCP of an IP packet in its place in the traffic class: without ECN, which a response does not copy."""
    return (raw[1] if raw[0] >> 4 == 4 else _traffic_class_v6(raw)) & 0xFC


class Emitter:
    """Sends datagrams with any source address and the mark `mark`. Errors are counted, never raised.

    Needs CAP_NET_ADMIN (the mark) and CAP_NET_RAW; raises `EnvironmentFault` without them.
    """

    def __init__(self, mark: int) -> None:
        self._mark = mark
        self._count: Counter[str] = Counter(dict.fromkeys(_COUNTED, 0))
        self._log = SparseLog(_LOG, self._count)
        self._v4 = _open_v4()
        self._v6 = _open_v6()

    @property
    def counters(self) -> Mapping[str, int]:
        """Datagrams sent, rewritten packets sent, and both that could not be sent."""
        return {str(name): count for name, count in self._count.items()}

    def send(self, datagram: Datagram, traffic_class: int = 0) -> bool:
        """Send one datagram with this traffic class (IPv4: TOS); returns false on failure.

        Never sends to a multicast group: such a peer address was forged, and a bridge, unlike a router, forwards it.
        """
        try:
            packet = parse(datagram_to_ip(datagram))
            if ip_address(packet.dst).is_multicast:
                return self._failed(datagram.dst, "its address is that of a group: it was forged")
        except (PacketError, ValueError, StructError):
            return self._failed(datagram.dst, "its addresses and ports do not make a datagram")
        return self._transmit(packet, traffic_class, self._mark, CounterName.EMITTED)

    def resend(self, raw: bytes, mark: int = 0) -> bool:
        """Send a whole IP packet again, even if it exceeds the MTU; returns false on failure.

        Addresses, ports, DSCP, hop limit and `mark` are kept. Options and extension headers are not.
        """
        try:
            packet = parse(raw)
        except PacketError:
            return self._failed("?", "it is not a datagram")
        traffic_class = raw[1] if packet.version == 4 else _traffic_class_v6(raw)
        return self._transmit(packet, traffic_class, self._mark | mark, CounterName.REEMITTED)

    def close(self) -> None:
        """Close both sockets."""
        self._v4.close()
        if self._v6 is not None:
            self._v6.close()

    def _transmit(self, packet: Packet, traffic_class: int, mark: int, counter: CounterName) -> bool:
        ancillary = _header_v4(packet, traffic_class) if packet.version == 4 else _header_v6(packet, traffic_class)
        ancillary.append((socket.SOL_SOCKET, _SO_MARK, _U32.pack(mark)))
        udp = memoryview(packet.raw)[packet.start : packet.end]
        try:
            if packet.version == 4:
                self._v4.sendmsg([udp], ancillary, 0, (packet.dst, 0))
            elif self._v6 is not None:
                self._v6.sendmsg([udp], ancillary, 0, (packet.dst, 0, 0, 0))
            else:
                return self._failed(packet.dst, "this kernel has no IPv6")
        except OSError as error:
            number = error.errno or 0
            remedy = _REMEDIES.get(number, "see docs/placement.md")
            if number == errno.EPERM:
                rule = admission(IpFamily.V4 if packet.version == 4 else IpFamily.V6, self._mark)
                remedy = f"a firewall of this host drops it: `{rule}` lets it out of iptables"
            return self._failed(packet.dst, f"{os.strerror(number)} ({errno.errorcode.get(number, number)}): {remedy}")
        self._count[counter] += 1
        return True

    def _failed(self, destination: str, why: str) -> bool:
        """Count it, and log it now and then: peers choose the addresses."""
        text = "a packet to %s could not be sent: %s; emit-errors: %d so far"
        self._log.warning(CounterName.EMIT_ERRORS, text, destination, why)
        return False


def _traffic_class_v6(raw: bytes) -> int:
    return (raw[0] & 15) << 4 | raw[1] >> 4


def _header_v4(packet: Packet, traffic_class: int) -> _Ancillary:
    return [
        (socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO_V4.pack(0, packet.src_bytes, b"")),
        (socket.IPPROTO_IP, socket.IP_TOS, _INT.pack(traffic_class)),
        (socket.IPPROTO_IP, socket.IP_TTL, _INT.pack(packet.raw[8] or 1)),
    ]


def _header_v6(packet: Packet, traffic_class: int) -> _Ancillary:
    return [
        (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO_V6.pack(packet.src_bytes, 0)),
        (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _INT.pack(traffic_class)),
        (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, _INT.pack(packet.raw[7] or 1)),
    ]


def _open_v4() -> socket.socket:
    opened = _open(socket.AF_INET)
    opened.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
    # DF is never set, so that routers may fragment the packet, too.
    opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
    return opened


def _open_v6() -> socket.socket | None:
    try:
        opened = _open(socket.AF_INET6)
    except OSError:  # a kernel without IPv6
        return None
    opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT)
    return opened


def _open(family: int) -> socket.socket:
    try:
        opened = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError:
        raise EnvironmentFault(
            "raw sockets are not permitted: run as root, or grant CAP_NET_RAW and CAP_NET_ADMIN"
        ) from None
    opened.setblocking(False)
    with contextlib.suppress(PermissionError):
        opened.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER)
    # Reject everything: otherwise this socket would receive a copy of all UDP packets of the host.
    program = _PROGRAM.pack(1, ctypes.addressof(_REJECT_ALL))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    return opened
