"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers: find the UDP datagram in a packet, and write new headers."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from struct import Struct

from sbc_filter.errors import PacketError
from sbc_filter.outcomes import Detail


def udp_checksum(data: bytes) -> int:
    """Complement of the ones' complement sum of `data`, padded to an even length: 1..0xFFFF.

    Zero has two representations. This function returns 0xFFFF, as UDP requires: there, 0 means "no checksum" (S-154).
    """
    if len(data) & 1:
        data += b"\0"
    # A sum of words may be split anywhere; the cost of the remainder grows with the length of the number.
    half = len(data) // 4 * 2
    return 65535 - (int.from_bytes(data[:half], "big") + int.from_bytes(data[half:], "big")) % 65535


UDP = 17
_V4 = Struct(">BBHHHBBH4s4s")
_V6 = Struct(">IHBB16s16s")
_DONT_FRAGMENT = 0x4000
_FRAGMENTED = 0x3FFF  # the "more fragments" bit, or an offset

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60


@lru_cache(maxsize=4096)
def address_text(address: bytes) -> str:
    """Text of a 4- or 16-byte address in its canonical form (RFC 5952)."""
    return str(ip_address(address))


@lru_cache(maxsize=4096)
def address_bytes(text: str) -> bytes:
    """The 4 or 16 bytes of a textual address; `ValueError` if it is not an address."""
    return ip_address(text).packed


@lru_cache(maxsize=4096)
def sender_of(text: str) -> str:
    """What one sender cannot change about its address: all of an IPv4 address, the first 64 bits of an IPv6 address.

    A host chooses the rest of its IPv6 address by itself (RFC 4291 §2.5.4). Other text is returned as it is.
    """
    if ":" not in text:
        return text
    try:
        return str(IPv6Address(ip_address(text).packed[:8] + bytes(8)))
    except ValueError:
        return text


def is_truncated(raw: bytes) -> bool:
    """True when the IP header states more bytes than there are. Such a packet cannot be rewritten."""
    if len(raw) < 20:
        return True
    if raw[0] >> 4 == 4:
        return int.from_bytes(raw[2:4], "big") > len(raw)
    return len(raw) < 40 or 40 + int.from_bytes(raw[4:6], "big") > len(raw)


def locate_v4(raw: bytes) -> tuple[int, int]:
    """(start, end) of the UDP datagram in an IPv4 packet; bytes after `end` are padding. `PacketError` if there is
    none."""
    if len(raw) < 20:
        raise PacketError(Detail.PACKET_TRUNCATED)
    first, _, total, _, fragment, _, protocol, _, _, _ = _V4.unpack_from(raw)
    start = (first & 15) * 4
    if start < 20 or total < start:
        raise PacketError(Detail.PACKET_SYNTAX)
    if protocol != UDP:
        raise PacketError(Detail.PACKET_PROTOCOL)
    if fragment & _FRAGMENTED:
        raise PacketError(Detail.PACKET_FRAGMENT)
    if total > len(raw):
        raise PacketError(Detail.PACKET_TRUNCATED)
    return start, total


def locate_v6(raw: bytes) -> tuple[int, int]:
    """(start, end) of the UDP datagram in an IPv6 packet, after the extension headers (S-154). `PacketError` if there
    is none.

    The number of extension headers is not limited. A host reads them all, so a packet given up here would still reach
    it, unfiltered.
    """
    if len(raw) < 40:
        raise PacketError(Detail.PACKET_TRUNCATED)
    _, length, following, _, _, _ = _V6.unpack_from(raw)
    start, end = 40, 40 + length
    if not length and following == _HOP_BY_HOP:
        end = len(raw)  # as in jumbograms (RFC 2675 §3); hosts accept a length of 0 in any packet
    while following != UDP:
        if following == _FRAGMENT:
            raise PacketError(Detail.PACKET_FRAGMENT)
        if following not in (_HOP_BY_HOP, _ROUTING, _AUTHENTICATION, _DESTINATION):
            raise PacketError(Detail.PACKET_PROTOCOL)
        if start + 8 > min(end, len(raw)):
            raise PacketError(Detail.PACKET_TRUNCATED)
        if following == _ROUTING and raw[start + 3]:
            # not yet at its final destination: the checksum covers another address
            raise PacketError(Detail.PACKET_PROTOCOL)
        words = (raw[start + 1] + 2) * 4 if following == _AUTHENTICATION else (raw[start + 1] + 1) * 8
        following = raw[start]
        start += words
    if end > len(raw):
        raise PacketError(Detail.PACKET_TRUNCATED)
    return start, end


def header_v4(header: bytes, size: int, identification: int | None = None) -> bytes:
    """The header (options kept) for a payload of `size` bytes.

    A packet that grew may exceed the path MTU. It then has to be fragmentable, and needs an `identification` of its own
    (RFC 6864). `PacketError(NO_ROOM)` if the result would exceed 65535 bytes.
    """
    total = len(header) + size
    if total > 0xFFFF:
        raise PacketError(Detail.NO_ROOM, "the datagram would exceed 65535 bytes")
    if identification is None:
        kept = header[4:8]
    else:
        fragment = int.from_bytes(header[6:8], "big") & ~_DONT_FRAGMENT
        kept = ((identification & 0xFFFF or 1) << 16 | fragment).to_bytes(4, "big")
    first = b"%b%b%b%b" % (header[:2], total.to_bytes(2, "big"), kept, header[8:10])
    covered = 65535 - int.from_bytes(first + header[12:], "big") % 65535
    return b"%b%b%b" % (first, (covered % 65535).to_bytes(2, "big"), header[12:])


def header_v6(header: bytes, size: int) -> bytes:
    """The header (extension headers kept) for a payload of `size` bytes; `PacketError(NO_ROOM)` if that is too long."""
    length = len(header) - 40 + size
    if length > 0xFFFF:
        raise PacketError(Detail.NO_ROOM, "the datagram would exceed 65535 bytes")
    return header[:4] + length.to_bytes(2, "big") + header[6:]


def rewrite_v4(header: bytes, payload: bytes) -> bytes:
    """The packet with `payload` in place of whatever followed `header`."""
    return header_v4(header, len(payload)) + payload


def rewrite_v6(header: bytes, payload: bytes) -> bytes:
    """The packet with `payload` in place of whatever followed `header`."""
    return header_v6(header, len(payload)) + payload


def build_v4(src: bytes, dst: bytes, payload: bytes, ttl: int = 64) -> bytes:
    """A new IPv4 packet that carries UDP. Its ID is the UDP checksum, so that the same input gives the same bytes."""
    header = _V4.pack(0x45, 0, 0, 0, 0, ttl, UDP, 0, src, dst)
    return header_v4(header, len(payload), int.from_bytes(payload[6:8], "big")) + payload


def build_v6(src: bytes, dst: bytes, payload: bytes, ttl: int = 64) -> bytes:
    """A new IPv6 packet that carries UDP."""
    return rewrite_v6(_V6.pack(0x60000000, 0, UDP, ttl, src, dst), payload)
