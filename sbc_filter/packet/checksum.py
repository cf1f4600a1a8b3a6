"""The Internet checksum (RFC 1071), computed as one big integer.

The ones' complement sum of 16-bit words is the number they spell modulo 65535, since
2**16 = 1 (mod 65535). One `%` on a big integer is many times faster than a loop.
"""


def udp_checksum(data: bytes) -> int:
    """Complemented ones' complement sum of `data`, padded to an even length: 1..0xFFFF.

    Of the two representations of zero it is the one that UDP wants: 0 means "no checksum" there (S-154).
    """
    if len(data) & 1:
        data += b"\0"
    half = len(data) // 4 * 2  # a sum of words does not care where it is cut, and the remainder costs by the length
    return 65535 - (int.from_bytes(data[:half], "big") + int.from_bytes(data[half:], "big")) % 65535
