"""`sbc-filter replay` of several captures, folders and standard input: one capture in order of time."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.calls import LAB, NOW, SBC, VERIFY, arriving, claims, identity, invite
from support.captures import write

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import X5U, pem

SETTINGS = f'[network]\nsbc = ["{SBC}"]\n[trust]\nanchors = ["anchors"]\n[certificates]\ndirectory = "certificates"\n'
CALL = invite(identity(claims(iat=int(NOW))))


def hour(path: Path, *packets: bytes, at: float) -> Path:
    """A capture whose packets follow at intervals of a second."""
    frames = [
        Frame(number, at + number, int((at + number) * 10**9), 101, 0, each, len(each))
        for number, each in enumerate(packets)
    ]
    return write(path, [frame._replace(number=frame.number + 1) for frame in frames])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two captures, the later one first by name, with the configuration alongside."""
    folder = tmp_path / "calls"
    for name in ("rules", "anchors", "certificates"):
        (folder / name).mkdir(parents=True)
    (folder / "sbc-filter.toml").write_text(SETTINGS)
    (folder / "rules" / "rules.toml").write_text(VERIFY)
    (folder / "anchors" / "root.pem").write_bytes(pem(LAB.root.certificate))
    certificate_path(folder / "certificates", X5U).write_bytes(LAB.chain)
    hour(folder / "a.pcap", arriving(CALL), arriving(CALL), at=NOW + 1)
    hour(folder / "b.pcap", arriving(CALL), at=NOW)
    monkeypatch.chdir(tmp_path)
    return folder


def records(*words: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> list[tuple[str, int, str]]:
    """File, packet and outcome of each record."""
    assert main(["replay", "--json", *words]) == code
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(each.get("file"), each["packet"], each["outcome"]) for each in lines if "summary" not in each]


@pytest.mark.parametrize("words", [["calls"], ["calls/a.pcap", "calls/b.pcap"], ["calls/b.pcap", "calls/a.pcap"]])
def test_a_retransmission_in_the_next_capture(
    words: list[str], capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """It is not a new call, and its token is not used again; the record names the capture that came first."""
    assert records(*words, capsys=capsys) == [("calls/b.pcap", 1, "passed")]


def test_a_used_token_in_the_next_capture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five calls may have it, whichever captures they are in."""
    again = [arriving(CALL.replace(b"call-1@", b"call-%d@" % number)) for number in range(2, 8)]
    hour(folder / "a.pcap", *again, at=NOW + 1)
    assert records("calls", capsys=capsys) == [
        ("calls/b.pcap", 1, "passed"),
        *(("calls/a.pcap", number, "passed") for number in range(1, 5)),
        ("calls/a.pcap", 5, "replayed"),
        ("calls/a.pcap", 6, "replayed"),
    ]


def test_standard_input_alongside_a_file(folder: Path) -> None:
    command = [sys.executable, "-m", "sbc_filter", "replay", "calls/a.pcap", "-", "--json"]
    done = subprocess.run(command, input=(folder / "b.pcap").read_bytes(), capture_output=True, check=True)
    record, summary = map(json.loads, done.stdout.splitlines())
    assert (record["file"], record["packet"], record["outcome"]) == ("standard input", 1, "passed")
    assert (summary["summary"]["capture"], summary["summary"]["packets"]) == ("2 captures", 3)


@pytest.mark.parametrize("word", ["-", "/dev/stdin"])
def test_standard_input_is_read_once(word: str, folder: Path) -> None:
    command = [sys.executable, "-m", "sbc_filter", "replay", "--json", "-", word, "--config", "calls/sbc-filter.toml"]
    with open(folder / "a.pcap", "rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1 + 1)
    name = "standard input" if word == "-" else word
    assert f"warning: {name} is the same file as standard input: read once" in done.stderr.splitlines()


@pytest.mark.parametrize(
    "words", [["calls/a.pcap", "--json", "calls/b.pcap"], ["--json", "calls/b.pcap", "calls/a.pcap"]]
)
def test_options_may_stand_between_captures(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", *words]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])["summary"]
    assert (summary["capture"], summary["packets"]) == ("2 captures", 3)


def test_standard_input_alone(folder: Path) -> None:
    """The configuration is that of the working folder. A single capture is not named in records."""
    command = [sys.executable, "-m", "sbc_filter", "replay", "-", "--json"]
    done = subprocess.run(command, input=(folder / "b.pcap").read_bytes(), capture_output=True, check=True, cwd=folder)
    assert b"configuration: sbc-filter.toml; 1 rule of 1 file\n" in done.stderr
    assert done.stdout.startswith(b'{"packet":1,"time":')


def test_what_is_said_of_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not read is named, but for the configuration; a capture with two names is read once."""
    (folder / "notes.txt").write_text("hello")
    (folder / ".b.pcap.swp").write_bytes((folder / "b.pcap").read_bytes())
    (folder / "latest.pcap").symlink_to("b.pcap")
    (folder / "c.pcap").touch()
    os.mkfifo(folder / "pipe")
    assert main(["replay", "calls"]) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [*lines[:3], lines[-11]] == [
        "configuration: calls/sbc-filter.toml; 1 rule of 1 file",
        "warning: calls/latest.pcap is the same file as calls/b.pcap: read once",
        "warning: 4 files not read, hidden or not a capture: calls/.b.pcap.swp, calls/certificates/, calls/notes.txt,"
        " calls/pipe",
        "2 of 3 captures in calls: 3 packets, 1 INVITE",
    ]
    assert err == "sbc-filter: calls/c.pcap is empty\n"


def test_all_go_into_one_file_for_its_owner_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", "out.pcap", "--learn", "urls.txt", "--learn-translations", "map.txt"]
    assert main(["replay", "calls/a.pcap", "calls/b.pcap", *words]) == 0
    with CaptureReader("out.pcap") as reader:
        assert [frame.time - NOW for frame in reader] == [0.0, 1.0, 2.0]
    modes = {name: stat.S_IMODE(os.stat(name).st_mode) for name in ("out.pcap", "urls.txt", "map.txt")}
    assert modes == {"out.pcap": 0o600, "urls.txt": 0o644, "map.txt": 0o600}
    heads = [Path(name).read_text().splitlines()[0] for name in ("urls.txt", "map.txt")]
    assert heads == [
        "# certificates of 1 token in 2 captures, the most frequent first",
        "# translations of 0 calls in 2 captures, the most frequent first",
    ]


@pytest.mark.parametrize("words", [["calls"], ["calls/b.pcap", "calls/a.pcap"]])
def test_no_capture_is_overwritten(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "a.pcap").read_bytes()
    assert main(["replay", *words, "--out", "calls/a.pcap"]) == 2
    assert "calls/a.pcap is the capture itself" in capsys.readouterr().err
    assert (folder / "a.pcap").read_bytes() == before


def test_nor_the_capture_that_is_standard_input(folder: Path) -> None:
    command = [sys.executable, "-m", "sbc_filter", "replay", "-", "--out", "calls/a.pcap"]
    with (folder / "a.pcap").open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"calls/a.pcap is the capture itself" in done.stderr


def test_without_a_readable_capture_nothing_is_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "none", "gone"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "sbc-filter: none: No such file or directory\nsbc-filter: gone: No such file or directory\n",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes devices")
def test_learn_translations_leaves_a_device(folder: Path) -> None:
    os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert main(["replay", "calls", "--learn-translations", "null"]) == 0
    assert stat.S_ISCHR(os.stat("null").st_mode)
