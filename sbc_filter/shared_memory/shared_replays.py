"""Replay protection in shared memory: one table of tokens for all workers (S-057).

    header | bucket | bucket | … | first uses of a bucket | first uses of a bucket | … | spare
    a bucket: 16 entries of digest of the token, digest of the target, times, expiry
    first uses of a bucket: 4 entries of a part of that digest, and the text

A token belongs to one bucket. When the bucket is full, the entry that expires first is overwritten, so a flood needs
no more memory. The expiry is written last: an entry that a process left incomplete counts as free.

Four entries of a bucket share the place of a first use, and the last one has it: records alone need it, mostly within
seconds. The lock of a bucket covers its first uses.
"""

from pathlib import Path
from struct import Struct

from sbc_filter.engine.memory.replays import USE
from sbc_filter.shared_memory.shared_table import BUCKET, ENTRY, FIRST, WAYS, SharedTable

BUCKETS = 1 << 14  # 262144 tokens in 8 MiB, and as much for their first uses
_MAGIC = b"sbc-filter seen4"
_TARGET = 7  # bytes of its digest
_ENTRY = Struct(f"<16s{_TARGET}sBd")
_TIMES_AT, _MOST = 16 + _TARGET, 255
_MARK = slice(4, 12)  # the part of a digest that a first use is marked with; the rest names the bucket
_USE = Struct(f"<8s{USE}s")
_USES = BUCKET // _USE.size
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
        self._uses = FIRST + buckets * BUCKET
        self._table = SharedTable(_MAGIC, (buckets, WAYS), 2 * buckets * BUCKET, path, "tokens")

    def close(self) -> None:
        """Release the table in this process; others keep it."""
        self._table.close()

    def claim(self, token: bytes, target: bytes, expiry: float, now: float, use: bytes = b"") -> int:
        """See `engine.memory.replays.Seen`. If the holder of the lock was stopped, two claims may both be first."""
        digest, called = self._table.digest(token), self._table.digest(target, _TARGET)
        bucket = self._bucket(digest)
        return self._table.locked(bucket, lambda: self._claim(bucket, digest, called, expiry, now, use))

    def first_use(self, token: bytes, now: float) -> bytes:
        """See `engine.memory.replays.Seen`."""
        digest = self._table.digest(token)
        bucket = self._bucket(digest)
        return self._table.locked(bucket, lambda: self._first_use(bucket, digest))

    def _bucket(self, digest: bytes) -> int:
        return int.from_bytes(digest[:4], "little") % self._buckets

    def _use_at(self, bucket: int, entry: int) -> int:
        """Where the first use of this entry of this bucket lies."""
        return self._uses + bucket * BUCKET + (entry - FIRST) // ENTRY % _USES * _USE.size

    def _first_use(self, bucket: int, digest: bytes) -> bytes:
        entry = self._table.find(digest, FIRST + bucket * BUCKET)
        if entry < 0:
            return b""
        mark, use = _USE.unpack_from(self._table.memory, self._use_at(bucket, entry))
        return bytes(use).rstrip(b"\0") if mark == digest[_MARK] else b""

    def _claim(self, bucket: int, digest: bytes, target: bytes, expiry: float, now: float, use: bytes) -> int:
        at = FIRST + bucket * BUCKET
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
        if use:
            _USE.pack_into(memory, self._use_at(bucket, entry), digest[_MARK], use)
        _END.pack_into(memory, entry + _END_AT, 0.0)
        _ENTRY.pack_into(memory, entry, digest, target, 1, expiry)
        return 1


def _way(ends: tuple[float, ...], now: float) -> int:
    """The entry of a bucket to overwrite: an expired or invalid one, otherwise the one that expires first."""
    for way, end in enumerate(ends):
        if not now < end <= now + _LONGEST:
            return way
    return ends.index(min(ends))
