"""`sbc-filter follow`: records of live calls as they happen, for every follower, without a call that waits for one."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support import calls
from support.netns import LIVE, endpoint, eventually
from support.processes import heeding_signals, stop
from support.runs import asked, is_ready, processes, started
from support.waiting import LONG

from sbc_filter.commands.follow.lasting import AGAIN
from sbc_filter.daemon.control_socket import answers
from sbc_filter.lab.namespaces import Lab
from sbc_filter.recent.recent_server import CLIENTS

pytestmark = LIVE
SBC = ("192.0.2.1", 5060)
REFUSED = "12155550111"


def configured(folder: Path, workers: int = 1) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text(
        f'[[rule]]\nname = "refuse"\ncalled = "{REFUSED}"\naction = "reject"\n[[rule]]\nname = "go"\naction = "pass"\n'
    )
    (folder / "c.toml").write_text(
        f'[network]\nsbc = ["192.0.2.1"]\n[queue]\nworkers = {workers}\n[control]\nsocket = "{folder}/control"\n'
        '[log]\nrecords = "records.jsonl"\n[trunks.carrier]\naddresses = "192.0.2.7"\n'
    )
    return folder / "c.toml"


class Followed:
    """A process of `sbc-filter follow`, and what it prints."""

    def __init__(self, file: Path, *options: str, said: Path | None = None) -> None:
        command = [sys.executable, "-P", "-m", "sbc_filter", "follow", "--config", str(file), *options]
        with contextlib.ExitStack() as stack:
            error = subprocess.PIPE if said is None else stack.enter_context(said.open("wb"))
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=error, preexec_fn=heeding_signals)

    def line(self) -> str:
        """The next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode()

    def end(self) -> tuple[int, str, str]:
        """Its exit code, the rest that it prints and what it says."""
        out, said = self.process.communicate(timeout=LONG)
        return self.process.returncode, out.decode(), said.decode()


@contextlib.contextmanager
def following(file: Path, *options: str, said: Path | None = None) -> Iterator[Followed]:
    """A follower from whom on nothing is missed."""
    before = followers(file)
    found = Followed(file, *options, said=said)
    try:
        assert eventually(lambda: followers(file) > before or found.process.poll() is not None)
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.process.pid, signal.SIGCONT)
        found.process.kill()
        found.process.communicate()


def followers(file: Path) -> int:
    """The followers that the filter serves: the connected sockets of its process."""
    pid = processes(file)["recent"]["pid"]
    table = Path("/proc/net/unix").read_text().splitlines()  # they are of the host of those who connect
    connected = {line.split()[6] for line in table if line.endswith(f"{file.parent}/control") and " 03 " in line}
    links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()]
    return sum(f"socket:[{number}]" in links for number in connected)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_record_with_its_explanation(lab: Lab, tmp_path: Path, workers: int) -> None:
    """Of all workers, at every follower; each sees what it asked for."""
    file = configured(tmp_path, workers)
    with (
        started(lab, file),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
        following(file, "--explain") as all_of_them,
        following(file, "--json", "--number", "+1 (215) 555-0111") as of_number,
        following(file, "--json", "--call-id", "call-3@carrier.example", "--trunk", "carrier") as of_call,
    ):
        for number in range(4):
            called = REFUSED if number % 2 else "12155550100"
            carrier.sendto(calls.invite(called=called, number=number), SBC)
            (carrier if number % 2 else sbc).recv(70000)
        shown = [all_of_them.line() for _ in range(4 + 3 * 4)]
        found = [json.loads(of_number.line()) for _ in range(2)]
        only = json.loads(of_call.line())
    lines = sorted(line for line in shown if not line.startswith("    "))
    assert len(lines) == 4
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  inbound   \d+ → 12155550111  not-examined.reject-rule  rejected 403  trunk carrier"
        r"  rule refuse  Call-ID call-[13]@carrier.example\n",
        next(line for line in lines if "403" in line),
    )
    assert sum(line.startswith("    Who can act: ") for line in shown) == 4
    assert sorted(each["call_id"] for each in found) == ["call-1@carrier.example", "call-3@carrier.example"]
    assert all(0 <= each["delay"] < LONG for each in found)
    assert only["call_id"] == "call-3@carrier.example"


