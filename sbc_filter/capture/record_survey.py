"""Finds calls that the engine read but could not judge: without a direction, or without a time."""

from collections import Counter

from sbc_filter.capture.unseen import OTHERS, Reason, Unseen
from sbc_filter.engine.record import Record

_MAX_ADDRESSES = 4096  # a hostile capture could have millions


class RecordSurvey:
    """Call it with every record; adds to `unseen` what could not be judged. Call `finish` at the end.

    `sbc`: whether addresses of the SBC are known, without which no call has a direction.
    """

    def __init__(self, unseen: Unseen, *, sbc: bool) -> None:
        self._unseen = unseen
        self._sbc = sbc
        self._without_direction = 0
        self._addresses: Counter[str] = Counter()

    def __call__(self, record: Record) -> None:
        """Count this record of an INVITE. Those of rules in monitor mode are further records of the same INVITE."""
        if record.mode == "monitor" or record.method not in (None, "INVITE"):
            return
        if not record.time:
            self._unseen.add(Reason.NO_TIME, invites=1)
        if self._sbc and record.direction is None:
            self._without_direction += 1
            for end in (record.dst, record.src):
                address = end.rpartition(":")[0].strip("[]")
                if address in self._addresses or len(self._addresses) < _MAX_ADDRESSES:
                    self._addresses[address] += 1

    def finish(self) -> None:
        """Add the calls without a direction: under the address that most of them have, and the others together."""
        for address, count in self._addresses.most_common(1):
            self._unseen.add(Reason.NO_ADDRESS, address, count, count)
            others = self._without_direction - count
            if others:
                self._unseen.add(Reason.NO_ADDRESS, OTHERS, others, others)
