"""A table in memory that processes share: what `shared_replays`, `shared_rates` and `shared_arrivals` have in common.

    header | … | spare

Entries lie in buckets of `WAYS`; each has `ENTRY` bytes and begins with the digest of what it is about. Digests are
keyed, lest anybody find things that meet in one bucket.

Turns are POSIX record locks: the kernel releases those of a process that dies, and a child does not inherit them.
Whoever writes does so in an order in which nothing half written is ever taken for whole.
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
FIRST = 4096  # where the buckets begin
DIGEST, ENTRY, WAYS = 16, 32, 16
BUCKET = ENTRY * WAYS
_HEADER = Struct("<16sII16s")  # what it is, its shape, key
_SPARE = 4096  # `mmap.find` of CPython before 3.11.4 looks at the octet behind those that it may look at
PATIENCE = 0.25  # seconds for which a turn is waited for; less than it takes to retransmit (T1, RFC 3261 §17.1.1.2)
_HURRIED = 0.002  # seconds
_AT_ONCE = 20  # attempts before a turn is waited for asleep: it takes microseconds
_PAUSE = 0.0002


class SharedTable:
    """See the module. For all processes that open the same `path`, and for those forked after it was made.

    The file is made with mode 0600, and made anew where it is not one of ours; what it holds outlives the processes.
    Without a path it lives in memory, for this process and its children, and takes no more of it than is used.
    Open a file once in a process: closing it ends the turns of all.
    """

    def __init__(
        self, magic: bytes, shape: tuple[int, int], size: int, path: Path | None, things: str, rest: float = 0.0
    ) -> None:
        """`magic` (16 bytes) and `shape` have to be those of the file, `size` is without header and spare; `rest` are
        the seconds for which, after a turn was waited for in vain, none is waited for so long. Raises
        `EnvironmentFault`, of these `things`, when it cannot be."""
        self._turn = threading.Lock()  # record locks are of a process: they do not part its threads
        self._rest, self._rests_until = rest, 0.0
        try:
            self._file = _open(path, magic)
        except OSError as error:
            raise EnvironmentFault(f"{path}: {things} cannot be remembered there: {error.strerror}") from None
        try:
            self.memory, self._key = self._map(magic, shape, FIRST + size + _SPARE, path is not None)
        except OSError as error:
            os.close(self._file)
            raise EnvironmentFault(f"{path or 'memory'}: {things} cannot be remembered: {error.strerror}") from None

    def close(self) -> None:
        """Let go of the table; what it holds stays with the others."""
        self.memory.close()
        os.close(self._file)

    def digest(self, data: bytes, size: int = DIGEST) -> bytes:
        """A digest that only those know who share the table."""
        return blake2b(data, digest_size=size, key=self._key).digest()

    def find(self, digest: bytes, bucket: int) -> int:
        """Where in the memory the entry of this digest begins; -1 when it is not in this bucket."""
        entry = self.memory.find(digest, bucket, bucket + BUCKET)
        while entry >= 0 and (entry - bucket) % ENTRY:
            entry = self.memory.find(digest, entry + 1, bucket + BUCKET)  # it went across two entries
        return entry

    def write(self, at: int, data: bytes) -> None:
        """Put these bytes there. Eight or fewer are written at once or not at all (as by `pack_into` they are not,
        which writes zeros first)."""
        self.memory[at : at + len(data)] = data

    def locked(self, at: int, size: int, work: Callable[[], T]) -> T:
        """Do `work` while nobody else has a turn on these bytes.

        Who waits longer than `PATIENCE` goes on without: whoever has the turn was stopped (not ended, for that ends
        its turn), and calls do not wait for that.
        """
        with self._turn:
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
            except OSError:  # the kernel's memory for locks is full
                return False
            else:
                return True

    def _map(self, magic: bytes, shape: tuple[int, int], size: int, is_file: bool) -> tuple[mmap, bytes]:
        """The memory, and the key of its digests. Never made shorter: who else has it mapped would die of that."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, FIRST)
        try:
            if is_file:
                os.posix_fallocate(self._file, 0, size)  # else a full disk would be told by SIGBUS, in a claim
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
    """The file, if nobody else can write to it."""
    if path is None:
        return os.memfd_create(magic.decode().replace(" ", "-"))
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        os.close(file)
        raise EnvironmentFault(f"{path}: it is not a file of this user alone: remove it, and it is made anew")
    return file
