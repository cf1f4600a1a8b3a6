"""Wrong invocations of every command: an exit code and one sentence each, never a traceback.

`LONG` is a name that no file system has, `loop` a link to itself, `closed` a folder for root only, `full` a device that
is full. The commands run as another user than root, in this process where one of their own makes no difference.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import arriving, invite
from support.captures import write
from support.processes import heeding_signals

from sbc_filter.capture.frame import Frame
from sbc_filter.cli import main
from sbc_filter.commands import COMMANDS

LONG = "n" * 300
NAMES = {name for group in COMMANDS.values() for name in group}
INVITE = invite()
LOOP, TOO_LONG, ENDLESS = "Too many levels of symbolic links", "File name too long", "it is larger than 64 MiB"
NO_FILTER = "no filter listens there: start it with `sbc-filter run`"
NO_INVITE = "not signed: the input is not an INVITE; nothing was written"
NO_CAPTURE = "is not a capture (pcap or pcapng, also compressed by gzip, bzip2 or xz)"
NO_CERTIFICATE = (
    "is neither a file nor the URL of a certificate in the folder or the cache; `sbc-filter certificates fetch URL`"
    " gets one"
)
NAME_THE_FILTER = "name the configuration of the filter that runs, or its --socket"
NAME_THE_ROOT = "name the root of a host's tree with --root"
THERE_ALREADY = "is there already: name another folder, nothing is overwritten"
ONE_FOR = "say either how long, such as --for 2h, or --off"
FIND_WHAT = "say either a number or a Call-ID, or --message with the number of a call that is kept"
PURGE_WHAT = "certificates purge: name one of URL, --expired and --all"
NAME_RULES = "name the folder of the rules in [rules].directory, or by --rules"
ITSELF = "is the capture itself: name another file, the capture is not overwritten"
BOTH = "both write to standard output: give one of them a file"
LAB = "--config lab/sbc-filter.toml"
URL = "https://certificates.example.org/x.pem"

# Arguments, exit code, and what follows `sbc-filter: ` on standard error.
ROWS: list[tuple[str, int, str]] = [
    # A configuration that cannot be read.
    ("check --config none", 1, "none: cannot be read: No such file or directory"),
    (f"check --config {LONG}", 1, f"{LONG}: cannot be read: {TOO_LONG}"),
    ("check --config /dev/zero", 1, f"/dev/zero: cannot be read: {ENDLESS}"),
    ("check --config closed/c.toml", 1, "closed/c.toml: cannot be read: Permission denied"),
    ("run --config loop", 1, f"loop: cannot be read: {LOOP}"),
    ("run --config lab", 1, "lab: cannot be read: Is a directory"),
    (f"run --config {LONG}", 1, f"{LONG}: cannot be read: {TOO_LONG}"),
    ("serve --config call.sip/x", 1, "call.sip/x: cannot be read: Not a directory"),
    ("serve --config noise", 1, "noise: cannot be read: 'utf-8' codec can't decode byte 0xff in position 0:"
     " invalid start byte"),
    ("firewall show --config none", 1, "none: cannot be read: No such file or directory"),
    ("firewall apply --config closed/c.toml", 1, "closed/c.toml: cannot be read: Permission denied"),
    ("certificates list --config loop", 1, f"loop: cannot be read: {LOOP}"),
    ("status --config closed/c.toml", 1, f"closed/c.toml: cannot be read: Permission denied: {NAME_THE_FILTER}"),
    ("reload --config none", 1, f"none: is not there: {NAME_THE_FILTER}"),
    (f"observe --off --config {LONG}", 1, f"{LONG}: cannot be read: {TOO_LONG}: {NAME_THE_FILTER}"),
    ("replay calls.pcap --config none", 1, "none: cannot be read: No such file or directory"),
    ("sign call.sip --config lab", 1, "lab: cannot be read: Is a directory"),
    ("explain call.sip --config lab", 1, "lab: cannot be read: Is a directory"),
    # Rules that cannot be read.
    (f"check {LAB} --rules loop", 1, f"loop: cannot be read: {LOOP}"),
    (f"check {LAB} --rules /dev/zero", 1, f"/dev/zero: cannot be read: {ENDLESS}"),
    (f"replay calls.pcap {LAB} --rules {LONG}", 1, f"{LONG}: cannot be read: {TOO_LONG}; {NAME_RULES}"),
    (f"replay calls.pcap {LAB} --diff none", 1, "none: cannot be read: No such file or directory"),
    (f"replay calls.pcap {LAB} --diff /dev/zero", 1, f"/dev/zero: cannot be read: {ENDLESS}"),
    (f"sign call.sip {LAB} --rules none", 1, "none: cannot be read: No such file or directory"),
    # Input that cannot be read.
    ("replay none", 1, "none: No such file or directory"),
    (f"replay {LONG}", 1, f"{LONG}: {TOO_LONG}"),
    ("replay loop", 1, f"loop: {LOOP}"),
    (f"replay closed {LAB}", 1, "closed cannot be read: Permission denied"),
    (f"replay closed/calls.pcap {LAB}", 1, "closed/calls.pcap: Permission denied"),
    ("replay closed/calls.pcap", 1, "closed/sbc-filter.toml: cannot be looked for: Permission denied; name a"
     " configuration with --config"),
    ("replay empty", 1, "there is no capture in empty: it has no file"),
    ("replay call.pcap", 1, "call.pcap: No such file or directory; did you mean calls.pcap?"),
    ("explain calls.pcap none 1", 1, "none: No such file or directory"),
    ("explain calls.pcap call.sip 1", 1, "call.sip is not a capture: only captures stand in front of the call"),
    ("explain calls.pcap 5 '#6'", 2, "5 and #6 are two calls, and one is explained at a time: give one of them"),
    ("replay call.sip", 1, f"call.sip {NO_CAPTURE}"),
    ("replay /dev/zero", 1, f"/dev/zero {NO_CAPTURE}"),
    ("replay /dev/null", 1, "/dev/null is empty"),
    ("replay call.sip/x", 1, "call.sip/x: Not a directory"),
    (f"sign none {LAB}", 1, "none: cannot be read: No such file or directory"),
    (f"sign {LONG} {LAB}", 1, f"{LONG}: cannot be read: {TOO_LONG}"),
    (f"sign lab {LAB}", 1, "lab: cannot be read: Is a directory"),
    (f"sign /dev/zero {LAB}", 1, "/dev/zero: cannot be read: it is larger than 1 MiB"),
    (f"sign /dev/null {LAB}", 1, NO_INVITE),
    (f"certificates show none {LAB}", 1, f"none {NO_CERTIFICATE}"),
    (f"certificates show {LONG} {LAB}", 1, f"{LONG} {NO_CERTIFICATE}"),
    (f"certificates import {URL} loop {LAB}", 1, f"loop cannot be read: {LOOP}"),
    (f"certificates import {URL} lab {LAB}", 1, "lab cannot be read: Is a directory"),
    (f"certificates import {URL} /dev/zero {LAB}", 1, "/dev/zero cannot be read: more than 65536 bytes"),
    ("replay calls.pcap --anchors none", 1, "trust.anchors: none cannot be read: No such file or"
     " directory"),
    ("replay calls.pcap --certificates none", 1, "none is not a folder: name the one of --certificates"),
    # Output that cannot be written.
    ("replay calls.pcap --out none/x", 1, "none/x cannot be written: No such file or directory"),
    (f"replay calls.pcap --out {LONG}", 1, f"{LONG} cannot be written: {TOO_LONG}"),
    ("replay calls.pcap --out closed/x", 1, "closed/x cannot be written: Permission denied"),
    ("replay calls.pcap --out full", 1, "full cannot be written: No space left on device"),
    ("replay calls.pcap --out calls.pcap", 2, f"--out calls.pcap {ITSELF}"),
    ("replay calls.pcap --html none/x", 1, "none/x cannot be written: No such file or directory"),
    (f"replay calls.pcap --html {LONG}", 1, f"{LONG} cannot be written: {TOO_LONG}"),
    ("replay calls.pcap --html closed/x", 1, "closed/x cannot be written: Permission denied"),
    ("replay calls.pcap --html full", 1, "full cannot be written: No space left on device"),
    ("replay calls.pcap --html lab", 1, "lab cannot be written: Is a directory"),
    ("replay calls.pcap --html calls.pcap", 2, f"--html calls.pcap {ITSELF}"),
    ("replay calls.pcap --html x --out x", 2, "--out and --html name the same file, x: name two"),
    ("replay calls.pcap --json --html /dev/fd/1", 2, f"--json and --html /dev/fd/1 {BOTH}"),
    ("replay . --learn calls.pcap", 2, f"--learn calls.pcap {ITSELF}"),
    ("replay calls.pcap --learn lab", 1, "lab cannot be written: Is a directory"),
    ("replay calls.pcap --learn full", 1, "full cannot be written: No space left on device"),
    ("replay calls.pcap --learn loop", 1, f"loop cannot be written: {LOOP}"),
    ("replay calls.pcap --learn-translations call.sip/x", 1, "call.sip/x cannot be written: Not a directory"),
    ("replay calls.pcap --learn-translations full", 1, "full cannot be written: No space left on device"),
    ("replay calls.pcap --json --out /dev/fd/1", 2, f"--json and --out /dev/fd/1 {BOTH}"),
    ("replay calls.pcap --diff lab/rules --outcome invalid", 2,
     "--diff and the list of calls do not go together: it has examples of its own"),
    ("replay calls.pcap --diff lab/rules --out x", 2,
     "--diff and --out do not go together: replay once with each set of rules to write files"),
    ("pki call.sip/x", 1, "call.sip/x: cannot be written: Not a directory"),
    (f"pki {LONG}", 1, f"{LONG}: cannot be written: {TOO_LONG}"),
    ("pki closed/lab", 1, "closed/lab: cannot be written: Permission denied"),
    ("pki loop", 1, f"loop: {THERE_ALREADY}"),
    ("pki lab", 1, f"lab/sbc-filter.toml: {THERE_ALREADY}"),
    # A filter that is not there.
    ("status --socket none", 3, f"none: {NO_FILTER}"),
    (f"status --socket {LONG}", 3, f"{LONG}: the filter does not answer: AF_UNIX path too long"),
    ("reload --socket loop", 3, f"loop: the filter does not answer: {LOOP}"),
    ("observe --off --socket call.sip", 3, "call.sip: no permission: run as root, or as a member of its group"),
    ("status --socket closed/s", 3, "closed/s: no permission: run as root, or as a member of its group"),
    ("follow --socket none", 3, f"none: {NO_FILTER}"),
    ("follow --socket call.sip", 3, "call.sip: no permission: run as root, or as a member of its group"),
    ("find --message 1 --socket loop", 3, f"loop: the filter does not answer: {LOOP}"),
    # A host that cannot be installed on.
    ("install --root /none --dry-run", 3, f"/none is not a folder: {NAME_THE_ROOT}"),
    ("install --root closed/x --dry-run", 3, f"FOLDER/closed/x cannot be used: Permission denied: {NAME_THE_ROOT}"),
    ("install --root /usr", 3, "users and units are made by root only: run as root, or look with --dry-run"),
    ("install --executable x --dry-run", 3, "x is not an absolute path without spaces, as systemd needs it"),
    ("uninstall --root /dev/null --dry-run", 3, f"/dev/null is not a folder: {NAME_THE_ROOT}"),
    (f"uninstall --root /{LONG}", 3, f"/{LONG} cannot be used: {TOO_LONG}: {NAME_THE_ROOT}"),
    # Options that the command does not have.
    ("replay calls.pcap --caler 1", 2, "unknown option --caler; did you mean --caller?"),
    ("explain calls.pcap --from-", 2, "unknown option --from-; did you mean --from?"),
    ("status --jsno", 2, "unknown option --jsno; did you mean --json?"),
    (f"run {LAB} --tehn", 2, "unknown option --tehn; `sbc-filter run --help` lists the options"),
    # Words that do not make sense together.
    ("observe", 2, ONE_FOR),
    ("observe --off --for 1h", 2, ONE_FOR),
    ("observe --for 0m", 2, "--for '0m' is not a time such as 30m, 2h or 1d"),
    ("observe --for 99d", 2, "--for 99d is longer than 7d: to observe for good, set mode in [network]"),
    ("follow --number call-1@carrier", 2, "--number 'call-1@carrier' is neither a telephone number nor a SIP URI"),
    ("find", 2, FIND_WHAT),
    ("find 12155550100 --message 1", 2, FIND_WHAT),
    ("find 12155550100 --sent", 2, "--sent belongs to --message"),
    ("find ''", 2, "the number or Call-ID is empty"),
    ("follow --call-id ''", 2, "--number, --call-id and --trunk need a value"),
    ("follow --trunk=", 2, "--number, --call-id and --trunk need a value"),
    ("follow --number=", 2, "--number, --call-id and --trunk need a value"),
    (f"certificates purge {LAB}", 2, PURGE_WHAT),
    (f"certificates purge --all --expired {LAB}", 2, PURGE_WHAT),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the table names."""
    folder = tmp_path_factory.mktemp("wrong")
    assert main(["pki", str(folder / "lab")]) == 0
    settings = folder / "lab" / "sbc-filter.toml"
    settings.write_text(settings.read_text().replace("fetch = false", 'fetch = false\ncache = "cache"\n'))
    write(folder / "calls.pcap", [Frame(1, 1.0, 10**9, 101, 0, arriving(INVITE), len(arriving(INVITE)))])
    (folder / "call.sip").write_bytes(INVITE)
    (folder / "noise").write_bytes(b"\xff\xfe\xff")
    (folder / "loop").symlink_to("loop")
    (folder / "full").symlink_to("/dev/full")
    (folder / "empty").mkdir()
    (folder / "closed").mkdir(mode=0o700)
    (folder / "calls.pcap").chmod(0o644)
    os.chown(folder / "lab" / "keys" / "shaken.key", 65534, 65534)
    return folder


