"""`sbc-filter observe`: its command line. What it does to calls is in tests/live/test_observe.py."""

from pathlib import Path

import pytest

from sbc_filter.cli import main
from sbc_filter.commands.observe import seconds


@pytest.mark.parametrize(("text", "expected"), [("1m", 60), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("7d", 604800)])
def test_times(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0m", "2", "h", "2 h", "-1h", "1w", "1.5h", "2H", "٣h", "1h\n", "99999999d"])
def test_what_is_not_a_time(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["observe", f"--for={text}"]) == 2
    sentence = f"--for {text!r} is not a time such as 30m, 2h or 1d"
    assert capsys.readouterr().err == f"sbc-filter: {sentence}\n"


@pytest.mark.parametrize("text", ["8d", "169h", "99999m"])
def test_longer_than_a_week(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["observe", f"--for={text}"]) == 2
    sentence = f"--for {text} is longer than 7d: to observe for good, set mode in [network]"
    assert capsys.readouterr().err == f"sbc-filter: {sentence}\n"


@pytest.mark.parametrize("words", [[], ["--trunk", "a"], ["--off", "--for", "1h"]])
def test_either_a_time_or_off(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["observe", *words]) == 2
    assert capsys.readouterr().err == "sbc-filter: say either how long, such as --for 2h, or --off\n"


def test_where_no_filter_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["observe", "--off", "--socket", str(tmp_path / "none")]) == 3
    assert capsys.readouterr().err.endswith("no filter listens there: start it with `sbc-filter run`\n")
