"""A program in place of a forked process: where its modules come from, and what it inherits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sbc_filter

EXECUTE = """
import os, sys
from sbc_filter.processes.executed import execute, told
other = os.open("/dev/null", os.O_RDONLY)
execute("evil", (told(b"read by the program"),))
"""
EVIL = "import os, sys; print([os.read(int(each), 100) for each in sys.argv[1:]], len(os.listdir('/proc/self/fd')))"


@pytest.mark.parametrize("way", ["a script", "the working folder"])
def test_the_working_folder_has_modules_only_if_it_had_them_before(tmp_path: Path, way: str) -> None:
    """Others may have written to it: as a program, `sbc-filter` has modules of its own only."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "program").write_text(EXECUTE)
    (tmp_path / "evil.py").write_text(EVIL)
    words = ["-c", EXECUTE] if way == "the working folder" else ["bin/program"]
    environment = {**os.environ, "PYTHONPATH": str(Path(sbc_filter.__file__).parent.parent)}
    environment.pop("PYTHONSAFEPATH", None)
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    if way == "a script":
        assert done.stderr.endswith(": No module named evil\n")
        assert (done.returncode, done.stdout) == (1, "")
    else:
        assert done.stdout == "[b'read by the program'] 5\n"  # three standard ones, what was told, the listing
