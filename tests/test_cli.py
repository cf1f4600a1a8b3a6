"""The command line as its users meet it: exit codes, one sentence for each mistake."""

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.processes import heeding_signals

from sbc_filter import commands
from sbc_filter.cli import main
from sbc_filter.commands import pki
from sbc_filter.config import configuration_file

INVITE = (
    b"INVITE sip:+12155550199@carrier.example SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1\r\n"
    b"From: <sip:+12155550100@example.org>;tag=1\r\nTo: <sip:+12155550199@carrier.example>\r\nCall-ID: 1\r\n"
    b"CSeq: 1 INVITE\r\n\r\n"
)

NAMES = [name for group in commands.COMMANDS.values() for name in group]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "lab"
    assert main(["pki", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["replay"],
        ["replay", "x.pcap", "--at", "yesterday"],
        ["replay", "x.pcap", "--at", "nan"],
        ["replay", "x.pcap", "--at", "-nan"],
        ["replay", "x.pcap", "--at", "inf"],
        ["replay", "x.pcap", "--at=-inf"],
        ["replay", "x.pcap", "--at", "1e400"],
        ["replay", "x.pcap", "--at=-1"],
        ["replay", "x.pcap", "--at", "253402300800"],
        ["replay", "x.pcap", "--at", "1e18"],
        ["replay", "x.pcap", "--at", ""],
        ["replay", "x.pcap", "--at", "0001-01-01"],
        ["replay", "x.pcap", "--at", "1969-12-31T00:00:00Z"],
        ["replay", "x.pcap", "--at", "2027-13-01"],
        ["explain"],
        ["explain", "x.sip", "--at", "capture"],
        ["explain", "x.sip", "--from", "nowhere"],
        ["explain", "x.sip", "--from", "192.0.2.7", "--to", "192.0.2.8"],
        ["firewall"],
        ["firewall", "burn"],
        ["help", "nonsense"],
        ["certificates"],
        ["certificates", "fetch", "https://x.example/é.pem"],
        ["sign", "x.sip", "--to", "nowhere"],
        ["pki", "x", "--spc", "12-4"],
        ["pki", "x", "--x5u", "http://certificates.example.org/shaken.pem"],
    ],
)
def test_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: sbc-filter" in capsys.readouterr().err


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"usage: sbc-filter {command}" in capsys.readouterr().out


def test_the_table_names_every_command() -> None:
    """Each file or folder in `commands` that has `run` is a command; the others are their parts."""
    folder = Path(commands.__file__).parent
    found = {path.stem: path for path in folder.glob("*.py")} | {
        path.parent.name: path for path in folder.glob("*/__init__.py")
    }
    assert sorted(NAMES) == sorted(name for name, path in found.items() if "\ndef run(" in path.read_text())


