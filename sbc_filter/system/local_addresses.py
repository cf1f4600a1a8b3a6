"""The addresses of this host, as rtnetlink(7) lists them, and those that the configuration lacks.

The kernel delivers packets to all of them. An SBC that listens on any address therefore gets calls to those that are
not in `[network].sbc`.
"""

import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from struct import Struct
from typing import NamedTuple

_HEADER = Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port id
_ADDRESS = Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, interface
_ATTRIBUTE = Struct("=HH")  # rtattr: length, type
_DONE, _ERROR, _NEW_ADDRESS, _GET_ADDRESS = 3, 2, 20, 22  # NLMSG_DONE, NLMSG_ERROR, RTM_NEWADDR, RTM_GETADDR
_REQUEST_DUMP = 1 | 0x300  # NLM_F_REQUEST | NLM_F_DUMP
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RECEIVE = 1 << 16  # bytes; the kernel sends at most 32 KiB in a datagram
_PATIENCE = 1.0  # seconds; the kernel answers at once


class LocalAddress(NamedTuple):
    """An address as text, and the name of the interface that has it."""

    address: str
    interface: str


def local_addresses() -> list[LocalAddress]:
    """All addresses of this host in the network namespace of this thread; `OSError` when the kernel does not answer."""
    return [
        LocalAddress(str(ip_address(raw)), _name(interface)) for message in _dump() for interface, raw in _read(message)
    ]


def forgotten(sbc: Sequence[str], local: Sequence[LocalAddress]) -> list[str]:
    """One sentence for each address of this host that `sbc` lacks.

    None where no address of the SBC is local: there the filter runs on another host, whose addresses are not meant.
    Loopback and link-local addresses are not reported: every host has them, and no trunk uses them.
    """
    if not any(each.address in sbc for each in local):
        return []
    return [
        f"{each.address} on {each.interface} is an address of this host, but not in [network].sbc:"
        " calls to it are treated as inbound from an untrusted peer, and pass unfiltered over TCP"
        for each in dict.fromkeys(local)
        if each.address not in sbc and not _is_private_to_host(each.address)
    ]


def _is_private_to_host(text: str) -> bool:
    address = ip_address(text)
    return address.is_loopback or address.is_link_local


def _dump() -> Iterator[bytes]:
    """The kernel's answers to a request for all addresses, one message each."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_PATIENCE)
        kernel.bind((0, 0))
        size = _HEADER.size + _ADDRESS.size
        kernel.send(_HEADER.pack(size, _GET_ADDRESS, _REQUEST_DUMP, 1, 0) + bytes(_ADDRESS.size))
        while True:
            batch = kernel.recv(_RECEIVE)
            while batch:
                length, kind = _HEADER.unpack_from(batch)[:2]
                if kind == _DONE:
                    return
                if kind == _ERROR or length < _HEADER.size:
                    raise OSError("the kernel does not list its addresses")
                yield batch[:length]
                batch = batch[length + 3 & ~3 :]


def _read(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Interface and address of an RTM_NEWADDR message. On a point-to-point link IFA_ADDRESS is the other end's."""
    if _HEADER.unpack_from(message)[1] != _NEW_ADDRESS:
        return
    interface = _ADDRESS.unpack_from(message, _HEADER.size)[4]
    found: dict[int, bytes] = {}
    at = _HEADER.size + _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        found[kind] = message[at + _ATTRIBUTE.size : at + length]
        at += max(length + 3 & ~3, _ATTRIBUTE.size)
    raw = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if raw is not None:
        yield interface, raw


def _name(interface: int) -> str:
    try:
        return socket.if_indextoname(interface)
    except OSError:
        return f"interface {interface}"
