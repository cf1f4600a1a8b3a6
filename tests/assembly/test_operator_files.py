"""By which files a reload tells whether anything changed while they were read."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbc_filter.assembly.operator_files import Files


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="sbct-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs somebody else than the one who runs the tests")
def test_a_folder_that_may_not_be_entered(folder: Path) -> None:
    """As one of root's beneath the certificates: it kept every reload from beginning."""
    (folder / "roots" / "old").mkdir(parents=True, mode=0o700)
    (folder / "roots").chmod(0o755)
    (folder / "roots" / "root.pem").write_text("")
    (folder / "c.toml").write_text('[trust]\nanchors = "roots"\n')
    os.seteuid(65534)
    try:
        found = Files(folder / "c.toml").fingerprint()
    finally:
        os.seteuid(0)
    assert {Path(name).name for name in found} == {"c.toml", "roots", "old", "root.pem"}
