"""The service on a booted Debian, from its package, with calls from a carrier's network. Run by `make deb-test`."""

import contextlib
import json
import shutil
import time
import uuid
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from support import calls
from support.machine import Machine, Tree, booted, fresh_tree, package
from support.netns import LIVE, endpoint, eventually, three_hosts

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import X5U, Laboratory, Maker, key_pem, pem
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE

SERVICE, FIREWALL = "sbc-filter.service", "sbc-filter-firewall.service"
CONFIGURATION = f"""
[network]
sbc = ["192.0.2.1"]
[queue]
workers = 2
on_overload = {{ inbound = "drop", outbound = "drop" }}
[trust]
anchors = ["root.pem"]
[certificates]
directory = "certificates"
[credentials.ours]
key = "keys/ours.key"
certificate = "keys/ours.pem"
x5u = "{X5U}"
[log]
records = "/var/log/sbc-filter/records.jsonl"
"""


class Place(NamedTuple):
    """A booted host in the middle of a laboratory."""

    lab: Lab
    tree: Tree
    machine: Machine
    made: Laboratory

    def write(self, name: str, text: str) -> None:
        """A file of the configuration."""
        (self.tree.folder / "etc/sbc-filter" / name).write_text(text)

    def fed(self, port: int = 5060) -> bool:
        """Whether the firewall hands INVITEs to this port over."""
        rules = self.rules()
        return any("NFQUEUE" in rule for rule in rules) and any(str(port) in rule for rule in rules)

    def rules(self) -> list[str]:
        """The firewall rules in force on the machine."""
        return [line for line in self.machine.run("iptables-save").splitlines() if line.startswith("-A")]

    def verified(self, number: int) -> bool:
        """Whether a call of the carrier arrives with the result of its verification; False when it is lost."""
        claims = calls.claims(iat=int(time.time()), origid=str(uuid.uuid4()))  # or it would be a replay
        identity = calls.identity(claims, key=self.made.leaf.key, parameters=f'info=<{X5U}>;alg=ES256;ppt="shaken"')
        with endpoint(self.lab, "carrier") as carrier, endpoint(self.lab, "sbc") as sbc:
            carrier.sendto(calls.invite(identity, number=number), ("192.0.2.1", 5060))
            try:
                return b"verstat=TN-Validation-Passed" in sbc.recv(70000)
            except TimeoutError:
                return False

    def passes(self, number: int) -> bool:
        """Whether a call of the carrier arrives as it was sent."""
        with endpoint(self.lab, "carrier") as carrier, endpoint(self.lab, "sbc") as sbc:
            carrier.sendto(calls.invite(number=number), ("192.0.2.1", 5060))
            try:
                return sbc.recv(70000) == calls.invite(number=number)
            except TimeoutError:
                return False


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with three_hosts() as lab, fresh_tree() as tree:
        tree.install(package())
        made = Maker(time.time(), "host").laboratory()
        folder = tree.folder / "etc/sbc-filter"
        (folder / "sbc-filter.toml").write_text(CONFIGURATION)
        (folder / "root.pem").write_bytes(pem(made.root.certificate))
        (folder / "certificates").mkdir()
        certificate_path(folder / "certificates", X5U).write_bytes(made.chain)
        (folder / "keys/ours.pem").write_bytes(made.chain)
        (folder / "keys/ours.key").write_bytes(key_pem(made.leaf.key))
        tree.run("chown", "root:sbc-filter", "/etc/sbc-filter/keys/ours.key")
        (folder / "keys/ours.key").chmod(0o640)
        (folder / "rules/10-verify.toml").write_text(calls.VERIFY)
        with booted(tree, lab.namespace("sbc")) as machine:
            yield Place(lab, tree, machine, made)


@pytest.fixture(autouse=True)
def started(place: Place) -> None:
    """It runs when a test begins, as long as the package is there."""
    if place.machine.state(SERVICE, "LoadState") == "not-found":
        return
    place.machine.run("systemctl", "reset-failed")
    place.machine.run("systemctl", "start", SERVICE)
    assert eventually(lambda: place.machine.state(FIREWALL) == "active", 10)


