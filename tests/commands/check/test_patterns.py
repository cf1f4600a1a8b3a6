"""Patterns of `header` that some value keeps busy: `check` finds them, and leaves ordinary ones alone."""

from pathlib import Path

import pytest

from sbc_filter.assembly.setup import read_all
from sbc_filter.cli import main
from sbc_filter.commands.check.patterns import hard_values, slow_patterns

RULE = "[[rule]]\nname = 'one'\naction = 'pass'\nheader = { 'X-A' = '''%s''' }\n"


def configured(folder: Path, pattern: str) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "rules.toml").write_text(RULE % pattern)
    (folder / "sbc-filter.toml").write_text("")
    return folder / "sbc-filter.toml"


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "^(a|a)*$",
        "(a|aa)+$",
        r"^X (\w+\s?)*$",
        "(.*,)*$",
        r"([\w.]+)*@",
        "(x[^y]+)+y",
        "(?:(?:ab)*)*c",
        r"^(\d+-?)+$",
    ],
)
def test_a_pattern_that_some_value_keeps_busy_for_ever(pattern: str, tmp_path: Path) -> None:
    (sentence,) = slow_patterns(read_all(configured(tmp_path, pattern)))
    assert sentence == (
        f"{tmp_path}/rules/rules.toml: rule 'one': header.X-A: {pattern!r} takes more than 10 ms for some values of "
        "256 octets, so one caller could stop all calls: do not repeat a group that repeats something itself, or whose "
        "alternatives begin alike"
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "^42$",
        r"[^\w\d\s!-]+x",
        "[^a0 !-]*",
        "(?i)sipp",
        r"^[\w.-]+$",
        r"Asterisk PBX \d+(\.\d+)*",
        ".*",
        "^(foo|bar)+$",
        r"[^;]*;tag=\S+",
        "a{1,200}b",
        r"(?<=x)y(?!z)",
    ],
)
def test_an_ordinary_pattern(pattern: str, tmp_path: Path) -> None:
    assert list(slow_patterns(read_all(configured(tmp_path, pattern)))) == []


def test_the_values_that_are_tried() -> None:
    assert hard_values("^a*b") == ["a" * 256, "a" * 255 + "\0", "a" * 255 + "!", "a" * 255 + "\n"]
    assert "Foo " + "ab" * 125 + "!" in hard_values("Foo (ab|a)+")
    assert hard_values("^fixed$") == []
    assert all(len(value) <= 256 for value in hard_values(r"^(\w+\s?[^x]{3,9}(a|b|[0-9]))*$"))


def test_check_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(configured(tmp_path, "(a+)+$"))]) == 1
    assert "error: " in capsys.readouterr().out
