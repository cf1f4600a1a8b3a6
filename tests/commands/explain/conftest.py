"""What is shown has lines of any length here, so that a test can name them whole; `test_wrapping` says how they fit."""

import pytest


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal wider than any line."""
    monkeypatch.setenv("COLUMNS", "100000")
