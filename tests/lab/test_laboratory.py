"""Writing a laboratory: all of it, or nothing."""

import os
from pathlib import Path

import pytest

from sbc_filter.lab.certificate_maker import Maker
from sbc_filter.lab.laboratory import write

LABORATORY = Maker(1_800_000_000.0, "laboratory").laboratory()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("count", [0, 5, 11])
@pytest.mark.parametrize("kept", [[], ["notes"], ["keys", "keys/old.pem"]], ids=["new", "with-notes", "with-keys"])
def test_ctrl_c_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: list[str], count: int, before: bool
) -> None:
    """Just before a file is made, and just after; what was there stays."""
    folder = tmp_path / "parent" / "lab"
    for name in kept:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).mkdir() if name == "keys" else (folder / name).touch()
    opened, make = [0], os.open

    def interrupted(path: Path, *how: int) -> int:
        opened[0] += 1
        if opened[0] <= count:
            return make(path, *how)
        if not before:
            os.close(make(path, *how))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(folder, LABORATORY)
    assert files(tmp_path) == sorted(["parent", "parent/lab", *(f"parent/lab/{name}" for name in kept)] if kept else [])
    write(folder, LABORATORY)
    assert (folder / "keys" / "shaken.key").stat().st_mode & 0o777 == 0o600


def test_a_file_that_another_program_makes_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, make = tmp_path / "lab", os.open

    def raced(path: Path, *how: int) -> int:
        if path.name == "root.pem":
            path.write_text("theirs")
        return make(path, *how)

    monkeypatch.setattr(os, "open", raced)
    with pytest.raises(FileExistsError):
        write(folder, LABORATORY)
    assert files(folder) == ["anchors", "anchors/root.pem"]
    assert (folder / "anchors" / "root.pem").read_text() == "theirs"
