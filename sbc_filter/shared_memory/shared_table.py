"""A table in shared memory: the common part of `shared_replays`, `shared_rates` and `shared_arrivals`.

    header with locks | … | spare

Entries lie in buckets of `WAYS` entries. Each has `ENTRY` bytes and begins with the digest of its key. Digests are
keyed, so that an attacker cannot find keys that collide in one bucket.

Reading and changing an entry is one step under a lock (see `robust_locks`). There are `LOCKS` of them, each for every
`LOCKS`-th bucket, so that processes seldom meet. Writes are ordered so that an incomplete entry is never taken for a
complete one.
"""

import fcntl
import os
import stat
import time
from collections.abc import Callable
from hashlib import blake2b
from mmap import mmap
from pathlib import Path
from struct import Struct
from typing import TypeVar

from sbc_filter.errors import EnvironmentFault
from sbc_filter.shared_memory.robust_locks import LOCK, RobustLocks

T = TypeVar("T")
FIRST = 4096  # offset of the first bucket
DIGEST, ENTRY, WAYS = 16, 32, 16
BUCKET = ENTRY * WAYS
_HEADER = Struct("<16sII16s")  # magic, shape, key of the digests
LOCKS = 32  # more than there are workers, so that two of them seldom want the same one
LOCKS_AT = FIRST - LOCKS * LOCK
_SPARE = 4096  # `mmap.find` of CPython before 3.11.4 reads one byte beyond the range
PATIENCE = 0.25  # seconds to wait for a lock; less than the first retransmission (T1, RFC 3261 §17.1.1.2)
_HURRIED = 0.002  # seconds to wait for a lock, shortly after a wait in vain
_AT_ONCE = 20  # attempts before sleeping; a lock is held for microseconds
_PAUSE = 0.0002  # seconds between two attempts after that


class SharedTable:
    """See the module. Shared by all processes that open the same `path`, and by those forked after it was made.

    The file has mode 0600 and outlives the processes; a file of another format is cleared. Without a path the table is
    in memory, for this process and its children, and uses only the pages that are written to.
    """

    def __init__(
        self, magic: bytes, shape: tuple[int, int], size: int, path: Path | None, things: str, rest: float = 0.0
    ) -> None:
        """`magic` (16 bytes) and `shape` identify the format; `size` in bytes excludes header and spare.

        After a wait of `PATIENCE` in vain, locks are only waited for briefly for `rest` seconds. Raises
        `EnvironmentFault`, which names `things`, when the table cannot be made.
        """
        self._rest, self._rests_until = rest, 0.0
        try:
            self._file = _open(path, magic)
        except OSError as error:
            raise EnvironmentFault(f"{path}: {things} cannot be kept there: {error.strerror}") from None
        try:
            self.memory, self._key, self._locks = self._map(magic, shape, FIRST + size + _SPARE, path is not None)
        except OSError as error:
            os.close(self._file)
            raise EnvironmentFault(f"{path or 'memory'}: {things} cannot be kept: {error.strerror}") from None

    def close(self) -> None:
        """Release the table in this process; others keep it."""
        self._locks.close()
        self.memory.close()
        os.close(self._file)

    def digest(self, data: bytes, size: int = DIGEST) -> bytes:
        """A keyed digest; only processes that share the table can compute it.

        The key goes in front of the data: as `key=` it would fill a block of its own and cost a second compression.
        BLAKE2 has no length extension, so both are equally secret.
        """
        return blake2b(self._key + data, digest_size=size).digest()

    def find(self, digest: bytes, bucket: int) -> int:
        """The offset of the entry of this digest in this bucket; -1 when it is not there."""
        entry = self.memory.find(digest, bucket, bucket + BUCKET)
        while entry >= 0 and (entry - bucket) % ENTRY:
            entry = self.memory.find(digest, entry + 1, bucket + BUCKET)  # that match straddled two entries
        return entry

    def write(self, at: int, data: bytes) -> None:
        """Write bytes at an offset. Up to eight bytes are written atomically; `pack_into` would write zeros first."""
        self.memory[at : at + len(data)] = data

    def locked(self, place: int, work: Callable[[], T]) -> T:
        """Do `work` while holding the lock of this place, the number of a bucket or a shard.

        After `PATIENCE` seconds it proceeds without the lock: the holder was stopped (a process that exits releases its
        locks), and calls must not wait for it.
        """
        number = place % LOCKS
        locked = self._locks.take(number) or self._wait(number)
        try:
            return work()
        finally:
            if locked:
                self._locks.release(number)

    def _wait(self, number: int) -> bool:
        """Wait for a lock; returns whether it was taken."""
        begun = time.monotonic()
        waits = PATIENCE if begun >= self._rests_until else _HURRIED
        attempts = 0
        while not self._locks.take(number):
            now = time.monotonic()
            if now > begun + waits:
                if waits == PATIENCE:
                    self._rests_until = now + self._rest
                return False
            attempts += 1
            if attempts < _AT_ONCE:
                os.sched_yield()
            else:
                time.sleep(_PAUSE)
        return True

    def _map(self, magic: bytes, shape: tuple[int, int], size: int, is_file: bool) -> tuple[mmap, bytes, RobustLocks]:
        """Map the memory; returns it, the key of its digests, and its locks.

        The file is never truncated: other processes that have it mapped would be killed by SIGBUS.
        """
        fcntl.lockf(self._file, fcntl.LOCK_EX, FIRST)
        try:
            if is_file:
                os.posix_fallocate(self._file, 0, size)  # otherwise a full disk would kill a worker by SIGBUS
            else:
                os.ftruncate(self._file, size)
            memory = mmap(self._file, size)
            found, first, second, key = _HEADER.unpack_from(memory)
            known = (found, first, second) == (magic, *shape)
            if not known:
                key = os.urandom(16)
                if is_file:
                    memory[:size] = bytes(size)
                _HEADER.pack_into(memory, 0, magic, *shape, key)
            locks = RobustLocks(memory, LOCKS_AT, LOCKS)
            if _is_unused(self._file) or not known:
                locks.initialise()
            # Until the last process that shares this descriptor exits, no other process initialises the locks.
            fcntl.flock(self._file, fcntl.LOCK_SH)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, FIRST)
        return memory, key, locks


def _is_unused(file: int) -> bool:
    """Whether no other process has the table open. Locks that a file contains may then be those of an earlier boot."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path | None, magic: bytes) -> int:
    """Open the file, if no other user can write to it."""
    if path is None:
        return os.memfd_create(magic.decode().replace(" ", "-"))
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        os.close(file)
        raise EnvironmentFault(f"{path}: it is not a private file of this user: remove it, and a new one is made")
    return file