@pytest.fixture
def another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user without rights, in the folder, which every user may search while pytest closes what is above."""
    monkeypatch.chdir(folder)
    folder.chmod(0o755)
    try:
        os.setegid(65534)
        os.seteuid(65534)
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes another user")
@pytest.mark.usefixtures("another_user")
@pytest.mark.parametrize(("words", "code", "sentence"), ROWS, ids=[row[0].replace(LONG, "LONG") for row in ROWS])
def test_one_sentence(words: str, code: int, sentence: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(words)) == code
    assert capfd.readouterr().err == f"sbc-filter: {sentence}\n".replace("FOLDER", str(folder))


# Standard streams and signals, which need a process: arguments and redirections, exit code, standard error.
FULL = "sbc-filter: standard output cannot be written: No space left on device\n"
CLOSED = "sbc-filter: standard output cannot be written: Bad file descriptor\n"
GONE = "| true; exit ${PIPESTATUS[0]}"  # a reader that reads nothing
PROCESSES: list[tuple[str, int, str]] = [
    ("--help > /dev/full", 1, FULL),
    ("--version >&-", 1, CLOSED),
    ("help replay > /dev/full", 1, FULL),
    (f"check {LAB} > /dev/full", 1, FULL),
    (f"sign call.sip {LAB} --to 198.51.100.9 > /dev/full", 1, FULL),
    (f"certificates list {LAB} > /dev/full", 1, FULL),
    (f"replay - {LAB} <&-", 1, "sbc-filter: standard input cannot be read at byte 0: Bad file descriptor\n"),
    (f"sign - {LAB} <&-", 1, "sbc-filter: standard input: cannot be read: Bad file descriptor\n"),
    ("replay none 2> /dev/full", 1, ""),
    ("replay --nonsense 2> /dev/full", 2, ""),
    ("replay none 2>&-", 1, ""),
    (f"check --config none 2>&1 {GONE}", 1, ""),
    (f"--help {GONE}", 0, ""),
    (f"replay calls.pcap --json 2> /dev/null {GONE}", 0, ""),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "said"), PROCESSES, ids=[row[0] for row in PROCESSES])
def test_standard_streams(words: str, code: int, said: str, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m sbc_filter {words}"],
        capture_output=True, text=True, cwd=folder, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, said)


_INTERRUPTED = """
import builtins, importlib.abc, os, runpy, signal, sys
def interrupt(): os.kill(os.getpid(), signal.SIGINT)
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == at: interrupt()
sys.meta_path.insert(0, Finder())
at, sys.argv = sys.argv[1], ["sbc-filter", *sys.argv[2:]]
if at == "print":
    import argparse
    argparse.ArgumentParser.print_help = lambda self, file=None: interrupt()
if at == "exit":
    import atexit
    atexit.register(interrupt)
runpy.run_module("sbc_filter", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("sbc_filter.cli", "--help"),  # before anything is imported
        ("sbc_filter.commands.check", f"check {LAB}"),
        ("rich.console", f"check {LAB}"),
        ("cryptography.x509", f"certificates list {LAB}"),
        ("sbc_filter.capture.reader", "replay calls.pcap"),
        ("sbc_filter.commands.sign_invite", f"sign call.sip {LAB}"),
        ("print", "--help"),
        ("exit", "--version"),
    ],
)
def test_ctrl_c(at: str, words: str, folder: Path) -> None:
    """At any moment: 130, or the signal itself once the interpreter ends; not a word is said."""
    command = [sys.executable, "-c", _INTERRUPTED, at, *shlex.split(words)]
    done = subprocess.run(command, capture_output=True, cwd=folder, check=False, preexec_fn=heeding_signals)
    assert (done.returncode, done.stderr) in ((130, b""), (-signal.SIGINT, b""))


def test_the_tables_have_every_command() -> None:
    """But for `demo`, which takes no file."""
    assert {words.split()[0] for words, _, _ in ROWS} == NAMES - {"demo"}
    assert len(ROWS) + len(PROCESSES) > 60