def test_one_who_does_not_read_loses_records_and_is_told_how_many(lab: Lab, tmp_path: Path) -> None:
    """No call waits for it, and another follower sees all of them."""
    file = configured(tmp_path)
    with (
        started(lab, file),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
        following(file, "--json") as slow,
        following(file, "--json") as other,
    ):
        stop(slow.process.pid)
        for first in range(0, 1500, 10):
            for number in range(first, first + 10):
                carrier.sendto(calls.invite(number=number), SBC)
                assert b"Call-ID: call-%d@" % number in sbc.recv(70000)
            expected = [f"call-{number}@carrier.example" for number in range(first, first + 10)]
            assert [json.loads(other.line())["call_id"] for _ in expected] == expected
        os.kill(slow.process.pid, signal.SIGCONT)
        shown, lost = 0, 0
        while shown + lost < 1500:
            line = json.loads(slow.line())
            lost += line.get("not_shown", 0)
            shown += "outcome" in line
            assert line.get("why", "reader") == "reader"
        assert lost > 100
        assert shown > 20


def test_a_sentence_for_people_says_how_many(lab: Lab, tmp_path: Path) -> None:
    """And a follower that only watches a rare number loses none."""
    file, said = configured(tmp_path), tmp_path / "said"
    with (
        started(lab, file),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
        following(file, said=said) as slow,
        following(file, "--number", REFUSED) as rare,
    ):
        stop(slow.process.pid)
        stop(rare.process.pid)
        for number in range(3000):
            carrier.sendto(calls.invite(number=number), SBC)
            sbc.recv(70000)
        carrier.sendto(calls.invite(called=REFUSED, number=3000), SBC)
        carrier.recv(70000)
        for each in (slow, rare):
            os.kill(each.process.pid, signal.SIGCONT)
        assert "rejected 403" in rare.line()
        seen = (slow.line() for _ in range(3001))
        lost = r"sbc-filter: \d+ records were not shown: this terminal reads too slowly\n"
        while not re.fullmatch(lost, said.read_text()):
            carrier.sendto(calls.invite(number=4000), SBC)  # so that there always is another line
            sbc.recv(70000)
            assert next(seen)


def test_it_goes_on_over_a_reload_and_a_worker_that_dies_and_ends_with_the_filter(lab: Lab, tmp_path: Path) -> None:
    file = configured(tmp_path)
    with (
        started(lab, file) as (process, log),
        endpoint(lab, "carrier") as carrier,
        following(file, "--json") as followed,
    ):

        def refused(number: int) -> str:
            carrier.sendto(calls.invite(called=REFUSED, number=number), SBC)
            assert carrier.recv(70000).startswith(b"SIP/2.0 403 ")
            return str(json.loads(followed.line())["call_id"])

        assert refused(1) == "call-1@carrier.example"
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "reloaded; rules" in log.read_text())
        assert refused(2) == "call-2@carrier.example"
        os.kill(processes(file)["worker 1"]["pid"], signal.SIGKILL)
        assert eventually(lambda: processes(file).get("worker 1", {}).get("restarts") == 1)
        assert eventually(lambda: is_ready(file, "worker 1"))
        assert refused(3) == "call-3@carrier.example"
        process.terminate()
        said = "sbc-filter: the filter has read its files again\nsbc-filter: the filter has stopped\n"
        assert followed.end() == (0, "", said)


def test_ctrl_c_ends_it_and_the_filter_forgets_it(lab: Lab, tmp_path: Path) -> None:
    file = configured(tmp_path)
    with started(lab, file), following(file) as followed:
        assert followers(file) == 1
        followed.process.send_signal(signal.SIGINT)
        assert followed.end() == (130, "", "")
        assert eventually(lambda: followers(file) == 0)


