"""What `run` says about its environment before it filters."""

import pytest

from sbc_filter.commands.run.filtering import environment_remarks


@pytest.mark.parametrize(
    ("value", "said"), [(None, False), ("", False), ("random", False), ("0", True), ("4294967295", True)]
)
def test_a_fixed_key_of_pythons_hashes_is_said(monkeypatch: pytest.MonkeyPatch, value: str | None, said: bool) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    if value is not None:
        monkeypatch.setenv("PYTHONHASHSEED", value)
    sentence = "PYTHONHASHSEED is set: peers can choose values that slow down the tables in memory. Remove the variable"
    assert list(environment_remarks()) == [sentence] * said
