"""The files that switch `bypass` on and off while calls run."""

from pathlib import Path

import pytest

from sbc_filter.assembly.bypass_files import LONGEST, BypassFiles, BypassState, said
from sbc_filter.rules.model import Bypass, Rule, RuleAction, SignOptions

ON, OFF = BypassState({"token": "abc"}, ()), BypassState({}, ())


def files(folder: Path, name: str = "token") -> BypassFiles:
    return BypassFiles([Rule("r", RuleAction.SIGN, sign=SignOptions(bypass=Bypass(name)))], folder)


@pytest.mark.parametrize(
    ("content", "token"),
    [
        (b"abc", "abc"),
        (b" abc\r\n", "abc"),
        (b"a b=c;d", "a b=c;d"),
        (b"a" * LONGEST + b"\n", "a" * LONGEST),
        (b"", None),
        (b"\n\n", None),
        (b"abc\r\nIdentity: forged", None),
        (b"abc\0", None),
        ("é".encode(), None),
        (b"a" * (LONGEST + 1), None),
        (b"a" * (10 * LONGEST), None),
    ],
    ids=range(11),
)
def test_read(content: bytes, token: str | None, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    state = files(tmp_path).read()
    assert state.tokens == ({"token": token} if token else {})
    fault = "has to hold the token alone, one line of 1 to 1024 printable ASCII characters; no call is bypassed"
    assert state.faults == (() if token else (f"{path}: {fault}",))


def test_none_is_off(tmp_path: Path) -> None:
    assert files(tmp_path).read() == OFF
    (tmp_path / "token").mkdir()
    assert files(tmp_path).read().faults == (
        f"{tmp_path / 'token'}: cannot be read, so no call is bypassed: Is a directory",
    )


def test_absolute_names(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("abc")
    name = str(tmp_path / "t")
    assert files(Path("/elsewhere"), name).read().tokens == {name: "abc"}


def test_what_is_said() -> None:
    fault = "token: no"
    assert list(said(OFF, OFF)) == list(said(ON, ON)) == []
    assert list(said(OFF, ON)) == ["bypass on: token is there, so its token stands in for Identity in calls that leave"]
    assert list(said(ON, BypassState({}, (fault,)))) == [
        "bypass off: token holds no token, calls that leave are signed again",
        fault,
    ]
    assert list(said(BypassState({}, (fault,)), BypassState({}, (fault,)))) == []
    assert list(said(ON, BypassState({"token": "d"}, ()))) == ["bypass: token holds another token"]
