"""`explain CAPTURE CALL`: which call is meant, what is shown of it, and the evidence in a ZIP file."""

import hashlib
import json
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.calls import (
    CARRIER,
    CORE,
    LAB,
    MAKER,
    NOW,
    SBC,
    VERIFY,
    arriving,
    identity,
    invite,
    leaving,
    response,
    retargeted,
)
from support.captures import write
from support.twin_signatures import twin

from sbc_filter.calls.calls import Calls
from sbc_filter.capture.frame import Frame
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import X5U, key_pem, pem
from sbc_filter.pki.crl import RevocationList
from sbc_filter.system.clock_state import clock_state

RULES = f'{VERIFY}[rule.on]\ninvalid = "reject"\n'
GOOD, SPOOFED = invite(identity()), invite(identity(), caller="13125550123", number=2)
LISTS = "`sbc-filter replay {} --calls` lists them"
CALLS = (arriving(GOOD), arriving(SPOOFED), leaving(response("200 OK")))


def captured(folder: Path, *packets: bytes, rules: str = RULES, name: str = "c.pcap") -> str:
    """A capture with its configuration beside it, a packet a second."""
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "r.toml").write_text(rules)
    (folder / "certificates").mkdir(exist_ok=True)
    certificate_path(folder / "certificates", X5U).write_bytes(LAB.chain)
    (folder / "root.pem").write_bytes(pem(LAB.root.certificate))
    (folder / "crl.pem").write_bytes(pem(MAKER.crl(LAB.root, ())))
    (folder / "sbc-filter.toml").write_text(
        f'[network]\nsbc = ["{SBC}"]\n[trust]\nanchors = ["root.pem"]\ncrls = ["crl.pem"]\n'
        '[certificates]\ndirectory = "certificates"\n'
    )
    frames = [
        Frame(number, NOW + number, round((NOW + number) * 1e9), 101, 0, data, len(data))
        for number, data in enumerate(packets, 1)
    ]
    return str(write(folder / name, frames))


