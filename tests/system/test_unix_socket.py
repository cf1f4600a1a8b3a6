"""Where a server of ours listens: taken over from the dead, left to the living, and to files of another kind."""

import socket
import stat
from pathlib import Path

import pytest

from sbc_filter.system.unix_socket import listen_at, number_of, unlink_own


def test_for_whom_it_is_and_who_comes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listen_at(path, 0o660, 4) as listener, socket.socket(socket.AF_UNIX) as client:
        assert stat.filemode(path.stat().st_mode) == "srw-rw----"
        client.connect(str(path))
        listener.accept()[0].close()
        assert client.recv(1) == b""


def test_what_a_dead_process_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listen_at(path, 0o600, 4).close()
    with listen_at(path, 0o600, 4), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_successor_keeps_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listen_at(path, 0o600, 4):
        number = number_of(path)
        path.unlink()
        with listen_at(path, 0o600, 4):
            unlink_own(path, number)
            assert path.is_socket()


@pytest.mark.parametrize("backlog", [4, 0])
def test_who_lives_is_left_alone(tmp_path: Path, backlog: int) -> None:
    path = tmp_path / "s"
    with listen_at(path, 0o600, backlog), socket.socket(socket.AF_UNIX) as waits:
        waits.connect(str(path))  # with a backlog of 0 there is no room behind it
        with pytest.raises(OSError, match="another process listens there"):
            listen_at(path, 0o600, 4)
        unlink_own(path, number_of(path))
        assert not path.exists()


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    """The kernel refuses a connection to it as it does to a socket of the dead."""
    file = tmp_path / "rules.toml"
    file.write_text("[[rule]]")
    with pytest.raises(OSError, match="there is something else"):
        listen_at(file, 0o600, 4)
    assert file.read_text() == "[[rule]]"
