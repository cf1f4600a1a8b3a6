"""Locks in shared memory: process-shared robust mutexes of the C library (POSIX `pthread_mutexattr_setrobust`).

Taking a free lock is one compare-and-swap on a word that all processes share, and releasing it is another: no system
call, and the memory ordering is that of a mutex on every architecture. The kernel releases the locks of a process that
dies, even one killed between any two instructions, and marks them; the next process that takes one clears the mark.
"""

import ctypes
import errno
from functools import partial
from mmap import mmap

from sbc_filter.errors import EnvironmentFault

LOCK = 64  # bytes reserved for each: a cache line, and more than any C library on Linux needs
_PROCESS_SHARED, _ROBUST = 1, 1  # PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST
_ATTRIBUTES = 64  # bytes, more than pthread_mutexattr_t has
# PyDLL keeps the interpreter's lock: none of these calls waits.
_LIBC = ctypes.PyDLL(None)


class RobustLocks:
    """`count` locks at offset `at` of a shared mapping. Neither reentrant nor waited for: see `take`.

    Raises `EnvironmentFault` if the C library has no robust mutexes.
    """

    def __init__(self, memory: mmap, at: int, count: int) -> None:
        self._anchor: ctypes.c_char | None = ctypes.c_char.from_buffer(memory, at)
        first = ctypes.addressof(self._anchor)
        self._addresses = [ctypes.c_void_p(first + number * LOCK) for number in range(count)]
        try:
            self._trylock = [partial(_LIBC.pthread_mutex_trylock, address) for address in self._addresses]
            self._unlock = [partial(_LIBC.pthread_mutex_unlock, address) for address in self._addresses]
            self._consistent, self._set_robust = _LIBC.pthread_mutex_consistent, _LIBC.pthread_mutexattr_setrobust
        except AttributeError as error:
            raise EnvironmentFault(f"this C library has no robust mutexes: {error}") from None

    def initialise(self) -> None:
        """Make all locks free. No other process may use them at this time."""
        attributes = ctypes.create_string_buffer(_ATTRIBUTES)
        _LIBC.pthread_mutexattr_init(attributes)
        _LIBC.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED)
        self._set_robust(attributes, _ROBUST)
        for address in self._addresses:
            _LIBC.pthread_mutex_init(address, attributes)
        _LIBC.pthread_mutexattr_destroy(attributes)

    def take(self, number: int) -> bool:
        """Take a lock; False if another process or thread has it. That of a dead process is taken over."""
        result: int = self._trylock[number]()
        if result == errno.EOWNERDEAD:
            self._consistent(self._addresses[number])
            return True
        return result == 0

    def release(self, number: int) -> None:
        """Release a lock that this thread has taken."""
        self._unlock[number]()

    def close(self) -> None:
        """Let go of the mapping, so that it can be closed. What this thread holds is released.

        The C library links the robust locks that a thread holds with each other. A lock that is unmapped while it is
        held leaves a dangling pointer in that list, and the next lock that the thread takes would be written there.
        """
        for unlock in self._unlock:
            unlock()  # EPERM, and no effect, unless this thread holds it
        self._anchor = None
        self._trylock, self._unlock, self._addresses = [], [], []
