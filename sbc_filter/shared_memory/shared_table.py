"""A table in shared memory: the common part of `shared_replays`, `shared_rates` and `shared_arrivals`.

    header | … | spare

Entries lie in buckets of `WAYS` entries. Each has `ENTRY` bytes and begins with the digest of its key. Digests are
keyed, so that an attacker cannot find keys that collide in one bucket.

Locks are POSIX record locks: the kernel releases those of a process that dies, and a child does not inherit them.
Writes are ordered so that an incomplete entry is never taken for a complete one.
"""

import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable
from hashlib import blake2b
from mmap import mmap
from pathlib import Path
from struct import Struct
from typing import TypeVar

from sbc_filter.errors import EnvironmentFault

T = TypeVar("T")
FIRST = 4096  # offset of the first bucket
DIGEST, ENTRY, WAYS = 16, 32, 16
BUCKET = ENTRY * WAYS
_HEADER = Struct("<16sII16s")  # magic, shape, key of the digests
_SPARE = 4096  # `mmap.find` of CPython before 3.11.4 reads one byte beyond the range
PATIENCE = 0.25  # seconds to wait for a lock; less than the first retransmission (T1, RFC 3261 §17.1.1.2)
_HURRIED = 0.002  # seconds to wait for a lock, shortly after a wait in vain
_AT_ONCE = 20  # attempts before sleeping; a lock is held for microseconds
_PAUSE = 0.0002  # seconds between two attempts after that


class SharedTable:
    """See the module. Shared by all processes that open the same `path`, and by those forked after it was made.

    The file has mode 0600 and outlives the processes; a file of another format is cleared. Without a path the table is
    in memory, for this process and its children, and uses only the pages that are written to.
    Open a file once in a process: closing a descriptor releases all locks of the process on that file.
    """

    def __init__(
        self, magic: bytes, shape: tuple[int, int], size: int, path: Path | None, things: str, rest: float = 0.0
    ) -> None:
        """`magic` (16 bytes) and `shape` identify the format; `size` in bytes excludes header and spare.

        After a wait of `PATIENCE` in vain, locks are only waited for briefly for `rest` seconds. Raises
        `EnvironmentFault`, which names `things`, when the table cannot be made.
        """
        self._threads = threading.Lock()  # record locks belong to a process and do not exclude its other threads
        self._rest, self._rests_until = rest, 0.0
        try:
            self._file = _open(path, magic)
        except OSError as error:
            raise EnvironmentFault(f"{path}: {things} cannot be kept there: {error.strerror}") from None
        try:
            self.memory, self._key = self._map(magic, shape, FIRST + size + _SPARE, path is not None)
        except OSError as error:
            os.close(self._file)
            raise EnvironmentFault(f"{path or 'memory'}: {things} cannot be kept: {error.strerror}") from None

    def close(self) -> None:
        """Release the table in this process; others keep it."""
        self.memory.close()
        os.close(self._file)

    def digest(self, data: bytes, size: int = DIGEST) -> bytes:
        """A keyed digest; only processes that share the table can compute it."""
        return blake2b(data, digest_size=size, key=self._key).digest()

    def find(self, digest: bytes, bucket: int) -> int:
        """The offset of the entry of this digest in this bucket; -1 when it is not there."""
        entry = self.memory.find(digest, bucket, bucket + BUCKET)
        while entry >= 0 and (entry - bucket) % ENTRY:
            entry = self.memory.find(digest, entry + 1, bucket + BUCKET)  # that match straddled two entries
        return entry

    def write(self, at: int, data: bytes) -> None:
        """Write bytes at an offset. Up to eight bytes are written atomically; `pack_into` would write zeros first."""
        self.memory[at : at + len(data)] = data

    def locked(self, at: int, size: int, work: Callable[[], T]) -> T:
        """Do `work` while holding the lock on these bytes.

        After `PATIENCE` seconds it proceeds without the lock: the holder was stopped (a process that exits releases its
        locks), and calls must not wait for it.
        """
        with self._threads:
            locked = self._lock(at, size)
            try:
                return work()
            finally:
                if locked:
                    fcntl.lockf(self._file, fcntl.LOCK_UN, size, at)

    def _lock(self, at: int, size: int) -> bool:
        attempts, waits, over = 0, 0.0, 0.0
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, size, at)
            except BlockingIOError:
                now = time.monotonic()
                if not attempts:
                    waits = PATIENCE if now >= self._rests_until else _HURRIED
                    over = now + waits
                if now > over:
                    if waits == PATIENCE:
                        self._rests_until = now + self._rest
                    return False
                attempts += 1
                if attempts < _AT_ONCE:
                    os.sched_yield()
                else:
                    time.sleep(_PAUSE)
            except OSError:  # the kernel has no memory for another lock
                return False
            else:
                return True

    def _map(self, magic: bytes, shape: tuple[int, int], size: int, is_file: bool) -> tuple[mmap, bytes]:
        """Map the memory; returns it and the key of its digests.

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
            if (found, first, second) != (magic, *shape):
                key = os.urandom(16)
                if is_file:
                    memory[:size] = bytes(size)
                _HEADER.pack_into(memory, 0, magic, *shape, key)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, FIRST)
        return memory, key


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
