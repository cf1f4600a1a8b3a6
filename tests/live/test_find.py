"""`sbc-filter find`: the caller who complains an hour later, and the messages of the call."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import calls
from support.netns import LIVE, endpoint, eventually
from support.processes import stop
from support.runs import asked, commanded, processes, says, started
from support.waiting import LONG

from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
SBC = ("192.0.2.1", 5060)
REFUSED = "12155550111"


def configured(folder: Path, log: str = 'records = "records.jsonl"', workers: int = 1) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text(
        f'[[rule]]\nname = "refuse"\ncalled = "{REFUSED}"\naction = "reject"\n'
        '[[rule]]\nname = "strip"\ncalled = "12155550122"\naction = "strip"\n'
        '[[rule]]\nname = "go"\naction = "pass"\n'
    )
    (folder / "c.toml").write_text(
        f'[network]\nsbc = ["192.0.2.1"]\n[queue]\nworkers = {workers}\n[control]\nsocket = "{folder}/control"\n'
        f'[log]\n{log}\n[trunks.carrier]\naddresses = "192.0.2.7"\n'
    )
    return folder / "c.toml"


def find(file: Path, *words: str, user: int | None = None) -> "subprocess.CompletedProcess[bytes]":
    if user is None:
        return commanded("find", "--config", str(file), *words)
    command = [sys.executable, "-P", "-m", "sbc_filter", "find", "--config", str(file), *words]
    return subprocess.run(command, capture_output=True, check=False, timeout=LONG, user=user, group=0)


def found(file: Path, *words: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in find(file, *words, "--json").stdout.splitlines()]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_refused_and_a_changed_call_with_their_messages(lab: Lab, tmp_path: Path, workers: int) -> None:
    """Each as received and as sent, octet for octet; a call that passed has its record only."""
    file = configured(tmp_path, workers=workers)
    refused, passed = calls.invite(called=REFUSED), calls.invite(number=2)
    identity = f"Identity: {calls.identity()}"
    changed = calls.invite(identity, called="12155550122", number=3)
    with (
        started(lab, file),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
    ):
        carrier.sendto(refused, SBC)
        answer = carrier.recv(70000)
        carrier.sendto(passed, SBC)
        assert sbc.recv(70000) == passed
        carrier.sendto(changed, SBC)
        arrived = sbc.recv(70000)
        assert b"Identity" not in arrived
        assert eventually(lambda: len(found(file, "call-3@carrier.example")) == 1)
        (of_refused,) = found(file, "(215) 555-0111")
        (of_changed,) = found(file, "sip:+12155550122@sbc.example")
        (of_passed,) = found(file, "call-2@carrier.example")
        assert [of_refused["verdict"], of_changed["verdict"], of_passed["verdict"]] == ["reject", "modify", "accept"]
        assert of_passed["kept"] is None
        for record, received, sent in ((of_refused, refused, answer), (of_changed, changed, arrived)):
            kept = ("--message", str(record["kept"]))
            assert find(file, *kept).stdout == received
            assert find(file, *kept, "--sent").stdout == sent
        text = find(file, "12155550111", "--since", "2h")
        assert text.returncode == 0
        number, _, rest = text.stdout.decode().strip().partition("  ")
        assert number == str(of_refused["kept"])
        assert "not-examined.reject-rule  rejected 403" in rest
        assert f"| sbc-filter explain - --from {of_refused['src']} --at 20" in text.stderr.decode()
        options = ("--from", str(of_refused["src"]), "--config", str(file))
        explained = subprocess.run(
            [sys.executable, "-m", "sbc_filter", "explain", "-", *options],
            input=refused, capture_output=True, check=False, timeout=LONG,
        )  # fmt: skip
        assert b"refuse: matches, enforce, decides" in explained.stdout
        nothing = find(file, "12155550177")
        assert (nothing.returncode, nothing.stdout) == (1, b"")
        gone = find(file, "--message", "99")
        assert (gone.returncode, gone.stderr) == (1, b"sbc-filter: call 99 is not kept: see `sbc-filter find`\n")


def test_rotated_files_also_without_a_filter(lab: Lab, tmp_path: Path) -> None:
    """Newest first, from the written file, a moved one and a compressed one."""
    file = configured(tmp_path)
    records = tmp_path / "records.jsonl"
    with started(lab, file), endpoint(lab, "carrier") as carrier:
        for number in range(3):
            carrier.sendto(calls.invite(called=REFUSED, number=number), SBC)
            carrier.recv(70000)
        assert eventually(lambda: records.read_text().count("\n") == 3)
    lines = records.read_bytes().splitlines(keepends=True)
    with gzip.open(tmp_path / "records.jsonl.2.gz", "wb") as packed:
        packed.write(lines[0])
    (tmp_path / "records.jsonl.1").write_bytes(lines[1])
    records.write_bytes(b"no record\n{\n" + lines[2] + b'{"time": "torn')
    for at, name in enumerate(("records.jsonl.2.gz", "records.jsonl.1", "records.jsonl")):
        os.utime(tmp_path / name, (2e9 + at, 2e9 + at))
    done = find(file, "+1 215 555 0111")
    assert [line.split()[-1] for line in done.stdout.decode().splitlines()] == [
        "call-2@carrier.example", "call-1@carrier.example", "call-0@carrier.example"
    ]  # fmt: skip
    assert done.returncode == 0
    assert "calls in memory were not searched: " in done.stderr.decode()
    (tmp_path / "records.jsonl.2.gz").write_bytes(b"\x1f\x8b damaged")
    assert b"records.jsonl.2.gz cannot be read completely" in find(file, REFUSED).stderr


def test_without_a_file_of_records_what_is_kept_is_found(lab: Lab, tmp_path: Path) -> None:
    file = configured(tmp_path, 'records = "journal"')
    with started(lab, file), endpoint(lab, "carrier") as carrier:
        carrier.sendto(calls.invite(called=REFUSED), SBC)
        carrier.recv(70000)
        assert eventually(lambda: len(found(file, REFUSED)) == 1)
        assert b"the records are in the journal, which was not searched" in find(file, REFUSED).stderr


def test_the_ring_is_bounded_and_can_be_switched_off(lab: Lab, tmp_path: Path) -> None:
    """Of the last three calls, two are kept; after a reload with 0, none."""
    file = configured(tmp_path, 'records = "journal"\nrecent = 2')
    with started(lab, file) as (_, log), endpoint(lab, "carrier") as carrier:
        for number in range(3):
            carrier.sendto(calls.invite(called=REFUSED, number=number), SBC)
            carrier.recv(70000)
        last = ["call-2@carrier.example", "call-1@carrier.example"]
        assert eventually(lambda: [each["call_id"] for each in found(file, REFUSED)] == last)
        file.write_text(file.read_text().replace("recent = 2", "recent = 0"))
        assert commanded("reload", "--config", str(file)).returncode == 0
        assert eventually(lambda: found(file, REFUSED) == [])
        carrier.sendto(calls.invite(called=REFUSED, number=9), SBC)
        assert carrier.recv(70000).startswith(b"SIP/2.0 403 ")
        assert says(log, "reloaded")


def test_only_root_reads_messages(lab: Lab, tmp_path: Path) -> None:
    """The group of the control socket may follow, but what is kept are whole messages."""
    file = configured(tmp_path)
    with started(lab, file), endpoint(lab, "carrier") as carrier:
        carrier.sendto(calls.invite(called=REFUSED), SBC)
        carrier.recv(70000)
        assert eventually(lambda: len(found(file, REFUSED)) == 1)
        for folder in (tmp_path, *(each for each in tmp_path.parents if "pytest-" in str(each))):
            folder.chmod(0o755)
        refused = find(file, "--message", "1", user=65534)
        assert refused.stdout == b""
        assert (refused.returncode, refused.stderr) == (
            3, b"sbc-filter: only root may read the messages that the filter keeps\n"
        )  # fmt: skip


def test_giant_calls_while_the_process_that_keeps_them_is_stuck(lab: Lab, tmp_path: Path) -> None:
    """No call waits for it: those that do not fit are not kept, and that is said."""
    file = configured(tmp_path)
    with started(lab, file), endpoint(lab, "carrier") as carrier:
        stop(processes(file)["recent"]["pid"])
        for number in range(200):
            carrier.sendto(calls.invite(called=REFUSED, number=number, body="x" * 60_000), SBC)
            assert carrier.recv(70000).startswith(b"SIP/2.0 403 ")
        assert eventually(lambda: asked(file)["counters"].get("recent-restarts") == 1)  # it was stuck, so it was killed
        assert eventually(lambda: len(found(file, REFUSED)) == 200)  # the records are in the file
        kept = [each for each in found(file, REFUSED) if each["kept"] is not None]
        assert 0 < len(kept) < 200
        assert f"{200 - len(kept)} calls were not kept: the filter had no time".encode() in find(file, REFUSED).stderr
