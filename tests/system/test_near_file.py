"""The file that was probably meant by a path that does not exist."""

from pathlib import Path

import pytest

from sbc_filter.system.near_file import near_file


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("my.pcp", "my.pcap"),
        ("mine.pcap", ""),
        ("sub/day.pcaps", "sub/day.pcap"),
        ("none/my.pcap", ""),  # no such folder
        ("m", ""),
        ("a\0b", ""),
        ("a\0b/c", ""),
        ("x" * 5000 + "/y", ""),
    ],
)
def test_the_most_similar_name_of_the_same_folder(
    given: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("my.pcap", "other.pcap", "sub/day.pcap"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert near_file(given) == (f"; did you mean {meant}?" if meant else "")
