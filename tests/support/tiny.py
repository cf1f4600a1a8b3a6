"""An engine small enough to read at a glance, for what the shell does with any engine."""

import time
from collections.abc import Callable

from sbc_filter.engine.call.network import Arrival
from sbc_filter.engine.verdict import Answer, AnyAnswer, Need, Request, Verdict, VerdictKind
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import Packet, parse
from sbc_filter.stir.checks import CertificateRequest

MARKER = b"X-Filtered: yes\r\n"


def invite(number: int, extra: str = "", size: int = 0) -> bytes:
    text = f"INVITE sip:+12155550100@core SIP/2.0\r\nCall-ID: {number}\r\n{extra}".encode()
    return text + b"X-Padding: " + b"p" * max(size - len(text) - 15, 0) + b"\r\n\r\n"


def filtered(message: bytes, growth: int = 0) -> bytes:
    """What `TinyEngine` makes of a message."""
    return message[:-2] + MARKER + b"X-Growth: " + b"g" * growth + b"\r\n\r\n"


class TinyEngine:
    """Adds a header; but X-Boom makes it raise, X-Drop drop, X-Hold wait for `hold` seconds at most."""

    def __init__(self, growth: int = 0, hold: float = 300.0) -> None:
        self.growth = growth
        self.hold = hold
        self.seen: list[bytes] = []
        self.resumed: list[Detail | None] = []
        self.waiting: dict[int, Packet] = {}
        self.late: list[Request] = []

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None) -> Verdict | Need:
        packet = parse(raw)
        self.seen.append(packet.payload)
        if b"X-Boom" in packet.payload:
            raise RuntimeError("boom")
        if b"X-Drop" in packet.payload:
            return Verdict(VerdictKind.DROP)
        if b"X-Hold" in packet.payload:
            need = Need(len(self.seen), CertificateRequest("https://example.org/c.pem"), now + self.hold)
            self.waiting[need.id] = packet
            return need
        return self._modified(packet)

    def resume(self, need_id: int, answer: AnyAnswer, now: float) -> Verdict | Need:
        self.resumed.append(answer.detail)
        return self._modified(self.waiting.pop(need_id))

    def add_late(self, need: Need, answer: AnyAnswer, now: float) -> None:
        self.late.append(need.request)

    def release(self, now: float) -> list[tuple[int, Verdict]]:
        released = [(need_id, self._modified(packet)) for need_id, packet in self.waiting.items()]
        self.waiting.clear()
        return released

    def _modified(self, packet: Packet) -> Verdict:
        return Verdict(VerdictKind.MODIFY, packet.replace_payload(filtered(packet.payload, self.growth)))


class TinySource:
    """Keeps what is asked for until the test answers it."""

    def __init__(self) -> None:
        self.asked: list[Callable[[AnyAnswer], None]] = []

    def satisfy(self, need: Need, done: Callable[[AnyAnswer], None]) -> None:
        self.asked.append(done)

    def answer_all(self) -> None:
        """Answer everything that was asked for until now."""
        for done in list(self.asked):
            done(Answer(b"pem", None, time.time() + 60))
