"""Finds traffic of a capture that the engine does not look at: other ports, other protocols, cut and incomplete."""

from collections.abc import Collection

from sbc_filter.capture.names import BROKEN_IP, TUNNELS, ip_protocol, without_ip
from sbc_filter.capture.segment_survey import TLS_PORT, SegmentSurvey
from sbc_filter.capture.sip_signs import CUT_INVITE, INVITE, SIP, has_invite
from sbc_filter.capture.unseen import Reason, Unseen
from sbc_filter.packet.fragments import fragment_header
from sbc_filter.packet.ip import UDP

LONGER = "IP longer than its frame"
_TCP, _SCTP = 6, 132
_QUOTING = frozenset((1, 58))  # ICMP errors quote the packet that they are about
_HOP_BY_HOP, _ROUTING, _AUTHENTICATION, _DESTINATION = 0, 43, 51, 60
_EXTENSIONS = frozenset((_HOP_BY_HOP, _ROUTING, _AUTHENTICATION, _DESTINATION))
_UDP_TUNNELS = {
    1701: "L2TP", 2152: "GTP-U", 3544: "Teredo", 4500: "IPsec", 4754: "GRE in UDP", 4789: "VXLAN", 6081: "GENEVE",
    6635: "MPLS in UDP", 8472: "VXLAN", 9060: "HEP", 37008: "TZSP",
}  # fmt: skip


class Survey:
    """Shown every packet of a capture; adds to `unseen` what the engine does not look at. Call `finish` at the end."""

    def __init__(self, ports: Collection[int], unseen: Unseen) -> None:
        self._ports = frozenset(ports)
        self._unseen = unseen
        self._segment = SegmentSurvey(ports, unseen)
        self._others = [0] * 65536  # UDP packets without an INVITE to other ports, by port
        self._on_ports = False

    def frame(self, linktype: int, data: bytes, cut: bool = False) -> None:
        """Examine a frame in which there is no IP packet, or no longer one since the capture has `cut` it."""
        reason, where = without_ip(linktype, data)
        if cut and reason is Reason.MALFORMED:
            reason, where = Reason.CUT, str(len(data))
        self._unseen.add(reason, where, int(has_invite(data)))

    def packet(self, raw: bytes) -> None:
        """Examine an IP packet, captured whole and not a fragment."""
        if raw[0] >> 4 == 4:
            start, protocol, addresses = (raw[0] & 15) * 4, raw[9], raw[12:20]
        else:
            start, protocol = skip_extensions(raw, 40, raw[6])
            addresses = raw[8:40]
        if protocol == UDP and len(raw) >= start + 8:
            self._udp(raw, start)
        elif protocol == _TCP and len(raw) >= start + 20:
            self._segment(raw, start, addresses)
        else:
            self._other(raw, start, protocol)

    def cut(self, raw: bytes, captured: int, original: int) -> None:
        """Examine an IP packet that is longer than what there is of it.

        Of its frame, `captured` bytes are there and `original` bytes were sent. If they are the same, the length in the
        IP header is wrong, and no snap length is to blame.
        """
        _, ports, protocol = _upper(raw)
        on_ports = not self._ports.isdisjoint(ports)
        self._on_ports = self._on_ports or (on_ports and protocol == UDP)
        judged = on_ports and protocol == _TCP  # `tcp_replay` counts its INVITEs
        invite = not judged and self._begins_invite(raw)
        if original <= captured:
            self._unseen.add(Reason.MALFORMED, LONGER, int(invite))
        elif invite or on_ports:
            self._unseen.add(Reason.CUT, str(captured), int(invite))

    def in_tunnel(self, tunnel: str) -> None:
        """Count an INVITE that the engine got, but that was in a tunnel."""
        self._unseen.add(Reason.LIVE_TUNNEL, tunnel, 1)

    def incomplete(self, fragments: list[bytes]) -> None:
        """Examine the fragments of a datagram of which others are missing, or which contradict each other."""
        invites = len({raw for raw in fragments if self._begins_invite(raw)})  # a repeated fragment counts once
        alone = len(fragments) == 1 and _upper(fragments[0])[0] >= 0
        reason = Reason.FIRST_FRAGMENT if alone and invites else Reason.INCOMPLETE
        self._unseen.add(reason, "", invites, len(fragments))

    def _begins_invite(self, raw: bytes) -> bool:
        """Whether an INVITE begins in a packet or fragment that is not whole, perhaps in a tunnel."""
        begin, ports, protocol = _upper(raw)
        if begin < 0:  # not UDP, or a later fragment of it
            return protocol not in (UDP, *_QUOTING) and has_invite(raw)
        if CUT_INVITE.match(raw, begin):
            return True
        return self._ports.isdisjoint(ports) and not SIP.match(raw, begin) and has_invite(raw)

    def finish(self) -> None:
        """Add what is known only at the end."""
        others = {port: count for port, count in enumerate(self._others) if count}
        if not others:
            return
        if self._on_ports or self._unseen.total(Reason.OTHER_PORT)[1]:
            self._unseen.add(Reason.OTHER_PORT, "", packets=sum(others.values()))
            return
        for port, count in others.items():
            self._unseen.add(Reason.NO_PORT, str(port), packets=count)

    def _udp(self, raw: bytes, start: int) -> None:
        sport, dport = raw[start] << 8 | raw[start + 1], raw[start + 2] << 8 | raw[start + 3]
        if sport in self._ports or dport in self._ports:
            self._on_ports = True
            if raw[start + 9 : start + 10] == b"\xfe":
                self._unseen.add(Reason.DTLS, str(dport if dport in self._ports else sport))
            elif not 8 <= (length := raw[start + 4] << 8 | raw[start + 5]) <= len(raw) - start and length:
                self._unseen.add(Reason.MALFORMED, "UDP with a wrong length", int(has_invite(raw)))
        elif INVITE.match(raw, start + 8):
            self._unseen.add(Reason.OTHER_PORT, str(dport), 1)
        elif b"SIP/2.0" in raw and not SIP.match(raw, start + 8) and has_invite(raw):
            name = f" ({_UDP_TUNNELS[dport]})" if dport in _UDP_TUNNELS else ""
            self._unseen.add(Reason.TUNNEL, f"UDP port {dport}{name}", 1)
        elif TLS_PORT in (sport, dport) and raw[start + 9 : start + 10] == b"\xfe":
            self._unseen.add(Reason.DTLS, str(TLS_PORT))
        else:
            self._others[dport] += 1

    def _other(self, raw: bytes, start: int, protocol: int) -> None:
        if protocol in (UDP, _TCP):
            self._unseen.add(Reason.MALFORMED, BROKEN_IP)
            return
        invite = protocol not in _QUOTING and has_invite(raw)
        ports = int.from_bytes(raw[start : start + 2], "big"), int.from_bytes(raw[start + 2 : start + 4], "big")
        if protocol == _SCTP and (invite or not {TLS_PORT, *self._ports}.isdisjoint(ports)):
            self._unseen.add(Reason.SCTP, str(ports[1]), int(invite))
            return
        reason = Reason.TUNNEL if protocol in TUNNELS else Reason.IP_PROTOCOL
        self._unseen.add(reason, ip_protocol(protocol), int(invite))


