"""Several workers: each packet of a call at the same one, in order; who ends or is stuck is replaced."""

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support import calls
from support.netns import LIVE, endpoint, eventually
from support.processes import stop
from support.runs import asked, is_ready, processes, started
from support.waiting import LONG

from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.netlink import queue_statistics

pytestmark = LIVE
SBC = ("192.0.2.1", 5060)


def configured(folder: Path, workers: int) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text('[[rule]]\nname = "refuse"\ncalled = "12155550111"\naction = "reject"\n')
    (folder / "c.toml").write_text(
        f'[network]\nsbc = ["192.0.2.1"]\n[queue]\nworkers = {workers}\n[control]\nsocket = "control"\n'
        '[log]\nrecords = "records.jsonl"\n'
    )
    return folder / "c.toml"


def test_each_packet_of_a_call_in_order_at_one_worker(lab: Lab, tmp_path: Path) -> None:
    """One trunk, so that the kernel alone would give all to one; 100 calls of six packets each, mixed."""
    file = configured(tmp_path, 2)
    kinds = [calls.invite(f"X-Turn: {turn}", number=0) for turn in range(6)]
    with started(lab, file), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        for turn in range(6):
            for number in range(100):
                carrier.sendto(kinds[turn].replace(b"call-0@", b"call-%d@" % number), SBC)
                if number % 20 == 0:
                    time.sleep(0.002)
        seen: dict[bytes, list[bytes]] = {}
        for _ in range(600):
            lines = dict(line.split(b": ", 1) for line in sbc.recv(70000).split(b"\r\n") if b": " in line)
            seen.setdefault(lines[b"Call-ID"], []).append(lines[b"X-Turn"])
        assert len(seen) == 100
        assert set(map(tuple, seen.values())) == {tuple(b"%d" % turn for turn in range(6))}
        assert eventually(lambda: asked(file)["counters"].get("packets") == 600)
        found = processes(file)
    assert found.keys() == {"certificates", "recent", "worker 1", "worker 2", "dispatcher"}
    assert min(found[f"worker {at}"]["counters"]["packets"] for at in (1, 2)) > 150


def test_what_waits_at_the_stop_is_handed_on(lab: Lab, tmp_path: Path) -> None:
    """As many as the dispatcher had no time for: none is lost, and each has been filtered."""
    file = configured(tmp_path, 2)
    with started(lab, file) as (process, log), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        dispatcher = processes(file)["dispatcher"]["pid"]
        invites = [calls.invite(number=number) for number in range(3000)]
        stop(dispatcher)
        for invite in invites:
            carrier.sendto(invite, SBC)
        process.terminate()
        time.sleep(0.3)
        os.kill(dispatcher, signal.SIGCONT)
        assert {sbc.recv(70000) for _ in invites} == set(invites)
        process.wait(LONG)
    assert "stopped; 3000 packets, 3000 INVITEs" in log.read_text()


def test_what_one_worker_answers_it_absorbs(lab: Lab, tmp_path: Path) -> None:
    """The ACK of our 403 goes to the worker that sent it; each call gets one answer."""
    file = configured(tmp_path, 3)
    with started(lab, file), endpoint(lab, "carrier") as carrier:
        for number in range(30):
            invite = calls.invite(called="12155550111", number=number)
            carrier.sendto(invite, SBC)
            answer = carrier.recv(70000)
            assert answer.startswith(b"SIP/2.0 403 Forbidden\r\n")
            tag = answer.partition(b"\r\nTo: ")[2].partition(b"\r\n")[0].rpartition(b";tag=")[2].decode()
            carrier.sendto(calls.follow_up(invite, "ACK", tag), SBC)
        assert eventually(lambda: asked(file)["counters"].get("ack-absorbed") == 30)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_worker_is_replaced(lab: Lab, tmp_path: Path, workers: int, number: signal.Signals) -> None:
    """Dead: within a second; stuck: when it has not been heard of for five. Calls go on meanwhile, filtered where
    there is another worker, else unfiltered as `on_overload` says."""
    file = configured(tmp_path, workers)
    with started(lab, file) as (_, log), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        victim = processes(file)["worker 1"]["pid"]
        os.kill(victim, number)
        assert eventually(lambda: "restarting it" in log.read_text())
        assert eventually(lambda: is_ready(file, "worker 1", other_than=victim))
        found = processes(file)["worker 1"]
        assert (found["pid"] != victim, found["restarts"]) == (True, 1)
        answers: Counter[bytes] = Counter()
        for call in range(40):
            carrier.sendto(calls.invite(called="12155550111", number=call), SBC)
            answers[carrier.recv(70000).partition(b"\r\n")[0]] += 1
            carrier.sendto(calls.invite(number=call), SBC)
            assert sbc.recv(70000) == calls.invite(number=call)
        assert answers == {b"SIP/2.0 403 Forbidden": 40}


