"""The command line as its users meet it: exit codes, one sentence for each mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from sbc_filter.ops.cli import main

INVITE = (
    b"INVITE sip:+12155550199@carrier.example SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1\r\n"
    b"From: <sip:+12155550100@example.org>;tag=1\r\nTo: <sip:+12155550199@carrier.example>\r\nCall-ID: 1\r\n"
    b"CSeq: 1 INVITE\r\n\r\n"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "lab"
    assert main(["pki", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["replay"], ["replay", "x.pcap", "--at", "yesterday"], ["firewall", "burn"]]
)
def test_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: sbc-filter" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "replay", "check", "sign", "pki", "firewall", "demo"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"usage: sbc-filter {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "--config", "no.toml"], "sbc-filter: no.toml: cannot be read: No such file or directory\n"),
        (["replay", "no.pcap"], "sbc-filter: no.pcap: No such file or directory\n"),
        (["replay", "text.pcap"], "sbc-filter: text.pcap is not a capture (pcap or pcapng, gzip or not)\n"),
        (["sign", "no.sip", "--config", "lab.toml"], "sbc-filter: no.sip: cannot be read: No such file or directory\n"),
    ],
)
def test_an_answer_no_is_1(
    arguments: list[str],
    sentence: str,
    lab: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.pcap").write_text("this is no capture, whatever its name says")
    arguments = [str(lab / "sbc-filter.toml") if argument == "lab.toml" else argument for argument in arguments]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1


def test_a_laboratory_is_not_overwritten(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pki", str(lab)]) == 1
    assert capsys.readouterr().err.endswith("is there already: name another folder, nothing is overwritten\n")


def test_signing(lab: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """From a file and from standard input; what is not signed comes out as it went in, with exit code 1."""
    (tmp_path / "call.sip").write_bytes(INVITE)
    assert main(["sign", str(tmp_path / "call.sip"), "--config", str(lab / "sbc-filter.toml")]) == 0
    out = capfdbinary.readouterr().out
    assert out.count(b"\r\nIdentity: ") == out.count(b"\r\nDate: ") == 1
    kept = [line for line in out.split(b"\r\n") if not line.startswith((b"Identity: ", b"Date: "))]
    assert b"\r\n".join(kept) == INVITE
    command = [sys.executable, "-m", "sbc_filter", "sign", "-", "--config", str(lab / "sbc-filter.toml")]
    done = subprocess.run(command, input=out, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, out)
    assert done.stderr == b"sbc-filter: not signed: already-signed, shaken-present; rule: sign\n"


def test_without_privilege_is_3(lab: Path) -> None:
    done = subprocess.run(
        [
            "setpriv",
            "--bounding-set=-net_admin,-net_raw",
            "--inh-caps=-net_admin,-net_raw",
            sys.executable,
            "-m",
            "sbc_filter",
        ]
        + ["run", "--config", str(lab / "sbc-filter.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    if "setpriv" in done.stderr.partition(":")[0]:
        pytest.skip("needs setpriv and root")
    assert done.returncode == 3
    assert done.stderr.startswith("sbc-filter: raw sockets are not permitted: run as root")
    assert done.stderr.count("\n") == 1


def test_output_that_nobody_reads_is_no_reason_to_complain(lab: Path) -> None:
    command = f"{sys.executable} -m sbc_filter check --config {lab / 'sbc-filter.toml'} | head -c 1"
    assert subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stderr == ""
