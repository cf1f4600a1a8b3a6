"""Which program is chosen, and which programs are run for that. The programs are scripts that note their arguments."""

import os
from pathlib import Path

import pytest

from sbc_filter.firewall.backend import applied_backend, backend
from sbc_filter.firewall.rule_tables import MAIN

OURS = {"nft": "table inet sbc-filter", "iptables-save": f":{MAIN} - [0:0]"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the programs, which do what is asked and print nothing."""
    for name in ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"):
        for program in (name, f"{name}-save", f"{name}-restore"):
            _made(tmp_path, program)
    _made(tmp_path, "nft")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def _made(folder: Path, name: str, output: str = "") -> None:
    (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/log\necho "{output}"\n')
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(("program", "name"), [("nft", "nft"), ("iptables-save", "iptables")])
def test_the_program_with_our_rules_is_found_without_a_trial(programs: Path, program: str, name: str) -> None:
    """A trial of nft registers hooks: when they go, the kernel discards the packets that wait in a queue."""
    _made(programs, program, OURS[program])
    assert applied_backend().name == name
    asked = (programs / "log").read_text().splitlines()
    assert asked
    assert not [line for line in asked if "-c" in line.split() or "restore" in line]


def test_without_our_rules_the_choice_is_that_of_a_trial(programs: Path) -> None:
    assert applied_backend().name == backend().name == "nft"
    assert "nft -c -f -" in (programs / "log").read_text().splitlines()


@pytest.mark.parametrize("name", ["nft", "iptables", "iptables-legacy"])
def test_a_program_that_is_named_is_not_looked_for(programs: Path, name: str) -> None:
    assert applied_backend(name).name == name
    log = programs / "log"
    assert "nft" not in (log.read_text() if log.exists() else "")
