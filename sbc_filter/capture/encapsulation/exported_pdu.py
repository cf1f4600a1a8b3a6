"""Packets that Wireshark exported without the headers below them ("Export PDUs to File", link type 252).

Tags say which dissector is to read on, and between which addresses and ports. A SIP message over UDP becomes a packet
again, since the engine looks at packets.
"""

from ipaddress import ip_address
from typing import NamedTuple

from sbc_filter.errors import PacketError
from sbc_filter.packet.udp import Datagram, datagram_to_ip, parse

EXPORTED_PDU = 252
_END, _DISSECTOR = 0, 12
_SOURCES, _DESTINATIONS = frozenset((20, 22)), frozenset((21, 23))  # IPv4, IPv6
_PORT_TYPE, _SOURCE_PORT, _DESTINATION_PORT = 24, 25, 26
_STREAMS = frozenset((1, 2))  # SCTP, TCP; UDP is 3, and not all programs know that
_MAX_TAGS = 64
# By the name of a dissector: the header that follows.
_PACKETS = {b"ip": "IP", b"ipv6": "IPv6", b"eth_withoutfcs": "Ether", b"eth_maybefcs": "Ether"}


class ExportedMessage(NamedTuple):
    """A SIP message with its tags."""

    tags: bytes
    raw: bytes  # the IP packet made of them
    tunnel: str = ""

    def replace(self, raw: bytes) -> bytes | None:
        """The same tags with the payload of `raw`."""
        return self.tags + parse(raw).payload

    def answer(self, raw: bytes) -> bytes | None:
        """Tags with source and destination exchanged, and the payload of `raw`."""
        tags = bytearray(self.tags)
        for kind, begin, _ in _tags(self.tags):
            tags[begin - 4 : begin - 2] = _OTHER.get(kind, kind).to_bytes(2, "big")
        return bytes(tags) + parse(raw).payload


_OTHER = {20: 21, 21: 20, 22: 23, 23: 22, 25: 26, 26: 25}  # sources and destinations


def exported(frame: bytes) -> ExportedMessage | tuple[str, int] | None:
    """A SIP message over UDP, or the name and the offset of the header that follows the tags; None for anything
    else."""
    tags = _tags(frame)
    if not tags:
        return None
    found = {kind: frame[begin:end] for kind, begin, end in tags}
    _, begin, end = tags[-1]
    at = end + -(end - begin) % 4
    dissector = found.get(_DISSECTOR, b"").rstrip(b"\0")
    if dissector in _PACKETS:
        return _PACKETS[dissector], at
    return _message(found, frame, at) if dissector == b"sip" else None


def _tags(frame: bytes) -> list[tuple[int, int, int]]:
    """(kind, begin, end) of the value of each tag, the last of which is `_END`; none if they are damaged."""
    tags, at = [], 0
    for _ in range(_MAX_TAGS):
        if at + 4 > len(frame):
            return []
        kind, size = int.from_bytes(frame[at : at + 2], "big"), int.from_bytes(frame[at + 2 : at + 4], "big")
        begin, at = at + 4, at + 4 + size + -size % 4
        if at > len(frame):
            return []
        tags.append((kind, begin, begin + size))
        if kind == _END:
            return tags
    return []


def _message(tags: dict[int, bytes], frame: bytes, at: int) -> ExportedMessage | None:
    source = next((tags[kind] for kind in _SOURCES if kind in tags), b"")
    destination = next((tags[kind] for kind in _DESTINATIONS if kind in tags), b"")
    ports = [int.from_bytes(tags.get(kind, b""), "big") for kind in (_SOURCE_PORT, _DESTINATION_PORT)]
    stream = int.from_bytes(tags.get(_PORT_TYPE, b""), "big") in _STREAMS
    if stream or len(source) not in (4, 16) or len(source) != len(destination) or max(ports) > 0xFFFF:
        return None
    addresses = [str(ip_address(each)) for each in (source, destination)]
    try:
        raw = datagram_to_ip(Datagram(addresses[0], ports[0], addresses[1], ports[1], frame[at:]))
    except PacketError:  # longer than a datagram
        return None
    return ExportedMessage(frame[:at], raw)