def test_starts_and_filters(place: Place) -> None:
    place.machine.run("systemctl", "enable", SERVICE)
    shown = place.machine.run("systemctl", "status", SERVICE, FIREWALL)
    assert shown.count("Active: active") == 2, shown
    assert place.machine.state(SERVICE, "StatusText")
    assert place.verified(1)
    processes = place.machine.run("ps", "-u", "sbc-filter", "-o", "args=").splitlines()
    assert len(processes) >= 2
    queue = json.loads(place.machine.run("sbc-filter", "status", "--json"))["queues"]["50"]
    assert (queue["waiting"], queue["dropped"]) == (0, 0)
    records = place.tree.folder / "var/log/sbc-filter/records.jsonl"
    assert '"outcome":"passed"' in records.read_text().replace(": ", ":")


def test_reload_takes_the_new_rules_and_the_firewall_follows(place: Place) -> None:
    place.write("rules/10-verify.toml", calls.VERIFY.replace('action = "verify"', 'action = "drop"'))
    place.write("sbc-filter.toml", CONFIGURATION.replace("[queue]", "ports = [5060, 5070]\n[queue]"))
    place.machine.run("systemctl", "reload", SERVICE)
    assert eventually(lambda: place.fed(5070), 5)
    assert not place.passes(10)
    place.write("rules/10-verify.toml", calls.VERIFY)
    place.write("sbc-filter.toml", CONFIGURATION)
    place.machine.run("systemctl", "reload", SERVICE)
    assert eventually(lambda: not place.fed(5070), 5)
    assert place.verified(11)


def test_reload_of_a_mistake_fails_and_changes_nothing(place: Place) -> None:
    before = place.rules()
    place.write("rules/10-verify.toml", calls.VERIFY.replace("action", "aktion"))
    place.machine.run("systemctl", "reload", SERVICE, code=1)
    said = place.machine.run("journalctl", "-u", SERVICE, "-o", "cat", "-n", "20")
    assert "rule 'verify' (line 1): aktion: is unknown; did you mean 'action'?" in said
    assert place.machine.state(SERVICE) == "active"
    assert place.rules() == before
    assert place.verified(20)
    place.write("rules/10-verify.toml", calls.VERIFY)
    place.machine.run("systemctl", "reload", SERVICE)


def test_killed_it_is_there_again_with_its_rules(place: Place) -> None:
    for at in range(3):
        process = place.machine.state(SERVICE, "MainPID")
        place.machine.run("kill", "-KILL", process)
        assert eventually(lambda process=process: _another(place, process), 20)  # type: ignore[misc]
        assert eventually(place.fed, 10)
        assert place.verified(30 + at)


def test_stuck_it_is_ended_by_the_watchdog_and_there_again(place: Place) -> None:
    with overridden(place, SERVICE, "[Service]\nWatchdogSec=2\n"):
        place.machine.run("systemctl", "restart", SERVICE)
        time.sleep(3)  # it is alive, and says so
        assert place.machine.state(SERVICE, "NRestarts") == "0"
        process = place.machine.state(SERVICE, "MainPID")
        place.machine.run("kill", "-STOP", process)
        assert eventually(lambda: _another(place, process), 20)
        assert "watchdog" in place.machine.run("journalctl", "-u", SERVICE, "-o", "cat", "-n", "40")
        assert eventually(place.fed, 10)
        assert place.verified(40)


def test_a_start_that_failed_is_repeated_until_it_succeeds(place: Place) -> None:
    place.machine.run("systemctl", "stop", SERVICE)
    place.write("rules/10-verify.toml", calls.VERIFY.replace("action", "aktion"))
    place.machine.run("systemctl", "start", SERVICE, code=1)
    assert place.passes(48)
    place.write("rules/10-verify.toml", calls.VERIFY)
    assert eventually(lambda: place.machine.state(FIREWALL) == "active", 10)
    assert place.verified(49)