def skip_extensions(raw: bytes, start: int, kind: int) -> tuple[int, int]:
    """(start, kind) of the header after the IPv6 extension headers; of the last one that is whole if they are cut off.

    A routing header that is not yet at its end stays: the checksum covers another address.
    """
    while kind in _EXTENSIONS and len(raw) >= start + 8 and not (kind == _ROUTING and raw[start + 3]):
        words = (raw[start + 1] + 2) * 4 if kind == _AUTHENTICATION else (raw[start + 1] + 1) * 8
        kind, start = raw[start], start + words
    return start, kind


def _upper(raw: bytes) -> tuple[int, tuple[int, ...], int]:
    """The offset of the UDP payload in a packet or first fragment, -1 for others; the ports of UDP and TCP; and the
    protocol."""
    if raw[0] >> 4 == 4:
        start, protocol = (raw[0] & 15) * 4, raw[9]
        later = bool(raw[6] & 0x1F or raw[7])
    else:
        found = fragment_header(raw)
        later = found is not None and bool(raw[found[1] + 2] or raw[found[1] + 3] & 0xF8)
        start, protocol = (40, raw[6]) if found is None else (found[1] + 8, raw[found[1]])
        start, protocol = skip_extensions(raw, start, protocol)
    if later or protocol not in (UDP, _TCP) or len(raw) < start + 4:
        return -1, (), protocol
    return (
        start + 8 if protocol == UDP else -1,
        (raw[start] << 8 | raw[start + 1], raw[start + 2] << 8 | raw[start + 3]),
        protocol,
    )