@pytest.mark.parametrize(
    ("arguments", "same_as"),
    [
        (["help"], ["--help"]),
        (["help", "help"], ["--help"]),
        (["help", "replay"], ["replay", "--help"]),
        (["help", "firewall", "show"], ["firewall", "show", "--help"]),
        (["help", "certificates", "purge", "--", "--all"], ["certificates", "purge", "--help"]),
    ],
)
def test_the_command_help(arguments: list[str], same_as: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It only ever shows help: what follows the names of a command is left out."""

    def shown(words: list[str]) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 0
        return capsys.readouterr().out

    names = "".join(f" {word}" for word in same_as[:-1])
    assert shown(arguments) == shown(same_as)
    assert shown(arguments).startswith(f"usage: sbc-filter{names} [-h]")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rplay", "x.pcap"], "sbc-filter: error: argument COMMAND: there is no 'rplay': did you mean 'replay'?\n"),
        (["help", "chekc"], "sbc-filter: error: argument COMMAND: there is no 'chekc': did you mean 'check'?\n"),
        (["firewall", "aply"], "argument ACTION: there is no 'aply': did you mean 'apply'?\n"),
        (["certificates", "lst"], "argument ACTION: there is no 'lst': did you mean 'list'?\n"),
        (["firewall", "\x1b[2J"], "there is no '\\x1b[2J': choose from show, apply, remove\n"),
        ([], "sbc-filter: error: the following arguments are required: COMMAND\n"),
    ],
)
def test_a_mistyped_command(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith(sentence)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("replay x.pcap --caler 1", "unknown option --caler; did you mean --caller?"),
        ("replay x.pcap --caler=1", "unknown option --caler; did you mean --caller?"),
        ("replay --jsn", "unknown option --jsn; did you mean --json?"),
        ("explain x.pcap 1 --certifcate c.pem", "unknown option --certifcate; did you mean --certificate?"),
        ("observe --fro 1h", "unknown option --fro; did you mean --for?"),
        ("certificates list --conifg x", "unknown option --conifg; did you mean --config?"),
        ("certificates purge --exipred", "unknown option --exipred; did you mean --expired?"),
        (
            "certificates purge --everything",
            "unknown option --everything; `sbc-filter certificates purge --help` lists the options",
        ),
        ("check --xyzzy", "unknown option --xyzzy; `sbc-filter check --help` lists the options"),
    ],
)
def test_a_misspelt_option(words: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    assert capsys.readouterr().err == f"sbc-filter: {sentence}\n"


@pytest.mark.parametrize("command", NAMES)
def test_each_command_suggests_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--hepl"]) == 2
    assert capsys.readouterr().err == "sbc-filter: unknown option --hepl; did you mean --help?\n"


@pytest.mark.parametrize("words", [["replay", "--", "--caler"], ["replay", "--cert=c.pem", "none"]])
def test_what_is_not_a_misspelt_option(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What stands behind `--` is a file. An option that is cut short is refused only if it could be two."""
    with contextlib.suppress(SystemExit):
        main(words)
    assert "unknown option" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "command"),
    [
        ("my.pcap", b"\xd4\xc3\xb2\xa1" + bytes(20), "replay my.pcap"),
        ("my calls.pcap", b"\xd4\xc3\xb2\xa1" + bytes(20), "replay 'my calls.pcap'"),
        ("replay.pcap", b"\xd4\xc3\xb2\xa1" + bytes(20), "replay replay.pcap"),
        ("call.sip", b"INVITE sip:1@example.org SIP/2.0\r\n", "explain call.sip"),
    ],
)
def test_a_file_in_place_of_a_command(
    name: str,
    content: bytes,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        main([name])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith(f"there is no {name!r}: did you mean `sbc-filter {command}`?\n")


SLOW = {"scapy", "cryptography", "requests", "urllib3", "rich", "jwt", "netfilterqueue", "pkcs11"}
"""What is slow to import, and needed only when a command runs."""


def imported_by(*words: str) -> list[str]:
    """The modules that are imported when the program has answered these words, which do not run a command."""
    program = (
        "import sys\nfrom sbc_filter.cli import main\ntry: main(sys.argv[1:])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    imported = done.stderr.splitlines()[-1].split()
    assert "sbc_filter.cli" in imported
    return imported


def test_help_imports_no_command() -> None:
    """Nor what is slow to import: it is there at once."""
    for words in (["--help"], ["help"], ["--version"], ["rplay"], ["--rules", "x"]):
        imported = imported_by(*words)
        assert SLOW.isdisjoint(name.partition(".")[0] for name in imported)
        assert [name for name in imported if name.startswith("sbc_filter.commands.")] == []


@pytest.mark.parametrize("command", NAMES)
def test_help_of_a_command_imports_only_its_arguments(command: str) -> None:
    """Neither what is slow to import nor the rooms in which the work is done."""
    imported = imported_by(command, "--help")
    assert f"sbc_filter.commands.{command}" in imported
    assert SLOW.isdisjoint(name.partition(".")[0] for name in imported)
    rooms = {name.split(".")[1] for name in imported if name.startswith("sbc_filter.")}
    assert rooms <= {"cli", "commands", "errors", "lab", "outcomes", "pki", "system"}


def test_help_lists_the_commands_in_groups(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: sbc-filter [-h] [--version] COMMAND ..."
    titles = ["Try it:", "Check and replay:", "Run:", "Manage:", "Options:", "Examples:", "Exit codes:"]
    assert [line for line in lines if line.endswith(":")] == titles
    begin, end = lines.index("Check and replay:"), lines.index("Run:")
    assert [line.split()[0] for line in lines[begin + 1 : end - 1]] == ["check", "replay", "explain", "sign"]


def test_the_commands_fit_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    begin = lines.index("Check and replay:")
    assert lines[begin + 1 : begin + 5] == [
        "  check         check configuration and rules;",
        "                report every mistake at once",
        "  replay        show what the rules would have",
        "                done to a capture",
    ]


@pytest.mark.parametrize("order", [["--config", "no.toml", "show"], ["show", "--config", "no.toml"]])
def test_the_configuration_is_named_before_the_action_or_after_it(
    order: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["firewall", *order]) == 1
    assert capsys.readouterr().err == "sbc-filter: no.toml: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("imported", ["sbc_filter.cli", "sbc_filter.commands.replay"])
def test_ctrl_c_while_modules_are_imported(imported: str) -> None:
    """The program ends with 130 and says nothing, whichever module it was about to import."""
    program = (
        "import importlib.abc, os, runpy, signal, sys\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {imported!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['sbc-filter', 'replay', 'no.pcap']\n"
        "runpy.run_module('sbc_filter', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, preexec_fn=heeding_signals)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "--config", "no.toml"], "sbc-filter: no.toml: cannot be read: No such file or directory\n"),
        (["replay", "no.pcap"], "sbc-filter: no.pcap: No such file or directory\n"),
        (
            ["replay", "text.pcap"],
            "sbc-filter: text.pcap is not a capture (pcap or pcapng, also compressed by gzip, bzip2 or xz)\n",
        ),
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


def test_signing_by_a_rule_for_tcp(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The INVITE leaves by the transport of its first Via."""
    assert main(["pki", str(tmp_path / "lab")]) == 0
    sign = tmp_path / "lab" / "rules" / "20-sign.toml"
    sign.write_text(sign.read_text().replace("[[rule]]\n", '[[rule]]\ntransport = "tcp"\n'))
    call, settings = tmp_path / "call.sip", str(tmp_path / "lab" / "sbc-filter.toml")
    for transport, code in ((b"UDP", 1), (b"TCP", 0)):
        call.write_bytes(INVITE.replace(b"SIP/2.0/UDP", b"SIP/2.0/" + transport))
        capfdbinary.readouterr()
        assert main(["sign", str(call), "--config", settings]) == code
        assert (b"\r\nIdentity: " in capfdbinary.readouterr().out) is (transport == b"TCP")


def test_signing_in_an_outage(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The file of `bypass` is looked at beside the rules; `check` says that it is there."""
    assert main(["pki", str(tmp_path / "lab")]) == 0
    rules, settings = tmp_path / "lab" / "rules", str(tmp_path / "lab" / "sbc-filter.toml")
    sign = rules / "20-sign.toml"
    sign.write_text(sign.read_text().replace("[rule.sign]\n", '[rule.sign]\nbypass = { token_file = "token" }\n'))
    (rules / "token").write_text("OUTAGE-42\n")
    (tmp_path / "call.sip").write_bytes(INVITE)
    capfdbinary.readouterr()
    assert main(["sign", str(tmp_path / "call.sip"), "--config", settings]) == 1
    out, said = capfdbinary.readouterr()
    assert out == INVITE.replace(b"From:", b"P-Identity-Bypass: OUTAGE-42\r\nFrom:")
    assert said == b"sbc-filter: not signed: unsigned, bypass; rule: sign\n"
    assert main(["check", "--config", settings]) == 0
    warned = f"warning: {rules}/token is there: calls that leave get its token, and no Identity\n".encode()
    assert warned in capfdbinary.readouterr().out


def test_without_privilege_is_3(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))  # its own, whoever else runs on this machine
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


@pytest.mark.parametrize("arguments", [["check"], ["run"], ["firewall", "show"], ["sign", "call.sip"]])
def test_without_a_configuration(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(configuration_file, "SYSTEM", tmp_path / "none.toml")
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("sbc-filter: no configuration: neither ./sbc-filter.toml nor ")
    assert said.endswith("; make one with `sbc-filter pki DIR`\n")


def shell(command: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = command.replace("sbc-filter", f"{sys.executable} -m sbc_filter", 1)
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    ("redirection", "why"), [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
@pytest.mark.parametrize("command", ["check", "replay pcaps/good-call.pcap", "replay pcaps/good-call.pcap --json"])
def test_output_that_is_not_taken(command: str, redirection: str, why: str, lab: Path) -> None:
    done = shell(f"sbc-filter {command} --config {lab / 'sbc-filter.toml'} {redirection}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"sbc-filter: standard output cannot be written: {why}"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_input_that_is_closed(lab: Path) -> None:
    done = shell(f"sbc-filter sign - --config {lab / 'sbc-filter.toml'} <&-")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "sbc-filter: standard input: cannot be read: Bad file descriptor\n"


def test_a_call_to_the_sbc_itself_does_not_leave(
    lab: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "call.sip").write_bytes(INVITE)
    arguments = ["sign", str(tmp_path / "call.sip"), "--config", str(lab / "sbc-filter.toml")]
    assert main([*arguments, "--to", "203.0.113.10"]) == 1
    assert capfdbinary.readouterr().err == (
        b"sbc-filter: not signed: the call does not leave: it goes to 203.0.113.10, an address of the SBC itself;"
        b" name where it goes with --to\n"
    )


def test_what_is_no_sip_is_not_sent_to_a_terminal(lab: Path, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"\x1b]0;noise\x07")
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "sbc_filter", "sign", str(tmp_path / "noise")]
    done = subprocess.run(
        [*command, "--config", str(lab / "sbc-filter.toml")], stdout=terminal, stderr=subprocess.PIPE, check=False
    )
    os.close(terminal)
    sentence = b"sbc-filter: not signed: the input is not an INVITE; nothing was written\n"
    assert (done.returncode, done.stderr) == (1, sentence)
    os.set_blocking(master, False)
    with pytest.raises(OSError, match="Input/output error"):  # nothing was written, and the other end is closed
        os.read(master, 1)
    os.close(master)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(1000), b"the input is not an INVITE"),
        (INVITE.replace(b"INVITE", b"OPTIONS"), b"the input is not an INVITE"),
        (b"", b"the input is not an INVITE"),
        (b"INVITE \x1b]0;noise\x07\r\n\r\n", b"the INVITE cannot be read (start-line)"),
    ],
    ids=["a capture", "another method", "nothing", "broken"],
)
def test_what_is_not_an_invite_is_not_written(
    message: bytes, why: bytes, lab: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Neither to a terminal nor into a pipe."""
    (tmp_path / "input").write_bytes(message)
    assert main(["sign", str(tmp_path / "input"), "--config", str(lab / "sbc-filter.toml")]) == 1
    assert capfdbinary.readouterr() == (b"", b"sbc-filter: not signed: " + why + b"; nothing was written\n")


def test_check_on_a_narrow_terminal(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    rules = lab / "rules-with-a-long-name" / "10-verify.toml"
    rules.parent.mkdir()
    rules.write_text('[[rule]]\nname = "from the carrier"\naction = "verify"\nenforce_percent = 5\n')
    assert main(["check", "--config", str(lab / "sbc-filter.toml"), "--rules", str(rules)]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith(
        f"\nRule from the carrier\n  Mode enforce 5 %, Action verify, Insertion inline\n  File {rules}\n"
    )


def test_check_warns_of_sources_that_have_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "lab"
    assert main(["pki", str(folder)]) == 0
    file = folder / "sbc-filter.toml"
    more = 'socket = "file"\nwarm = "urls.txt"\ncommand = ["./none"]\ncache = "file"\ndirectory = "certificates"'
    text = file.read_text().replace("fetch = false", "fetch = true")
    file.write_text(text.replace('directory = "certificates"', more))
    (folder / "file").write_text("")
    (folder / "urls.txt").write_text("https://certs.example.org/a.pem\nhttps://certs.example.org/a.pem?b\n")
    (folder / "certificates" / "index.json").write_text('{"https://certs.example.org/a.pem": "a.pem"}')

    def warnings() -> list[str]:
        capsys.readouterr()
        assert main(["check", "--config", str(file)]) == 0
        lines = capsys.readouterr().out.splitlines()
        return [line.removeprefix("warning: certificates.") for line in lines if line.startswith("warning: ")]

    others = [
        f"socket: {folder}/file is not a socket: no program listens there now",
        "command: ./none is not a program that can be run",
        f"cache: {folder}/file is not a folder, so nothing that is fetched outlives a restart",
        f"warm: {folder}/urls.txt: line 2: no token may name 'https://certs.example.org/a.pem?b': it has a query",
    ]
    index = f"directory: {folder}/certificates/index.json"
    assert warnings() == [f"{index} names a.pem, which is not there", *others]
    (folder / "certificates" / "index.json").write_text('{"https://certs.example.org/a.pem": "../a.pem"}')
    where = "'https://certs.example.org/a.pem': must be the name of a file in this folder, not '../a.pem'"
    assert warnings() == [f"{index}: {where}", *others]


@pytest.mark.parametrize("command", ["status", "reload"])
def test_a_configuration_that_is_not_there_asks_no_other_filter(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the one at the default socket, which goes by another."""
    file = tmp_path / "none.toml"
    assert main([command, "--config", str(file)]) == 1
    sentence = "is not there: name the configuration of the filter that runs, or its --socket"
    assert capsys.readouterr().err == f"sbc-filter: {file}: {sentence}\n"


@pytest.mark.parametrize("command", ["status", "reload"])
def test_a_configuration_that_cannot_be_looked_at_is_one_sentence(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    where = "name the configuration of the filter that runs, or its --socket"
    for name, why in (("loop", "Too many levels of symbolic links"), ("n" * 300, "File name too long")):
        assert main([command, "--config", str(tmp_path / name)]) == 1
        assert capsys.readouterr().err == f"sbc-filter: {tmp_path / name}: cannot be read: {why}: {where}\n"


def test_an_error_about_a_file_is_a_sentence_wherever_it_comes_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> int:
        raise PermissionError(13, "Permission denied", "/closed/file")

    monkeypatch.setattr(pki, "run", forbidden)
    assert main(["pki", "DIR"]) == 1
    assert capsys.readouterr().err == "sbc-filter: /closed/file: Permission denied\n"


def test_help_fits_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) < 80


def test_check_warns_of_what_is_hardly_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "lab"
    assert main(["pki", str(folder)]) == 0
    file = folder / "sbc-filter.toml"
    settings = file.read_text().replace('directory = "certificates"', 'directory = "none"')
    file.write_text(settings + '[log]\nrecords = "none/records.jsonl"\n[process]\nuser = "no-one"\n')
    rules = folder / "rules"
    (rules / "15.toml").write_text('[[rule]]\nname = "most"\nenforce_percent = 5\naction = "pass"\n')
    (rules / "16.toml").write_text('[[rule]]\nname = "all"\naction = "pass"\n')
    capsys.readouterr()
    assert main(["check", "--config", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:4] == ["most", "enforce", "5", "%"] for line in lines)
    assert [line for line in lines if line.startswith("warning: ")] == [
        f"warning: log.records: {folder}/none/records.jsonl cannot be written: make its folder, or name another file",
        "warning: process.user: there is no user 'no-one', and `run` ends: `sbc-filter install` makes one",
        f"warning: certificates.directory: there is no folder {folder}/none",
        f"warning: {rules}/20-sign.toml: rule 'sign' is never reached: 'all' before it takes every such call",
    ]
    for path in rules.iterdir():
        path.unlink()
    (rules / "redirect.toml").write_text(
        '[trunks.core]\naddresses = "198.51.100.7"\ntrusted = true\n'
        '[[rule]]\nname = "mute"\ntrunk = "core"\naction = "verify"\ninsertion = "redirect"\n'
        '[rule.verify]\nverstat = false\nattestation = "never"\n'
    )
    assert main(["check", "--config", str(file)]) == 0
    assert (
        f"warning: {rules}/redirect.toml: rule 'mute' redirects calls and says nothing in the answer: "
        'leave out verstat = false, or attestation = "never"\n'
    ) in capsys.readouterr().out
    (rules / "redirect.toml").unlink()
    assert main(["check", "--config", str(file)]) == 0
    assert f"warning: {rules} has no rule: every call passes as it is\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("relay", "said"),
    [
        ("", "passes unfiltered: [relay].enabled is false"),
        ('[relay]\nexisting = "reset"\n', "passes unfiltered: [relay].enabled is false"),
        ("[relay]\nenabled = true\n", "relayed at port 5059; TLS and WebSocket pass unfiltered: ports [5061]"),
        ("[relay]\nenabled = true\nport = 5058\nunfiltered_ports = []\n", "relayed at port 5058"),
    ],
)
def test_check_says_what_becomes_of_tcp(
    relay: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "c.toml").write_text(relay)
    assert main(["check", "--config", str(tmp_path / "c.toml")]) == 0
    assert f"\nTCP      {said}\n" in capsys.readouterr().out


TCP_RULE = '[[rule]]\nname = "a"\ntransport = "tcp"\naction = "pass"\n'
UDP_TRUNK = '[trunks.old]\naddresses = ["198.51.100.7"]\ntransport = "udp"\n'
OTHER_TRUNK = '[trunks.new]\naddresses = ["198.51.100.8"]\n[[rule]]'
OF_UDP_TRUNK = UDP_TRUNK + TCP_RULE.replace("action", 'trunk = "old"\naction')
NEVER = "rule 'a' is never reached: "


@pytest.mark.parametrize(
    ("relay", "rules", "said"),
    [
        (False, TCP_RULE, [f"{NEVER}it is for TCP, and [relay].enabled is false"]),
        (True, TCP_RULE, []),
        (False, TCP_RULE.replace('"tcp"', '["tcp", "udp"]'), []),
        (True, OF_UDP_TRUNK, [f"{NEVER}its trunks do not have its transport"]),
        (True, OF_UDP_TRUNK.replace('"udp"', '["udp", "tcp"]'), []),
        (True, OF_UDP_TRUNK.replace("[[rule]]", OTHER_TRUNK).replace('"old"', '["old", "new"]'), []),
        (
            True,
            TCP_RULE + TCP_RULE.replace('"a"', '"b"'),
            ["rule 'b' is never reached: 'a' before it takes every such"],
        ),
        (True, TCP_RULE + '[[rule]]\nname = "b"\naction = "pass"\n', []),
        (
            True,
            TCP_RULE.replace('"tcp"', '["tcp", "udp"]') + TCP_RULE.replace('"a"', '"b"'),
            ["rule 'b' is never reached: 'a' before it takes every such"],
        ),
    ],
)
def test_check_warns_of_rules_for_a_transport_that_their_calls_do_not_have(
    relay: bool, rules: str, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sbc-filter.toml"
    file.write_text("[relay]\nenabled = true\n" if relay else "")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.toml").write_text(rules)
    assert main(["check", "--config", str(file)]) == 0
    warned = [line for line in capsys.readouterr().out.splitlines() if "is never reached" in line]
    assert [line.partition(".toml: ")[2].removesuffix(" call") for line in warned] == said


@pytest.mark.parametrize("name", ["folder", "folder/", "link", "."])
def test_check_refuses_a_folder_in_place_of_the_file_of_records(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` could not start, whoever starts it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    file = tmp_path / "sbc-filter.toml"
    file.write_text(f'[log]\nrecords = "{name}"\n')
    assert main(["check", "--config", str(file)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"error: log.records: {tmp_path / name} is a folder: name a file in it"
    )
    file.write_text('[log]\nrecords = "folder/records.jsonl"\n')
    assert main(["check", "--config", str(file)]) == 0
    assert "log.records" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ("", True),
        ('[[rule]]\nname = "v"\ndirection = "outbound"\naction = "verify"\n', True),
        ('[[rule]]\nname = "v"\ndirection = "inbound"\naction = "verify"\n', False),
        ('[trunks.pbx]\naddresses = ["198.51.100.7"]\ntrusted = true\n', False),
    ],
)
def test_check_warns_of_preserve_where_no_call_counts_as_an_arrival(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, warned: bool
) -> None:
    folder = tmp_path / "lab"
    assert main(["pki", str(folder)]) == 0
    for path in (folder / "rules").iterdir():
        path.unlink()
    rules = folder / "rules" / "10.toml"
    rules.write_text(
        '[[rule]]\nname = "s"\ndirection = "outbound"\naction = "sign"\n'
        f'[rule.sign]\ncredential = "ours"\norigid = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"\n'
        f'numbers = ["12155550100"]\npreserve = "numbers"\n{more}'
    )
    capsys.readouterr()
    assert main(["check", "--config", str(folder / "sbc-filter.toml")]) == 0
    sentence = (
        f"warning: {rules}: rule 's' preserves nothing: only calls that passed, or come from a trusted peer, count. "
        'Add a rule with action = "verify", or trusted = true to a trunk\n'
    )
    assert (sentence in capsys.readouterr().out) is warned


def test_what_an_error_names_acts_on_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor does it pass for a line of ours."""
    assert main(["replay", str(tmp_path / "a\x1b[2J\nsbc-filter: all is well")]) == 1
    first, second = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert first.startswith("sbc-filter: ")
    assert first.endswith("a\\x1b[2J")
    assert second.startswith("  sbc-filter: all is well")
