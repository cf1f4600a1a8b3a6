"""How wide the lines of an explanation are, in a file and on a terminal."""

import pytest
from support.calls import identity, invite

from sbc_filter.cli import main
from sbc_filter.commands.explain.wrapping import labelled, sentence

SPOOFED = invite(identity(), caller="13125550123").decode()
REMEDY = {
    "100": [
        "What to do    It is the token of another call, or the caller was rewritten on the way. Compare orig",
        "              with From and P-Asserted-Identity. If they are one number, name the field that has it",
        "              as caller_from in [rule.verify] of the rule, or correct numbering in [network] of",
        "              sbc-filter.toml.",
    ],
    "60": [
        "What to do    It is the token of another call, or the caller",
        "              was rewritten on the way. Compare orig with",
        "              From and P-Asserted-Identity. If they are one",
        "              number, name the field that has it as",
        "              caller_from in [rule.verify] of the rule, or",
        "              correct numbering in [network] of",
        "              sbc-filter.toml.",
    ],
}
CHECK = "  failed      The caller is that of the token: token 12155550100, From 13125550123 (RFC 8224 §6.2.4)"


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["explain", SPOOFED]) == 1
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", [None, "100", "60"])
def test_sentences_fit(
    columns: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file has 100 columns unless COLUMNS says otherwise, and each check on one line there."""
    if columns is None:
        monkeypatch.delenv("COLUMNS")
    else:
        monkeypatch.setenv("COLUMNS", columns)
    lines = shown(capsys)
    remedy = REMEDY[columns or "100"]
    at = lines.index(remedy[0])
    assert lines[at : at + len(remedy)] == remedy
    assert (CHECK in lines) is (columns != "60")
    checks = [line for line in lines if line.startswith("  ok ")]
    assert all(line.endswith(")") for line in checks) is (columns != "60")
    assert all(len(line) <= int(columns or 1000) for line in checks)


def test_a_line_is_never_too_narrow_to_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "3")
    assert "              call, or the caller was" in shown(capsys)


def test_what_peers_wrote_stays_whole_and_printable() -> None:
    """A URL can be copied, and blanks in a value are blanks."""
    url = "https://certificates.example.org/" + "x" * 90
    assert labelled("Token", f"x5u {url}; made", 60) == [
        "Token         x5u",
        f"              {url};",
        "              made",
    ]
    assert sentence("a  b\x1b[2J\nc", 60, "- ") == ["- a  b\\x1b[2J\\x0ac"]
    assert sentence("", 60, "- ") == ["- "]
