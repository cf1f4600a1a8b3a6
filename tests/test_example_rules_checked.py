"""The example sets of `rules/` as an operator copies them: `check` accepts each, and the manual has them all."""

import re
import tomllib
from pathlib import Path

import pytest
from make_pcaps import RULES, SETS
from support.calls import CARRIER, SBC
from support.day_passes import text_of, uncommented

from sbc_filter.cli import main

ANCHORS = '[trust]\nanchors = ["anchors"]\n'
OURS = (
    '[credentials.ours]\nkey = "keys/shaken.key"\ncertificate = "keys/shaken.pem"\n'
    'x5u = "https://certificates.example.org/shaken.pem"\n'
)
CARRIERS = f'[trunks.carriers]\naddresses = ["{CARRIER}"]\n'
NEEDS = {
    "enterprise-pbx": ANCHORS + OURS + CARRIERS,
    "first-week-monitor": ANCHORS + OURS + CARRIERS,
    "intermediate-provider": ANCHORS + CARRIERS,
    "originating-provider": OURS + CARRIERS,
    "redirect-server": ANCHORS + OURS,
    "strict-terminating": ANCHORS + CARRIERS,
    "terminating-provider": ANCHORS + CARRIERS,
}
_EXAMPLE = re.compile(r"^\[\[rule\.example\]\]\n(?:[a-z].*\n)*", re.MULTILINE)


def check(folder: Path, needs: str, rules: dict[str, str]) -> int:
    """Exit code of `check` for these rule files, in a folder that `pki` made."""
    (folder / "sbc-filter.toml").write_text(f'[network]\nsbc = ["{SBC}"]\nports = [5060, 5080]\n{needs}')
    for path in (folder / "rules").iterdir():
        path.unlink()
    for name, text in rules.items():
        (folder / "rules" / name).write_text(text)
    return main(["check", "--config", str(folder / "sbc-filter.toml")])


@pytest.fixture
def host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with keys, anchors and rules."""
    assert main(["pki", str(tmp_path / "host")]) == 0
    capsys.readouterr()
    return tmp_path / "host"


@pytest.mark.parametrize("name", SETS)
def test_check_finds_nothing_to_say(name: str, host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(host, NEEDS[name], {f"30-{name}.toml": text_of(name)}) == 0
    said = capsys.readouterr()
    assert ("warning" in said.out + said.err, "good\n" in said.out) == (False, True)
    assert f"\n{text_of(name).count('[[rule.example]]')} examples: as expected\n" in said.out


@pytest.mark.parametrize("name", SETS)
def test_every_rule_has_an_example_in_which_it_decides(name: str) -> None:
    for rule in tomllib.loads(text_of(name))["rule"]:
        assert any(each.get("matches", True) and "rule" not in each for each in rule["example"]), rule["name"]


@pytest.mark.parametrize("name", SETS)
def test_the_header_says_what_a_set_needs(name: str, host: Path) -> None:
    stated = text_of(name).partition("# Needs in sbc-filter.toml: ")[2].partition("\n#\n")[0].partition(";")[0]
    parts = {"`[trust]`": ANCHORS, "`[credentials.ours]`": OURS, "`[trunks.carriers]`": CARRIERS}
    assert {part for part in parts if part in stated} == {part for part, text in parts.items() if text in NEEDS[name]}
    for text in parts.values():
        if text in NEEDS[name]:
            assert check(host, NEEDS[name].replace(text, ""), {"set.toml": text_of(name)}) == 1


@pytest.mark.parametrize("name", SETS)
def test_what_a_set_suggests_is_accepted(name: str, host: Path) -> None:
    text = uncommented(text_of(name))
    assert tomllib.loads(text) != tomllib.loads(text_of(name)) or name == "first-week-monitor"
    assert check(host, NEEDS[name] + OURS * (OURS not in NEEDS[name]), {"set.toml": text}) == 0


def test_a_provider_that_originates_and_terminates_copies_both(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = {f"{name}.toml": text_of(name) for name in ("terminating-provider", "originating-provider")}
    assert check(host, ANCHORS + OURS + CARRIERS, both) == 0
    said = capsys.readouterr()
    assert "warning" not in said.out + said.err


def test_names_of_rules_are_unique_in_all_sets(host: Path) -> None:
    texts = {f"{name}.toml": _EXAMPLE.sub("", text_of(name)) for name in SETS}  # a rule hides those of other sets
    assert check(host, ANCHORS + OURS + CARRIERS, texts) == 0


def test_the_manual_has_all_sets() -> None:
    manual = (RULES.parent / "docs" / "rules.md").read_text()
    table = manual.partition("## Example sets")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"\| `([a-z-]+)\.toml` \|", table)) == sorted(SETS)
