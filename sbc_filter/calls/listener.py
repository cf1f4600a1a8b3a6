"""Makes a `SeenMessage` of every SIP message that a replay processes."""

from collections.abc import Callable, Collection
from functools import lru_cache

from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.capture.frame import Frame
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.call.recording import endpoint, endpoints
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.errors import PacketError
from sbc_filter.packet.udp import parse

_UDP = 17
_GOES_ON = (VerdictKind.ACCEPT, VerdictKind.MODIFY)
_SHORTEST = 12  # octets; keep-alives are shorter than any message
_end = lru_cache(maxsize=4096)(endpoint)
Supposed = Callable[[], Record | None]


class MessageListener:
    """Passes each message of the SIP `ports` to `add`. See `capture.replay_shell.Listener`."""

    def __init__(
        self, add: Callable[[SeenMessage], object], ports: Collection[int], supposed: Supposed = lambda: None
    ) -> None:
        """`supposed()` is the `SeenMessage.supposed` of the message that was decided last."""
        self._add = add
        self._ports = frozenset(ports)
        self._supposed = supposed

    def packet(self, raw: bytes, frame: Frame, now: float, verdict: Verdict) -> None:
        """An IP packet that the engine got."""
        if verdict.record is None and not self._may_be_sip(raw):
            return
        try:
            packet = parse(raw)
        except PacketError:
            return
        if len(packet.payload) < _SHORTEST or self._ports.isdisjoint((packet.sport, packet.dport)):
            return
        sent: tuple[bytes, ...] = ()
        if verdict.kind in _GOES_ON:
            sent = (packet.payload if verdict.payload is None else parse(verdict.payload).payload,)
        ends = _end(packet.src, packet.sport), _end(packet.dst, packet.dport)
        self._seen(ends, "udp", packet.payload, sent, frame, now, verdict)

    def message(self, data: bytes, flow: Flow, frame: Frame, now: float, verdict: Verdict, relayed: bool) -> None:
        """A message of a TCP connection. If that is not relayed live, it passes, whatever the verdict says."""
        if not relayed:
            self._seen(endpoints(flow), flow.transport, data, (data,), frame, now, verdict._replace(emit=()), "tcp")
            return
        sent: tuple[bytes, ...] = ()
        if verdict.kind in _GOES_ON:
            sent = (data if verdict.payload is None else verdict.payload,)
        self._seen(endpoints(flow), flow.transport, data, sent, frame, now, verdict)

    def _may_be_sip(self, raw: bytes) -> bool:
        """Whether it is UDP to or from a SIP port, as far as a glance tells: most packets of a capture are media."""
        if raw[0] != 0x45 or len(raw) < 28:
            return True  # has options, is IPv6, or is not UDP
        ports = raw[20] << 8 | raw[21], raw[22] << 8 | raw[23]
        return raw[9] == _UDP and not self._ports.isdisjoint(ports)

    def _seen(
        self,
        ends: tuple[str, str],
        transport: str,
        received: bytes,
        sent: tuple[bytes, ...],
        frame: Frame,
        now: float,
        verdict: Verdict,
        unfiltered: str | None = None,
    ) -> None:
        file, number = frame.file or None, frame.number
        record = verdict.record
        self._add(
            SeenMessage(
                number,
                file,
                frame.time or now,
                *ends,
                transport,
                received,
                sent,
                tuple([datagram.payload for datagram in verdict.emit]),
                None if record is None else record.of_packet(number, file, unfiltered),
                tuple([each.of_packet(number, file, unfiltered) for each in verdict.monitored]),
                self._supposed(),
            )
        )
