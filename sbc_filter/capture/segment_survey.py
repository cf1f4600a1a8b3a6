"""Finds SIP in TCP segments that are not judged: plain to other ports, over TLS, over WebSocket (RFC 7118).

INVITEs are counted, not segments: several may be in one, and a start line in two. A segment that was sent again is
counted once.
"""

import re
from collections import OrderedDict
from collections.abc import Collection, Iterator

from sbc_filter.capture.names import ip_protocol
from sbc_filter.capture.sip_signs import INVITE, LINES, SIP
from sbc_filter.capture.unseen import Reason, Unseen

TLS_PORT = 5061  # of SIP over TLS and DTLS (RFC 3261 §19.1.2)
_MAX_FLOWS = 1024  # of which the last line is kept; the oldest is forgotten
_MAX_SEEN = 4096  # INVITEs that are known if their segment comes again
_MAX_LINE = 2048  # bytes of an incomplete line that are kept
_HANDSHAKE = re.compile(rb"get [^\r\n]*\r\n(?:[^\r\n]+\r\n)*?sec-websocket-protocol:[^\r\n]*\bsip\b")
_TEXT_OR_BINARY = frozenset((0x01, 0x02, 0x81, 0x82))  # the first octet of a data frame, without extensions
OTHER = f"{ip_protocol(6)} without SIP"


class SegmentSurvey:
    """Call it with every IP packet that carries a TCP segment; adds to `unseen` what is SIP."""

    def __init__(self, ports: Collection[int], unseen: Unseen) -> None:
        self._ports = frozenset(ports)
        self._unseen = unseen
        self._lines: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()  # flow -> next sequence number, last line
        self._seen: OrderedDict[tuple[bytes, int], None] = OrderedDict()

    def __call__(self, raw: bytes, start: int, addresses: bytes) -> None:
        """Examine the segment at `start`, between `addresses` (both, as in the packet)."""
        begin = start + (raw[start + 12] >> 4) * 4
        if begin >= len(raw):
            return
        ports = int.from_bytes(raw[start : start + 2], "big"), int.from_bytes(raw[start + 2 : start + 4], "big")
        data = raw[begin:]
        if self._is_tls(data, ports):
            self._unseen.add(Reason.TLS, str(_known(ports, (TLS_PORT, *self._ports))))
            return
        lower = data.lower()
        if data[0] in _TEXT_OR_BINARY or lower.startswith(b"get "):
            invites = sum(1 for message in _messages(data) if INVITE.match(message))
            if invites or _HANDSHAKE.match(lower):
                self._unseen.add(Reason.WEBSOCKET, str(ports[1]), invites)
                return
        if not self._ports.isdisjoint(ports):
            return  # `tcp_replay` puts its messages together
        invites = self._begun(
            addresses + raw[start : start + 4], int.from_bytes(raw[start + 4 : start + 8], "big"), lower
        )
        if invites or SIP.match(data):
            self._unseen.add(Reason.TCP, str(ports[1]), invites)
        else:
            self._unseen.add(Reason.IP_PROTOCOL, OTHER)

    def _is_tls(self, data: bytes, ports: tuple[int, int]) -> bool:
        if TLS_PORT in ports:
            return SIP.match(data) is None
        return data[0] in range(20, 24) and data[1:2] == b"\3" and not self._ports.isdisjoint(ports)

    def _begun(self, flow: bytes, sequence: int, lower: bytes) -> int:
        """The number of INVITEs whose start lines end in this segment and were not counted before."""
        expected, line = self._lines.pop(flow, (sequence, b""))
        if expected != sequence:
            line = b""
        text = line + lower
        first = sequence - len(line)
        begun = sum(self._is_new(flow, (first + found.end()) % 2**32) for found in LINES.finditer(text))
        rest = text[text.rfind(b"\n") + 1 :]
        self._lines[flow] = (sequence + len(lower)) % 2**32, rest if len(rest) <= _MAX_LINE else b""
        if len(self._lines) > _MAX_FLOWS:
            self._lines.popitem(last=False)
        return begun

    def _is_new(self, flow: bytes, end: int) -> bool:
        """Whether the start line that ends at this sequence number was not seen."""
        if (flow, end) in self._seen:
            return False
        self._seen[flow, end] = None
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        return True


def _known(ports: tuple[int, int], known: Collection[int]) -> int:
    """The destination port, unless only the source port is a known one."""
    return ports[0] if ports[0] in known and ports[1] not in known else ports[1]


def _messages(data: bytes) -> Iterator[bytes]:
    """The messages, or their beginnings, of the WebSocket frames in a segment (RFC 6455 §5.2)."""
    at = 0
    while len(data) > at + 2 and data[at] in _TEXT_OR_BINARY:
        masked, size, at = data[at + 1] & 0x80, data[at + 1] & 0x7F, at + 2
        if size > 125:
            octets = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + octets], "big"), at + octets
        if masked:
            yield _unmasked(data[at + 4 : at + 4 + size], data[at : at + 4])
            at += 4
        else:
            yield data[at : at + size]
        at += size


def _unmasked(payload: bytes, key: bytes) -> bytes:
    """A payload without its mask (RFC 6455 §5.3)."""
    mask = int.from_bytes((key * (len(payload) // 4 + 1))[: len(payload)], "big")
    return (int.from_bytes(payload, "big") ^ mask).to_bytes(len(payload), "big")
