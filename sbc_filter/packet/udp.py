"""A UDP datagram in one IP packet: parse it, replace its payload, write it with correct checksums."""

from struct import Struct
from typing import NamedTuple

from sbc_filter.errors import PacketError
from sbc_filter.outcomes import Detail
from sbc_filter.packet import ip
from sbc_filter.packet.ip import udp_checksum


class Datagram(NamedTuple):
    """A datagram: addresses as text (`"198.51.100.7"`, `"2001:db8::7"`), ports as integers, the UDP payload."""

    src: str
    sport: int
    dst: str
    dport: int
    payload: bytes


_UDP = Struct(">HHHH")
_COVERED = Struct(">HHHHH")


class Packet:
    """A parsed packet; `raw` is kept as a whole, `payload` is a slice of it."""

    __slots__ = ("dport", "end", "payload", "raw", "sport", "start", "version")

    def __init__(self, raw: bytes, version: int, start: int, end: int, sport: int, dport: int, payload: bytes) -> None:
        self.raw = raw
        self.version = version
        self.start = start  # offset of the UDP header
        self.end = end  # end of the IP packet; anything after it is link-layer padding
        self.sport = sport
        self.dport = dport
        self.payload = payload

    @property
    def src_bytes(self) -> bytes:
        """Source address, 4 or 16 bytes."""
        return self.raw[12:16] if self.version == 4 else self.raw[8:24]

    @property
    def dst_bytes(self) -> bytes:
        """Destination address, 4 or 16 bytes."""
        return self.raw[16:20] if self.version == 4 else self.raw[24:40]

    @property
    def ends(self) -> bytes:
        """Source address, destination address, source port and destination port, as encoded in the packet."""
        ports = self.raw[self.start : self.start + 4]
        return self.raw[12:20] + ports if self.version == 4 else self.raw[8:40] + ports

    @property
    def src(self) -> str:
        """Source address as text."""
        return ip.address_text(self.src_bytes)

    @property
    def dst(self) -> str:
        """Destination address as text."""
        return ip.address_text(self.dst_bytes)

    @property
    def room(self) -> int:
        """Maximum payload size in bytes: the IP length field is at most 65535, in IPv6 without the first 40 bytes."""
        return (0xFFFF if self.version == 4 else 0xFFFF + 40) - self.start - 8

    def replace_payload(self, payload: bytes) -> bytes:
        """The same packet with another payload: lengths and checksums are corrected, every other field is kept.

        Raises `PacketError(NO_ROOM)` if the result does not fit into one IP datagram.
        """
        raw, start = self.raw, self.start
        if self.version == 4:
            udp = _udp_header(raw[12:20], self.sport, self.dport, payload)
            grown = start + 8 + len(payload) > self.end
            # the checksum: depends on the packet alone
            identification = int.from_bytes(udp[6:], "big") if grown else None
            header = ip.header_v4(raw[:start], 8 + len(payload), identification)
        else:
            udp = _udp_header(raw[8:40], self.sport, self.dport, payload)
            header = ip.header_v6(raw[:start], 8 + len(payload))
        return b"%b%b%b" % (header, udp, payload)


def parse(raw: bytes) -> Packet:
    """Parse an IPv4 or IPv6 packet that carries a whole UDP datagram; `PacketError` for anything else."""
    version = raw[0] >> 4 if raw else 0
    if version == 4:
        start, end = ip.locate_v4(raw)
    elif version == 6:
        start, end = ip.locate_v6(raw)
    else:
        raise PacketError(Detail.PACKET_SYNTAX)
    if end - start < 8:
        raise PacketError(Detail.PACKET_TRUNCATED)
    sport, dport, length, _ = _UDP.unpack_from(raw, start)
    if not 8 <= length <= end - start:
        if length or version == 4:
            raise PacketError(Detail.PACKET_SYNTAX)
        length = end - start  # as in jumbograms (RFC 2675 §4); hosts accept this in any packet
    return Packet(raw, version, start, end, sport, dport, raw[start + 8 : start + length])


def datagram_to_ip(datagram: Datagram) -> bytes:
    """A complete IP packet for a datagram of this program; both addresses have to be of the same family."""
    src, dst = ip.address_bytes(datagram.src), ip.address_bytes(datagram.dst)
    udp = _udp_header(src + dst, datagram.sport, datagram.dport, datagram.payload) + datagram.payload
    return ip.build_v4(src, dst, udp) if len(src) == 4 else ip.build_v6(src, dst, udp)


def _udp_header(addresses: bytes, sport: int, dport: int, payload: bytes) -> bytes:
    """The header, with its checksum over pseudo header, ports, length and payload (RFC 768, RFC 8200 §8.1).

    The pseudo headers of both families add up the same way: addresses, protocol, length.
    """
    length = 8 + len(payload)
    if length > 0xFFFF:
        raise PacketError(Detail.NO_ROOM, "the datagram would exceed 65535 bytes")
    covered = b"%b%b%b" % (addresses, _COVERED.pack(ip.UDP, length, sport, dport, length), payload)
    return _UDP.pack(sport, dport, length, udp_checksum(covered))
