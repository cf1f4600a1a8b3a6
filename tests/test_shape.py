"""The shape of the code: no function is longer than a screen."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 60  # of a function, from `def` to its last line, with its docstring


def too_long(text: str) -> Iterator[tuple[str, int]]:
    """The functions and methods of a module that are too long, with their numbers of lines."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines >= MAX_LINES:
                yield node.name, lines


@pytest.mark.parametrize(
    "path", sorted((ROOT / "sbc_filter").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_functions_are_short(path: Path) -> None:
    assert list(too_long(path.read_text())) == []


def test_long_functions_are_found() -> None:
    """Also methods, and functions within functions."""
    line = "        pass\n"
    longest, longer = line * (MAX_LINES - 2), line * (MAX_LINES - 1)
    assert list(too_long(f"class A:\n    def f(self):\n{longest}")) == []
    assert list(too_long(f"class A:\n    def f(self):\n{longer}")) == [("f", MAX_LINES)]
    assert list(too_long(f"def g():\n    async def h():\n{longer}")) == [("g", MAX_LINES + 1), ("h", MAX_LINES)]
