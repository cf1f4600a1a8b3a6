"""The list of calls that `sbc-filter replay` prints, its filters, its order, and the examples under the summary."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    CORE,
    LAB,
    NOW,
    SBC,
    arriving,
    claims,
    follow_up,
    identity,
    invite,
    leaving,
    response,
    retargeted,
)
from support.captures import write
from support.replayed import summary_of

from sbc_filter.capture.frame import Frame
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.commands.replay.gathering import SMALL
from sbc_filter.lab.certificate_maker import X5U, pem

SETTINGS = (
    f'[network]\nsbc = ["{SBC}"]\n[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "certificates"\n'
    '[trunks.carrier]\naddresses = ["192.0.2.7"]\n'
)
RULES = '[[rule]]\nname = "verify"\naction = "verify"\n[rule.on]\ninvalid = "reject"\n'
RESULTS = "invalid.orig-mismatch, passed, no-identity.absent"
FORGED, OTHER = "13125550123", "12155550300"
HEADING = "Call Time (UTC) Peer From To Attest Signer Outcome Token of Treatment Rule Response Packets"


def captured(folder: Path, *packets: bytes) -> Path:
    """A capture, a second between packets, with a configuration that knows the laboratory."""
    (folder / "rules").mkdir()
    (folder / "certificates").mkdir()
    (folder / "sbc-filter.toml").write_text(SETTINGS)
    (folder / "rules" / "verify.toml").write_text(RULES)
    (folder / "root.pem").write_bytes(pem(LAB.root.certificate))
    certificate_path(folder / "certificates", X5U).write_bytes(LAB.chain)
    times = [NOW + number for number in range(len(packets))]
    return write(
        folder / "day.pcap",
        [
            Frame(number, time, round(time * 1e9), 101, 0, data, len(data))
            for number, (time, data) in enumerate(zip(times, packets, strict=True), 1)
        ],
    )


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """Four calls: a good one with all its messages, two forged ones, and one without a token."""
    good = invite(identity(claims(attest="B")))
    forged = [invite(identity(), caller=FORGED, number=number) for number in (2, 3)]
    return captured(
        tmp_path,
        arriving(good),
        leaving(response("180 Ringing")),
        leaving(response("200 OK")),
        arriving(forged[0]),
        arriving(follow_up(good, "ACK", "s1")),
        arriving(forged[1]),
        arriving(forged[1]),
        arriving(invite(number=4), src=CORE),
    )


def shown(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[str]:
    """The lines of standard output between the configuration and the summary, if there is one, with single blanks."""
    assert main(["replay", *words]) == code
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    title = next((at for at, line in enumerate(lines) if "INVITE" in line), len(lines))
    return [line for line in lines[1:title] if line]


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[int]:
    """The numbers of the calls in the list."""
    return [int(line.split()[0]) for line in shown(capsys, *words) if line.split()[0].isdigit() and ":" in line]


def test_a_line_for_each_call(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, str(day)) == [
        HEADING,
        f"1 08:00:00 carrier {CALLER} {CALLED} B 1234 SHAKEN 1234 passed - continue verify 200 1-3 5",
        f"2 08:00:03 carrier {FORGED} {CALLED} A 1234 SHAKEN 1234 invalid.orig-mismatch - reject verify none 4",
        f"3 08:00:05 carrier {FORGED} {CALLED} A 1234 SHAKEN 1234 invalid.orig-mismatch call 2 reject verify none 6-7",
        f"4 08:00:07 {CORE} {CALLER} {CALLED} - - no-identity.absent - continue verify none 8",
    ]


def test_the_summary_names_examples(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(day)]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("Calls to look at:")
    assert lines[at + 1 : at + 8] == [
        "  invalid.orig-mismatch: 2 calls, for instance 2, 3",
        "    The caller of the call is not that of the token.",
        f"    sbc-filter explain {day} 2",
        "  no-identity.absent: call 4",
        "    The call does not have an Identity field.",
        f"    sbc-filter explain {day} 4",
        "",
    ]


@pytest.mark.parametrize("many", [2, SMALL + 1])
def test_what_fails_is_named_first_and_then_what_could_not_be_judged(
    many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often it occurs, and whether calls or packets are named."""
    monkeypatch.chdir(tmp_path)
    bare = [arriving(invite(number=number)) for number in range(3, many + 3)]
    unjudged = [arriving(invite(identity(), number=number)) for number in (998, 999)]
    forged = arriving(invite(identity(), caller=FORGED, number=1000))
    frames = [
        Frame(number, NOW + number / 100, round((NOW + number / 100) * 1e9), 101, 0, data, len(data))
        for number, data in enumerate((*bare, *unjudged, forged), 1)
    ]
    write(Path("my.pcap"), frames)
    assert main(["replay", "my.pcap"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("Calls to look at:")
    assert [line.split(":")[0] for line in lines[at + 1 : at + 10 : 3]] == [
        "  invalid.orig-mismatch",
        "  unfetchable.fetch-refused",
        "  no-identity.absent",
    ]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--calls"], [1, 2, 3, 4]),
        (["--outcome", "invalid"], [2, 3]),
        (["--outcome", "orig-*", "--outcome", "no-identity.absent"], [2, 3, 4]),
        (["--outcome", "orig-*,no-identity.absent"], [2, 3, 4]),
        (["--outcome", " passed , absent,"], [1, 4]),
        (["--caller", "3125550123, +1 (215) 555-0100"], [1, 2, 3, 4]),
        (["--call-id", "call-1@*,call-3@*", "--peer", f"198.51.*,{CARRIER}"], [1, 3]),
        (["--caller", "+1312*"], [2, 3]),
        (["--caller", "+1 (312) 555-0123"], [2, 3]),
        (["--caller", "1.312.555*"], [2, 3]),
        (["--caller", "312*"], [2, 3]),
        (["--caller", "+312*", "--caller", "13125550123"], [2, 3]),
        (["--caller", "3125550123"], [2, 3]),
        (["--caller", "(312) 555-0123"], [2, 3]),
        (["--called", "2155550199"], [1, 2, 3, 4]),
        (["--called", "+1 215–555/0199"], [1, 2, 3, 4]),
        (["--caller", "13125550123", "--call-id", "call-3@*"], [3]),
        (["--called", "*0199"], [1, 2, 3, 4]),
        (["--trunk", "carrier"], [1, 2, 3]),
        (["--trunk", "-"], [4]),
        (["--peer", "carrier"], [1, 2, 3]),
        (["--peer", CARRIER], [1, 2, 3]),
        (["--peer", "198.51.*"], [4]),
        (["--sort=-peer"], [3, 2, 1, 4]),
        (["--signer", "1234"], [1, 2, 3]),
        (["--signer", "shaken*"], [1, 2, 3]),
        (["--caller", "*1*5*0123"], [2, 3]),
        (["--sort", "from"], [1, 4, 2, 3]),
        (["--sort=-time"], [4, 3, 2, 1]),
        (["--sort", "trunk"], [1, 2, 3, 4]),
        (["--sort", "attestation"], [2, 3, 1, 4]),
        (["--sort", "outcome", "--signer", "*"], [2, 3, 4, 1]),
    ],
)
def test_filters_and_order(words: list[str], numbers: list[int], day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys, str(day), *words) == numbers


