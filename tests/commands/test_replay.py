"""`sbc-filter replay` as an operator meets it: what it says first, what it did not look at, how it ends."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    LAB,
    NOW,
    SBC,
    VERIFY,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    response,
    result,
)
from support.captures import enhanced, interface, section
from support.processes import heeding_signals
from support.replayed import records_of, summary_of
from support.tcp import packet as tcp_packet
from support.waiting import LONG, eventually

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import X5U, pem

NETWORK = f'[network]\nsbc = ["{SBC}"]\n'
MONITOR = '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "drop"\n'
HEADING = "Call Time (UTC) Peer From To Attest Signer Outcome Treatment Rule Response Packets"
PASS = '[[rule]]\nname = "let"\naction = "pass"\n'


def other(port: int, payload: bytes) -> bytes:
    return bytes(IP(src=CARRIER, dst=SBC) / UDP(sport=port, dport=port) / Raw(payload))


def tcp(payload: bytes) -> bytes:
    return bytes(IP(src=CARRIER, dst=SBC) / TCP(sport=5080, dport=5080) / Raw(payload))


def capture(folder: Path, *packets: bytes, settings: str = NETWORK, rules: str = PASS) -> Path:
    """A capture with its configuration beside it."""
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "sbc-filter.toml").write_text(settings)
    (folder / "rules" / "rules.toml").write_text(rules)
    path = folder / "calls.pcap"
    with CaptureWriter(path) as writer:
        for number, data in enumerate(packets, 1):
            writer.write(Frame(number, float(number), number * 10**9, 101, 0, data, len(data)))
    return path


def said(path: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> list[str]:
    assert main(["replay", str(path)]) == code
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line]


def test_first_which_configuration_and_how_many_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path, arriving(invite()))
    assert said(path, capsys) == [
        f"configuration: {tmp_path}/sbc-filter.toml; 1 rule of 1 file",
        HEADING,
        f"1 00:00:01 {CARRIER} {CALLER} {CALLED} - - not-examined.pass-rule continue let none 1",
        f"{path}: 1 packet, 1 INVITE",
        "Calls: 1; 1 not examined",
        "Rule Mode Outcome Detail Treatment Code INVITEs",
        "let enforce not-examined pass-rule continue - 1",
        "Nothing would change.",
    ]
    assert main(["replay", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["rule"] for line in records_of(out)] == ["let"]
    assert err == f"configuration: {tmp_path}/sbc-filter.toml; 1 rule of 1 file\n"


def test_what_is_observed_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, rules = f'{NETWORK}mode = "observe"\n', '[[rule]]\nname = "no"\naction = "reject"\n'
    path = capture(tmp_path, arriving(invite()), arriving(invite()), settings=settings, rules=MONITOR + rules)
    out = tmp_path / "out.pcap"
    assert said(path, capsys) == [
        f"configuration: {tmp_path}/sbc-filter.toml; 2 rules of 1 file; mode observe: nothing would change",
        HEADING,
        f"1 00:00:01 {CARRIER} {CALLER} {CALLED} - - not-examined.reject-rule reject no none 1-2",
        f"{path}: 2 packets, 1 INVITE",
        "Calls: 1; 1 not examined",
        "Rule Mode Outcome Detail Treatment Code INVITEs",
        "no observe not-examined reject-rule reject 403 1",
        "Rules in monitor mode would have:",
        "Rule Mode Outcome Detail Treatment Code INVITEs",
        "watch monitor not-examined drop-rule drop - 1",
        "1 repeated INVITE: treated as the first of its kind",
        "Nothing would change.",
    ]
    assert main(["replay", str(path), "--json", "--out", str(out)]) == 0
    records = [json.loads(line) for line in records_of(capsys.readouterr().out)]
    assert [(each["verdict"], each["would"], each["mode"]) for each in records] == [
        ("accept", "drop", "monitor"),
        ("accept", "reject", "enforce"),
    ]
    assert list(CaptureReader(out)) == list(CaptureReader(path))


def test_monitored_and_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path, *[arriving(invite())] * 3, rules=MONITOR + PASS)
    lines = said(path, capsys)
    assert f"{path}: 3 packets, 1 INVITE" in lines
    at = lines.index("Rules in monitor mode would have:")
    assert lines[at - 1].startswith("let enforce ")
    assert lines[at + 2] == "watch monitor not-examined drop-rule drop - 1"
    assert "2 repeated INVITEs: treated as the first of its kind" in lines


def test_responses_with_a_reason_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = '[[rule]]\nname = "v"\naction = "verify"\n[rule.verify]\nreason = "stir"\nrequired = true\n'
    answers = [leaving(response(status)) for status in ("100 Trying", "180 Ringing", "200 OK")]
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    settings = NETWORK + '[trust]\nanchors = ["root.pem"]\n'
    lines = said(capture(tmp_path, arriving(invite()), *answers, settings=settings, rules=rules), capsys)
    assert lines[-2:] == ["2 responses of the SBC: a Reason added", "3 modified"]


def test_what_was_tolerated_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The most frequent first, then by name; records stay as they are."""
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    certificate_path(certificates, X5U).write_bytes(LAB.chain)
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    settings = NETWORK + '[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "certificates"\n'
    quoted = f'info=<{X5U}>;alg=ES256;ppt="shaken"'
    calls = [
        arriving(invite(identity(claims(attest=grade), parameters=parameters), number=number))
        for number, (grade, parameters) in enumerate([("A", None), ("B", quoted), ("C", quoted)])
    ]
    path = capture(tmp_path, *calls, settings=settings, rules='[[rule]]\nname = "v"\naction = "verify"\n')
    assert main(["replay", str(path), "--at", str(NOW)]) == 0
    assert capsys.readouterr().out.splitlines()[-5:] == [
        "tolerated: no-date 3, no-user-phone 3, quoted-parameter 2",
        "  no-date: no Date in the INVITE; iat counts",
        "  no-user-phone: the caller's SIP URI lacks user=phone",
        "  quoted-parameter: ppt or alg in quotes",
        "3 modified",
    ]
    assert main(["replay", str(path), "--at", str(NOW), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["outcome"] for line in records_of(out)] == ["passed"] * 3
    assert "tolerated:" not in out + err


@pytest.mark.parametrize(("name", "trunk"), [("eth", "here"), ("eth1", None)])
def test_a_trunk_by_the_interface_of_a_capture(
    name: str, trunk: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pcapng names it `eth`; pcap does not name any, and the trunk is found by its other keys."""
    settings = f'{NETWORK}[trunks.here]\naddresses = ["{CARRIER}"]\ninterface = "{name}"\n'
    pcap = capture(tmp_path, arriving(invite()), settings=settings)
    pcapng = tmp_path / "calls.pcapng"
    pcapng.write_bytes(section("<") + interface("<", 101) + enhanced("<", 0, 1, arriving(invite())))
    found = []
    for path in (pcapng, pcap):
        assert main(["replay", str(path), "--json"]) == 0
        found += [json.loads(line)["trunk"] for line in records_of(capsys.readouterr().out)]
    assert found == [trunk, "here"]
    assert main(["check", "--config", str(tmp_path / "sbc-filter.toml")]) == 0
    assert f"trunk    here: {CARRIER}/32, on {name}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "packets", "remark", "code"),
    [
        (
            '[network]\nsbc = ["203.0.113.10"]\n',
            [arriving(invite())],
            f"1 INVITE has no direction: neither end is in [network].sbc; most are to or from {SBC} (1).",
            1,
        ),
        (
            NETWORK,
            [arriving(invite()), other(5080, invite(number=2)), other(5080, invite(number=3))],
            "2 INVITEs were not looked at: to ports that [network].ports (5060) does not name: 5080 (2).",
            1,
        ),
        (
            NETWORK,
            [other(5080, b"OPTIONS sip:a SIP/2.0\r\n\r\n")] * 2,
            "No UDP packet is to or from a port of [network].ports (5060); they are to 5080 (2).",
            0,
        ),
        (
            NETWORK,
            [tcp(invite()), tcp(b""), tcp(b"GET / HTTP/1.1\r\n")],
            "1 INVITE over TCP was not looked at: TCP passes untouched.",
            1,
        ),
    ],
)
def test_what_was_not_looked_at(
    settings: str, packets: list[bytes], remark: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the screen, in the summary of `--json`, and by the exit code."""
    path = capture(tmp_path, *packets, settings=settings)
    lines = said(path, capsys, code)
    assert lines[-1] == remark
    assert "Nothing would change." not in lines
    assert "Nothing would change in what was looked at." in lines
    assert main(["replay", str(path), "--json"]) == code
    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == remark
    assert bool(summary_of(out)["unseen_invites"]) == bool(code)


def test_a_call_over_tcp_is_judged_but_its_packets_leave_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call, out = invite(body="v=0\r\n"), tmp_path / "out.pcap"
    rules = '[[rule]]\nname = "no"\naction = "reject"\n'
    path = capture(tmp_path, tcp_packet(call[:200], 1), tcp_packet(call[200:], 201), rules=rules)
    assert said(path, capsys, 1) == [
        f"configuration: {tmp_path}/sbc-filter.toml; 1 rule of 1 file",
        HEADING,
        f"1 00:00:02 {CARRIER} {CALLER} {CALLED} - - not-examined.reject-rule reject no none 2",
        f"{path}: 2 packets, 1 INVITE",
        "Calls: 1; 1 not examined",
        "Rule Mode Outcome Detail Treatment Code INVITEs",
        "no unfiltered not-examined reject-rule reject 403 1",
        "Nothing would change in what was looked at.",
        "1 INVITE over TCP was judged, but live it passes unfiltered.",
    ]
    assert main(["replay", str(path), "--json", "--out", str(out)]) == 1
    record, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(record)[:3] == ["packet", "unfiltered", "time"]
    assert [record[name] for name in ("packet", "unfiltered", "transport", "verdict", "would", "mode", "code")] == [
        *(2, "tcp", "tcp", "accept", "reject", "enforce", 403)
    ]
    assert (last["summary"]["rejected"], last["summary"]["unseen_invites"]) == (0, 0)
    assert list(CaptureReader(out)) == list(CaptureReader(path))


def test_a_call_over_tcp_is_judged_as_live_where_it_is_relayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call, out = invite(body="v=0\r\n"), tmp_path / "out.pcap"
    rules = '[[rule]]\nname = "no"\naction = "reject"\n'
    path = capture(tmp_path, tcp_packet(call[:200], 1), tcp_packet(call[200:], 201), rules=rules)
    with (tmp_path / "sbc-filter.toml").open("a") as file:
        file.write("\n[relay]\nenabled = true\n")
    assert said(path, capsys, 0)[-2:] == [
        "no enforce not-examined reject-rule reject 403 1",
        "1 rejected, 1 answer sent",
    ]
    assert main(["replay", str(path), "--json", "--out", str(out)]) == 0
    record, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert "unfiltered" not in record
    assert [record[name] for name in ("packet", "transport", "verdict", "mode", "code")] == [
        *(2, "tcp", "reject", "enforce", 403)
    ]
    assert (last["summary"]["rejected"], last["summary"]["unseen"]) == (1, [])
    assert list(CaptureReader(out)) == list(CaptureReader(path))


def test_media_on_other_ports_is_no_reason_to_remark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path, arriving(invite()), other(30000, bytes(160)))
    assert said(path, capsys)[-1] == "Nothing would change."


@pytest.mark.parametrize("learn", ["both", "link", "folder/../both"])
def test_out_and_learn_are_not_written_into_one_file(
    learn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list of URLs would replace the capture."""
    (tmp_path / "link").symlink_to("both")
    (tmp_path / "folder").mkdir()
    path, out = capture(tmp_path, arriving(invite())), tmp_path / "both"
    assert main(["replay", str(path), "--out", str(out), "--learn", str(tmp_path / learn)]) == 2
    assert capsys.readouterr().err == f"sbc-filter: --out and --learn name the same file, {out}: name two\n"
    assert not out.exists()
    assert main(["replay", str(path), "--out", "/dev/null", "--learn", "/dev/null"]) == 0


@pytest.mark.parametrize("option", ["--out", "--learn"])
def test_records_are_not_mixed_with_a_file_on_standard_output(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = capture(tmp_path, arriving(invite()))
    assert main(["replay", str(path), "--json", option, "/dev/fd/1"]) == 2
    error = f"--json and {option} /dev/fd/1 both write to standard output: give one of them a file"
    assert capsys.readouterr() == ("", f"sbc-filter: {error}\n")


@pytest.mark.parametrize("linked", [False, True])
def test_a_capture_is_not_overwritten_by_itself(
    linked: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = out = capture(tmp_path, arriving(invite()))
    if linked:
        out = tmp_path / "link.pcap"
        out.symlink_to(path)
    before = path.read_bytes()
    assert main(["replay", str(path), "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"sbc-filter: --out {out} is the capture itself: name another file, the capture is not overwritten\n"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize("option", ["--out", "--learn"])
@pytest.mark.parametrize(
    "name", ["sbc-filter.toml", "rules/rules.toml", "root.pem", "ours.key", "ours.pem", "anchors/root.pem", "link.toml"]
)
def test_the_configuration_is_not_overwritten(
    name: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor the rules, nor a file or the content of a folder that the configuration names, whatever the path."""
    named = (
        '[trust]\nanchors = ["root.pem", "anchors"]\n[credentials.ours]\nkey = "ours.key"\ncertificate = "ours.pem"\n'
    )
    path = capture(tmp_path, arriving(invite()), settings=f'{NETWORK}{named}x5u = "{X5U}"\n')
    (tmp_path / "anchors").mkdir()
    for root in ("root.pem", "anchors/root.pem"):
        (tmp_path / root).write_bytes(pem(LAB.root.certificate))
    (tmp_path / "ours.pem").write_bytes(LAB.chain)
    (tmp_path / "ours.key").touch(0o600)
    (tmp_path / "link.toml").symlink_to(tmp_path / "sbc-filter.toml")
    before = (tmp_path / name).read_bytes()
    assert main(["replay", str(path), option, str(tmp_path / name)]) == 2
    assert capsys.readouterr().err == (
        f"sbc-filter: {option} {tmp_path / name} belongs to the configuration: "
        "name another file, it is not overwritten\n"
    )
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("option", ["--out", "--learn"])
def test_nor_are_rules_that_the_command_names(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, rules = capture(tmp_path, arriving(invite())), tmp_path / "other.toml"
    rules.write_text(PASS)
    assert main(["replay", str(path), "--rules", str(rules), option, str(rules)]) == 2
    assert rules.read_text() == PASS
    assert "belongs to the configuration" in capsys.readouterr().err


EMERGENCIES = (
    *("sip:911@h", "sip:+911@h", "tel:911", "sip:112@h;user=phone", "sip:933@h", "sip:988@h", "urn:service:sos"),
    *("URN:service:SOS.fire", "urn:service:sos.police", "tel:911;phone-context=+1", "sips:911@h"),
)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("uri", EMERGENCIES)
def test_an_emergency_call_is_verified_by_a_certificate_at_hand(
    uri: str, known: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Live it is not: the folder is asked off the packet path, and such a call never waits (S-137)."""
    settings = '[certificates]\ndirectory = "certificates"\n[trust]\nanchors = ["root.pem"]\n'
    message = invite(identity()).replace(b"sip:+12155550199@192.0.2.1 ", uri.encode() + b" ")
    path = capture(tmp_path, arriving(message), settings=NETWORK + settings, rules=VERIFY)
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    (tmp_path / "certificates").mkdir()
    if known:
        certificate_path(tmp_path / "certificates", X5U).write_bytes(LAB.chain)
    assert main(["replay", str(path), "--json", "--at", str(NOW)]) == 0
    [line] = records_of(capsys.readouterr().out)
    record = json.loads(line)
    engine = make_engine(VERIFY, known=False, emergency=("911", "112", "933", "988", "urn:service:sos*"))
    live = result(engine, arriving(message))[2]
    assert (live["outcome"], live["detail"]) == ("unfetchable", "fetch-refused")
    assert (record["outcome"], record["detail"]) == (("passed", None) if known else ("unfetchable", "fetch-refused"))


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_what_is_written_to_standard_output_stands_there_alone(name: str, tmp_path: Path) -> None:
    path = capture(tmp_path, arriving(invite()))
    command = [sys.executable, "-m", "sbc_filter", "replay", str(path)]
    done = subprocess.run([*command, "--out", name], capture_output=True, check=True)
    (tmp_path / "out.pcapng").write_bytes(done.stdout)
    with CaptureReader(tmp_path / "out.pcapng") as reader:
        assert [frame.data for frame in reader] == [arriving(invite())]
    assert b"1 packet, 1 INVITE\n" in done.stderr
    done = subprocess.run([*command, "--learn", name], capture_output=True, check=True)
    assert done.stdout == b"# certificates of 0 tokens in calls.pcap, the most frequent first\n"
    assert f"{name}: 0 URLs learnt\n".encode() in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes devices")
@pytest.mark.parametrize("option", ["--out", "--learn"])
def test_a_device_stays_a_device(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, null, full = capture(tmp_path, arriving(invite())), tmp_path / "null", tmp_path / "full"
    for place, minor in ((null, 3), (full, 7)):
        os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, minor))
    assert main(["replay", str(path), option, str(null)]) == 0
    assert capsys.readouterr().err == ""
    assert main(["replay", str(path), option, str(full)]) == 1
    assert capsys.readouterr().err == f"sbc-filter: {full} cannot be written: No space left on device\n"
    assert null.is_char_device()
    assert full.is_char_device()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes another user")
@pytest.mark.parametrize("option", ["--out", "--learn"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("closed/file", "Permission denied"),
        ("n" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
        ("none/file", "No such file or directory"),
        ("rules", "Is a directory"),
    ],
)
def test_a_path_that_cannot_be_written_is_one_sentence(
    name: str,
    why: str,
    option: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = capture(tmp_path, arriving(invite()))
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "closed").mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path)  # in which every other user may look around, while pytest closes what is above
    tmp_path.chmod(0o755)
    path.chmod(0o644)  # as written, only its owner can read it
    os.seteuid(65534)
    try:
        assert main(["replay", path.name, option, name]) == 1
    finally:
        os.seteuid(0)
    assert capsys.readouterr().err == f"sbc-filter: {name} cannot be written: {why}\n"


@pytest.mark.parametrize("damage", [b"\0" * 7, b"\0" * 8 + b"\xff" * 8])
def test_a_capture_that_ends_early(damage: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was before is reported, and written."""
    path, out = capture(tmp_path, arriving(invite())), tmp_path / "out.pcap"
    whole = path.read_bytes()
    path.write_bytes(whole + damage)
    assert main(["replay", str(path), "--out", str(out)]) == 1
    shown, err = capsys.readouterr()
    assert "1 packet, 1 INVITE\n" in shown
    assert err.startswith(f"sbc-filter: {path} ")
    assert err.endswith("; everything before it was replayed\n")
    assert err.count("\n") == 1
    assert out.read_bytes() == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_replay_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    calls = capture(tmp_path, arriving(invite()))
    pipe, out = tmp_path / "pipe", tmp_path / "out.pcap"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "sbc_filter", "replay", str(pipe), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, preexec_fn=heeding_signals)
    with pipe.open("wb") as feed:
        feed.write(calls.read_bytes())
        feed.flush()
        assert eventually(lambda: list(tmp_path.glob(".*.new")))
        process.send_signal(number)
        _, err = process.communicate(timeout=LONG)
    assert (process.returncode, err) == (128 + number, b"sbc-filter: interrupted, nothing written\n")
    assert sorted(os.listdir(tmp_path)) == ["calls.pcap", "pipe", "rules", "sbc-filter.toml"]
