"""The walls of the house: which part may import which, and no effect below the line."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sbc_filter"

MAY_IMPORT = {
    "errors": set(),
    "packet": {"errors"},
    "sip": {"errors"},
    "stir": {"errors", "sip"},
    "rules": {"errors", "sip", "stir"},
    "engine": {"errors", "sip", "stir", "rules", "packet"},
    "io": {"errors", "sip", "stir", "rules", "packet", "engine"},
    "ops": {"errors", "sip", "stir", "rules", "packet", "engine", "io"},
}
BELOW_THE_LINE = ("errors", "packet", "sip", "stir", "rules", "engine")
EFFECTS = {
    "socket", "time", "threading", "requests", "scapy", "netfilterqueue", "logging", "os", "io", "pathlib",
    "subprocess", "selectors", "asyncio", "ssl", "random", "secrets", "sys",
}  # fmt: skip
FILES = sorted(PACKAGE.rglob("*.py"))


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def _part(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def _ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=_ids)
def test_imports_point_downwards(path: Path) -> None:
    part = _part(path)
    if part in ("__init__", "__main__"):
        return
    for name, line in _imports(ast.parse(path.read_text())):
        top, _, rest = name.partition(".")
        if top == "sbc_filter" and rest and rest != "__version__":
            imported = rest.split(".")[0]
            assert imported == part or imported in MAY_IMPORT[part], f"{path}:{line}: {part} may not import {imported}"


@pytest.mark.parametrize("path", [path for path in FILES if _part(path) in BELOW_THE_LINE], ids=_ids)
def test_no_effects_below_the_line(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for name, line in _imports(tree):
        assert name.split(".")[0] not in EFFECTS, f"{path}:{line}: {name} below the line"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input"), (
                f"{path}:{node.lineno}: {node.func.id}() below the line"
            )


@pytest.mark.parametrize("path", [path for path in FILES if _part(path) == "io"], ids=_ids)
def test_io_knows_nothing_of_ops(path: Path) -> None:
    assert all(not name.startswith("sbc_filter.ops") for name, _ in _imports(ast.parse(path.read_text())))


def test_only_the_cli_builds_an_engine() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Engine":
                assert path.relative_to(PACKAGE).parts[0] == "ops", f"{path}:{node.lineno} builds an Engine"