def test_a_number_is_completed_by_the_plan_of_the_network(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the rules read it; `+` says that it is complete."""
    settings = day.parent / "sbc-filter.toml"
    text = settings.read_text()
    assert main(["replay", str(day), "--caller", "+3125550123"]) == 1
    assert "no call has it" in capsys.readouterr().err
    settings.write_text(text.replace("[network]\n", '[network]\nnumbering = "e164"\n'))
    assert listed(capsys, str(day), "--caller", "0013125550123") == [2, 3]
    assert main(["replay", str(day), "--caller", "3125550123"]) == 1


def test_the_number_in_the_request_uri_and_the_first_call_of_a_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token that was overheard goes to another number: To is that of the first call. The other one left before."""
    first, outgoing = invite(identity()), invite(identity(claims(origid="out")), number=2)
    path = str(
        captured(
            tmp_path,
            arriving(first),
            leaving(outgoing),
            arriving(retargeted(invite(identity(), number=3))),
            arriving(invite(identity(claims(origid="out")), number=4)),
        )
    )
    assert shown(capsys, path) == [
        HEADING.replace("Attest", "Request-URI Attest"),
        f"1 08:00:00 carrier {CALLER} {CALLED} - A 1234 SHAKEN 1234 passed - continue verify none 1",
        f"2 08:00:01 carrier {CALLER} {CALLED} - A 1234 SHAKEN 1234 passed - continue verify none 2",
        f"3 08:00:02 carrier {CALLER} {CALLED} {OTHER} A 1234 SHAKEN 1234 replayed.token-seen call 1 "
        "continue verify none 3",
        f"4 08:00:03 carrier {CALLER} {CALLED} - A 1234 SHAKEN 1234 passed.token-again call 2, left "
        "continue verify none 4",
    ]
    for words, numbers in (([OTHER], [3]), ([f"+{OTHER}"], [3]), ([CALLED], [1, 2, 3, 4])):
        assert listed(capsys, path, "--called", *words) == numbers
    assert main(["replay", path, "--json", "--calls"]) == 0
    found = [json.loads(line).get("call") for line in capsys.readouterr().out.splitlines()]
    assert [(each["request_uri"], each["same_token"]) for each in found if each] == [
        (CALLED, None),
        (CALLED, None),
        (OTHER, {"call": 1, "packet": 1, "file": None, "request_uri": CALLED, "came_back": False}),
        (CALLED, {"call": 2, "packet": 2, "file": None, "request_uri": CALLED, "came_back": True}),
    ]


def test_a_pattern_with_many_stars_takes_linear_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Call-ID of an attacker that nearly matches: with backtracking, it would take years."""
    message = invite().replace(b"call-1@carrier.example", b"a" * 250)
    assert main(["replay", str(captured(tmp_path, arriving(message))), "--call-id", "*a" * 20 + "*b"]) == 1
    assert capsys.readouterr().err.endswith(f"no call has it; the capture has {'a' * 60}\n")


def test_what_a_filter_leaves_out_is_said(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, str(day), "--outcome", "passed")[-1] == "1 call of 4 listed"
    lines = shown(capsys, str(day), "--outcome", "passed", "--outcome", "pased")
    results = "invalid.orig-mismatch, passed, no-identity.absent"
    assert lines[0] == f"--outcome 'pased': no call has it; the capture has {results}"
    assert lines[-1] == "1 call of 4 listed"


@pytest.mark.parametrize("configured", [True, False])
def test_with_a_filter_only_the_list_is_printed(
    configured: bool, day: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And how many calls it has, also if it has all of them; the summary is about the whole capture."""
    if not configured:
        (day.parent / "sbc-filter.toml").unlink()
    for pattern, number in ((FORGED, 2), ("*", 4)):
        assert main(["replay", str(day), "--caller", pattern]) == 0
        first, blank, *rest = capsys.readouterr().out.splitlines()
        assert (first.startswith("configuration: "), blank, len(rest)) == (True, "", 1 + number + 2)
        assert rest[0].split() == HEADING.split()
        assert rest[-2:] == ["", f"{number} calls of 4 listed"]


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (
            ["--outcome", "inval"],
            ["--outcome 'inval': no call has it; the capture has invalid.orig-mismatch, passed, no-identity.absent"],
        ),
        (["--caller", "1.12*"], [f"--caller '1.12*': no call has it; the capture has {CALLER}, {FORGED}"]),
        (["--caller", "*0123*3"], [f"--caller '*0123*3': no call has it; the capture has {CALLER}, {FORGED}"]),
        (
            ["--caller", "1312555012*23"],
            [f"--caller '1312555012*23': no call has it; the capture has {CALLER}, {FORGED}"],
        ),
        (["--trunk", "x", "--outcome", "invalid"], ["--trunk 'x': no call has it; the capture has carrier"]),
        (
            ["--caller", "1999,1888,1312*", "--outcome", "passed"],
            [
                f"--caller '1999': no call has it; the capture has {CALLER}, {FORGED}",
                f"--caller '1888': no call has it; the capture has {CALLER}, {FORGED}",
            ],
        ),
        (["--outcome", ","], [f"--outcome ',': no call has it; the capture has {RESULTS}"]),
        (["--signer", "1234,x"], ["--signer '1234,x': no call has it; the capture has 1234 SHAKEN 1234"]),
        (["--signer", "x"], ["--signer 'x': no call has it; the capture has 1234 SHAKEN 1234"]),
        (
            ["--call-id", "-"],
            [
                "--call-id '-': no call has it; the capture has"
                " call-1@carrier.example, call-2@carrier.example, call-3@carrier.example, call-4@carrier.example"
            ],
        ),
        (["--outcome", "passed", "--caller", FORGED], ["none of the 4 calls has all that these options say"]),
    ],
)
def test_what_no_call_has_is_answered_in_one_sentence(
    words: list[str], sentences: list[str], day: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And by nothing else: the tables are about other calls."""
    assert main(["replay", str(day), *words]) == 1
    out, err = capsys.readouterr()
    assert err.splitlines() == [f"sbc-filter: {sentence}" for sentence in sentences]
    assert [line.partition(":")[0] for line in out.splitlines()] == ["configuration"]


def test_no_trunk_at_all(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (day.parent / "sbc-filter.toml").unlink()
    assert main(["replay", str(day), "--trunk", "carrier"]) == 1
    said = "--trunk 'carrier': no call has it; the capture has nothing of that kind"
    assert capsys.readouterr().err == f"sbc-filter: {said}\n"


def test_the_summary_is_printed_though_no_call_is_listed(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(day), "--json", "--outcome", "stale"]) == 1
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["summary"]["invites"] == 4


def test_a_line_of_json_for_each_call(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After the records of these calls, and only if the list is asked for."""
    assert main(["replay", str(day), "--json"]) == 0
    everything = capsys.readouterr().out.splitlines()
    assert main(["replay", str(day), "--json", "--calls"]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == everything[:4]
    assert main(["replay", str(day), "--json", "--caller", FORGED]) == 0
    printed = capsys.readouterr().out.splitlines()
    lines = [json.loads(line) for line in printed]
    assert [next(iter(line)) for line in lines] == ["packet"] * 2 + ["call"] * 2 + ["summary"]
    assert printed[:2] == [line for line in everything[:4] if json.loads(line)["orig"] == FORGED]
    assert lines[2]["call"] == {
        "number": 2, "time": NOW + 3, "call_id": "call-2@carrier.example", "caller": FORGED, "called": CALLED,
        "request_uri": CALLED, "attest": "A", "spc": "1234", "signer": "SHAKEN 1234", "outcome": "invalid",
        "detail": "orig-mismatch", "treatment": "reject", "rule": "verify", "mode": "enforce", "trunk": "carrier",
        "peer": CARRIER, "same_token": None, "only_anchor_missing": False, "response": None, "could_be_signed": False,
        "file": None, "packets": [4], "last_packet": 4, "messages": 1, "invites": 1, "repeated": 0,
    }  # fmt: skip
    assert main(["replay", str(day), "--json"]) == 0
    assert summary_of(capsys.readouterr().out)["invites"] == 4


def test_a_large_capture_is_listed_only_if_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its summary names packets; the `#` needs quotes in a shell."""
    path = captured(tmp_path, *(arriving(invite(number=number)) for number in range(SMALL + 1)))
    assert shown(capsys, str(path)) == []
    assert main(["replay", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"  no-identity.absent: {SMALL + 1} calls, for instance #1, #2, #3" in lines
    assert f"    sbc-filter explain {path} '#1'" in lines
    assert len(shown(capsys, str(path), "--calls")) == 1 + SMALL + 1


@pytest.mark.parametrize("width", [40, 64, 80, 100, 200])
def test_lines_fit_the_terminal(
    width: int, day: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns become narrower, then go; the outcome and the number of the call stay."""
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["replay", str(day), "--calls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = lines[2:7]
    assert max(map(len, rows)) <= max(width, 64)
    assert [row.split()[0] for row in rows] == ["Call", "1", "2", "3", "4"]
    assert all("invalid.orig-mismatch" in row for row in rows[2:4])
    assert any(line.startswith("(not shown") for line in lines) is (width < 200)


def test_several_captures_name_the_file(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (day.parent / "second.pcap").write_bytes(day.read_bytes())
    lines = shown(capsys, str(day.parent / "day.pcap"), str(day.parent / "second.pcap"))
    assert lines[0] == HEADING.replace("Response", "File Response")
    assert lines[1].endswith(f"verify {day} 200 1-3 5")
    assert len(lines) == 5


def test_hostile_bytes_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences, right-to-left marks, wide characters and octets that are not text."""
    caller = "\x1b[31m\u202e\u6f22".encode() + b"\xff"
    path = captured(tmp_path, arriving(invite().replace(f"sip:+{CALLER}@".encode(), b"sip:" + caller + b"@")))
    assert main(["replay", str(path), "--calls"]) == 0
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert r"\x1b[31m" in out


def test_only_responses_and_no_call_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = invite().replace(b"Call-ID: call-1@carrier.example\r\n", b"")
    path = captured(tmp_path, leaving(response("200 OK", number=9)), arriving(bare))
    assert shown(capsys, str(path))[1:] == [
        f"1 08:00:00 - {CALLER} {CALLED} - - - - - 200 1",
        f"2 08:00:01 carrier {CALLER} {CALLED} - - unparseable.header-missing reject verify none 2",
    ]


def test_a_reader_who_has_seen_enough(tmp_path: Path) -> None:
    """As `| head -1`: no error, no trace, exit code 0, though the list is longer than a pipe holds."""
    path = captured(tmp_path, *(arriving(invite(number=number)) for number in range(1500)))
    command = [sys.executable, "-m", "sbc_filter", "replay", str(path), "--calls"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"configuration: ")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def on_a_terminal(folder: Path, *words: str, **environment: str) -> str:
    """What the command prints on a terminal of 200 columns."""
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "sbc_filter", "replay", *words]
    settings = {**os.environ, "COLUMNS": "200", "TERM": "xterm", **environment}
    process = subprocess.Popen(command, cwd=folder, stdin=child, stdout=child, stderr=child, env=settings)
    os.close(child)
    printed = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # the terminal is closed
            break
        if not part:
            break
        printed += part
    os.close(parent)
    assert process.wait() == 0
    return printed.decode()


def test_the_list_goes_through_the_pager(day: Path) -> None:
    """Only the list, and only on a terminal; not with `--no-pager`."""
    pager = f'{sys.executable} -c \'import sys; print(*("paged " + line for line in sys.stdin), sep="")\''
    printed = on_a_terminal(day.parent, "day.pcap", PAGER=pager)
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("paged ")] == ["Call", *"1234"]
    assert "\r\nday.pcap: 8 packets, 4 INVITEs\r\n" in printed
    assert "paged" not in on_a_terminal(day.parent, "day.pcap", "--no-pager", PAGER=pager)
    done = subprocess.run(
        [sys.executable, "-m", "sbc_filter", "replay", "day.pcap"],
        cwd=day.parent, env={**os.environ, "PAGER": pager}, capture_output=True, check=True,
    )  # fmt: skip
    assert b"paged" not in done.stdout


@pytest.mark.parametrize("pager", ["", "cat", "none-such", "'", "./broken"])
def test_a_pager_that_does_not_work(pager: str, day: Path) -> None:
    """The list is printed without it. The last one is executable, but not a program."""
    (day.parent / "broken").write_bytes(b"\0")
    (day.parent / "broken").chmod(0o755)
    assert "invalid.orig-mismatch  -         reject" in on_a_terminal(day.parent, "day.pcap", PAGER=pager)


def test_a_pager_that_ends_at_once_has_seen_enough(day: Path) -> None:
    lines = on_a_terminal(day.parent, "day.pcap", PAGER="false").splitlines()
    assert lines[-1] == "2 modified, 3 rejected, 3 answers sent"
    assert "Traceback" not in "".join(lines)


def test_all_records_of_a_call_are_printed_also_those_of_rules_that_only_monitor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = captured(tmp_path, arriving(invite()), arriving(invite(caller=FORGED, number=2)))
    monitor = '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "verify"\n'
    (tmp_path / "rules" / "verify.toml").write_text(monitor + RULES)
    assert main(["replay", str(path), "--json", "--call-id", "call-2@*"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["packet"], line["rule"]) for line in lines[:-2]] == [(2, "watch"), (2, "verify")]


def test_records_for_which_there_is_no_room(
    day: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = open("/dev/full", "w+")  # noqa: SIM115 (the replay closes it)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: full)
    assert main(["replay", str(day), "--json", "--caller", FORGED]) == 1
    assert "sbc-filter: the records cannot be kept in " in capsys.readouterr().err
