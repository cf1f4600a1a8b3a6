"""The way through the headers of a frame, or of a tunnel, to the IP packet within.

Frames come here only if `link_types.locate_ip` does not find an IP packet in them, IP packets only if they may carry
another one. Hostile bytes give None: the number of headers and the work for each are limited, and a length that lies
beyond the header around it is cut there.
"""

from sbc_filter.capture.encapsulation.carriers import Carrier, Enclosed, Header
from sbc_filter.capture.encapsulation.exported_pdu import EXPORTED_PDU, ExportedMessage, exported
from sbc_filter.capture.encapsulation.own_headers import FIRST, OWN, Read
from sbc_filter.capture.encapsulation.scapy_headers import step
from sbc_filter.capture.link_types import ip_end
from sbc_filter.packet.ip import UDP

MAX_HEADERS = 16  # of one frame or tunnel
MAX_TUNNELS = 4  # within one another
_VERSIONS = {"IP": 4, "IPv6": 6}
# By IP protocol: the name of what follows the IP header.
_PROTOCOLS = {4: "IP", 41: "IPv6", 47: "GRE", 97: "EtherIP", 137: "MPLS"}
# By UDP port.
_PORTS = {2152: "GTP_U_Header", 4754: "GRE", 4789: "VXLAN", 4790: "VXLAN", 6081: "GENEVE", 6635: "MPLS", 8472: "VXLAN"}
_TUNNELS = {"VXLAN": "VXLAN", "GENEVE": "GENEVE", "GTP_U_Header": "GTP-U", "EtherIP": "EtherIP", "MPLS": "MPLS in IP"}
_IN_IP = {(4, "IP"): "IPIP", (4, "IPv6"): "6in4", (6, "IP"): "4in6", (6, "IPv6"): "IPv6 in IPv6"}
_EXTENSIONS = frozenset((0, 43, 60))  # IPv6: hop-by-hop, routing, destination
_MAX_EXTENSIONS = 8
# Of headers with the length of what follows: the offset of the length, and the bytes that it does not count.
_LENGTHS = {"PPPoE": (4, 6), "GTP_U_Header": (2, 8)}
# What `may_be_tunnel` looks for: these protocols, and these octets of a destination port.
_CARRYING = frozenset(_PROTOCOLS) | _EXTENSIONS
_PORT_OCTETS = frozenset(port.to_bytes(2, "big") for port in _PORTS)


def open_frame(linktype: int, frame: bytes) -> Carrier | None:
    """The IP packet in a frame; None if there is none that can be read."""
    if linktype == EXPORTED_PDU:
        found = exported(frame)
        if found is None or isinstance(found, ExportedMessage):
            return found
        name, at = found
        return _walk(frame, name, at, len(frame), (Header("ExportedPDU", 0, at),))
    name = FIRST.get(linktype, "")
    return _walk(frame, name, 0, len(frame), ()) if name else None


def may_be_tunnel(raw: bytes) -> bool:
    """Whether it is worth while to call `open_tunnel` with an IP packet. Fast: nearly every packet is not."""
    first = raw[0]
    if first == 0x45 and raw[9] == UDP:
        return raw[22:24] in _PORT_OCTETS
    protocol, at = (raw[9], (first & 15) * 4 + 2) if first >> 4 == 4 else (raw[6], 42)
    return raw[at : at + 2] in _PORT_OCTETS if protocol == UDP else protocol in _CARRYING


def open_tunnel(raw: bytes) -> Enclosed | None:
    """The IP packet in an IP packet, which is captured whole and not a fragment; None if it is not a tunnel."""
    version = raw[0] >> 4
    end = ip_end(raw, 0, version)
    upper = _upper(raw, version)
    if end is None or end > len(raw) or upper is None:
        return None
    protocol, at = upper
    outer = Header("IP" if version == 4 else "IPv6", 0, at)
    if protocol == UDP:
        length = int.from_bytes(raw[at + 4 : at + 6], "big")
        name = _PORTS.get(int.from_bytes(raw[at + 2 : at + 4], "big"), "")
        if not 8 <= length <= end - at or not name:
            return None
        return _walk(raw, name, at + 8, at + length, (outer, Header("UDP", at, 8)), _TUNNELS.get(name, "GRE"))
    name = _PROTOCOLS.get(protocol, "")
    tunnel = _IN_IP.get((version, name)) or _TUNNELS.get(name, name)
    return _walk(raw, name, at, end, (outer,), tunnel) if name else None


def _walk(data: bytes, name: str, at: int, end: int, headers: tuple[Header, ...], tunnel: str = "") -> Enclosed | None:
    """Read the header `name` and all after it, up to an IP packet."""
    for _ in range(MAX_HEADERS + 1):  # and the IP packet
        if name in _VERSIONS:
            ends = ip_end(data[:end], at, _VERSIONS[name])
            return None if ends is None else Enclosed(data, at, min(ends, end), headers, tunnel)
        read = OWN[name](data, at, end) if name in OWN else _by_scapy(data, name, at, end)
        if read is None:
            return None
        headers += read.headers
        if tunnel and read.headers[0].name.startswith("ERSPAN"):
            tunnel = "ERSPAN"
        name, at, end = read.following, read.at, read.end
    return None


def _by_scapy(data: bytes, name: str, at: int, end: int) -> Read | None:
    checked = name == "Dot11FCS"  # the same header, and a check sum after the packet
    found = step("Dot11" if checked else name, data, at, end - 4 if checked else end)
    if found is None:
        return None
    if checked:
        return Read((Header(name, at, found.size),), found.following, at + found.size, end - 4)
    if found.name in _LENGTHS:
        length_at, uncounted = _LENGTHS[found.name]
        end = min(end, at + uncounted + int.from_bytes(data[at + length_at : at + length_at + 2], "big"))
    payload = at + found.size
    return Read((Header(found.name, at, found.size),), found.following, payload, end) if payload < end else None


def _upper(raw: bytes, version: int) -> tuple[int, int] | None:
    """(protocol, offset) of what follows the headers of an IP packet; None if they are damaged."""
    if version == 4:
        return raw[9], (raw[0] & 15) * 4
    protocol, at = raw[6], 40
    for _ in range(_MAX_EXTENSIONS):
        if protocol not in _EXTENSIONS:
            return protocol, at
        if at + 8 > len(raw):
            return None
        protocol, at = raw[at], at + (raw[at + 1] + 1) * 8
    return None
