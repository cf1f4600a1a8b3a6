"""`run --firewall` while another filter runs: the second start fails, and takes nothing from the first."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import calls
from support.netns import ADDRESSES, LIVE, endpoint, eventually
from support.processes import heeding_signals
from support.runs import RUN, started

from sbc_filter.cli import main
from sbc_filter.daemon.own_firewall_rules import LOCK
from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.backend import backend
from sbc_filter.firewall.nft import TABLE, Nft
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.netlink import QueueChannel

pytestmark = LIVE
QUEUES = "a filter already runs in this network: the applied firewall rules feed netfilter queue {}, which another"
QUEUES += " process has bound: end that process first; nothing was changed"
LOCKED = f"another `sbc-filter run --firewall` runs in this network (it has bound netfilter queue {LOCK}):"
LOCKED += " end that process first; nothing was changed"


@pytest.fixture(autouse=True)
def _without_rules(lab: Lab) -> Iterator[None]:
    """Some tests leave rules, which the next one must not find."""
    yield
    with lab.inside("sbc"):
        backend().remove()


def settings(folder: Path, queue: int = 50, more: str = "") -> Path:
    """A filter that rejects every call: what a call meets shows whether it is filtered."""
    folder.mkdir(exist_ok=True)
    (folder / "rules").mkdir()
    (folder / "rules" / "reject.toml").write_text('[[rule]]\nname = "no"\naction = "reject"\nanswer = { code = 403 }\n')
    (folder / "c.toml").write_text(
        f'[network]\nsbc = ["192.0.2.1", "2001:db8:1::1", "198.51.100.1", "2001:db8:2::1"]\n[queue]\nnumber = {queue}\n'
        f'[log]\nrecords = "records"\n[control]\nsocket = "control"\n{more}'
    )
    return folder / "c.toml"


def rules(lab: Lab) -> list[str]:
    """All that a firewall program of either family says of our rules, without counters."""
    found = [lab.run("sbc", program, "-t", "mangle", "-S") for program in ("iptables", "ip6tables")]
    found += [lab.run("sbc", program, "-t", "raw", "-S") for program in ("iptables", "ip6tables")]
    if f"table {TABLE}" in lab.run("sbc", "nft", "list", "tables"):
        found.append(lab.run("sbc", "nft", "--stateless", "list", "table", *TABLE.split()))
    return found


def are_in_force(found: list[str]) -> bool:
    return "SBC-FILTER" in "".join(found) or len(found) > 4


def assert_filtered(lab: Lab, version: int, number: int) -> None:
    """A call is answered by the filter: it does not reach the SBC, at which nobody listens."""
    with endpoint(lab, "carrier", version) as carrier:
        carrier.sendto(calls.invite(number=number), (ADDRESSES["sbc"][version], 5060))
        assert carrier.recv(70000).startswith(b"SIP/2.0 403 ")


def second(lab: Lab, file: Path, command: tuple[str, ...] = RUN) -> "subprocess.CompletedProcess[str]":
    with lab.inside("sbc"):
        return subprocess.run([*command, str(file)], capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(
    ("queue", "own_configuration"), [(50, False), (50, True), (60, True)], ids=["same", "same-queue", "another-queue"]
)
def test_the_second_fails_and_the_first_filters_on(
    lab: Lab, tmp_path: Path, queue: int, own_configuration: bool
) -> None:
    """Whatever the second one's configuration is: there is one set of rules in a network."""
    first = settings(tmp_path / "first")
    other = settings(tmp_path / "other", queue) if own_configuration else first
    with started(lab, first) as (process, log):
        before = rules(lab)
        assert are_in_force(before)
        for number, version in ((1, 4), (2, 6)):
            done = second(lab, other)
            assert (done.returncode, done.stderr) == (3, f"sbc-filter: {LOCKED}\n")
            assert rules(lab) == before
            assert_filtered(lab, version, number)
        assert main(["status", "--config", str(first)]) == 0
        assert "warning" not in log.read_text()
    assert process.returncode == 0
    assert not are_in_force(rules(lab))


@pytest.mark.parametrize("queue", [50, 60])
def test_rules_that_were_applied_by_hand_for_another_filter_stay(lab: Lab, tmp_path: Path, queue: int) -> None:
    """As the two units of systemd do it: `firewall apply`, and `run` without --firewall."""
    first, other = settings(tmp_path / "first"), settings(tmp_path / "other", queue)
    plain = tuple(each for each in RUN if each != "--firewall")
    with started(lab, first, plain):
        with lab.inside("sbc"):
            assert main(["firewall", "apply", "--config", str(first)]) == 0
        before = rules(lab)
        done = second(lab, other)
        assert (done.returncode, done.stderr) == (3, f"sbc-filter: {QUEUES.format(50)}\n")
        assert rules(lab) == before
        done = second(lab, first, plain)
        assert done.returncode == 3
        assert done.stderr.startswith("sbc-filter: netfilter queue 50 cannot be bound: another program has it")
        assert len(done.stderr.splitlines()) == 1
        assert rules(lab) == before
        assert main(["status", "--config", str(first)]) == 0
        for number, version in ((1, 4), (2, 6)):
            assert_filtered(lab, version, number)
    assert rules(lab) == before
    assert are_in_force(before)


def test_a_start_that_fails_before_it_applies_leaves_rules_alone(lab: Lab, tmp_path: Path) -> None:
    """The queue is another program's, which feeds it by rules of its own; ours were applied by hand for queue 50."""
    file, other = settings(tmp_path / "first"), settings(tmp_path / "other", 60)
    with lab.inside("sbc"):
        assert main(["firewall", "apply", "--config", str(file)]) == 0
        taken = QueueChannel(QueueSettings(60))
    before = rules(lab)
    with contextlib.closing(taken):
        done = second(lab, other)
    assert done.returncode == 3
    assert "netfilter queue 60 cannot be bound" in done.stderr
    assert rules(lab) == before
    assert are_in_force(before)


