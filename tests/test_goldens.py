"""Every capture of `pcaps/` with its rules gives its records and its output capture, byte for byte."""

import json
import subprocess
from pathlib import Path

import make_pcaps
import pytest
from support.replayed import records_of

from sbc_filter.capture.reader import CaptureReader
from sbc_filter.cli import main

CASES = dict(make_pcaps.cases())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All captures made anew, with the configuration and the key."""
    made = tmp_path_factory.mktemp("pcaps")
    make_pcaps.write_shared(made, credential=True)
    for name, case in CASES.items():
        make_pcaps.write_case(made, name, case)
    return made


@pytest.mark.parametrize("name", CASES)
def test_capture_is_what_the_script_makes(folder: Path, name: str) -> None:
    for suffix in ("pcap", "toml"):
        assert (folder / f"{name}.{suffix}").read_bytes() == (make_pcaps.FOLDER / f"{name}.{suffix}").read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_replay_gives_what_is_expected(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / f"{name}.out.pcap"
    assert make_pcaps.replayed(folder, name, main, out) == 0
    expected = make_pcaps.FOLDER / f"{name}.expected.jsonl"
    assert records_of(capsys.readouterr().out) == expected.read_text().splitlines()
    assert out.read_bytes() == expected.with_suffix("").with_suffix(".expected.pcap").read_bytes()


# An ACK with our tag is ours without a table, also where nothing was rejected: see S-140.
@pytest.mark.parametrize("name", sorted(CASES.keys() - {"rejected-transaction"}))
def test_without_a_rule_nothing_changes(
    folder: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But a peer that is not trusted does not get its verstat through (S-114), nor a folded line."""
    (tmp_path / "none.toml").write_text("")
    out = tmp_path / "out.pcap"
    capture = folder / f"{name}.pcap"
    assert main(["replay", str(capture), "--rules", str(tmp_path / "none.toml"), "--json", "--out", str(out)]) == 0
    records = [json.loads(line) for line in records_of(capsys.readouterr().out)]
    same = list(CaptureReader(capture)) == list(CaptureReader(out))
    assert same is (name not in ("spoofed-verstat", "folded"))
    assert {record["verdict"] for record in records} <= ({"accept"} if same else {"modify"})


@pytest.mark.parametrize("name", CASES)
def test_wireshark_finds_no_wrong_checksum(name: str) -> None:
    checks = ("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
    wrong = "ip.checksum.status == 0 || udp.checksum.status == 0 || _ws.malformed"
    try:
        done = subprocess.run(
            [
                "tshark",
                "-r",
                make_pcaps.FOLDER / f"{name}.expected.pcap",
                *checks,
                "-Y",
                f"({wrong}) && !(udp.length <= 100)",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        pytest.skip("needs tshark")
    assert done.stdout == ""
