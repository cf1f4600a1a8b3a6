"""Files in folders of ours: replaced as a whole, whatever has their name."""

import os
import stat
from pathlib import Path

import pytest

from sbc_filter.system.files import replace_file

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives a file away")


def test_mode_and_time_are_those_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data, mode in ((b"a" * 100_000, 0o600), (b"b", 0o644)):
        replace_file(path, data, mode=mode, moment=1e9)
        found = path.stat()
        assert (path.read_bytes(), stat.S_IMODE(found.st_mode), found.st_mtime) == (data, mode, 1e9)
    assert os.listdir(tmp_path) == ["file"]


@ROOT
def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    """The folder is another user's, as the cache is when root fetches: who has it could have planted the link."""
    (tmp_path / "shadow").write_bytes(b"root:x:0:0")
    before = (tmp_path / "shadow").stat()
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "file"
    path.symlink_to(tmp_path / "shadow")
    replace_file(path, b"new", mode=0o644, moment=1e9, owner=(65534, 65533))
    assert (tmp_path / "shadow").stat() == before
    found = os.lstat(path)
    assert (stat.S_ISREG(found.st_mode), found.st_uid, found.st_gid) == (True, 65534, 65533)
    assert path.read_bytes() == b"new"


@ROOT
def test_the_new_file_is_given_away_whatever_takes_its_name_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the folder may put a link in the place of the file that is being written."""
    victim = tmp_path / "shadow"
    victim.write_bytes(b"root:x:0:0")
    victim.chmod(0o600)
    folder = tmp_path / "folder"
    folder.mkdir()
    give_away = os.fchown

    def swapped(descriptor: int, user: int, group: int) -> None:
        (partial,) = folder.iterdir()
        partial.unlink()
        partial.symlink_to(victim)
        give_away(descriptor, user, group)

    monkeypatch.setattr(os, "fchown", swapped)
    before = victim.stat()
    replace_file(folder / "file", b"new", mode=0o644, moment=1e9, owner=(65534, 65534))
    assert victim.stat() == before


def test_an_error_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
