"""The table of compiled modules in setup.py names every file of the hot rooms, and no file that is gone."""

import ast
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


def test_no_compiled_function_loses_the_type_of_an_integer() -> None:
    """mypyc makes a float of an integer that a function returns as one: 1800000000.0 is another claim of a token."""
    found = []
    for path in SETUP["paths"](SETUP["COMPILED"]):
        for function in ast.walk(ast.parse((ROOT / path).read_bytes())):
            if isinstance(function, ast.FunctionDef) and function.returns and ast.unparse(function.returns) == "float":
                returned = [each.value for each in ast.walk(function) if isinstance(each, ast.Return)]
                found += [f"{path}: {function.name}" for each in returned if each and ast.unparse(each)[:4] == "int("]
    assert found == []
