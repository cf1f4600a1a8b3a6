"""What goes wrong while 100 calls a second arrive over TCP and 100 leave: none is treated wrongly.

A call whose relay is killed ends with its connection, and is counted as such. What passes unfiltered is what the policy
says. Each test is a row of the table of failures in docs/service.md, as in test_faults.py for UDP.
"""

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.load import Load, Outcome
from support.netns import LIVE, eventually
from support.runs import asked, is_ready, processes, started
from support.tcp_calls import TcpCalls
from support.waiting import LONG

from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
WORKERS, RELAYS = ("worker 1", "worker 2"), ("relay 1", "relay 2")
CONNECTIONS = 8  # of each direction
DROP = 'on_overload = { inbound = "drop", outbound = "drop" }\n'
POLICIES = pytest.mark.parametrize("policy", ["accept", "drop"])


@pytest.fixture
def load(lab: Lab, tmp_path: Path) -> Load:
    return Load(lab, tmp_path)


@pytest.fixture
def tcp(load: Load) -> Iterator[TcpCalls]:
    with contextlib.closing(TcpCalls(load, CONNECTIONS)) as made:
        yield made


def configured(load: Load, policy: str = "accept", existing: str = "pass") -> Path:
    """The file of a filter with two workers and two relays."""
    queue = "workers = 2\n" + (DROP if policy == "drop" else "")
    relay = f'[relay]\nenabled = true\nexisting = "{existing}"\n[firewall]\nbackend = "iptables"\n'
    return load.configure(relay, queue=queue)


def told(found: dict[str, Outcome]) -> str:
    return "; ".join(f"{direction}: {outcome}" for direction, outcome in found.items())


def assert_all_right(found: dict[str, Outcome], *, unfiltered: bool = False, reset: bool = False) -> None:
    """Every call has an end, every tenth that arrives is refused, each is treated as the rules say; or its connection
    was reset, or it passed by the filter, where that may be."""
    print(told(found))
    for outcome in found.values():
        assert not outcome.wrong, f"{told(found)} {outcome.wrong}"
        assert (outcome.lost, outcome.unchecked) == (0, 0), told(found)
        assert outcome.answered + outcome.refused + outcome.reset == outcome.offered
        assert outcome.answered > 0, told(found)
        assert unfiltered or outcome.unfiltered == 0, told(found)
        assert reset or outcome.reset == 0, told(found)
    assert found["outbound"].refused == 0
    assert unfiltered or reset or found["inbound"].refused == (found["inbound"].offered + 9) // 10


def kill(file: Path, names: tuple[str, ...]) -> None:
    """Kill these, and wait until others have taken their place."""
    before = {name: processes(file)[name]["pid"] for name in names}
    for process in before.values():
        os.kill(process, signal.SIGKILL)
    assert eventually(lambda: all(is_ready(file, name, other_than=before[name]) for name in names))


def test_nothing_goes_wrong(lab: Lab, load: Load, tcp: TcpCalls) -> None:
    """The measure for all others: no connection ends before the calls do."""
    with started(lab, configured(load)):
        tcp.begin()
        assert tcp.go_on(300)
        found = tcp.end()
    assert_all_right(found)
    assert (tcp.opened, tcp.torn) == (2 * CONNECTIONS, 0)


@POLICIES
def test_workers_are_killed(lab: Lab, load: Load, tcp: TcpCalls, policy: str) -> None:
    """One after the other, ten times: that concerns UDP alone."""
    file = configured(load, policy)
    with started(lab, file) as (_, log):
        tcp.begin()
        for name in WORKERS * 5:
            assert tcp.go_on(20)
            kill(file, (name,))
        found = tcp.end()
        assert log.read_text().count("ended with signal 9: restarting it") == 10
    assert_all_right(found)
    assert (tcp.opened, tcp.torn) == (2 * CONNECTIONS, 0)


@POLICIES
def test_relays_are_killed_one_after_the_other(lab: Lab, load: Load, tcp: TcpCalls, policy: str) -> None:
    """Ten times: their connections are reset, the other relay takes the next ones at once, and no call passes
    unfiltered, whatever the policy."""
    file = configured(load, policy)
    with started(lab, file):
        tcp.begin()
        for name in RELAYS * 5:
            assert tcp.go_on(20)
            kill(file, (name,))
        assert tcp.go_on()
        found = tcp.end()
        assert asked(file)["counters"]["relay-restarts"] == 10
    assert_all_right(found, reset=True)
    assert tcp.opened > 2 * CONNECTIONS


