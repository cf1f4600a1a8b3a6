"""Tables for people, on terminals of every width."""

import io

import pytest
from rich.console import Console

from sbc_filter.system.plain_console import PlainTable

NAMES = ["Rule", "Mode", "Outcome", "Detail", "Calls"]
ROWS: list[list[object]] = [
    ["from carrier", "enforce", "invalid", "orig-mismatch", 1234],
    ["verify \x1b[2J", "monitor", "passed", None, 5],
]
WIDE = """\
Rule            Mode     Outcome  Detail         Calls
from carrier    enforce  invalid  orig-mismatch   1234
verify \\x1b[2J  monitor  passed   -                  5
"""
HALF = """\
Rule from carrier
  Mode enforce, Outcome invalid, Detail orig-mismatch
  Calls 1234
Rule verify \\x1b[2J
  Mode monitor, Outcome passed, Detail -, Calls 5
"""
NARROW = """\
Rule from carrier
  Mode enforce, Outcome invalid
  Detail orig-mismatch
  Calls 1234
Rule verify \\x1b[2J
  Mode monitor, Outcome passed
  Detail -, Calls 5
"""


def shown(width: int | None, *, terminal: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, soft_wrap=True, markup=False
    )
    console.print(PlainTable(NAMES, ROWS, right=["Calls"]))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


@pytest.mark.parametrize(("width", "expected"), [(120, WIDE), (54, WIDE), (53, HALF), (32, NARROW)])
def test_columns_where_they_fit_and_paragraphs_where_not(width: int, expected: str) -> None:
    assert shown(width, terminal=True) == expected


def test_what_does_not_fit_at_all_is_not_cut() -> None:
    assert "  Detail orig-mismatch\n" in shown(10, terminal=True)


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert shown(20) == WIDE
    monkeypatch.setenv("COLUMNS", "32")
    assert shown(None) == NARROW
