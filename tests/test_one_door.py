"""No room above `sip` makes octets of a message by itself: what it writes comes out of `sip.field`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sbc_filter"
ABOVE = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] != "sip"]
DECIDING = [path for path in ABOVE if path.relative_to(PACKAGE).parts[0] in ("stir", "rules", "engine")]
ERRORS = PACKAGE / "errors.py"  # an error that was raised is copied without its stack, whatever its constructor takes
GUARDED = {"HeaderField", "FieldText", "StatusLine"}
PRIVATE = {"_edits", "_KEY", "_field", "apply_edits"}


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", ABOVE, ids=ids)
def test_no_guarded_value_is_made_outside(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        where = f"{path}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            assert name not in GUARDED, f"{where}: makes a {name} by itself"
            assert name != "__new__" or path == ERRORS, f"{where}: goes around a constructor"
        if isinstance(node, ast.ImportFrom):
            assert PRIVATE.isdisjoint(each.name for each in node.names), f"{where}: takes what is private"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.attr not in PRIVATE or node.value.id == "self", f"{where}: looks into {node.value.id}"


@pytest.mark.parametrize("path", DECIDING, ids=ids)
def test_no_line_is_put_together(path: Path) -> None:
    """No text with a line end in it goes into a message, nor the name of a header field with its colon."""
    for text, line in written(ast.parse(path.read_text())):
        assert "\r" not in text, f"{path}:{line}: ends a line: {text!r}"
        assert "\n" not in text, f"{path}:{line}: ends a line: {text!r}"
        assert not re.match(r"[A-Z][A-Za-z-]*: ?\Z|SIP/2\.0 [0-9]", text), f"{path}:{line}: begins a line: {text!r}"


def written(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Constants that are put together with other text: parts of f-strings, operands of + and %, of `join`."""
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.JoinedStr):
            parts = list(node.values)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            parts = [node.left, node.right]
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("join", "format")
        ):
            parts = [node.func.value, *node.args]
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str | bytes):
                value = part.value
                yield value if isinstance(value, str) else value.decode("latin-1"), part.lineno


@pytest.mark.parametrize(
    "source",
    [
        'message.add(b"X: %s\\r\\n" % value)',
        'f"Reason: {reason}"',
        'b"Identity: " + value + b"\\r\\n"',
        'b"\\r\\n".join(lines)',
        'f"{name}: {value}\\r\\n".encode()',
        'f"SIP/2.0 200 {phrase}"',
    ],
)
def test_the_ways_that_there_were_would_be_seen(source: str) -> None:
    found = [text for text, _ in written(ast.parse(source))]
    assert any("\r" in text or re.match(r"[A-Z][A-Za-z-]*: ?\Z|SIP/2\.0 [0-9]", text) for text in found)


@pytest.mark.parametrize("path", ABOVE, ids=ids)
def test_commands_speak_by_the_one_console(path: Path) -> None:
    """The demonstration alone has colours of its own, and shows calls of its own."""
    if path.name in ("plain_console.py", "nonblocking_writer.py", "demo_scenes.py"):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "Console", f"{path}:{node.lineno}: a console that obeys what it prints"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr != "basicConfig", f"{path}:{node.lineno}: a log that obeys what it is told"
