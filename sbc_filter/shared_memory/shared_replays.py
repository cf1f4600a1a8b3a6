"""Replay protection in shared memory: one table of tokens for all workers (S-057).

    header | bucket | bucket | … | spare
    a bucket: 16 entries of digest of the token, digest of the target, times, expiry

A token belongs to one bucket. When the bucket is full, the entry that expires first is overwritten, so a flood needs
no more memory. The expiry is written last: an entry that a process left incomplete counts as free.
"""

from pathlib import Path
from struct import Struct

from sbc_filter.shared_memory.shared_table import BUCKET, ENTRY, FIRST, WAYS, SharedTable

BUCKETS = 1 << 14  # 262144 tokens in 8 MiB
_MAGIC = b"sbc-filter seen3"
_TARGET = 7  # bytes of its digest
_ENTRY = Struct(f"<16s{_TARGET}sBd")
_TIMES_AT, _MOST = 16 + _TARGET, 255
_END = Struct("<d")
_END_AT = ENTRY - _END.size
_ENDS = Struct("<" + f"{_END_AT}xd" * WAYS)
_LONGEST = 3 * 86400.0  # seconds; an expiry beyond that is invalid, or was written by a wrong clock


class SharedSeen:
    """A `Seen` for all processes that open the same `path`, and for those forked after it was made: see `SharedTable`.

    Raises `EnvironmentFault` when the file cannot be used.
    """

    def __init__(self, path: Path | None = None, buckets: int = BUCKETS) -> None:
        self._buckets = buckets
        self._table = SharedTable(_MAGIC, (buckets, WAYS), buckets * BUCKET, path, "tokens")

    def close(self) -> None:
        """Release the table in this process; others keep it."""
        self._table.close()

    def claim(self, token: bytes, target: bytes, expiry: float, now: float) -> int:
        """See `engine.memory.replays.Seen`. If the holder of the lock was stopped, two claims may both be first."""
        digest, called = self._table.digest(token), self._table.digest(target, _TARGET)
        bucket = int.from_bytes(digest[:4], "little") % self._buckets
        at = FIRST + bucket * BUCKET
        return self._table.locked(bucket, lambda: self._claim(at, digest, called, expiry, now))

    def _claim(self, at: int, digest: bytes, target: bytes, expiry: float, now: float) -> int:
        memory = self._table.memory
        entry = self._table.find(digest, at)
        if entry >= 0:
            _, known, times, end = _ENTRY.unpack_from(memory, entry)
            if now < end <= now + _LONGEST:
                if known != target:
                    return 0
                memory[entry + _TIMES_AT] = times = min(times + 1, _MOST)
                return int(times)
        else:
            entry = at + _way(_ENDS.unpack_from(memory, at), now) * ENTRY
        _END.pack_into(memory, entry + _END_AT, 0.0)
        _ENTRY.pack_into(memory, entry, digest, target, 1, expiry)
        return 1


def _way(ends: tuple[float, ...], now: float) -> int:
    """The entry of a bucket to overwrite: an expired or invalid one, otherwise the one that expires first."""
    for way, end in enumerate(ends):
        if not now < end <= now + _LONGEST:
            return way
    return ends.index(min(ends))
