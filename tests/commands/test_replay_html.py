"""`sbc-filter replay --html`: what the report has of a capture, and how its file is written."""

import json
import os
import re
import shlex
import stat
import threading
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from support.busy_hour import write
from support.calls import LAB, SBC, VERIFY, arriving, identity, invite, leaving, response, retargeted
from support.captures import packets

from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.commands.replay import html_report
from sbc_filter.lab.certificate_maker import X5U, pem

NETWORK = f'[network]\nsbc = ["{SBC}"]\n'


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of 150 calls with its configuration."""
    return write(tmp_path_factory.mktemp("hour"), 150)


def made(capture: Path, out: Path, *options: str, code: int = 0) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The data of the table, that of the calls in full, and the whole page."""
    assert main(["replay", str(capture), "--html", str(out), *options]) == code
    text = out.read_text("ascii")
    table, details = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text)
    return json.loads(table), json.loads(details), text


def texts(details: dict[str, Any], rows: list[Any]) -> list[str]:
    """Lines by their places; a line that was added begins with `+`, one that was removed with `-`."""
    said = details["texts"]
    return [said[row] if isinstance(row, int) else "-+"[row[0]] + said[row[1]] for row in rows]


def test_a_report_says_what_the_records_say(hour: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, details, text = made(hour, tmp_path / "report.html")
    assert f"{tmp_path}/report.html: report of 150 calls\n" in capsys.readouterr().out
    assert main(["replay", str(hour), "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()[:-1]]
    decided = {each["call_id"]: each for each in records}
    assert len(decided) == 150
    columns = {
        name: [table[name]["names"][place] for place in table[name]["at"]]
        for name in ("result", "treatment", "rule", "peer", "attestation")
    }
    for place, call_id in enumerate(table["callId"].split("\n")):
        record = decided[call_id]
        name = f"{record['outcome']}.{record['detail']}" if record["detail"] else record["outcome"]
        assert columns["result"][place] == name
        assert [columns[each][place] for each in ("treatment", "rule", "peer")] == [
            record[each] for each in ("treatment", "rule", "trunk")
        ]
        assert columns["attestation"][place] == (record["attest"] or "")
        assert table["caller"].split("\n")[place] == record["orig"]
    assert list(accumulate(table["packet"])) == sorted(each["packet"] for each in records)
    assert len(details["calls"]) == 150
    assert "7421 SHAKEN 7421" in table["signer"]["names"]
    assert f"<h1>{hour}</h1>" in text


def test_the_report_names_the_configuration_and_a_command_with_the_options(
    hour: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command gives what the report says: without its options the certificate would be missing again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my certificates").mkdir()
    options = ("--certificates", "my certificates", "--at", "1800000000")
    _, details, text = made(hour, Path("report.html"), *options)
    assert details["command"] == f"sbc-filter explain --certificates 'my certificates' --at 1800000000.0 {hour}"
    assert f"<span>configuration: {hour.parent}/sbc-filter.toml; " in text
    command = [*shlex.split(details["command"])[1:], "1", "--json"]
    assert main(command) in (0, 1)


def test_a_call_in_full(hour: Path, tmp_path: Path) -> None:
    table, details, _ = made(hour, tmp_path / "report.html")
    place = table["result"]["at"].index(table["result"]["names"].index("invalid.orig-mismatch"))
    call = details["calls"][str(list(accumulate(table["number"]))[place])]
    invited, trying = call["messages"]
    assert invited[8] == []
    assert texts(details, invited[9][0][1])[0] == "SIP/2.0 438 Invalid Identity Header"
    assert texts(details, trying[7])[0] == "SIP/2.0 100 Trying"
    assert trying[5] == 1
    failed = [details["texts"][each] for each in call["findings"]["tokens"][0]["checks"]]
    caller = table["caller"].split("\n")[place]
    assert [each[2] for each in failed if each[0] == "failed"] == [f"token 12155550100, From {caller}"]
    assert details["texts"][call["findings"]["result"]] == "invalid.orig-mismatch"


def test_what_a_call_lacks_is_said_of_that_call_only(hour: Path, tmp_path: Path) -> None:
    table, details, _ = made(hour, tmp_path / "report.html")
    results = [table["result"]["names"][place] for place in table["result"]["at"]]
    for number, result in zip(accumulate(table["number"]), results, strict=True):
        notes = " ".join(details["texts"][each] for each in details["calls"][str(number)]["findings"]["notes"])
        assert ("nowhere.pem" in notes) == (result == "unfetchable.fetch-refused"), number


def test_the_first_call_of_a_token_and_the_final_response(tmp_path: Path) -> None:
    """The second call is a replay: the page of it names the first one, and the check that fails."""
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    (tmp_path / "c.toml").write_text(f'{NETWORK}[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "certs"\n')
    (tmp_path / "certs").mkdir()
    certificate_path(tmp_path / "certs", X5U).write_bytes(LAB.chain)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.toml").write_text(VERIFY)
    at = "2027-01-15T08:00:00Z"
    calls = arriving(invite(identity())), arriving(retargeted(invite(identity(), number=2)))
    capture = packets(tmp_path / "c.pcap", *calls, leaving(response("503 Service Unavailable")))
    table, details, text = made(capture, tmp_path / "r.html", "--config", str(tmp_path / "c.toml"), "--at", at)
    named = details["texts"]
    assert [table["response"]["names"][place] for place in table["response"]["at"]] == ["503", "none"]
    assert "1 fails STIR/SHAKEN.</strong>" in text
    first, second = (details["calls"][number] for number in "12")
    assert named[first["sameToken"]] == ""
    same = "first in call 1 (packet 1, Request-URI 12155550199), here Request-URI 12155550300"
    assert named[second["sameToken"]] == same
    (token,) = second["findings"]["tokens"]
    assert named[token["result"]] == "replayed.token-seen"
    assert [named[place][1:3] for place in token["checks"] if named[place][0] == "failed"] == [
        ["The token did not come before", f"token {same}"]
    ]


def test_a_call_that_leaves_is_shown_with_its_signature(hour: Path, tmp_path: Path) -> None:
    table, details, _ = made(hour, tmp_path / "report.html")
    place = table["result"]["at"].index(table["result"]["names"].index("signed"))
    call = details["calls"][str(list(accumulate(table["number"]))[place])]
    first, second = call["messages"][:2]
    assert (first[5], second[5]) == (1, 0)  # the SBC sends the INVITE
    added = [line for line in texts(details, first[8][0][1]) if line.startswith(("-", "+"))]
    assert [line[:12] for line in added] == ["+\ue002Identity: "]


def test_late_failures_have_room(hour: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the calls that pass, few are kept with their messages; the counts are those of all."""
    monkeypatch.setattr(html_report, "MOST", 3)
    table, details, text = made(hour, tmp_path / "report.html")
    results = [table["result"]["names"][place] for place in table["result"]["at"]]
    kept = [results[int(number) - 1] for number in details["calls"]]
    failing = [each for each in results if each.split(".")[0] in ("invalid", "stale", "untrusted", "unfetchable")]
    assert len(kept) == len(failing) + 3
    assert sorted(each for each in kept if each in failing) == sorted(failing)
    assert "The filter would change 150." in text


def test_other_calls_are_samples(tmp_path: Path) -> None:
    (tmp_path / "sbc-filter.toml").write_text(NETWORK)
    calls = [arriving(invite(number=number)) for number in range(12)]
    table, details, text = made(packets(tmp_path / "calls.pcap", *calls), tmp_path / "report.html")
    assert len(table["number"]) == 12
    assert len(details["calls"]) == 5
    assert "The filter would change none." in text


def test_a_retransmission_is_not_a_call(tmp_path: Path) -> None:
    (tmp_path / "sbc-filter.toml").write_text(f'{NETWORK}[trust]\nanchors = ["root.pem"]\n')
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    (tmp_path / "rules.toml").write_text(VERIFY)
    call = invite(identity(), caller="13125550123")
    seen = [arriving(call), arriving(call), leaving(response("180 Ringing"))]
    capture = packets(tmp_path / "calls.pcap", *seen)
    table, details, _ = made(capture, tmp_path / "report.html", "--rules", str(tmp_path / "rules.toml"))
    assert len(table["number"]) == 1
    assert len(details["calls"]["1"]["messages"]) == 3


def test_a_call_with_many_invites_is_one_sample(tmp_path: Path) -> None:
    (tmp_path / "sbc-filter.toml").write_text(NETWORK)
    first = invite()
    again = [first.replace(b"CSeq: 1 ", b"CSeq: %d " % number) for number in range(2, 12)]
    _, details, _ = made(packets(tmp_path / "calls.pcap", *map(arriving, [first, *again])), tmp_path / "report.html")
    assert len(details["calls"]["1"]["messages"]) == 11


def test_what_was_not_looked_at_is_said(tmp_path: Path) -> None:
    (tmp_path / "sbc-filter.toml").write_text(NETWORK)
    fault = arriving(invite())[:60]
    _, _, text = made(packets(tmp_path / "calls.pcap", fault), tmp_path / "report.html", code=1)
    assert "What this report does not cover" in text
    assert "No call was found." in text


def test_bytes_of_a_message_stay_text(tmp_path: Path) -> None:
    (tmp_path / "sbc-filter.toml").write_text(NETWORK)
    hostile = b'"</script><script>alert(1)</script>\xe2\x80\xae\x00\xff" <sip:+'
    call = invite(identity()).replace(b"From: <sip:+", b"From: " + hostile)
    table, details, text = made(packets(tmp_path / "calls.pcap", arriving(call)), tmp_path / "report.html")
    assert "alert" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert text.count("</script>") == 3
    lines = texts(details, details["calls"]["1"]["messages"][0][7])
    assert '"</script><script>alert(1)</script>\ue000\\u202e\ue001\ue000\\x00\ue001\ue000\\xff\ue001"' in " ".join(
        lines
    )
    assert table["callId"] == "call-1@carrier.example"


def test_only_its_owner_can_read_it(hour: Path, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made(hour, tmp_path / "report.html")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "report.html").stat().st_mode) == 0o600


def test_a_link_stays_and_its_target_is_replaced(hour: Path, tmp_path: Path) -> None:
    (tmp_path / "target.html").write_text("old")
    (tmp_path / "link.html").symlink_to("target.html")
    made(hour, tmp_path / "link.html")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "target.html").read_text().startswith("<!doctype html>")


def test_a_pipe_stays_a_pipe(hour: Path, tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert main(["replay", str(hour), "--html", str(pipe)]) == 0
    reader.join(60)
    assert read[0].endswith("</html>\n")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_to_standard_output(hour: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(hour), "--html", "/dev/stdout"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("<!doctype html>")
    assert out.endswith("</html>\n")
    assert "/dev/stdout: report of 150 calls" in err


def test_after_a_fault_the_old_report_is_still_there(tmp_path: Path, hour: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    assert main(["replay", str(tmp_path / "none.pcap"), "--html", str(tmp_path / "report.html")]) == 1
    assert (tmp_path / "report.html").read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_it_goes_together_with_the_other_outputs(
    hour: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records on standard output, the packets as they would leave, and the same report as without them."""
    _, _, alone = made(hour, tmp_path / "alone.html")
    capsys.readouterr()
    _, _, text = made(hour, tmp_path / "report.html", "--json", "--out", str(tmp_path / "out.pcap"))
    assert len(capsys.readouterr().out.splitlines()) == 151
    assert (tmp_path / "out.pcap").stat().st_size > 100_000
    assert text == alone
