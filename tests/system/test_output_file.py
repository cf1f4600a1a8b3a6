"""Files that an operator named: whole or not at all; devices, pipes and open descriptors stay what they are."""

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sbc_filter.system.output_file import OutputFile, is_same_file, own_descriptor

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes devices, and files of other users")
ANOTHER_USER = 65534


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def write(path: Path, data: bytes = b"new", mode: int | None = None, patience: float = 0.0) -> None:
    with OutputFile(path, mode=mode, patience=patience) as file:
        file.write(data)


def interrupted(path: Path, meanwhile: Callable[[], object], data: bytes = b"new") -> None:
    """Write, and something happens before the file is closed."""
    with OutputFile(path) as file:
        file.write(data)
        meanwhile()


def by_ctrl_c() -> None:
    raise KeyboardInterrupt


def refused(path: Path) -> tuple[int | None, str | None]:
    """Why the path cannot be written."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 (the test compares all of it)
        write(path)
    return caught.value.errno, caught.value.strerror


def device(path: Path, minor: int) -> Path:
    """A device of memory (mem(4)): 3 is null, 7 is full."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
    except PermissionError:
        pytest.skip("no device may be made here")
    return path


def reading(path: Path) -> Callable[[], bytes]:
    """A reader of a pipe; what is returned waits for all that it read."""
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    thread.start()

    def end() -> bytes:
        thread.join(10)
        return found[0]

    return end


# Regular files.


@pytest.mark.parametrize(("mode", "seen"), [(None, 0o640), (0o600, 0o600), (0o644, 0o644)])
def test_a_new_file_has_the_mode_that_was_asked_for(tmp_path: Path, mode: int | None, seen: int) -> None:
    write(tmp_path / "file", b"a" * 200_000 + b"z", mode)
    assert (tmp_path / "file").read_bytes() == b"a" * 200_000 + b"z"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == seen
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_is_replaced_at_the_end_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as reader, OutputFile(path) as file:
        file.write(b"n" * 100_000)
        assert path.read_bytes() == b"old"
        file.close()
        file.close()
        assert path.read_bytes() == b"n" * 100_000
        assert reader.read() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_an_interrupt_before_the_block_has_begun_leaves_nothing(tmp_path: Path) -> None:
    made = OutputFile(tmp_path / "a")
    assert len(os.listdir(tmp_path)) == 1
    del made
    assert os.listdir(tmp_path) == []


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, by_ctrl_c, b"n" * 100_000)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@ROOT
@pytest.mark.parametrize("size", [3000, 3_000_000])  # noticed at the end, and on the way
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, size: int) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    try:
        path = tmp_path / "file"
        path.write_bytes(b"o" * 4096)
        with pytest.raises(OSError, match="No space left on device"):
            write(path, b"n" * max(size, 5000))
        assert path.read_bytes() == b"o" * 4096
        assert os.listdir(tmp_path) == ["file"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_folder_that_vanishes_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(FileNotFoundError):
        interrupted(folder / "file", lambda: folder.rename(tmp_path / "gone"))
    assert not folder.exists()


# Links.


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_bytes(b"old")
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(tmp_path / "data" / "file")
    number = (tmp_path / "data" / "file").stat().st_ino
    write(tmp_path / "first")
    assert os.readlink(tmp_path / "first") == "second"
    assert (tmp_path / "second").is_symlink()
    assert (tmp_path / "data" / "file").read_bytes() == b"new"
    assert (tmp_path / "data" / "file").stat().st_ino != number
    assert sorted(os.listdir(tmp_path)) == ["data", "first", "second"]
    assert os.listdir(tmp_path / "data") == ["file"]


def test_a_link_that_leads_nowhere_gets_its_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"
    (tmp_path / "far").symlink_to("no/such/file")
    assert refused(tmp_path / "far") == (errno.ENOENT, "No such file or directory")
    assert (tmp_path / "far").is_symlink()


@ROOT
@pytest.mark.parametrize("folder_mode", [0o1777, 0o777, 0o755])
@pytest.mark.parametrize("target", ["file", "none"])
def test_a_link_of_another_user_is_not_followed(tmp_path: Path, folder_mode: int, target: str) -> None:
    """Whatever the kernel is told in fs.protected_symlinks."""
    (tmp_path / "file").write_bytes(b"root:x:0:0")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(folder_mode)
    (tmp_path / "mine").symlink_to("shared/link")
    link = tmp_path / "shared" / "link"
    link.symlink_to(tmp_path / target)
    os.lchown(link, ANOTHER_USER, ANOTHER_USER)
    sentence = "it is a link of another user: name the file that it leads to"
    for path in (link, tmp_path / "mine"):
        assert refused(path) == (errno.EACCES, sentence)
    assert link.is_symlink()
    assert (tmp_path / "file").read_bytes() == b"root:x:0:0"
    assert not (tmp_path / "none").exists()
    assert os.listdir(tmp_path / "shared") == ["link"]


# Devices and pipes.


@ROOT
def test_a_device_stays_a_device(tmp_path: Path) -> None:
    null, link = device(tmp_path / "null", 3), tmp_path / "link"
    link.symlink_to("null")
    before = os.lstat(null)
    for path in (null, link):
        write(path, b"n" * 200_000, mode=0o644)
        assert os.lstat(null) == before
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "null"]


@ROOT
@pytest.mark.parametrize("size", [3, 200_000])
def test_a_device_that_is_full_says_so(tmp_path: Path, size: int) -> None:
    full = device(tmp_path / "full", 7)
    with pytest.raises(OSError, match="No space left on device"):
        write(full, b"n" * size)
    assert stat.S_ISCHR(os.lstat(full).st_mode)


