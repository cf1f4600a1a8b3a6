"""The table of compiled modules in setup.py names every file of the hot rooms, and no file that is gone."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETUP = runpy.run_path(str(ROOT / "setup.py"))


def test_every_file_of_a_hot_room_is_compiled_or_named_as_interpreted() -> None:
    compiled, interpreted = (SETUP["paths"](SETUP[table]) for table in ("COMPILED", "INTERPRETED"))
    rooms = [ROOT / "sbc_filter" / room for room in SETUP["COMPILED"]]
    files = {str(path.relative_to(ROOT)) for room in rooms for path in room.glob("*.py") if path.name != "__init__.py"}
    assert sorted([*compiled, *interpreted]) == sorted(files)
    assert SETUP["COMPILED"].keys() == SETUP["INTERPRETED"].keys()
