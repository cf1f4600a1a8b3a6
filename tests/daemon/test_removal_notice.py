"""Where the socket for notices may lie, and who may have put it there."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbc_filter.daemon import removal_notice
from sbc_filter.daemon.removal_notice import RemovalNotices, announce


@pytest.fixture
def common(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In place of /run, with a short path as that of a socket must be; there is no other folder."""
    with tempfile.TemporaryDirectory() as folder:
        common = Path(folder) / "run"
        common.mkdir(mode=0o755)
        monkeypatch.setattr(removal_notice, "COMMON", common)
        monkeypatch.setattr(removal_notice, "FOLDER", Path(folder) / "none")
        monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
        yield common


@contextlib.contextmanager
def receiving() -> Iterator[RemovalNotices]:
    made = RemovalNotices()
    try:
        yield made
    finally:
        made.remove()


def test_a_notice_arrives_and_the_latest_counts(common: Path) -> None:
    with receiving() as notices:
        (name,) = common.iterdir()
        assert name.name == f"sbc-filter-firewall-{os.stat('/proc/thread-self/ns/net').st_ino}.sock"
        assert name.stat().st_mode & 0o777 == 0o600
        assert notices.latest() is None
        assert announce(removed=True) == ""
        assert notices.latest() is True
        assert [announce(removed=each) for each in (True, False)] == ["", ""]
        assert notices.latest() is False
    assert list(common.iterdir()) == []
    assert announce(removed=True) == ""  # none runs


def test_a_second_filter_does_not_get_it(common: Path) -> None:
    with receiving() as notices:
        with pytest.raises(OSError, match="another process listens there"):
            RemovalNotices()
        announce(removed=True)
        assert notices.latest() is True


@pytest.mark.parametrize("mode", [0o1777, 0o775])
def test_a_folder_to_which_others_may_write_is_not_used(common: Path, mode: int) -> None:
    common.chmod(mode)
    with pytest.raises(OSError, match="start as root"):
        RemovalNotices()
    assert list(common.iterdir()) == []


def test_a_folder_that_is_a_link_is_not_used(common: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(common)
    monkeypatch.setattr(removal_notice, "COMMON", tmp_path / "link")
    with pytest.raises(OSError, match="start as root"):
        RemovalNotices()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_folder_of_another_user_is_not_used(common: Path) -> None:
    os.chown(common, 65534, -1)
    with pytest.raises(OSError, match="start as root"):
        RemovalNotices()


def test_a_link_with_the_name_is_not_followed(common: Path, tmp_path: Path) -> None:
    """A dead socket elsewhere is neither replaced nor reached."""
    with receiving():
        (name,) = common.iterdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "other"))
    name.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="there is something else"):
        RemovalNotices()
    assert (tmp_path / "other").is_socket()


def test_the_runtime_folder_is_used_where_the_common_one_is_not_writable(
    common: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = common.parent / "own"
    own.mkdir(mode=0o750)
    common.chmod(0o777)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(own))
    with receiving() as notices:
        assert len(list(own.iterdir())) == 1
        announce(removed=True)
        assert notices.latest() is True