@pytest.mark.parametrize("name", ["pipe", "link"])
def test_a_pipe_is_written_to(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    end = reading(tmp_path / "pipe")
    write(tmp_path / name, b"n" * 200_000, patience=10.0)  # more than a pipe holds: it waits for its reader
    assert end() == b"n" * 200_000
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_a_pipe_without_a_reader_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe") == (errno.ENXIO, "no process reads from it")
    assert (tmp_path / "pipe").is_fifo()


def test_a_pipe_whose_reader_goes_away_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BrokenPipeError):
        interrupted(tmp_path / "pipe", lambda: os.close(reader))


def test_what_is_discarded_is_not_written_to_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "pipe", by_ctrl_c)
    assert os.read(reader, 10) == b""
    os.close(reader)


@ROOT
def test_a_pipe_that_another_user_put_where_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """Who waits there wants to read what it is not given. In a folder of that user's own it is meant."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    os.chown(pipe, ANOTHER_USER, ANOTHER_USER)
    tmp_path.chmod(0o1777)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sentence = "it is a pipe of another user in a folder to which everybody may write"
    assert refused(pipe) == (errno.EACCES, sentence)
    tmp_path.chmod(0o755)
    write(pipe)
    assert os.read(reader, 10) == b"new"
    os.close(reader)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("file", (errno.EBUSY, "it was replaced at this moment")),
        ("link", (errno.ELOOP, "Too many levels of symbolic links")),
    ],
)
def test_what_takes_the_place_of_a_pipe_meanwhile_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, expected: tuple[int, str]
) -> None:
    victim, pipe, real = tmp_path / "victim", tmp_path / "pipe", os.open
    victim.write_bytes(b"old")
    os.mkfifo(pipe)

    def swapped(path: Path, *rest: int) -> int:
        pipe.unlink()
        if kind == "file":
            os.link(victim, pipe)
        else:
            pipe.symlink_to(victim)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", swapped)
    assert refused(pipe) == expected
    assert victim.read_bytes() == b"old"


# Descriptors of this process.


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", "LINK"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "file"])
def test_standard_output_gets_it_where_it_stands(tmp_path: Path, path: str, kind: str) -> None:
    """Also what no path leads to: a socket, as of the journal, or a file that was removed; and what was there stays."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    path = path.replace("LINK", str(tmp_path / "link"))
    script = (
        "import sys; from pathlib import Path; from sbc_filter.system.output_file import OutputFile, own_descriptor\n"
        "print('before', flush=True)\n"
        "assert own_descriptor(Path(sys.argv[1])) == 1\n"
        "with OutputFile(Path(sys.argv[1])) as file: file.write(b'new\\n')\n"
        "print('after')"
    )
    command = [sys.executable, "-c", script, path]
    if kind == "file":
        with (tmp_path / "out").open("w+b") as out:
            (tmp_path / "out").unlink()
            subprocess.run(command, stdout=out, check=True)
            out.seek(0)
            found = out.read()
    elif kind == "pipe":
        found = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    else:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                subprocess.run(command, stdout=theirs.fileno(), check=True)
            found = ours.makefile("rb").read()
    assert found == b"before\nnew\nafter\n"
    assert (tmp_path / "link").is_symlink()


def test_a_descriptor_that_does_not_wait_is_waited_for() -> None:
    reading_end, writing_end = os.pipe()
    os.set_blocking(writing_end, False)
    found: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading_end, "rb") as pipe:
            found.append(pipe.read())

    thread = threading.Thread(target=read)
    with OutputFile(Path(f"/dev/fd/{writing_end}")) as file:
        os.close(writing_end)
        thread.start()
        file.write(b"n" * 300_000)
    thread.join(10)
    assert found == [b"n" * 300_000]


def test_other_paths_are_no_descriptor_of_ours(tmp_path: Path) -> None:
    assert own_descriptor(tmp_path / "1") is None
    assert own_descriptor(Path("/dev/null")) is None
    assert own_descriptor(Path("/proc/1/fd/1")) is None or os.getpid() == 1


# Paths that cannot be.


def test_impossible_paths_are_one_error_each(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-folder").symlink_to("folder")
    for name, number, sentence in (
        ("folder", errno.EISDIR, "Is a directory"),
        ("folder/..", errno.EISDIR, "Is a directory"),
        ("to-folder", errno.EISDIR, "Is a directory"),
        ("none/file", errno.ENOENT, "No such file or directory"),
        ("file/file", errno.ENOTDIR, "Not a directory"),
        ("loop", errno.ELOOP, "Too many levels of symbolic links"),
        ("loop/file", errno.ELOOP, "Too many levels of symbolic links"),
        ("n" * 300, errno.ENAMETOOLONG, "File name too long"),
        ("n" * 300 + "/file", errno.ENAMETOOLONG, "File name too long"),
        ("zero\0byte", errno.EINVAL, "a path cannot have a zero byte"),
    ):
        assert refused(tmp_path / name) == (number, sentence), name
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "loop", "to-folder"]


def test_a_name_may_be_as_long_as_the_file_system_has_it(tmp_path: Path) -> None:
    write(tmp_path / ("n" * 255))
    assert os.listdir(tmp_path) == ["n" * 255]


def test_is_same_file(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    (tmp_path / "other").touch()
    (tmp_path / "link").symlink_to("one")
    (tmp_path / "loop").symlink_to("loop")
    assert is_same_file(tmp_path / "one", tmp_path / "link")
    for name in ("other", "loop", "none", "n" * 300, "one/file", "\0"):
        assert not is_same_file(tmp_path / name, tmp_path / "one"), name
