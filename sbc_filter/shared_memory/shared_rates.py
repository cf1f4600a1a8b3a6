"""Rates of rules in shared memory, counted by all workers together.

    header | peers | trunks | callers | called | spare      each: buckets of 16 entries of digest, span, refill time

Each key that rules count by has its own part of the table: a flood of callers displaces no trunk. A key belongs to one
bucket. When the bucket is full, the entry that has spent the smallest part of its limit is overwritten. So many callers
with two calls each displace one another, and a caller at its limit stays.
"""

from struct import Struct

from sbc_filter.rules.model import RATE_KEYS, RateLimit
from sbc_filter.rules.rate_limits import nanoseconds, span, spend
from sbc_filter.shared_memory.shared_table import BUCKET, ENTRY, FIRST, WAYS, SharedTable

BUCKETS = 1 << 13  # for each of them: 131072 keys in 4 MiB
_MAGIC = b"sbc-filter rate1"
_ENTRY = Struct("16sqq")
_FULL = Struct("q")
_FULL_AT = ENTRY - _FULL.size
_REST = 1.0  # seconds: all calls of a trunk count in one place, and must not all wait in turn


class SharedRates:
    """A `Rates` for this process and those forked after it was made.

    Raises `EnvironmentFault` when there is no shared memory.
    """

    def __init__(self, buckets: int = BUCKETS) -> None:
        self._buckets = buckets
        self._parts = {by: FIRST + part * buckets * BUCKET for part, by in enumerate(RATE_KEYS)}
        size = len(RATE_KEYS) * buckets * BUCKET
        self._table = SharedTable(_MAGIC, (buckets, WAYS), size, None, "rates", _REST)

    def close(self) -> None:
        """Release the table in this process."""
        self._table.close()

    def exceeds(self, rule: str, limit: RateLimit, key: str, now: float) -> bool:
        """See `rules.rate_limits.Rates`. If the holder of the lock was stopped, two calls may count as one."""
        digest = self._table.digest(repr((rule, limit.over, limit.seconds, limit.by, key)).encode())
        bucket = int.from_bytes(digest[:4], "little") % self._buckets
        at = self._parts[limit.by] + bucket * BUCKET
        return self._table.locked(bucket, lambda: self._count(at, digest, limit, nanoseconds(now)))

    def _count(self, at: int, digest: bytes, limit: RateLimit, now: int) -> bool:
        memory, full = self._table.memory, 0
        entry = self._table.find(digest, at)
        if entry >= 0:
            (full,) = _FULL.unpack_from(memory, entry + _FULL_AT)
        else:
            entry = at + _way(memory[at : at + BUCKET], now) * ENTRY
            self._table.write(entry + _FULL_AT, _FULL.pack(0))
            self._table.write(entry, _ENTRY.pack(digest, span(limit), 0))
        exceeded, full = spend(limit, full, now)
        self._table.write(entry + _FULL_AT, _FULL.pack(full))
        return exceeded


def _way(entries: bytes, now: int) -> int:
    """The entry of a bucket to overwrite: one that is full or invalid, otherwise the one with the least spent."""
    spent = []
    for way, (_, whole, full) in enumerate(_ENTRY.iter_unpack(entries)):
        if not 0 < full - now <= whole:
            return way
        spent.append((full - now) / whole)
    return spent.index(min(spent))
