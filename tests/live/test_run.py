"""`sbc-filter run` as a process: signals, a terminal that is closed, records that cannot be written."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import calls
from support.netns import LIVE, endpoint, eventually
from support.processes import heeding_signals
from support.runs import RUN, asked, processes, started
from support.tiny import invite
from support.waiting import LONG

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import X5U, Maker, key_pem, pem
from sbc_filter.lab.demo_network import PROGRAMS
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE


def settings(folder: Path, records: str) -> Path:
    text = f'[network]\nsbc = ["192.0.2.1"]\n[log]\nrecords = "{records}"\n[control]\nsocket = "control"\n'
    (folder / "c.toml").write_text(text)
    return folder / "c.toml"


def in_force(lab: Lab) -> bool:
    return "SBC-FILTER" in lab.run("sbc", "iptables-save")


def test_hang_up_reopens_the_records(lab: Lab, tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    with started(lab, settings(tmp_path, "records.jsonl")) as (process, log), endpoint(lab, "carrier") as carrier:
        assert b"no rules: every call passes as it is" in log.read_bytes()
        carrier.sendto(invite(1), ("192.0.2.1", 5060))
        assert eventually(lambda: records.stat().st_size > 0)
        records.rename(tmp_path / "old")
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: f"{records}: reopened".encode() in log.read_bytes())
        carrier.sendto(invite(2), ("192.0.2.1", 5060))
        assert eventually(lambda: records.stat().st_size > 0)
        assert in_force(lab)
    assert process.returncode == 0
    assert not in_force(lab)


def test_the_last_line_says_what_was_tolerated(lab: Lab, tmp_path: Path) -> None:
    now = time.time()
    made = Maker(now, "run").laboratory()
    (tmp_path / "certificates").mkdir()
    certificate_path(tmp_path / "certificates", X5U).write_bytes(made.chain)
    (tmp_path / "root.pem").write_bytes(pem(made.root.certificate))
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "verify.toml").write_text(calls.VERIFY)
    file = settings(tmp_path, "records.jsonl")
    with file.open("a") as more:
        more.write('[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "certificates"\n')
    signed = calls.identity(
        calls.claims(iat=int(now)), key=made.leaf.key, parameters=f'info=<{X5U}>;alg=ES256;ppt="shaken"'
    )
    with started(lab, file) as (_, log), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        carrier.sendto(calls.invite(signed), ("192.0.2.1", 5060))
        assert b"verstat=TN-Validation-Passed" in sbc.recv(70000)
    assert log.read_text().splitlines()[-1] == "tolerated: no-date 1, no-user-phone 1, quoted-parameter 1"


def test_records_that_cannot_be_written_cost_no_call(lab: Lab, tmp_path: Path) -> None:
    with (
        started(lab, settings(tmp_path, "/dev/full")) as (process, log),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
    ):
        for number in range(5):
            carrier.sendto(invite(number), ("192.0.2.1", 5060))
        assert [sbc.recv(70000) for _ in range(5)] == [invite(number) for number in range(5)]
    said = [line for line in log.read_text().splitlines() if "records" in line and "stopped" not in line]
    full = "sbc-filter: records cannot be written: No space left on device"
    assert said == [f"{full}; {lost} lost so far" for lost in (1, 2, 4)]
    assert "records-lost 5" in log.read_text()
    assert process.returncode == 0


def test_an_outage_begins_and_ends_while_it_runs(lab: Lab, tmp_path: Path) -> None:
    """France's MAN: the file is put there, the next calls leave with its token; it is taken away, they are signed."""
    made = Maker(time.time(), "run").laboratory()
    (tmp_path / "root.pem").write_bytes(pem(made.root.certificate))
    (tmp_path / "key.pem").write_bytes(key_pem(made.leaf.key))
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "chain.pem").write_bytes(made.chain)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "sign.toml").write_text(calls.SIGN + 'bypass = { token_file = "token" }\n')
    file = settings(tmp_path, "records.jsonl")
    with file.open("a") as more:
        more.write('[trust]\nanchors = ["root.pem"]\n[credentials.ours]\nkey = "key.pem"\n')
        more.write(f'certificate = "chain.pem"\nx5u = "{X5U}"\n')
    token = tmp_path / "rules" / "token"

    def left(number: int) -> bytes:
        sbc.sendto(calls.invite(number=number), ("192.0.2.7", 5060))
        return carrier.recv(70000)

    with started(lab, file) as (_, log), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        assert b"\r\nIdentity: " in left(1)
        token.write_text("OUTAGE-42\n")
        assert eventually(lambda: b"bypass on: token is there" in log.read_bytes())
        assert left(2) == calls.added(calls.invite(number=2), "P-Identity-Bypass: OUTAGE-42")
        token.unlink()
        assert eventually(lambda: b"bypass off: token" in log.read_bytes())
        assert b"\r\nIdentity: " in left(3)


