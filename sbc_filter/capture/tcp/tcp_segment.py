"""A TCP segment in an IP packet (RFC 9293 §3.1), also in one that the capture has cut."""

from typing import NamedTuple

from sbc_filter.capture.survey import skip_extensions

TCP = 6
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16


class Segment(NamedTuple):
    """What a segment says."""

    ends: bytes
    """Source address, destination address, source port and destination port, as encoded in the packet."""
    sequence: int
    acknowledged: int
    """The sequence number that is expected next from the other end; -1 if the segment does not say."""
    syn: bool
    fin: bool
    rst: bool
    data: bytes
    missing: int = 0
    """Octets of data that follow, and that the capture has cut."""

    @property
    def reverse_ends(self) -> bytes:
        """The `ends` of segments in the other direction."""
        half = (len(self.ends) - 4) // 2
        source, destination, ports = self.ends[:half], self.ends[half:-4], self.ends[-4:]
        return destination + source + ports[2:] + ports[:2]

    @property
    def ports(self) -> tuple[int, int]:
        """Source and destination port."""
        return ports_of(self.ends)


def ports_of(ends: bytes) -> tuple[int, int]:
    """Source and destination port of `Segment.ends`."""
    return int.from_bytes(ends[-4:-2], "big"), int.from_bytes(ends[-2:], "big")


def parse_segment(raw: bytes) -> Segment | None:
    """The segment in an IPv4 or IPv6 packet; None if there is none, or not its whole header."""
    if raw[0] >> 4 == 4:
        start, protocol, addresses = (raw[0] & 15) * 4, raw[9], raw[12:20]
        end = raw[2] << 8 | raw[3]
    else:
        start, protocol = skip_extensions(raw, 40, raw[6])
        addresses = raw[8:40]
        end = 40 + (raw[4] << 8 | raw[5])
    if protocol != TCP or len(raw) < start + 20:
        return None
    begin = start + (raw[start + 12] >> 4) * 4
    if not start + 20 <= begin <= min(end, len(raw)):
        return None
    flags = raw[start + 13]
    return Segment(
        addresses + raw[start : start + 4],
        int.from_bytes(raw[start + 4 : start + 8], "big"),
        int.from_bytes(raw[start + 8 : start + 12], "big") if flags & _ACK else -1,
        bool(flags & _SYN),
        bool(flags & _FIN),
        bool(flags & _RST),
        raw[begin:end],
        max(end - len(raw), 0),
    )
