"""What the README shows is what happens: its commands are run, its rules are loaded."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sbc_filter.rules.rule_file import load_rules

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
RULES = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the captures, and the command in front of PATH."""
    made = tmp_path_factory.mktemp("readme")
    (made / "pcaps").symlink_to(ROOT / "pcaps")
    (made / "bin").mkdir()
    command = made / "bin" / "sbc-filter"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sbc_filter "$@"\n')
    command.chmod(0o755)
    return made


def test_there_is_something_to_run() -> None:
    assert len(CONSOLE) == 7
    assert len(RULES) == 1


def test_commands(folder: Path) -> None:
    """All of them in order, in one folder; `...` stands for anything."""
    environment = {
        **os.environ,
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }
    checker = doctest.OutputChecker()
    for block in CONSOLE:
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            done = subprocess.run(
                command,
                shell=True,
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            got = "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n" if done.stdout else ""
            assert checker.check_output(expected, got, doctest.ELLIPSIS), f"$ {command}\n{got}"


def test_rules() -> None:
    lists = {"allowed.txt": "12155550100\n", "ours.txt": "1215555*\n"}
    rules, trunks = load_rules({"README.md": RULES[0]}, lists.__getitem__, ["ours"])
    assert [rule.name for rule in rules.rules] == ["verify-acme", "sign-to-acme"]
    assert [trunk.name for trunk in trunks] == ["acme"]


def test_the_two_commands_exist_and_ci_runs_the_one_that_tests() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in ("demo", "test"):
        assert f"    make {command} " in README
        assert f"\n{command}:\n" in makefile
    assert "make test" in (ROOT / ".ci" / "run").read_text()