@pytest.mark.parametrize("name", ["certificates", "recent", "dispatcher"])
def test_the_others_are_replaced_as_well(lab: Lab, tmp_path: Path, name: str) -> None:
    file = configured(tmp_path, 2)
    with started(lab, file), endpoint(lab, "carrier") as carrier:
        victim = processes(file)[name]["pid"]
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: is_ready(file, name, other_than=victim))
        carrier.sendto(calls.invite(called="12155550111"), SBC)
        assert carrier.recv(70000).startswith(b"SIP/2.0 403 Forbidden\r\n")


def test_a_worker_collects_fully_in_quiet_moments_alone(lab: Lab, tmp_path: Path) -> None:
    """With half a second in place of a minute. The filter notes its full collections, and what would start one."""
    file, notes = configured(tmp_path, 1), tmp_path / "notes"
    program = (
        "import gc, os, sys\n"
        "from sbc_filter.cli import main\n"
        "from sbc_filter.processes import full_collections\n"
        "full_collections._EVERY = 0.5\n"
        "def note(phase, about):\n"
        "    if phase == 'stop' and about['generation'] == 2:\n"
        f"        with open({str(notes)!r}, 'a') as file:\n"
        "            file.write(f'{os.getpid()} {gc.get_threshold()[2]}\\n')\n"
        "gc.callbacks.append(note)\n"
        "sys.exit(main())\n"
    )
    with started(lab, file, (sys.executable, "-P", "-c", program, "run", "--firewall", "--config")):
        worker = processes(file)["worker 1"]["pid"]
        expected = f"{worker} {2**31 - 1}"
        assert eventually(lambda: notes.exists() and notes.read_text().splitlines().count(expected) >= 2)
        assert {line for line in notes.read_text().splitlines() if line.startswith(f"{worker} ")} == {expected}


def test_workers_end_with_the_process_that_started_them(lab: Lab, tmp_path: Path) -> None:
    file = configured(tmp_path, 2)
    with started(lab, file) as (process, _):
        others = [each["pid"] for each in processes(file).values()]
        process.kill()
        process.wait()
        assert eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in others))
    lab.run("sbc", sys.executable, "-m", "sbc_filter", "firewall", "remove")


def test_all_that_waits_is_handed_on_at_the_end(lab: Lab, tmp_path: Path) -> None:
    """Also what waits at a dispatcher that has fallen behind, when all are told to stop."""
    file = configured(tmp_path, 2)
    with started(lab, file) as (process, log), endpoint(lab, "carrier") as carrier:
        dispatcher = processes(file)["dispatcher"]["pid"]
        invites = [calls.invite(number=number) for number in range(3000)]
        stop(dispatcher)
        for invite in invites:
            carrier.sendto(invite, ("192.0.2.1", 5090))
        with lab.inside("sbc"):
            assert eventually(lambda: queue_statistics()[50].waiting == 3000)
        process.terminate()
        os.kill(dispatcher, signal.SIGCONT)
        assert eventually(lambda: "stopped; " in log.read_text())
    assert "stopped; 3000 packets, " in log.read_text()


def test_rules_with_long_names_are_counted(lab: Lab, tmp_path: Path) -> None:
    """So many fates of calls that one message does not hold them: the most frequent are told, and nobody is stuck."""
    file = configured(tmp_path, 1)
    rule = '[[rule]]\nname = "{0} {1}"\ncalled = "121555501{0:02}"\naction = "pass"\n'
    (tmp_path / "rules" / "r.toml").write_text("".join(rule.format(number, "ж" * 2000) for number in range(60)))
    with started(lab, file) as (_, log), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        for number in range(60):
            carrier.sendto(calls.invite(called=f"121555501{number:02}", number=number), SBC)
            assert sbc.recv(70000)
        assert eventually(lambda: asked(file)["counters"].get("packets") == 60)
        begin = time.monotonic()
        assert eventually(lambda: all(each["beat"] < time.monotonic() - begin for each in asked(file)["processes"]))
        state = asked(file)  # each has been heard of since
    assert [each["restarts"] for each in state["processes"]] == [0, 0, 0]
    assert len(state["calls"]) > 10
    assert "stuck" not in log.read_text()
