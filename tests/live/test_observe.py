"""Observation on a real kernel queue: nothing changes, and every `would` is what enforcing does to the same traffic."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import CARRIER, LAB, NOW, SBC, identity, invite, make_engine
from support.netns import LIVE, NO_INVITE, endpoint, eventually, nothing_else, running, settled
from support.observed import ASKING, RULES, TRUNKS, from_sbc, to_redirect, to_sbc
from support.runs import asked, commanded_text, is_ready, processes, says, started
from support.tiny import TinySource
from support.waiting import LONG

from sbc_filter.daemon.control_socket import ask
from sbc_filter.engine.call.network import Observation
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer
from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
OPTIONS = b"OPTIONS sip:a@b SIP/2.0\r\nP-Attestation-Indicator: A\r\n\r\n"
AT_SBC, AT_CARRIER = (SBC, 5060), (CARRIER, 5060)


@pytest.fixture(scope="module")
def firewall(lab: Lab) -> Iterator[None]:
    """The rules, for `running`; and the address of the softswitch."""
    lab.address("carrier", f"{ASKING}/24", "to-sbc")
    with lab.inside("sbc"):
        Iptables().apply(Plan(sbc=(SBC,), responses="all", scrub_methods=("OPTIONS",)))
        yield
        Iptables().remove()


def played(lab: Lab, observed: Observation) -> list[Record]:
    """The records of the whole mixture. The certificate of the first call comes only after its retransmission."""
    records: list[Record] = []
    engine, source = make_engine(TRUNKS + RULES, known=False, scrub_methods=["OPTIONS"]), TinySource()
    engine.observe(observed)
    with (
        running(lab, engine, source, clock=lambda: NOW, sink=records.append) as shell,
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "carrier", address=ASKING) as asking,
        endpoint(lab, "sbc") as sbc,
    ):
        arriving = to_sbc(int(NOW))
        plan = [(carrier, sbc, AT_SBC, message) for message in (*arriving, OPTIONS)]
        plan += [(sbc, carrier, AT_CARRIER, message) for message in from_sbc()]
        plan += [(asking, sbc, AT_SBC, message) for message in to_redirect(int(NOW))]
        for number, (sender, receiver, target, message) in enumerate(plan):
            sender.sendto(message, target)
            if observed.everything:
                assert receiver.recv(70000) == message  # also before the certificate is there
            assert eventually(lambda number=number: shell.counters.get("packets") == number + 1)  # type: ignore[misc]
            settled(shell)
            if number == 1:
                assert records == []
                source.asked[0](Answer(LAB.chain, None, NOW + 3600))
                assert eventually(lambda: len(records) == 2)  # of the rule that watches, too
        if observed.everything:
            for sender, target, receiver in ((sbc, AT_CARRIER, carrier), (carrier, AT_SBC, sbc)):
                assert nothing_else(sender, target, receiver, NO_INVITE)
            assert nothing_else(sbc, (ASKING, 5060), asking, NO_INVITE)
            assert shell.counters.keys().isdisjoint({"modified", "dropped"})
            assert shell.counters["emitted"] == 0
        else:
            assert shell.counters["modified"] >= 5
            assert shell.counters["dropped"] >= 8
    return records


def test_nothing_changes_and_would_is_what_enforcing_does(lab: Lab, firewall: None) -> None:
    seen, done = (played(lab, Observation(everything=everything)) for everything in (True, False))
    assert [(each.verdict, each.would) for each in seen] == [("accept", each.verdict) for each in done]
    assert seen == [each._replace(verdict="accept", would=each.verdict) for each in done]
    assert {each.would for each in seen} == {"accept", "modify", "reject", "redirect", "drop"}


def test_what_waits_at_the_end_is_recorded(lab: Lab, firewall: None) -> None:
    records: list[Record] = []
    engine, call = make_engine(known=False), invite(identity())
    engine.observe(Observation(everything=True))
    with (
        running(lab, engine, TinySource(), clock=lambda: NOW, sink=records.append) as shell,
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
    ):
        carrier.sendto(call, AT_SBC)
        assert sbc.recv(70000) == call
        settled(shell)
        assert shell.counters["held-now"] == 1
    assert [(each.verdict, each.would, each.detail) for each in records] == [("accept", "modify", "fetch-timeout")]
    assert shell.counters["accepted"] == 1  # one verdict, and not a second one at the end


# --- at run time ---


def configured(folder: Path, workers: int = 1, mode: str = "enforce") -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text('[[rule]]\nname = "refuse"\naction = "reject"\n')
    file = folder / "c.toml"
    file.write_text(
        f'[network]\nsbc = ["{SBC}"]\nmode = "{mode}"\n[queue]\nworkers = {workers}\n[control]\nsocket = "control"\n'
        f'[trunks.carriers]\naddresses = ["{CARRIER}"]\n[log]\nrecords = "records.jsonl"\n'
    )
    return file


def command(file: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return commanded_text(*words, "--config", str(file))


class Calls:
    """Calls of the carrier, each with a Call-ID of its own, so that they reach all workers."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._number = 0

    def pass_unchanged(self, count: int = 1) -> bool:
        """Whether all of them reach the SBC as they are; false if all are refused."""
        seen = set()
        with endpoint(self._lab, "carrier") as carrier, endpoint(self._lab, "sbc") as sbc:
            for _ in range(count):
                self._number += 1
                call = invite(number=self._number)
                carrier.sendto(call, AT_SBC)
                (end,), _, _ = select.select([carrier, sbc], [], [], LONG)
                message = end.recv(70000)
                assert message == call if end is sbc else message.startswith(b"SIP/2.0 403 ")
                seen.add(end is sbc)
        assert len(seen) == 1
        return seen.pop()


