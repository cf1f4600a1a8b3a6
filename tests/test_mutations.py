"""The changes that `make mutants` tries: each is one place, and all that are meant are there."""

from pathlib import Path

import pytest
from support.mutationruns import exchanged
from support.mutations import Uses, mutants_of


def changed(source: str) -> set[str]:
    """What becomes of the one line of a source file."""
    octets = source.encode()
    return {mutant.apply(octets).decode() for mutant in mutants_of(octets)}


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("x = a < b", {"x = a <= b", "x = a >= b"}),
        ("x = a is not b", {"x = a is b"}),
        ("x = (a) not in (b)", {"x = (a) in (b)"}),
        ("x = a and b", {"x = a or b", "x = True and b", "x = a and True"}),
        ("x = a or b", {"x = a and b", "x = False or b", "x = a or False"}),
        ("x = not a.b", {"x = a.b"}),
        ("x = 5", {"x = 6", "x = 4"}),
        ("x = True", {"x = False"}),
        ("x = 'é' + y", {"x = '' + y", "x = 'é' - y"}),
        ("x = 'a sentence'", set()),
        ("x = f'{a < b}'", set()),
        ("x = {a, b}", {"x = {a}", "x = {b}"}),
        ("x = {1: a, 2: b}", None),
        ("x, y = a, b", set()),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("x = a.lower()", {"x = a"}),
        ("x = r'a{1,15}'", {"x = r'a{2,15}'", "x = r'a{1,16}'", "x = ''"}),
        ("x = Detail.A, Detail.B", {"x = Detail.B, Detail.B", "x = Detail.A, Detail.A"}),
        ("def f() -> bool: return g()", {"def f() -> bool: return True", "def f() -> bool: return False"}),
        ("def f() -> int: return g()", {"def f() -> int: return None"}),
        ("def f(x: int = 5): pass", {"def f(x: int = 6): pass", "def f(x: int = 4): pass"}),
        ("if a: raise B", {"if not a: raise B", "if a: pass"}),
        ("while a: continue", {"while not a: continue", "while a: pass"}),
        ("f(x)", {"pass"}),
        ("x += y", {"pass"}),
        ("x.y = z", set()),
        ("def f(): x.y = z", {"def f(): pass"}),
        ("'documentation'", set()),
        ("assert a < b", set()),
        ("class A(Protocol): x = 5", set()),
        ("X = Callable[[str], int]", set()),
    ],
)
def test_one_line(source: str, mutants: set[str] | None) -> None:
    if mutants is None:
        mutants = {"x = {2: b}", "x = {1: a}", *(f"x = {{{k}: a, 2: b}}" for k in (0, 2)), "x = {1: a, 3: b}"}
        mutants.add("x = {1: a, 1: b}")
    assert changed(source) == mutants


def test_the_diff_and_the_place_of_a_mutant() -> None:
    source = b"# \xc3\xa9\ndef f():\n    return g(\n        a < b,\n    )\n"
    found = [each for each in mutants_of(source) if each.text == "<="]
    assert [(each.line(source), each.first, each.last, each.diff(source)) for each in found] == [
        (4, 3, 5, "-         a < b,\n+         a <= b,")
    ]


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("def f(): return 1\ndef g(): return 2", "def f(): return 3\ndef g(): return 2", ["f", "g"]),
        ("X = 1", "X = 2", None),
        ("def f(x=1): return x", "def f(x=2): return x", None),
        ("class A:\n x = 1", "class A:\n x = 2", None),
        ("class A:\n def f(self): return 1", "class A:\n def f(self): return 2", ["A.f"]),
        ("X = [1 for _ in Y]", "X = [2 for _ in Y]", None),
        ("def f(): return [1 for _ in Y]", "def f(): return [2 for _ in Y]", ["f"]),
        ("X = lambda: 1", "X = lambda: 2", ["<lambda>"]),
        ("def f(x):\n def g(): return x\n return g", "def f(x):\n def g(): return 1\n return g", None),
    ],
)
def test_what_can_be_exchanged_without_another_import(before: str, after: str, names: list[str] | None) -> None:
    found = exchanged(Path("x.py"), before.encode(), after.encode())
    qualified = None if found is None else sorted(code.co_qualname for code in found if "comp>" not in code.co_name)
    assert qualified == names


def test_what_depends_on_a_constant(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("A = 1\nB = A + 1\n\n\ndef f():\n    return B\n")
    other.write_text("from one import A\n\n\ndef g():\n    return A\n\n\ndef h():\n    return 0\n")
    assert Uses([one, other]).of(one, 1) == {(str(one), line) for line in (1, 2, 6)} | {(str(other), 5)}
