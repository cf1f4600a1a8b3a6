"""CRLs that were read, for all processes of this host: a folder in memory, which the process that made it removes.

Reading a large list takes seconds. One process reads it, and puts what it found here. The others map that file.
"""

import fcntl
import hashlib
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct

from sbc_filter.pki.crl import RevocationList
from sbc_filter.system.files import replace_file, runtime_folder
from sbc_filter.trust.crl_store import CrlStore

Stamp = tuple[int, int, int]
_STAMP = Struct("<qQQ")  # a file may be older than 1970
_SUFFIX = ".compiled"
_PREFIX = "sbc-filter-lists-"
_YOUNG = 60.0  # seconds: another program that starts may not have locked its shelf yet
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made in it


class CrlShelf:
    """One file for each file of CRLs: the stamp of that file, and the list in compiled form.

    Only our processes may write to `folder`: signatures are verified by digests that lie in these files. `unkept` are
    fetched lists that could not be kept in the cache.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unkept = CrlStore(folder)

    def get(self, path: Path, stamp: Stamp) -> RevocationList | None:
        """The list in this file, if it was read when it had this stamp."""
        try:
            with self._path(path).open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            if mapped[: _STAMP.size] != _STAMP.pack(*stamp):
                return None
            return RevocationList.compiled(_WithoutStamp(mapped))
        except (OSError, ValueError):
            return None

    def put(self, path: Path, stamp: Stamp, crl: RevocationList) -> bool:
        """Offer a list to the other processes; false if there is no room for it."""
        try:
            replace_file(self._path(path), _STAMP.pack(*stamp) + crl.compile())
        except OSError:
            return False
        return True

    def sweep(self, used: Iterable[Path]) -> None:
        """Remove all lists but those of these files. Processes that have mapped one go on with it."""
        names = {self._path(path).name for path in used}
        for path in self.folder.glob(f"*{_SUFFIX}"):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def _path(self, path: Path) -> Path:
        return self.folder / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()}{_SUFFIX}"


class _WithoutStamp:
    """The rest of a mapped file."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped

    def __len__(self) -> int:
        return len(self._mapped) - _STAMP.size

    def __getitem__(self, part: slice, /) -> bytes:
        return self._mapped[(part.start or 0) + _STAMP.size : part.stop + _STAMP.size]


@contextmanager
def shelf_in_memory() -> Iterator[CrlShelf]:
    """A shelf of this program and its child processes, in memory if possible: a full disk does not matter to it."""
    home = runtime_folder() or (_IN_MEMORY if os.access(_IN_MEMORY, os.W_OK | os.X_OK) else None)
    made = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=home, ignore_cleanup_errors=True)
    with made as folder, _locked(Path(folder)):
        for other in Path(folder).parent.glob(f"{_PREFIX}*"):
            _remove_abandoned(other)
        yield CrlShelf(Path(folder))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder; `OSError` when another program, or one that it started, still has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    """Remove a shelf of which the program was killed: it would occupy memory until the host restarts."""
    with suppress(OSError):
        found = folder.stat(follow_symlinks=False)
        if found.st_uid == os.geteuid() and found.st_mtime < time.time() - _YOUNG:
            with _locked(folder):
                shutil.rmtree(folder, ignore_errors=True)
