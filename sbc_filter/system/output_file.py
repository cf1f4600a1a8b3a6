"""A file that the operator named, written whole or not at all; what is not a regular file is written to in place.

What the path leads to decides:

- nothing, or a regular file: the data goes into a new file next to it, which is renamed at the end.
- a symbolic link: its target is treated in this way, and the link stays. If the target is missing, it is made.
- a device or a pipe: the data is written to it.
- a descriptor of this process (`/dev/stdout`, `/dev/fd/3`): the data is written there, at its position.

A link or pipe in a folder of many users may be a trap (as Linux has it, proc_sys_fs(5) `protected_symlinks`,
`protected_fifos`): links of other users but root are not followed, nor are pipes of others used that lie where
everybody may write.
"""

import contextlib
import errno
import os
import secrets
import select
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import Self

READER_PATIENCE = 10.0  # seconds that a command waits for the reader of a pipe
_PAUSE = 0.05  # seconds between two attempts to open a pipe
_LINKS = 40  # in a row, as Linux follows (path_resolution(7))
_BUFFER = 1 << 16  # bytes that are collected before they are written
_OWN_DESCRIPTORS = ("/proc/self/fd", "/proc/thread-self/fd")
_IN_PLACE = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC


class OutputFile:
    """A context manager: after an exception the old content is still there. All methods may raise `OSError`.

    `mode` is that of a regular file; without it, the umask decides. A pipe without a reader is an error after
    `patience` seconds. A crash may leave a hidden file that ends in `.new` in the folder. Data written in place is not
    undone.
    """

    _open = False
    _partial: Path | None = None

    def __init__(self, path: Path, *, mode: int | None = None, patience: float = 0.0) -> None:
        self._place, found = _led_to(path)
        self._buffer = bytearray()
        if isinstance(found, int):
            self._descriptor = os.dup(found)
        elif found is None or stat.S_ISREG(found.st_mode):
            self._partial = self._place.with_name(f".{secrets.token_hex(8)}.new")
            self._descriptor = _created(self._partial, mode)
        else:
            self._descriptor = _opened(self._place, patience)
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        self.discard()  # an interrupt may come after the file was made, and before the `with` block has begun

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._buffer += data
        if len(self._buffer) >= _BUFFER:
            self._flush()

    def close(self) -> None:
        """Write the rest, and rename the file into place; does nothing when it is closed already."""
        if not self._open:
            return
        try:
            self._flush()
            self._open = False
            os.close(self._descriptor)  # a network file system may report errors only here
            if self._partial is not None:
                self._partial.replace(self._place)
                self._partial = None
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Discard the output, and keep the old file; does nothing when it is closed already."""
        with contextlib.suppress(OSError):
            if self._open:
                self._open = False
                os.close(self._descriptor)
        if self._partial is not None:
            with contextlib.suppress(OSError):
                self._partial.unlink()
            self._partial = None

    def _flush(self) -> None:
        with memoryview(self._buffer) as view:
            done = 0
            while done < len(view):
                try:
                    done += os.write(self._descriptor, view[done:])
                except BlockingIOError:  # a full pipe, or a descriptor that was already non-blocking
                    _wait_for_room(self._descriptor)
        self._buffer.clear()


def own_descriptor(path: Path) -> int | None:
    """The descriptor of this process that the path means, such as 1 for /dev/stdout; None for any other path."""
    try:
        found = _led_to(path)[1]
    except OSError:
        return None
    return found if isinstance(found, int) else None


def is_same_file(one: Path, other: Path) -> bool:
    """Whether both paths lead to one file; false where either cannot be looked at."""
    try:
        return os.path.samestat(os.stat(one), os.stat(other))
    except (OSError, ValueError):
        return False


def _led_to(path: Path) -> tuple[Path, os.stat_result | int | None]:
    """The end of the path after all links, and what is there: its status, a descriptor of ours, or None."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "a path cannot have a zero byte", str(path))
    for _ in range(_LINKS):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return path, None
        if stat.S_ISDIR(found.st_mode):
            raise _error(errno.EISDIR, path)
        if not stat.S_ISLNK(found.st_mode):
            _refuse_planted(path, found)
            return path, found
        if _is_own_descriptor(path):
            return path, int(path.name)
        if found.st_uid not in (0, os.geteuid()):
            raise OSError(errno.EACCES, "it is a link of another user: name the file that it leads to", str(path))
        path = path.parent / os.readlink(path)
    raise _error(errno.ELOOP, path)


def _is_own_descriptor(place: Path) -> bool:
    return os.path.realpath(place.parent) in map(os.path.realpath, _OWN_DESCRIPTORS)


def _refuse_planted(place: Path, found: os.stat_result) -> None:
    if not stat.S_ISFIFO(found.st_mode):
        return
    folder = os.stat(place.parent)
    if folder.st_mode & stat.S_IWOTH and found.st_uid not in (os.geteuid(), folder.st_uid):
        sentence = "it is a pipe of another user in a folder to which everybody may write"
        raise OSError(errno.EACCES, sentence, str(place))


def _created(partial: Path, mode: int | None) -> int:
    """A new file, which other users cannot read before it has its final mode."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(partial, flags, 0o666 if mode is None else 0o600)
    if mode is not None:
        os.fchmod(descriptor, mode)
    return descriptor


def _opened(place: Path, patience: float) -> int:
    """Open a device or pipe for writing; waits for the reader of a pipe."""
    end = time.monotonic() + patience
    while True:
        try:
            descriptor = os.open(place, _IN_PLACE)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() >= end:
                raise OSError(errno.ENXIO, "no process reads from it", str(place)) from None
        time.sleep(_PAUSE)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EBUSY, "it was replaced at this moment", str(place))
    return descriptor


def _wait_for_room(descriptor: int) -> None:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    waiting.poll()


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