def test_the_process_that_serves_them_is_replaced(lab: Lab, tmp_path: Path) -> None:
    """Its followers say so and go on, each time; calls go on meanwhile, and the end of the filter is theirs."""
    file, said = configured(tmp_path), tmp_path / "said"
    with (
        started(lab, file) as (process, _),
        endpoint(lab, "carrier") as carrier,
        following(file, said=said) as followed,
    ):
        for restarts in (1, 2):
            victim = processes(file)["recent"]["pid"]
            os.kill(victim, signal.SIGKILL)
            carrier.sendto(calls.invite(called=REFUSED, number=10 * restarts), SBC)
            assert carrier.recv(70000).startswith(b"SIP/2.0 403 ")
            assert eventually(partial(is_ready, file, "recent", other_than=victim))
            assert eventually(lambda: followers(file) == 1)
            assert asked(file)["counters"]["recent-restarts"] == restarts
            carrier.sendto(calls.invite(called=REFUSED, number=restarts), SBC)
            assert carrier.recv(70000).startswith(b"SIP/2.0 403 ")
            while f"call-{restarts}@carrier.example" not in followed.line():
                pass  # that of the restart may be shown, too
        process.terminate()
        assert followed.process.wait(LONG) == 0
        first, *again, last = said.read_text().splitlines()
        assert first == f"sbc-filter: {AGAIN}"
        assert again in ([], [first])
        assert last == "sbc-filter: the filter has stopped"


def test_the_filter_is_killed(lab: Lab, tmp_path: Path) -> None:
    """The process that serves followers outlives the supervisor for a moment, and says that it is over."""
    file = configured(tmp_path)
    with started(lab, file) as (process, _), following(file) as followed:
        process.kill()
        assert followed.end() == (0, "", "sbc-filter: the filter has stopped\n")


def test_more_than_a_hundred_followers(lab: Lab, tmp_path: Path) -> None:
    """Some are served, the others are told why not; none of them disturbs a call."""
    file = configured(tmp_path)
    with started(lab, file), endpoint(lab, "carrier") as carrier, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(answers(tmp_path / "control", "follow")) for _ in range(110)]
        refused = 0
        served: list[socket.socket] = []
        carrier.sendto(calls.invite(called=REFUSED), SBC)
        assert carrier.recv(70000).startswith(b"SIP/2.0 403 ")
        assert eventually(lambda: followers(file) == CLIENTS)
        carrier.sendto(calls.invite(called=REFUSED, number=2), SBC)
        assert carrier.recv(70000).startswith(b"SIP/2.0 403 ")
        for connection in connections:
            with connection.makefile("rb") as lines:
                first = json.loads(lines.readline())
            if "end" in first:
                refused += 1
                assert first == {"end": "32 others are connected already: end one of them first", "code": 3}
            else:
                served.append(connection)
        assert (len(served), refused) == (CLIENTS, 110 - CLIENTS)


def test_what_peers_write_does_not_reach_the_terminal(lab: Lab, tmp_path: Path) -> None:
    """The engine makes spaces of control characters in a Call-ID; the line stays one line, and short."""
    file = configured(tmp_path)
    with started(lab, file), endpoint(lab, "carrier") as carrier, following(file) as followed:
        hostile = "\x1b]0;owned\x07\x1b[2J" + "x" * 2000
        invite = calls.invite(called=REFUSED).replace(b"call-1@carrier.example", hostile.encode())
        carrier.sendto(invite, SBC)
        carrier.recv(70000)
        carrier.sendto(calls.invite(called=REFUSED, number=2), SBC)
        line = followed.line()
        assert "call-2@carrier.example" in followed.line()
    assert line.rstrip("\n").isprintable()
    assert "Call-ID ]0;owned  [2Jxxx" in line.replace("Call-ID  ", "Call-ID ")
    assert len(line) < 400


def test_an_unknown_trunk_is_refused(lab: Lab, tmp_path: Path) -> None:
    file = configured(tmp_path)
    with started(lab, file), following(file, "--trunk", "acme") as followed:
        assert followed.end() == (2, "", "sbc-filter: there is no trunk 'acme': the trunks are carrier\n")
