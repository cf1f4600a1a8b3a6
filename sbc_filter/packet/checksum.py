"""The Internet checksum (RFC 1071), computed as one big integer.

The ones' complement sum of 16-bit words is the number they spell modulo 65535, since
2**16 = 1 (mod 65535). One `%` on a big integer is many times faster than a loop.
"""


def internet_checksum(data: bytes) -> int:
    """Complemented ones' complement sum of `data` (padded to an even length), 0..0xFFFE.

    The two representations of zero are told apart by the caller: IP writes 0,
    UDP must write 0xFFFF instead (RFC 768; S-154).
    """
    if len(data) & 1:
        data += b"\0"
    return (65535 - int.from_bytes(data, "big") % 65535) % 65535


def udp_checksum(pseudo_header: bytes, udp: bytes) -> int:
    """Checksum of a UDP header (its checksum field zero) and payload; never 0 (RFC 768, RFC 8200 §8.1)."""
    data = pseudo_header + udp
    if len(data) & 1:
        data += b"\0"
    return 65535 - int.from_bytes(data, "big") % 65535