def test_the_hand_brake(lab: Lab, tmp_path: Path) -> None:
    """At once, in both workers; in a worker that is replaced, and after a restart; until it is released."""
    file, calls = configured(tmp_path, workers=2), Calls(lab)
    until = r"observing trunk carriers until 20"
    with started(lab, file) as (_, log):
        assert not calls.pass_unchanged(20)
        done = command(file, "observe", "--trunk", "carriers", "--for", "2h")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(until)
        assert calls.pass_unchanged(20)
        assert says(log, done.stdout.strip())
        assert done.stdout.strip() in " ".join(command(file, "status").stdout.split())
        (state,) = asked(file)["observing"]
        assert state["trunk"] == "carriers"
        worker = processes(file)["worker 1"]["pid"]
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: is_ready(file, "worker 1", other_than=worker))
        assert calls.pass_unchanged(20)
        kept = tmp_path / "control.observe"
        assert kept.stat().st_mode & 0o777 == 0o600
    assert "stopped; observing trunk carriers until" in " ".join(log.read_text().split())
    with started(lab, file) as (_, log):
        assert calls.pass_unchanged(20)
        assert asked(file)["observing"] == [state]
        assert says(log, until)
        assert command(file, "reload").stdout == "reloaded\n"
        assert calls.pass_unchanged(20)
        assert command(file, "observe", "--off").stdout == "nothing is observed: calls are treated as the rules say\n"
        assert not calls.pass_unchanged(20)
        assert not kept.exists()
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert {(each["verdict"], each["would"]) for each in records} == {("reject", None), ("accept", "reject")}


def test_it_ends_by_itself(lab: Lab, tmp_path: Path) -> None:
    file, calls = configured(tmp_path), Calls(lab)
    with started(lab, file) as (_, log):
        ask(tmp_path / "control", "observe", trunk=None, seconds=3600)
        assert calls.pass_unchanged()
        ask(tmp_path / "control", "observe", trunk=None, seconds=0.2)  # replaces the other one
        assert eventually(lambda: "the time to observe everything is over" in log.read_text())
        assert not calls.pass_unchanged()
        assert asked(file)["observing"] == []


def test_who_asks_for_the_impossible_is_told(lab: Lab, tmp_path: Path) -> None:
    file, calls = configured(tmp_path), Calls(lab)
    with started(lab, file):
        wrong = command(file, "observe", "--trunk", "carrier", "--for", "1d")
        assert (wrong.returncode, wrong.stdout) == (1, "")
        assert wrong.stderr == "sbc-filter: there is no trunk 'carrier': the trunks are carriers\n"
        for trunk, seconds in (("", 5), (["carriers"], 0), ({}, 5), (None, 1e9), (None, -1), (None, True), (None, "9")):
            assert ask(tmp_path / "control", "observe", trunk=trunk, seconds=seconds)["problems"]
        assert ask(tmp_path / "control", "observe")["problems"]
        assert not calls.pass_unchanged()
        assert (tmp_path / "control").stat().st_mode & 0o777 == 0o660


def test_a_file_of_somebody_else_does_not_count(lab: Lab, tmp_path: Path) -> None:
    file, calls = configured(tmp_path), Calls(lab)
    kept = tmp_path / "control.observe"
    kept.write_text("[[null, 99999999999]]")
    kept.chmod(0o666)
    with started(lab, file) as (_, log):
        assert not calls.pass_unchanged()
        assert says(
            log, f"warning: {kept} cannot be read: it is not a file of this user alone: what `sbc-filter observe`"
        )


def test_the_configuration_observes_until_it_says_otherwise(lab: Lab, tmp_path: Path) -> None:
    file, calls = configured(tmp_path, mode="observe"), Calls(lab)
    with started(lab, file) as (_, log):
        assert calls.pass_unchanged()
        assert says(log, "observing everything by the configuration")
        assert asked(file)["observing"] == [{"trunk": None, "until": None}]
        assert command(file, "observe", "--off").stdout.startswith("observing everything by the configuration")
        assert calls.pass_unchanged()
        file.write_text(file.read_text().replace('"observe"', '"enforce"'))
        assert command(file, "reload").stdout == "reloaded\n"
        assert not calls.pass_unchanged()