@POLICIES
def test_all_relays_are_killed_at_once(lab: Lab, load: Load, tcp: TcpCalls, policy: str) -> None:
    """Five times. `accept`: new connections may go direct until the next relay listens. `drop`: they wait for it."""
    file = configured(load, policy, existing="reset")
    with started(lab, file):
        tcp.begin()
        for _ in range(5):
            assert tcp.go_on()
            kill(file, RELAYS)
        assert tcp.go_on()
        found = tcp.end()
    assert_all_right(found, reset=True, unfiltered=policy == "accept")
    assert tcp.opened > 2 * CONNECTIONS


@POLICIES
def test_all_is_killed_and_started_again(lab: Lab, load: Load, tcp: TcpCalls, policy: str) -> None:
    """As a service manager does. Whatever the policy, the rules of iptables drop new connections until then."""
    file = configured(load, policy)
    with contextlib.ExitStack() as stack:
        process, _ = stack.enter_context(started(lab, file))
        pids = process.pid, *(each["pid"] for each in processes(file).values())
        tcp.begin()
        assert tcp.go_on()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        process.wait(LONG)
        stack.enter_context(started(lab, file))
        assert tcp.go_on()
        found = tcp.end()
    assert_all_right(found, reset=True)
    assert tcp.opened > 2 * CONNECTIONS


@POLICIES
def test_it_is_stopped_and_started_again(lab: Lab, load: Load, tcp: TcpCalls, policy: str) -> None:
    """No message is cut off. What comes after the stop goes direct, and is reset when the relay is back."""
    file = configured(load, policy, existing="reset")
    with contextlib.ExitStack() as stack:
        process, log = stack.enter_context(started(lab, file))
        tcp.begin()
        assert tcp.go_on(100)
        process.terminate()
        assert process.wait(LONG) == 0, log.read_text()
        assert tcp.go_on()
        assert tcp.torn == 0
        stack.enter_context(started(lab, file))
        begun = {direction: tcp.begun(direction) for direction in ("inbound", "outbound")}
        assert tcp.go_on(100)
        found = tcp.end()
    assert_all_right(found, reset=True, unfiltered=True)
    for direction, outcome in found.items():
        assert outcome.unfiltered > 0, told(found)
        assert outcome.last_unfiltered < begun[direction], told(found)


def test_a_storm_of_reloads(lab: Lab, load: Load, tcp: TcpCalls) -> None:
    """Forty, every other one of files that are wrong: no connection ends."""
    file = configured(load)
    rules = file.parent / "rules" / "all.toml"
    text = rules.read_text()
    endings = {False: "reload refused: everything stays as it was", True: "reloaded; rules"}
    with started(lab, file) as (process, log):
        tcp.begin()
        for _, good in itertools.product(range(20), endings):
            seen = log.read_text().count(endings[good])
            (file.parent / "new").write_text(text if good else text.replace('"verify"', '"verifi"'))
            (file.parent / "new").rename(rules)
            process.send_signal(signal.SIGHUP)
            assert eventually(lambda: log.read_text().count(endings[good]) > seen)  # noqa: B023
        assert tcp.go_on()
        found = tcp.end()
    assert_all_right(found)
    assert (tcp.opened, tcp.torn) == (2 * CONNECTIONS, 0)


@POLICIES
def test_a_relay_hangs(lab: Lab, load: Load, tcp: TcpCalls, policy: str) -> None:
    """It is killed after some seconds, and its connections with it. The other relay goes on."""
    file = configured(load, policy)
    with started(lab, file) as (_, log):
        tcp.begin()
        assert tcp.go_on()
        hanging = processes(file)["relay 1"]["pid"]
        os.kill(hanging, signal.SIGSTOP)
        assert eventually(lambda: is_ready(file, "relay 1", other_than=hanging))
        assert "is stuck: killing it" in log.read_text()
        assert tcp.go_on()
        found = tcp.end()
    assert_all_right(found, reset=True)
