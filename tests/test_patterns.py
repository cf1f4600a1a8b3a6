"""Regular expressions of the package: none that CPython 3.11.2, of Debian 12, matches wrongly."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import sbc_filter

PACKAGE = Path(sbc_filter.__file__).parent
FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
SIMPLE = {"LITERAL", "NOT_LITERAL", "IN", "ANY", "CATEGORY"}


def patterns(path: Path) -> Iterator[str | bytes]:
    """The patterns that a module compiles, as far as they are made of its own names."""
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and (node.func.value.id, node.func.attr in FUNCTIONS) == ("re", True)
        ):
            names = vars(importlib.import_module(name))
            try:
                found = eval(compile(ast.Expression(node.args[0]), str(path), "eval"), dict(names))
            except NameError:  # made of the variables of a function: an operator's pattern, for example
                continue
            if isinstance(found, str | bytes):
                yield found


def is_mismatched(pattern: str | bytes) -> bool:
    """Whether a group is repeated possessively (`(…)*+`): issue 106052. Use an atomic group: `(?>(?:…)*)`."""
    return _has(_parser.parse(pattern))


def _has(node: Any) -> bool:
    if isinstance(node, _parser.SubPattern):
        return any(map(_has, node.data))
    if isinstance(node, tuple) and len(node) == 2 and str(node[0]) == "POSSESSIVE_REPEAT":
        repeated = node[1][2]
        return len(repeated) != 1 or str(repeated[0][0]) not in SIMPLE
    return isinstance(node, list | tuple) and any(map(_has, node))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"(?:ab)*+", True),
        (rb"x(?:ab|c)?+y", True),
        (r"(?>(?:c(?:ab){2,3}+))", True),
        (r"(a)++", True),
        (r"(?>(?:ab)*)", False),
        (r"[ab]*+c++.?+", False),
        (r"[()*+]*", False),
    ],
)
def test_which_patterns_are_found(pattern: str | bytes, expected: bool) -> None:
    assert is_mismatched(pattern) is expected


def test_no_group_is_repeated_possessively() -> None:
    found = [(path.name, pattern) for path in sorted(PACKAGE.rglob("*.py")) for pattern in patterns(path)]
    assert len(found) > 100, "the patterns are found"
    assert [(name, pattern) for name, pattern in found if is_mismatched(pattern)] == []