def test_a_program_that_cannot_apply_removes_nothing(lab: Lab, tmp_path: Path) -> None:
    """nft can delete a table also where the kernel has no queue for it."""
    with lab.inside("sbc"):
        if can(Nft()):
            pytest.skip("this kernel has nft's queue: nft applies the rules")
        subprocess.run(["nft", "add", "table", *TABLE.split()], check=True)
    before = rules(lab)
    done = second(lab, settings(tmp_path / "first", more='[firewall]\nbackend = "nft"\n'))
    assert done.returncode == 3
    assert done.stderr.startswith("sbc-filter: nft: this kernel has no queue for nft: load nft_queue, or use iptables")
    assert rules(lab) == before
    assert are_in_force(before)


def can(program: Nft) -> bool:
    try:
        program.probe()
    except EnvironmentFault:
        return False
    return True


def test_a_start_that_fails_after_it_applied_removes_its_rules(lab: Lab, tmp_path: Path) -> None:
    """The rules of IPv4 are applied when those of IPv6 fail: nothing of ours stays behind."""
    programs = tmp_path / "programs"
    programs.mkdir()
    broken = programs / "ip6tables-restore"
    real = lab.run("sbc", "which", "ip6tables-restore").strip()
    broken.write_text(
        "#!/bin/sh\ntext=$(cat)\n"
        f'case "$text" in *PROBE*) printf "%s\\n" "$text" | {real} "$@";; *) echo broken >&2; exit 1;; esac\n'
    )
    broken.chmod(0o755)
    file = settings(tmp_path / "first", more='[firewall]\nbackend = "iptables"\n')
    done = second(lab, file, ("env", f"PATH={programs}:/usr/sbin:/usr/bin:/sbin:/bin", *RUN))
    assert (done.returncode, done.stderr) == (3, "sbc-filter: ip6tables-restore: broken\n")
    assert not are_in_force(rules(lab))


def test_rules_that_now_feed_another_queue_stay(lab: Lab, tmp_path: Path) -> None:
    """Whoever applied them by hand meanwhile means them for another filter."""
    first, other = settings(tmp_path / "first"), settings(tmp_path / "other", 60)
    with started(lab, first) as (_, log):
        with lab.inside("sbc"):
            assert main(["firewall", "apply", "--config", str(other)]) == 0
        before = rules(lab)
    assert rules(lab) == before
    assert "warning: the firewall rules stay: they now feed queue 60, which is not ours" in log.read_text()


def test_rules_without_a_filter_are_replaced(lab: Lab, tmp_path: Path) -> None:
    """As after SIGKILL, or `firewall apply` by hand: the next filter takes them over, and removes them at its end."""
    file = settings(tmp_path / "first")
    with started(lab, file) as (process, _):
        process.kill()
        process.wait(10)
        assert eventually(lambda: not lab.run("sbc", "cat", "/proc/self/net/netfilter/nfnetlink_queue"), 15)
        assert are_in_force(rules(lab))
    with started(lab, file):
        assert_filtered(lab, 4, 1)
    assert not are_in_force(rules(lab))


def test_two_filters_do_not_share_the_port_of_the_relay(lab: Lab, tmp_path: Path) -> None:
    """The kernel would give the second some of the connections of the first, whatever queues it has."""
    relay = "[relay]\nenabled = true\n"
    alone = tuple(word for word in RUN if word != "--firewall")
    file = settings(tmp_path / "second", 60, relay)
    with started(lab, settings(tmp_path / "first", 50, relay)):
        done = second(lab, file, alone)
        assert (done.returncode, done.stderr) == (
            3,
            "sbc-filter: another sbc-filter of this network relays TCP at port 5059: end that process first, or choose"
            " another [relay].port\n",
        )
        elsewhere = settings(tmp_path / "third", 70, f"{relay}port = 5058\n")
        with started(lab, elsewhere, command=alone):
            pass


@contextlib.contextmanager
def racing(lab: Lab, files: list[Path]) -> Iterator[list["subprocess.Popen[str]"]]:
    with lab.inside("sbc"):
        both = [
            subprocess.Popen([*RUN, str(file)], stderr=subprocess.PIPE, text=True, preexec_fn=heeding_signals)
            for file in files
        ]
    try:
        yield both
    finally:
        for each in both:
            each.terminate()
            each.communicate(timeout=20)


@pytest.mark.parametrize("queues", [(50, 50), (50, 60)])
def test_of_two_that_start_at_the_same_moment_one_filters(lab: Lab, tmp_path: Path, queues: tuple[int, int]) -> None:
    files = [settings(tmp_path / str(at), queue) for at, queue in enumerate(queues)]
    for turn in range(2):
        with racing(lab, files) as both:
            assert eventually(lambda both=both: any(each.poll() is not None for each in both), 30)  # type: ignore[misc]
            (loser,) = (each for each in both if each.returncode is not None)
            assert loser.stderr is not None
            assert (loser.returncode, loser.stderr.read()) == (3, f"sbc-filter: {LOCKED}\n")
            (winner,) = (at for at, each in enumerate(both) if each is not loser)
            assert eventually(lambda: are_in_force(rules(lab)), 15)
            assert main(["status", "--config", str(files[winner])]) == 0
            for version in (4, 6):
                assert_filtered(lab, version, 10 * turn + version)
            assert both[winner].poll() is None
        assert not are_in_force(rules(lab))
