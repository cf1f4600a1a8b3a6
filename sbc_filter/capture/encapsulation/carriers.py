"""What carries an IP packet: the headers around it, which have to follow when another packet takes its place."""

import zlib
from collections.abc import Callable
from typing import NamedTuple, Protocol

from sbc_filter.packet.ip import udp_checksum


class Header(NamedTuple):
    """One header around an IP packet, by the name of its class in scapy, or by one of ours."""

    name: str
    at: int  # offset of its first byte
    size: int  # bytes, without its payload
    ip_at: int = 0  # of UDP: the offset of the IP header, for the checksum
    order: str = "big"  # of NFLOG: the byte order of the capturing host


class Carrier(Protocol):
    """Something that carries an IP packet."""

    @property
    def raw(self) -> bytes:
        """The IP packet."""

    @property
    def tunnel(self) -> str:
        """The kind of tunnel, such as "GRE"; "" for what belongs to the link."""

    def replace(self, raw: bytes) -> bytes | None:
        """The same carrier with another IP packet; None if that cannot be written correctly."""

    def answer(self, raw: bytes) -> bytes | None:
        """The same carrier with a packet the other way; None if that cannot be written correctly."""


class Enclosed(NamedTuple):
    """An IP packet within `data`, which is a frame, or another IP packet."""

    data: bytes
    start: int
    end: int
    headers: tuple[Header, ...]  # outermost first
    tunnel: str = ""

    @property
    def raw(self) -> bytes:
        """The IP packet."""
        return self.data[self.start : self.end]

    def replace(self, raw: bytes) -> bytes | None:
        """`data` with `raw` in place of the packet: lengths and checksums of all headers around it are those of the new
        one.

        What followed the packet is dropped: it is padding. None for a header that is not known well enough, and for
        a length that does not fit.
        """
        return self._around(bytearray(self.data[: self.start]), raw)

    def answer(self, raw: bytes) -> bytes | None:
        """`data` with `raw` as a packet the other way: the addresses of Ethernet and IP headers are exchanged."""
        if raw[0] >> 4 != self.data[self.start] >> 4:
            return None
        data = bytearray(self.data[: self.start])
        for header in self.headers:
            if header.name in _ENDS:
                first, second, size = _ENDS[header.name]
                a, b = header.at + first, header.at + second
                data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]
            elif header.name in _OUTGOING:
                at = header.at + _OUTGOING[header.name]
                data[at] = 4
        return self._around(data, raw)

    def _around(self, data: bytearray, raw: bytes) -> bytes | None:
        data += raw
        for header in reversed(self.headers):
            if header.name in _FOLLOWING:
                try:
                    _FOLLOWING[header.name](data, header)
                except OverflowError:  # the length field is too small
                    return None
            elif header.name not in _CONSTANT:
                return None
        return bytes(data)


# Of a header: the offsets of the two addresses to exchange, and their size.
_ENDS = {"Ether": (0, 6, 6), "IP": (12, 16, 4), "IPv6": (8, 24, 16)}
_OUTGOING = {"CookedLinux": 1, "CookedLinuxV2": 10}  # the last byte of the packet type; 4: sent by us
_CONSTANT = frozenset(
    (
        *("Ether", "CookedLinux", "CookedLinuxV2", "Dot1Q", "Dot1AD", "Dot1AH", "SNAP", "LLC", "MPLS", "EoMCW"),
        *("PPP", "HDLC", "DIR_PPP", "CHDLC", "GRErouting", "ERSPAN_I", "ERSPAN_II", "ERSPAN_III"),
        *("ERSPAN_PlatformSpecific", "VXLAN", "GENEVE", "GTPPDUSessionContainer", "EtherIP"),
        *("RadioTap", "Dot11", "Dot11QoS", "PrismHeader", "PKTAP", "PFLOG", "ENC", "NULL", "RAW", "ExportedPDU"),
    )
)
"""Headers that say nothing about the packet within them."""
_MAX_802_3 = 1500  # above, the length of an Ethernet frame would be an EtherType


def _put(data: bytearray, at: int, value: int) -> None:
    data[at : at + 2] = value.to_bytes(2, "big")


def _ip(data: bytearray, header: Header) -> None:
    at = header.at
    _put(data, at + 2, len(data) - at)
    _put(data, at + 10, 0)
    _put(data, at + 10, (65535 - int.from_bytes(data[at : at + header.size], "big") % 65535) % 65535)


def _ipv6(data: bytearray, header: Header) -> None:
    _put(data, header.at + 4, len(data) - header.at - 40)


def _udp(data: bytearray, header: Header) -> None:
    at, ip_at = header.at, header.ip_at
    length = len(data) - at
    _put(data, at + 4, length)
    if data[at + 6 : at + 8] == b"\0\0":  # none, as tunnels have it
        return
    ends = data[ip_at + 12 : ip_at + 20] if data[ip_at] >> 4 == 4 else data[ip_at + 8 : ip_at + 40]
    _put(data, at + 6, 0)
    _put(data, at + 6, udp_checksum(bytes(ends) + bytes((0, 17)) + length.to_bytes(2, "big") + bytes(data[at:])))


def _gre(data: bytearray, header: Header) -> None:
    at = header.at
    if data[at] & 0x80:
        _put(data, at + 4, 0)
        _put(data, at + 4, udp_checksum(bytes(data[at:])) % 65535)


def _pptp(data: bytearray, header: Header) -> None:
    _put(data, header.at + 4, len(data) - header.at - header.size)


def _pppoe(data: bytearray, header: Header) -> None:
    _put(data, header.at + 4, len(data) - header.at - 6)


def _gtp(data: bytearray, header: Header) -> None:
    _put(data, header.at + 2, len(data) - header.at - 8)


def _length_802_3(data: bytearray, header: Header) -> None:
    length = len(data) - header.at - header.size
    if length > _MAX_802_3:
        raise OverflowError
    _put(data, header.at, length)


def _nflog(data: bytearray, header: Header) -> None:
    length = len(data) - header.at
    data[header.at : header.at + 2] = length.to_bytes(2, "big" if header.order == "big" else "little")
    data += bytes(-length % 4)


def _check_sequence(data: bytearray, header: Header) -> None:
    data += zlib.crc32(data[header.at :]).to_bytes(4, "little")


_FOLLOWING: dict[str, Callable[[bytearray, Header], None]] = {
    "IP": _ip,
    "IPv6": _ipv6,
    "UDP": _udp,
    "GRE": _gre,
    "GRE_PPTP": _pptp,
    "PPPoE": _pppoe,
    "GTP_U_Header": _gtp,
    "Length": _length_802_3,
    "NFLOG": _nflog,
    "Dot11FCS": _check_sequence,
}
