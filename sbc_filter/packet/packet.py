"""One UDP datagram in one IP packet: parse, exchange its payload, write it again with right checksums."""

from struct import Struct

from sbc_filter.errors import Detail, PacketError
from sbc_filter.packet import ip
from sbc_filter.packet.checksum import udp_checksum
from sbc_filter.packet.datagram import Datagram

_UDP = Struct(">HHHH")
_PSEUDO_V4 = Struct(">4s4sxBH")
_PSEUDO_V6 = Struct(">16s16sI3xB")


class Packet:
    """A parsed packet; `raw` is kept whole, `payload` is a slice of it."""

    __slots__ = ("dport", "end", "payload", "raw", "sport", "start", "version")

    def __init__(
        self, raw: bytes, version: int, start: int, end: int, sport: int, dport: int, payload: bytes
    ) -> None:
        self.raw = raw
        self.version = version
        self.start = start  # of the UDP header
        self.end = end  # of the IP packet; what follows is link-layer padding
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
    def src(self) -> str:
        """Source address as text."""
        return ip.address_text(self.src_bytes)

    @property
    def dst(self) -> str:
        """Destination address as text."""
        return ip.address_text(self.dst_bytes)

    @property
    def room(self) -> int:
        """Bytes that a payload may have: the IP length field ends at 65535, in IPv6 without the first 40."""
        return (0xFFFF if self.version == 4 else 0xFFFF + 40) - self.start - 8

    def replace_payload(self, payload: bytes) -> bytes:
        """The same packet with another payload: lengths and checksums right, every other field kept.

        Raises `PacketError(NO_ROOM)` when it would not fit into one IP datagram.
        """
        udp = _udp(self.version, self.src_bytes, self.dst_bytes, self.sport, self.dport, payload)
        header = self.raw[: self.start]
        if self.version == 4:
            return ip.rewrite_v4(header, udp, grown=self.start + len(udp) > self.end)
        return ip.rewrite_v6(header, udp)


def parse(raw: bytes) -> Packet:
    """Parse an IPv4 or IPv6 packet that carries a whole UDP datagram; else raise `PacketError`."""
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
        raise PacketError(Detail.PACKET_SYNTAX)
    return Packet(raw, version, start, end, sport, dport, raw[start + 8 : start + length])


def datagram_to_ip(datagram: Datagram) -> bytes:
    """A complete IP packet for one of our own datagrams; both addresses are of one family."""
    src, dst = ip.address_bytes(datagram.src), ip.address_bytes(datagram.dst)
    version = 4 if len(src) == 4 else 6
    udp = _udp(version, src, dst, datagram.sport, datagram.dport, datagram.payload)
    return ip.build_v4(src, dst, udp) if version == 4 else ip.build_v6(src, dst, udp)


def _udp(version: int, src: bytes, dst: bytes, sport: int, dport: int, payload: bytes) -> bytes:
    length = 8 + len(payload)
    if length > 0xFFFF:
        raise PacketError(Detail.NO_ROOM, "the datagram would exceed 65535 bytes")
    pseudo = (_PSEUDO_V4 if version == 4 else _PSEUDO_V6).pack(src, dst, *_tail(version, length))
    checksum = udp_checksum(pseudo, _UDP.pack(sport, dport, length, 0) + payload)
    return _UDP.pack(sport, dport, length, checksum) + payload


def _tail(version: int, length: int) -> tuple[int, int]:
    return (ip.UDP, length) if version == 4 else (length, ip.UDP)