def test_status_prints_the_state_as_json(lab: Lab, tmp_path: Path) -> None:
    """A command in a process of its own, as monitoring has it: one line."""
    file = settings(tmp_path, "records.jsonl")
    with started(lab, file) as (process, _):
        command = [sys.executable, "-P", "-m", "sbc_filter", "status", "--json", "--config", str(file)]
        (line,) = subprocess.run(command, capture_output=True, check=True, timeout=LONG).stdout.splitlines()
        state = json.loads(line)
        assert state.keys() == asked(file).keys()
        assert state["pid"] == process.pid
        assert {each["name"] for each in state["processes"]} == processes(file).keys()


def test_a_closed_terminal_leaves_no_rules_behind(lab: Lab, tmp_path: Path) -> None:
    file = settings(tmp_path, "records.jsonl")
    with lab.inside("sbc"):
        child, master = pty.fork()
        if child == 0:
            os.execv(RUN[0], [*RUN, str(file)])
    shown = b""
    while b"listening" not in shown:
        shown += os.read(master, 1000)
    assert in_force(lab)
    os.close(master)
    assert eventually(lambda: os.waitpid(child, os.WNOHANG)[0] == child)
    assert not in_force(lab)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_time_leaves_nothing_behind(lab: Lab, number: signal.Signals, tmp_path: Path) -> None:
    file = settings(tmp_path, "records.jsonl")
    for delay in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        with lab.inside("sbc"):
            process = subprocess.Popen(
                [*RUN, str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=heeding_signals
            )
        time.sleep(delay)
        process.send_signal(number)
        try:
            said, _ = process.communicate(timeout=2 if number == signal.SIGHUP else LONG)
        except subprocess.TimeoutExpired:
            process.terminate()  # it was running already, and had something to reopen
            said, _ = process.communicate(timeout=LONG)
        # A signal that comes before we handle any gets the interpreter's own message.
        too_early = b"init_import_site" in said or b"\n    import signal\n" in said
        assert b"Traceback" not in said or (too_early and b"sbc_filter/cli.py" not in said), said.decode()
        assert not in_force(lab)


@pytest.mark.skipif(any(shutil.which(program) is None for program in PROGRAMS), reason="needs the demo's programs")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_no_host_behind(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sbc_filter", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=heeding_signals,
    )
    ours = f"sbcdemo-{process.pid}-"
    assert eventually(lambda: f"{ours}0-core" in " ".join(os.listdir("/run/netns")))
    process.send_signal(number)
    said, _ = process.communicate(timeout=LONG)
    assert process.returncode == 128 + number
    assert b"Traceback" not in said
    assert not [name for name in os.listdir("/run/netns") if name.startswith(ours)]


def test_tokens_are_remembered_in_the_folder_of_the_service(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd makes it: one file a queue, which a restart finds again; one that anybody can write to is refused."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{folder}:{tmp_path / 'another'}")
    made = []
    for _ in range(2):
        with started(lab, settings(tmp_path, "records.jsonl")):
            file = folder / "seen-50"
            made.append((file.stat().st_ino, file.read_bytes()[:64]))
    assert made[0] == made[1]
    file.chmod(0o666)
    with lab.inside("sbc"):
        refused = subprocess.run([*RUN, str(tmp_path / "c.toml")], capture_output=True, check=False, timeout=LONG)
    assert refused.returncode == 3
    said = f"sbc-filter: {file}: it is not a private file of this user: remove it, and a new one is made\n"
    assert refused.stderr.decode() == said
    assert not in_force(lab)