def lines(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> list[str]:
    assert main(["explain", *arguments]) == code
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", ["2", "#2", "call-2@carrier.example"])
def test_a_call_by_its_number_its_packet_and_its_call_id(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = lines(capsys, captured(tmp_path, *CALLS), name, code=1)
    assert shown[:7] == [
        "Call 2: 13125550123 to 12155550199, Call-ID call-2@carrier.example",
        "               192.0.2.7                        filter                         192.0.2.1",
        "    +0.000     #2  |----------- INVITE -----------x|                               |"
        "  invalid.orig-mismatch: stopped by verify",
        "    +0.000         |< 438 Invalid Identity Header -|                               |  by the filter",
        "Final response: none in this capture",
        "",
        "invalid.orig-mismatch",
    ]
    assert (
        "  failed      The caller is that of the token: token 12155550100, From 13125550123 (RFC 8224 §6.2.4)" in shown
    )
    assert "Judged at     2027-01-15 08:00 UTC, the capture" in shown


def test_a_call_that_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = lines(capsys, captured(tmp_path, *CALLS), "1", code=0)
    assert shown[4:7] == ["Final response: 200", "", "passed"]
    assert shown[3].endswith("|<----------- 200 OK -----------|<----------- 200 OK -----------|")
    (line,) = lines(capsys, str(tmp_path / "c.pcap"), "1", "--json", code=0)
    data = json.loads(line)
    assert (data["call"]["number"], data["outcome"], data["record"]["packet"]) == (1, "passed", 1)
    assert data["call"]["response"] == 200
    assert [step["label"] for step in data["call"]["steps"]] == ["INVITE", "200 OK"]


def test_what_came_before_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The token was used before: no judgement of the message alone can tell."""
    replayed = retargeted(invite(identity(), number=2))
    shown = lines(capsys, captured(tmp_path, arriving(GOOD), arriving(replayed)), "2", code=1)
    assert "replayed.token-seen" in shown
    assert "  by itself the INVITE is passed.request-uri-differs: what came before it made the difference" in shown
    first = "token first in call 1 (packet 1, Request-URI 12155550199), here Request-URI 12155550300"
    assert (
        "Compared      token first in call 1 (packet 1, Request-URI 12155550199), here Request-URI 12155550300" in shown
    )
    assert "Token 1: replayed.token-seen" in shown
    assert f"  failed      The token did not come before: {first} (RFC 8224 §12.1)" in shown
    assert not any(line.startswith("Same token") for line in shown), "Compared has it"


def test_all_checks_of_a_call_are_listed_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = captured(tmp_path, *CALLS)
    for words, count in (((), 1), (("--all",), 21)):
        found = lines(capsys, path, "2", *words, code=1)
        assert sum(line.startswith("  not reached") for line in found) == count


def test_the_token_of_another_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The proof is in the capture, whatever else is wrong with the call."""
    shown = lines(capsys, captured(tmp_path, *CALLS), "2", code=1)
    assert "Same token    first in call 1 (packet 1, Request-URI 12155550199)" in shown
    assert "Token 1: invalid.orig-mismatch" in shown


def test_a_token_that_left_and_comes_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not a fork: the call loops, or the token was stolen from a call that left."""
    packets = leaving(GOOD), arriving(invite(identity(), number=2)), arriving(invite(identity(), number=3), CORE)
    first = "first in call 1 (packet 1, Request-URI 12155550199); it left the SBC there and comes back here"
    both_ways = VERIFY.replace('direction = "inbound"', "")
    again = "passed.token-again"
    for rules, call, result in ((VERIFY, "2", "passed"), (VERIFY, "3", again), (both_ways, "2", again)):
        shown = lines(capsys, captured(tmp_path, *packets, rules=rules), call, code=0)
        explained = shown[shown.index(result) + 1]
        assert explained.startswith("The token left the SBC in an earlier call, and comes back in this one.")
        assert "Who can act   you, originating carrier" in shown
        assert f"Same token    {first}: a loop, or it was stolen" in shown
        assert f"Token 1: {result}" in shown
        checked = f"  ok          The token did not come before: token {first}"
        assert any(line.startswith(checked) for line in shown) is (result == again)


def test_a_token_that_arrives_twice_is_a_fork(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packets = arriving(GOOD), arriving(invite(identity(), number=2))
    shown = lines(capsys, captured(tmp_path, *packets, rules=VERIFY), "2", code=0)
    assert shown[shown.index("passed.token-again") + 1].startswith("The token came before, for the same target: a fork")
    assert "Who can act   none needed" in shown


def test_a_token_whose_signature_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From (r, s) anyone can compute (r, -s). It is not the same token, but the filter knows its first call."""
    other = retargeted(invite(twin(identity()), number=2))
    shown = lines(capsys, captured(tmp_path, arriving(GOOD), arriving(other), rules=VERIFY), "2", code=1)
    assert "Compared      token first in the call with Call-ID call-1@carrier.example" in shown


def test_a_call_that_began_before_the_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the tag in To says so: no earlier message is in the capture (RFC 3261 §12.2)."""
    shown = lines(capsys, captured(tmp_path, arriving(invite(to_tag=";tag=s1"))), "1", code=1)
    at = shown.index("not-examined.in-dialog")
    until = next(place for place, line in enumerate(shown) if line.startswith("Standard"))
    assert " ".join(shown[at + 1 : until]) == (
        "The INVITE has a tag in To, so it belongs to a call that was up before it came. In a capture, that call may"
        ' have begun before the capture did. No rule with in_dialog = "verify" matched the INVITE.'
    )


@pytest.mark.parametrize(
    ("packets", "name", "said"),
    [
        (CALLS, None, "{} has 2 calls: name one; `sbc-filter replay {} --calls` lists them"),
        (CALLS, "3", "{} has no call 3 among its 2 calls: `sbc-filter replay {} --calls` lists them"),
        (CALLS, "#9", "{} has no packet 9 of a call among its 2 calls: `sbc-filter replay {} --calls` lists them"),
        (CALLS, "\x1b[2J", "{} has no call \\x1b[2J among its 2 calls: `sbc-filter replay {} --calls` lists them"),
        (CALLS, "#" + "9" * 5000, "{} has no call #" + "9" * 5000 + " among its 2 calls: " + LISTS),
        ((), "1", "{} has no call on a SIP port: `sbc-filter replay {}` says what it has"),
    ],
)
def test_a_call_that_is_not_there(
    packets: Sequence[bytes], name: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = captured(tmp_path, *packets)
    assert main(["explain", capture, *([name] if name else [])]) == 1
    assert capsys.readouterr().err == f"sbc-filter: {said.replace('{}', capture)}\n"


def test_the_only_call_needs_no_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, captured(tmp_path, CALLS[0]), code=0)[0].startswith("Call 1: 12155550100 to 12155550199")


def test_several_captures_are_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As for `replay`, which prints such commands: the last word is the call."""
    first = captured(tmp_path, arriving(GOOD), name="a.pcap")
    both = first, captured(tmp_path, arriving(invite(number=9)), arriving(SPOOFED), name="b.pcap")
    shown = lines(capsys, *both, "3", code=1)
    assert shown[0] == "Call 3: 13125550123 to 12155550199, Call-ID call-2@carrier.example"
    assert "invalid.orig-mismatch" in shown
    assert main(["explain", *both]) == 1
    said = f"{first} {both[1]} has 3 calls: name one; `sbc-filter replay {first} {both[1]} --calls` lists them"
    assert capsys.readouterr().err == f"sbc-filter: {said}\n"


def test_a_call_in_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "call.sip").write_bytes(GOOD)
    assert main(["explain", str(tmp_path / "call.sip"), "1"]) == 2
    assert capsys.readouterr().err.endswith("call.sip is not a capture: 1 names nothing in it\n")


def test_the_evidence_of_a_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "evidence.zip"
    lines(capsys, captured(tmp_path, *CALLS), "2", "--bundle", str(bundle), code=1)
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    with zipfile.ZipFile(bundle) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found["received.sip"] == SPOOFED
    assert found["response.sip"].startswith(b"SIP/2.0 438 Invalid Identity Header\r\n")
    assert "forwarded.sip" not in found
    assert found["token-1.jwt"].decode().strip() in identity()
    assert found["certificate-1.pem"] == LAB.chain
    assert found["certificate-1.url"].decode().splitlines() == [X5U, "the folder"]
    assert found["rules-1.toml"].decode() == RULES
    assert RevocationList.parse(found["list-1.pem"]).number == 1
    (listed,) = json.loads(found["lists.json"])
    assert (listed["number"], listed["entries"]) == (1, 0)
    assert json.loads(found["record.json"])["detail"] == "orig-mismatch"
    assert json.loads(found["explanation.json"])["outcome"] == "invalid"
    clock, state = json.loads(found["clock.json"]), clock_state()
    assert state is not None
    assert (clock["judged_at"], clock["from"]) == ("2027-01-15T08:00:02Z", "the capture")
    assert clock["synchronized"] is state.synchronized
    assert 0 <= clock["max_error_seconds"] <= state.max_error + 1
    assert b"438 Invalid Identity Header" in found["ladder.txt"]
    assert found["README.txt"].startswith(b"invalid.orig-mismatch\nThe caller of the call is not that of the token.\n")
    sums = {line[66:]: line[:64] for line in found.pop("SHA256SUMS").decode().splitlines()}
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    assert not any(b"PRIVATE KEY" in data for data in found.values())


@pytest.mark.parametrize("cut", [0, 40])
def test_a_key_next_to_its_certificate_is_not_in_the_evidence(
    cut: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Servers take key and chain in one file, so `--certificate` may name that. A key that is cut off is one, too."""
    key = key_pem(LAB.leaf.key)
    (tmp_path / "both.pem").write_bytes(LAB.chain + key[: len(key) - cut])
    bundle = tmp_path / "evidence.zip"
    options = "--certificate", str(tmp_path / "both.pem"), "--bundle", str(bundle)
    lines(capsys, captured(tmp_path, *CALLS), "2", *options, code=1)
    with zipfile.ZipFile(bundle) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found["certificate-1.pem"].rstrip() == LAB.chain + b"(a private key was left out)"
    secret = key.splitlines()[1]
    assert not any(secret in data for data in found.values())


def test_a_key_in_der_is_not_in_the_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = LAB.leaf.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    bundle, capture = tmp_path / "evidence.zip", captured(tmp_path, *CALLS)
    certificate_path(tmp_path / "certificates", X5U).write_bytes(key)
    lines(capsys, capture, "2", "--bundle", str(bundle), code=1)
    with zipfile.ZipFile(bundle) as archive:
        assert "certificate-1.url" in archive.namelist()
        assert not any(key in archive.read(name) for name in archive.namelist())


def test_other_calls_are_not_in_the_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is a certificate missing that only another call needs."""
    other = "https://other.example/certificate.pem"
    packets = arriving(invite(identity(jose={"x5u": other}))), arriving(SPOOFED)
    bundle = tmp_path / "evidence.zip"
    shown = lines(capsys, captured(tmp_path, *packets), "2", "--bundle", str(bundle), code=1)
    assert "Missing:" not in shown
    with zipfile.ZipFile(bundle) as archive:
        assert [name for name in archive.namelist() if name.endswith(".url")] == ["certificate-1.url"]
        assert archive.read("certificate-1.url").decode().splitlines() == [X5U, "the folder"]


def test_evidence_has_sixteen_tokens_of_the_header(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S-016: a message of 64 KiB could have thousands. A line of the body is not a header field."""
    body = identity() + "\r\n"
    for message, count in ((invite(*["Identity: a.b.c"] * 200), 16), (invite(body=body), 0)):
        bundle = tmp_path / "evidence.zip"
        lines(capsys, captured(tmp_path, arriving(message)), "1", "--bundle", str(bundle), code=1)
        with zipfile.ZipFile(bundle) as archive:
            assert sum(name.startswith("token-") for name in archive.namelist()) == count


@pytest.mark.parametrize("name", ["3", "call-3@carrier.example"])
def test_a_call_after_those_whose_messages_are_kept(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a large capture, too: it is known which call is meant when it begins."""
    monkeypatch.setattr(Calls.__init__, "__defaults__", (1, 1 << 20, 3, None))
    capture = captured(tmp_path, *CALLS, arriving(invite(identity(), number=3)))
    assert lines(capsys, capture, name, code=0)[0].startswith("Call 3: 12155550100 to 12155550199")


def test_the_evidence_of_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    captured(tmp_path)
    (tmp_path / "call.sip").write_bytes(GOOD)
    bundle = tmp_path / "evidence.zip"
    shown = lines(capsys, str(tmp_path / "call.sip"), "--from", CARRIER, "--bundle", str(bundle), code=0)
    assert shown[-1] == f"evidence written to {bundle}"
    with zipfile.ZipFile(bundle) as archive:
        assert archive.read("received.sip") == GOOD
        assert b"verstat=TN-Validation-Passed" in archive.read("forwarded.sip")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (identity(), "--bundle is for a call: give the INVITE, not only its token"),
        ('{"outcome":"passed"}', "--bundle is for a call: a record does not have its message"),
    ],
)
def test_what_is_no_evidence(what: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", what, "--bundle", str(tmp_path / "evidence.zip")]) == 2
    assert capsys.readouterr().err == f"sbc-filter: {said}\n"
    assert not (tmp_path / "evidence.zip").exists()


def test_evidence_does_not_overwrite_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The capture itself, for instance. Older evidence is replaced."""
    capture, bundle = captured(tmp_path, *CALLS), tmp_path / "evidence.zip"
    before = Path(capture).read_bytes()
    assert main(["explain", capture, "1", "--bundle", capture]) == 2
    said = f"--bundle {capture} is there, and not a ZIP file: name another file, it is not overwritten"
    assert capsys.readouterr().err == f"sbc-filter: {said}\n"
    assert Path(capture).read_bytes() == before
    written = f"evidence of call 1 written to {bundle}"
    assert lines(capsys, capture, "1", "--bundle", str(bundle), code=0)[-2:] == ["", written]
    again = lines(capsys, capture, "1", "--bundle", str(bundle), code=0)
    assert again[-1] == f"{written}; the file that was there is overwritten"
    bundle.unlink()
    assert main(["explain", capture, "1", "--bundle", str(bundle), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["outcome"] == "passed"
    assert printed.err == f"{written}\n"
    assert "written" not in " ".join(lines(capsys, capture, "1", code=0))


def test_evidence_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = captured(tmp_path, *CALLS)
    assert main(["explain", capture, "1", "--bundle", str(tmp_path / "no" / "e.zip")]) == 1
    assert f"{tmp_path}/no/e.zip cannot be written: No such file or directory" in capsys.readouterr().err
