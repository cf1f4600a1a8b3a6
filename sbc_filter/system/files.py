"""Files of this host: read whole within a limit; in folders of ours, written whole or not at all.

A file that the operator named is written by `system.output_file`.
"""

import errno
import io
import os
import stat
import tempfile
from pathlib import Path
from typing import IO

MAX_FILE = 64 << 20  # bytes; far more than files of an operator have, and small enough to be read whole


class TooLarge(OSError):
    """A file that is larger than the limit."""


def files_in(path: Path) -> list[Path]:
    """The files of a folder in the order of their names, or the file itself; `OSError`."""
    if stat.S_ISDIR(path.stat().st_mode):
        return sorted(each for each in path.iterdir() if each.is_file())
    return [path]


def read_file(path: Path, limit: int = MAX_FILE) -> bytes:
    """The content of a file; `OSError`, and `TooLarge` (an `OSError`) beyond `limit` bytes."""
    with path.open("rb") as file:
        return read_whole(file, limit, str(path))


def read_whole(file: IO[bytes], limit: int, name: str) -> bytes:
    """The rest of an open file, or of a device, of which there may be no end; errors as for `read_file`."""
    data = file.read(limit + 1)
    if len(data) > limit:
        size = f"{limit >> 20} MiB" if limit >> 20 else f"{limit >> 10} KiB"
        raise TooLarge(errno.EFBIG, f"it is larger than {size}", name)
    return data


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """The text of a file, with any line ends; a byte order mark, as some editors write it, is left out.

    Raises as `read_file`, and `UnicodeDecodeError`.
    """
    with io.TextIOWrapper(io.BytesIO(read_file(path)), encoding) as text:
        return text.read()


def replace_file(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o600,
    moment: float | None = None,
    owner: tuple[int, int] | None = None,
) -> None:
    """Replace the content of `path` atomically: readers see the old or the new content. `OSError`.

    Any file of this name is replaced, and a link is not followed: the folder may belong to another user, who could have
    planted it. `moment` (POSIX seconds) becomes the file's time, `owner` (user, group) its owner. A crash may leave a
    file that ends in `.new` in the folder.
    """
    descriptor, name = tempfile.mkstemp(".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            if moment is not None:
                os.utime(descriptor, (moment, moment))
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def runtime_folder() -> Path | None:
    """The first private folder that systemd makes for this service (RuntimeDirectory=); None without one."""
    name = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(name) if name else None
