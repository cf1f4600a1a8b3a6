"""The last INVITEs that were refused or changed, as received and as sent: bounded in calls and in octets."""

import zlib
from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple

from sbc_filter.errors import PacketError
from sbc_filter.packet.udp import parse
from sbc_filter.recent.handover import Handed
from sbc_filter.recent.wanted import record_of

OCTETS = 32 << 20
"""Octets of all calls together, compressed, with what Python needs for them."""
_OVERHEAD = 500  # octets of the objects of one call
_LEVEL = 1  # of compression: the messages of one call repeat each other, so the fastest level is nearly the best


class KeptCall(NamedTuple):
    """A call that was kept. `number` is its number since the process started, `line` its record."""

    number: int
    group: str
    line: bytes
    length: int
    packed: bytes

    @property
    def received(self) -> bytes:
        """The SIP message that arrived."""
        return zlib.decompress(self.packed)[: self.length]

    @property
    def sent(self) -> bytes:
        """The SIP message that was sent on, or the response; empty if nothing was sent."""
        return zlib.decompress(self.packed)[self.length :]

    @property
    def octets(self) -> int:
        """What it takes up."""
        return len(self.line) + len(self.packed) + _OVERHEAD


class Ring:
    """Keeps at most `calls` calls of at most `octets` octets. The trunk that takes up most loses its oldest call first,
    so a flood of one peer displaces only its own. All peers without a trunk count as one."""

    def __init__(self, calls: int, octets: int = OCTETS) -> None:
        self.calls, self._limit = calls, octets
        self._by_number: dict[int, KeptCall] = {}  # oldest first
        self._groups: dict[str, deque[int]] = {}
        self._octets: Counter[str] = Counter()
        self._last = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def __getitem__(self, number: int) -> KeptCall:
        """The call of this number; `KeyError` if it is not kept."""
        return self._by_number[number]

    @property
    def octets(self) -> int:
        """What all calls take up."""
        return self._octets.total()

    def add(self, handed: Handed) -> None:
        """Keep a call."""
        if not self.calls:
            return
        record, received, sent = record_of(handed.line), handed.received, handed.sent
        if record.get("transport") != "tcp":
            received = _message(received)
            sent = _message(sent) if handed.sent_packet else sent
        self._last += 1
        group = str(record.get("trunk") or "")
        call = KeptCall(self._last, group, handed.line, len(received), zlib.compress(received + sent, _LEVEL))
        self._by_number[call.number] = call
        self._groups.setdefault(group, deque()).append(call.number)
        self._octets[group] += call.octets
        self._shrink()

    def resize(self, calls: int) -> None:
        """Keep at most so many calls from now on; 0 keeps none."""
        self.calls = calls
        self._shrink()

    def newest_first(self) -> Iterator[KeptCall]:
        """All calls that are kept now, and are still kept when their turn comes."""
        for number in sorted(self._by_number, reverse=True):
            call = self._by_number.get(number)
            if call is not None:
                yield call

    def _shrink(self) -> None:
        while len(self) > self.calls or self._octets.total() > self._limit:
            group = max(self._octets, key=self._octets.__getitem__)
            numbers = self._groups[group]
            self._octets[group] -= self._by_number.pop(numbers.popleft()).octets
            if not numbers:
                del self._groups[group], self._octets[group]


def _message(packet: bytes) -> bytes:
    """The SIP message in an IP packet."""
    try:
        return parse(packet).payload
    except PacketError:
        return b""
