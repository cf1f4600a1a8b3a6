"""What `preserve` remembers, in shared memory: the two legs of a call may pass different workers.

    header | shard | shard | … | spare      a shard: head | buckets of 16 entries of digest, position, expiry | ring

A key belongs to one shard. All arrivals of a key are one record in the ring of that shard. New records overwrite the
oldest, and the entry of the key holds the position. An entry points to a record only when that is complete. Each record
has a keyed digest, so a record that was overwritten, or bytes that imitate one, are not accepted.
"""

from collections.abc import Iterator
from struct import Struct

from sbc_filter.engine.memory.arrivals import LIFETIME, Arrival, Key, alive, crowd, expiry, joined
from sbc_filter.shared_memory.shared_table import BUCKET, DIGEST, ENTRY, FIRST, WAYS, SharedTable

SHARDS, SHARD = 16, 4 << 20  # 64 MiB, as far as it is written to
BUCKETS = 1 << 10  # in a shard: 16384 keys
_MAGIC = b"sbc-filter kept1"
_HEAD = 512  # bytes, of which eight are used
_ENTRY = Struct("16sQd")
_WORD = Struct("Q")
_END = Struct("d")
_POSITION_AT, _END_AT = DIGEST, DIGEST + _WORD.size
_ENDS = Struct(f"{_END_AT}xd" * WAYS)
_RECORD = Struct("<16sQI")  # digest of the record, its position, bytes that follow
_ARRIVAL = Struct("<dBIIII")  # time, flags, bytes of peer, Call-ID and date, number of tokens
_LENGTH = Struct("<I")
_HAS_TOKENS, _HAS_DATE = 1, 2
_ENDLESS = 1 << 62  # positions wrap around here
_REST = 1.0  # seconds: many calls share a shard, and must not all wait in turn


class SharedArrivals:
    """An `Arrivals` for this process and those forked after it was made.

    Raises `EnvironmentFault` when there is no shared memory.
    """

    def __init__(self, shards: int = SHARDS, shard: int = SHARD, buckets: int = BUCKETS) -> None:
        self._shards, self._shard, self._buckets = shards, shard, buckets
        self._ring = shard - _HEAD - buckets * BUCKET
        self._table = SharedTable(_MAGIC, (shards, shard), shards * shard, None, "arrivals", _REST)

    def close(self) -> None:
        """Release the memory in this process."""
        self._table.close()

    def add(self, key: Key, arrival: Arrival) -> None:
        """See `engine.memory.arrivals.Arrivals`."""
        digest, shard = self._place(key)
        self._table.locked(shard // self._shard, lambda: self._add(shard, digest, arrival))

    def get(self, key: Key, now: float) -> tuple[Arrival, ...]:
        """See `engine.memory.arrivals.Arrivals`."""
        digest, shard = self._place(key)
        return self._table.locked(shard // self._shard, lambda: self._get(shard, digest, now))

    def _place(self, key: Key) -> tuple[bytes, int]:
        """Returns (digest, offset of its shard) of a key."""
        digest = self._table.digest(key[0].encode() + b"\0" + key[1])
        return digest, FIRST + digest[-1] % self._shards * self._shard

    def _bucket(self, shard: int, digest: bytes) -> int:
        return shard + _HEAD + int.from_bytes(digest[:4], "little") % self._buckets * BUCKET

    def _get(self, shard: int, digest: bytes, now: float) -> tuple[Arrival, ...]:
        entry = self._table.find(digest, self._bucket(shard, digest))
        if entry < 0:
            return ()
        _, position, _ = _ENTRY.unpack_from(self._table.memory, entry)
        record = self._read(shard, digest, position)
        return alive(tuple(decode(record)), now) if record is not None else ()

    def _add(self, shard: int, digest: bytes, arrival: Arrival) -> None:
        memory, write, now = self._table.memory, self._table.write, arrival.arrived
        kept = joined(self._get(shard, digest, now), arrival)
        record = encode(kept)
        if len(record) > self._ring // 4:
            record = encode((crowd(kept),))  # longer than any datagram: keep only the mark that there were several
        position = self._append(shard, digest, record)
        bucket = self._bucket(shard, digest)
        entry = self._table.find(digest, bucket)
        if entry < 0:
            entry = bucket + _way(_ENDS.unpack_from(memory, bucket), now) * ENTRY
            write(entry + _END_AT, _END.pack(0.0))
            write(entry, _ENTRY.pack(digest, position, 0.0))
        write(entry + _POSITION_AT, _WORD.pack(position))
        write(entry + _END_AT, _END.pack(expiry(kept)))

    def _append(self, shard: int, digest: bytes, body: bytes) -> int:
        """Write a record into the ring, in one piece; returns its position, which only grows."""
        size = _RECORD.size + len(body)
        head: int = _WORD.unpack_from(self._table.memory, shard)[0] % _ENDLESS
        if head % self._ring + size > self._ring:
            head += self._ring - head % self._ring
        record = _RECORD.pack(self._seal(digest, head, body), head, len(body)) + body
        self._table.write(self._at(shard, head), record)
        self._table.write(shard, _WORD.pack(head + size))
        return head

    def _read(self, shard: int, digest: bytes, position: int) -> bytes | None:
        """The record at a position; None when it has been overwritten."""
        memory, at = self._table.memory, self._at(shard, position)
        end = self._at(shard, 0) + self._ring
        if at + _RECORD.size > end:
            return None
        seal, written, size = _RECORD.unpack_from(memory, at)
        at += _RECORD.size
        if written != position or at + size > end:
            return None
        body = memory[at : at + size]
        return body if seal == self._seal(digest, position, body) else None

    def _at(self, shard: int, position: int) -> int:
        return shard + self._shard - self._ring + position % self._ring

    def _seal(self, digest: bytes, position: int, body: bytes) -> bytes:
        return self._table.digest(digest + _WORD.pack(position) + body)


def encode(arrivals: tuple[Arrival, ...]) -> bytes:
    """Arrivals as bytes: each part follows its length."""
    parts = []
    for (peer, call_id), arrived, tokens, date in arrivals:
        has = (_HAS_TOKENS if tokens is not None else 0) | (_HAS_DATE if date is not None else 0)
        who = peer.encode("utf-8", "surrogateescape")
        parts += [_ARRIVAL.pack(arrived, has, len(who), len(call_id), len(date or b""), len(tokens or ()))]
        parts += [who, call_id, date or b""]
        for token in tokens or ():
            parts += [_LENGTH.pack(len(token)), token]
    return b"".join(parts)


def decode(record: bytes) -> Iterator[Arrival]:
    """The inverse of `encode`."""
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return record[at - size : at]

    while at < len(record):
        arrived, has, who, call_id, date, count = _ARRIVAL.unpack(take(_ARRIVAL.size))
        call = take(who).decode("utf-8", "surrogateescape"), take(call_id)
        on = take(date)
        tokens = tuple(take(*_LENGTH.unpack(take(_LENGTH.size))) for _ in range(count))
        yield Arrival(call, arrived, tokens if has & _HAS_TOKENS else None, on if has & _HAS_DATE else None)


def _way(ends: tuple[float, ...], now: float) -> int:
    """The entry of a bucket to overwrite: an expired or invalid one, otherwise the one that expires first."""
    for way, end in enumerate(ends):
        if not now < end < now + 2 * LIFETIME:
            return way
    return ends.index(min(ends))
