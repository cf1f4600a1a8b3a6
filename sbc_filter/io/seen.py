"""Replay protection for all processes that filter the same calls: a table of tokens that they share (S-057).

    header | bucket | bucket | … | spare        a bucket: 16 entries of digest of the token, digest of the call, expiry

A token belongs to one bucket; where that is full, the entry that ends first gives way, so a flood costs memory to
nobody. Digests are keyed, lest anybody find tokens that meet in one bucket.

Claims on a bucket take turns by a POSIX record lock: the kernel releases those of a process that dies, and a child
does not inherit them. The expiry is written last, so that what a process leaves half written is a free entry.
"""

import fcntl
import os
import stat
import threading
import time
from hashlib import blake2b
from mmap import mmap
from pathlib import Path
from struct import Struct

from sbc_filter.errors import EnvironmentFault

BUCKETS, WAYS = 1 << 14, 16  # 262144 tokens in 8 MiB
_HEADER = Struct("<16sII16s")  # what it is, buckets, ways, key
_MAGIC = b"sbc-filter seen1"
_FIRST = 4096  # where the buckets begin
_ENTRY = Struct("<16s8sd")
_END = Struct("<d")
_END_AT = _ENTRY.size - _END.size
_BUCKET = _ENTRY.size * WAYS
_SPARE = 4096  # `mmap.find` of CPython before 3.11.4 looks at the octet behind those that it may look at
_ENDS = Struct("<" + f"{_END_AT}xd" * WAYS)
_LONGEST = 3 * 86400.0  # seconds; an expiry beyond was not written by us, or by another clock
PATIENCE = 0.25  # seconds for which a claim waits; less than it takes to retransmit (T1, RFC 3261 §17.1.1.2)
_PAUSE = 0.0002


class SharedSeen:
    """A `Seen` for all processes that open the same `path`, and for those forked after it was made.

    The file is made with mode 0600, and made anew where it is not one of ours; what it holds outlives the processes.
    Without a path it lives in memory, for this process and its children. Open a file once in a process: closing it
    ends the turns of all. Raises `EnvironmentFault` when the file cannot be used.
    """

    def __init__(self, path: Path | None = None, buckets: int = BUCKETS) -> None:
        self._buckets = buckets
        self._turn = threading.Lock()  # record locks are of a process: they do not part its threads
        try:
            self._file = _open(path)
        except OSError as error:
            raise EnvironmentFault(f"{path}: tokens cannot be remembered there: {error.strerror}") from None
        try:
            self._table, self._key = self._map()
        except OSError as error:
            os.close(self._file)
            raise EnvironmentFault(f"{path or 'memory'}: tokens cannot be remembered: {error.strerror}") from None

    def close(self) -> None:
        """Let go of the table; what it holds stays with the others."""
        self._table.close()
        os.close(self._file)

    def claim(self, token: bytes, call: bytes, expiry: float, now: float) -> bool:
        """See `engine.seen.Seen`."""
        digest = blake2b(token, digest_size=16, key=self._key).digest()
        caller = blake2b(call, digest_size=8, key=self._key).digest()
        at = _FIRST + int.from_bytes(digest[:4], "little") % self._buckets * _BUCKET
        with self._turn:
            locked = self._lock(at)
            try:
                return self._claim(at, digest, caller, expiry, now)
            finally:
                if locked:
                    fcntl.lockf(self._file, fcntl.LOCK_UN, _BUCKET, at)

    def _claim(self, at: int, digest: bytes, call: bytes, expiry: float, now: float) -> bool:
        table = self._table
        entry = table.find(digest, at, at + _BUCKET)
        while entry >= 0 and (entry - at) % _ENTRY.size:
            entry = table.find(digest, entry + 1, at + _BUCKET)  # it went across two entries
        if entry >= 0:
            _, known, end = _ENTRY.unpack_from(table, entry)
            if now < end <= now + _LONGEST:
                return bool(known == call)
        else:
            entry = at + _way(_ENDS.unpack_from(table, at), now) * _ENTRY.size
        _END.pack_into(table, entry + _END_AT, 0.0)
        _ENTRY.pack_into(table, entry, digest, call, expiry)
        return True

    def _lock(self, at: int) -> bool:
        """Take the turn on a bucket. False: the claim goes on without, for whoever has it was stopped (not ended, for
        that ends its turn), and calls do not wait for that. Then two claims may both be the first."""
        over = 0.0
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _BUCKET, at)
            except BlockingIOError:
                over = over or time.monotonic() + PATIENCE
                if time.monotonic() > over:
                    return False
                time.sleep(_PAUSE)
            except OSError:  # the kernel's memory for locks is full
                return False
            else:
                return True

    def _map(self) -> tuple[mmap, bytes]:
        """The table, and the key of its digests. Never made shorter: who else has it mapped would die of that."""
        size = _FIRST + self._buckets * _BUCKET + _SPARE
        fcntl.lockf(self._file, fcntl.LOCK_EX, _FIRST)
        try:
            os.posix_fallocate(self._file, 0, size)  # else a full disk would be told by SIGBUS, in a claim
            table = mmap(self._file, size)
            magic, buckets, ways, key = _HEADER.unpack_from(table)
            if (magic, buckets, ways) != (_MAGIC, self._buckets, WAYS):
                key = os.urandom(16)
                table[:size] = bytes(size)
                _HEADER.pack_into(table, 0, _MAGIC, self._buckets, WAYS, key)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _FIRST)
        return table, key


def _way(ends: tuple[float, ...], now: float) -> int:
    """Which entry of a bucket to write: one that is over, or was not written by us; else the one that ends first."""
    for way, end in enumerate(ends):
        if not now < end <= now + _LONGEST:
            return way
    return ends.index(min(ends))


def _open(path: Path | None) -> int:
    """The file, if nobody else can write to it."""
    if path is None:
        return os.memfd_create("sbc-filter-seen")
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        os.close(file)
        raise EnvironmentFault(f"{path}: it is not a file of this user alone: remove it, and it is made anew")
    return file
