"""The programs that put the rules in force, each with a real queue behind it; and that one of them holds at a time."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.netns import ADDRESSES, LIVE, endpoint, nothing_else, running
from support.tiny import TinyEngine, TinySource, filtered, invite

from sbc_filter.cli import main
from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.backend import backend
from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.nft import Nft
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab

PLAN = Plan(sbc=("192.0.2.1", "2001:db8:1::1"))
LEGACY = "iptables-legacy"
pytestmark = LIVE


def needed(lab: Lab, name: str) -> None:
    """Skip where this machine cannot do it."""
    try:
        with lab.inside("sbc"):
            (Nft() if name == "nft" else Iptables(name.removeprefix("iptables"))).probe()
    except EnvironmentFault as fault:
        pytest.skip(str(fault))


@pytest.mark.parametrize("name", ["nft", "iptables", LEGACY])
def test_calls_are_filtered_by_the_rules_of(lab: Lab, name: str) -> None:
    """Applied twice, asked how they stand, taken back twice; in between every INVITE is seen once."""
    needed(lab, name)
    with lab.inside("sbc"):
        firewall = backend(name)
        assert firewall.faults()[0].endswith("the rules are not applied: run `sbc-filter firewall apply`")
        firewall.apply(Plan(ports=(5070, 5060), queue=7))
        firewall.apply(PLAN)
        assert (firewall.name, firewall.faults(), firewall.queues()) == (name, [], frozenset({50, 51}))
    for version in (4, 6):
        for start, end in (("carrier", "sbc"), ("sbc", "carrier"), ("carrier", "core")):
            engine = TinyEngine(growth=900)
            with (
                running(lab, engine, TinySource(), queues=PLAN.queues),
                endpoint(lab, start, version, 5062) as sender,
                endpoint(lab, end, version) as receiver,
            ):
                for size in (400, 1400, 9000):
                    sender.sendto(invite(size, size=size), (ADDRESSES[end][version], 5060))
                    assert receiver.recv(70000) == filtered(invite(size, size=size), 900)
                assert len(engine.seen) == 3
                sender.sendto(b"OPTIONS sip:a@b SIP/2.0", (ADDRESSES[end][version], 5060))
                assert receiver.recv(70000) == b"OPTIONS sip:a@b SIP/2.0"
                assert len(engine.seen) == 3
                assert nothing_else(sender, (ADDRESSES[end][version], 5060), receiver)
    with lab.inside("sbc"):
        for _ in range(2):
            firewall.remove()
            assert firewall.faults() != []
            assert firewall.queues() == frozenset()
    assert "SBC-FILTER" not in lab.run("sbc", f"{name}-save" if name != "nft" else "iptables-save")


@pytest.mark.parametrize(("before", "after"), [(LEGACY, "iptables"), ("iptables", LEGACY), ("nft", "iptables")])
def test_one_program_at_a_time(lab: Lab, before: str, after: str) -> None:
    """What another one left would queue each packet a second time."""
    needed(lab, after)
    with lab.inside("sbc"):
        if before == "nft":  # as it is, whatever this kernel can do
            subprocess.run(["nft", "add", "table", "inet", "sbc-filter"], check=True)
        else:
            needed(lab, before)
            backend(before).apply(PLAN)
            assert backend(after).queues() == {50, 51}
        firewall = backend(after)
        assert f"{before}: rules are applied beside those of {after}: run `sbc-filter firewall apply`" in (
            firewall.faults()
        )
        firewall.apply(PLAN)
        assert firewall.faults() == []
        assert "SBC-FILTER" not in lab.run(
            "sbc", *(["nft", "list", "tables"] if before == "nft" else [f"{before}-save"])
        )
        firewall.remove()
        assert len(firewall.faults()) == 2


def test_auto_takes_what_works(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """nft first, where the kernel has its queue; and with nothing installed iptables says what is missing."""
    with lab.inside("sbc"):
        try:
            Nft().probe()
        except EnvironmentFault:
            assert backend().name == "iptables"
        else:
            assert backend().name == "nft"
        for program in ("iptables-legacy-restore", "ip6tables-legacy-restore"):
            Path(tmp_path, program).symlink_to(shutil.which(program) or "")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert backend().name == LEGACY
        Path(tmp_path, "ip6tables-legacy-restore").unlink()
        firewall = backend()
        with pytest.raises(EnvironmentFault, match="iptables is not installed: install the package iptables"):
            firewall.apply(PLAN)


@pytest.mark.parametrize("name", ["iptables", LEGACY])
def test_capabilities_suffice(lab: Lab, name: str) -> None:
    """DESIGN §4: another user with two capabilities; the lock of the legacy kind is then one of its own."""
    needed(lab, name)
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.backend import backend
firewall = backend({name!r})
firewall.apply(Plan())
print(firewall.faults())
firewall.remove()
"""
    capabilities = "-all,+net_admin,+net_raw,+dac_read_search"  # the last only to find the code, wherever it lies
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    command += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", f"--bounding-set={capabilities}"]
    with lab.inside("sbc"), tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 65534, 65534)
        environment = {**os.environ, "RUNTIME_DIRECTORY": folder}
        done = subprocess.run(
            [*command, sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
        )
        assert (done.stdout, done.stderr) == ("[]\n", "")
        assert os.listdir(folder) == (["xtables.lock"] if name == LEGACY else [])


def test_the_command_says_which(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needed(lab, LEGACY)
    file = tmp_path / "sbc-filter.toml"
    file.write_text(f'[network]\nsbc = ["192.0.2.1"]\n[firewall]\nbackend = "{LEGACY}"\nnat = true\n')
    said = {}
    with lab.inside("sbc"):
        for action in ("show", "apply", "remove"):
            assert main(["firewall", action, "--config", str(file)]) == 0
            said[action] = capsys.readouterr()
    assert said["show"].err == "rules for iptables-legacy:\n"
    assert said["show"].out.splitlines()[0] == "iptables-legacy -w -t mangle -N SBC-FILTER-DEFRAG"
    assert "ip6tables-legacy -w -t raw -A SBC-FILTER -m mark --mark 0x20000000/0x20000000 -j CT --zone 5060" in (
        said["show"].out
    )
    assert said["apply"].out == "applied with iptables-legacy; undo with `sbc-filter firewall remove`\n"
    assert said["remove"].out == "the rules are gone (iptables-legacy)\n"