def test_stopped_the_rules_are_gone_and_calls_pass(place: Place) -> None:
    """Also with `drop`: a filter that was stopped stops nobody."""
    assert place.fed()
    begin = time.monotonic()
    place.machine.run("systemctl", "stop", SERVICE)
    assert time.monotonic() - begin < 5
    assert place.machine.state(SERVICE) == place.machine.state(FIREWALL) == "inactive"
    assert not place.fed()
    assert place.passes(50)


def test_stopped_while_it_starts_no_rule_is_left(place: Place) -> None:
    """Whichever moment it is: the rules are put in force right after it is ready."""
    for at in range(8):
        place.machine.run("systemctl", "stop", SERVICE)
        place.machine.run("systemctl", "start", SERVICE)
        time.sleep(at * 0.1)
        place.machine.run("systemctl", "stop", SERVICE)
        assert not place.fed()
    assert place.passes(55)


def test_told_to_the_rules_stay(place: Place) -> None:
    """Two lines for who wants no call to pass unfiltered; taken back by hand."""
    with overridden(place, FIREWALL, "[Service]\nExecStopPost=\n"):
        place.machine.run("systemctl", "stop", SERVICE)
        assert place.fed()
        assert not place.passes(60)
        place.machine.run("systemctl", "start", SERVICE)
        assert place.verified(61)
        place.machine.run("kill", "-KILL", place.machine.state(SERVICE, "MainPID"))
        assert not place.passes(62)
        assert eventually(lambda: place.verified(63), 10)
        place.machine.run("systemctl", "stop", SERVICE)
        place.machine.run("sbc-filter", "firewall", "remove")
        assert place.passes(64)


def test_an_upgrade_restarts_it_and_a_removal_stops_it(place: Place) -> None:
    process = place.machine.state(SERVICE, "MainPID")
    (place.tree.folder / "var/package.deb").write_bytes(package().read_bytes())
    place.machine.run("dpkg", "--force-confold", "-i", "/var/package.deb")
    assert eventually(lambda: _another(place, process), 10)
    assert eventually(place.fed, 10)
    assert place.verified(70)
    place.machine.run("dpkg", "--remove", "sbc-filter")
    assert not place.fed()
    assert place.machine.run("pgrep", "-u", "sbc-filter", code=1) == ""
    assert place.passes(71)


def test_install_and_uninstall_where_systemd_runs(place: Place) -> None:
    """As pip has it, on the host that the package has left."""
    program = place.tree.install_alone(package())
    said = place.machine.run(program, "install")
    assert "keep /etc/sbc-filter/sbc-filter.toml\n" in said
    assert "\nsystemctl daemon-reload\n" in said
    place.machine.run("systemctl", "enable", "--now", SERVICE)
    assert eventually(place.fed, 10)
    assert place.verified(80)
    said = place.machine.run(program, "uninstall", "--purge")
    assert said.startswith(f"systemctl disable --now {SERVICE}\nremove /etc/systemd/system/{SERVICE}\n")
    assert said.endswith("remove user sbc-filter\n")
    assert not place.fed()
    assert place.passes(81)
    assert place.machine.state(SERVICE, "LoadState") == "not-found"
    assert not list((place.tree.folder / "etc/systemd/system").rglob("sbc-filter*"))


@contextlib.contextmanager
def overridden(place: Place, unit: str, text: str) -> Iterator[None]:
    """What `systemctl edit` writes, for a while."""
    folder = place.tree.folder / f"etc/systemd/system/{unit}.d"
    folder.mkdir()
    (folder / "override.conf").write_text(text)
    place.machine.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        shutil.rmtree(folder)
        place.machine.run("systemctl", "daemon-reload")


def _another(place: Place, process: str) -> bool:
    """Whether the service runs, as another process than before."""
    return place.machine.state(SERVICE) == "active" and place.machine.state(SERVICE, "MainPID") not in ("0", process)
