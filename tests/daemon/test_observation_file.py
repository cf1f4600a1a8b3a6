"""The file that keeps what is observed: only what the filter itself wrote counts, since it switches off enforcement."""

import os
from pathlib import Path

import pytest

from sbc_filter.daemon.observation_file import Ends, ObservationFile

ENDS: Ends = {None: 1800003600.0, "carriers": 1800007200.5, 'na"me\n': 1.0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock.observe"


def test_what_was_written_is_read_and_only_by_its_user(path: Path) -> None:
    file = ObservationFile(path)
    assert file.read() == {}
    file.write(ENDS)
    assert path.read_text() == '[[null, 1800003600.0], ["carriers", 1800007200.5], ["na\\"me\\n", 1.0]]'
    assert path.stat().st_mode & 0o777 == 0o600
    assert file.read() == ENDS
    file.write({})
    assert not path.exists()
    file.write({})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"7",
        b"[7]",
        b"[[null]]",
        b"[[7, 7]]",
        b'[["a", "b"]]',
        b'{"ab": 1}',
        b"[[null, true]]",
        b"[[[], 1]]",
        b"[[null, 1" + b"0" * 400 + b"]]",
        b"[" * 100_000,
        b'[["\xff", 1]]',
    ],
)
def test_anything_else_is_refused(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(ValueError, match="it is not a list of trunks and times"):
        ObservationFile(path).read()


def test_a_link_a_pipe_and_the_file_of_somebody_else_are_refused(path: Path) -> None:
    file, other = ObservationFile(path), path.with_name("other")
    ObservationFile(other).write(ENDS)
    path.symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        file.read()
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(ValueError, match="not a file of this user alone"):
        file.read()
    path.unlink()
    for mode in (0o620, 0o602, 0o644):
        other.chmod(mode)
        with pytest.raises(ValueError, match="not a file of this user alone"):
            ObservationFile(other).read()
    other.chmod(0o600)
    assert ObservationFile(other).read() == ENDS
    if os.geteuid() == 0:
        os.chown(other, 12345, 12345)
        with pytest.raises(ValueError, match="not a file of this user alone"):
            ObservationFile(other).read()
