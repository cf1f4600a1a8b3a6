"""TCP for tests: packets of one direction of a connection, made by hand."""

import struct
from ipaddress import ip_address

FIN, SYN, RST, ACK = 1, 2, 4, 16


def packet(
    data: bytes = b"",
    sequence: int = 1000,
    flags: int = ACK,
    acknowledged: int = 0,
    *,
    src: str = "192.0.2.7",
    sport: int = 40000,
    dst: str = "192.0.2.1",
    dport: int = 5060,
    options: bytes = b"",
) -> bytes:
    """An IP packet with one segment, of the version of its addresses; the checksums are not filled in."""
    offset = (20 + len(options)) // 4 << 4
    header = struct.pack(">HHIIBBHHH", sport, dport, sequence % 2**32, acknowledged % 2**32, offset, flags, 65535, 0, 0)
    segment = header + options + data
    source, target = ip_address(src).packed, ip_address(dst).packed
    if len(source) == 4:
        return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 6, 0) + source + target + segment
    return struct.pack(">IHBB", 0x60000000, len(segment), 6, 64) + source + target + segment
