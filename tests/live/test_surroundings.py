"""What `check` and `run` say about the host around the filter, from a kernel that really has it."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.netns import LIVE, eventually, three_hosts
from support.runs import started

from sbc_filter.cli import main
from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.surroundings import surroundings
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
NFT = b"""table inet host {
    chain outgoing { type filter hook output priority filter; policy drop; ct state established accept; }
    chain pre { type nat hook prerouting priority dstnat; policy accept; udp dport 5060 dnat ip to 198.51.100.7; }
}
"""


@pytest.fixture
def host() -> Iterator[Lab]:
    with three_hosts() as made:
        yield made


def said(lab: Lab, plan: Plan | None = None) -> list[str]:
    with lab.inside("sbc"):
        return list(surroundings(plan or Plan(), "iptables"))


def test_a_plain_router_has_nothing_to_be_warned_of(host: Lab) -> None:
    assert said(host) == []


def test_rules_of_both_programs(host: Lab) -> None:
    host.run("sbc", "iptables", "-P", "OUTPUT", "DROP")
    host.run("sbc", "ip6tables", "-t", "mangle", "-A", "FORWARD", "-p", "udp", "-j", "ACCEPT")
    redirect = "PREROUTING -p udp -m udp --dport 5060 -j REDIRECT --to-ports 5080"
    host.run("sbc", "iptables", "-t", "nat", "-A", *redirect.split())
    host.run("sbc", "nft", "-f", "-", stdin=NFT)
    out = "is closed by default, and rejections of the filter may not get out:"
    nat = (
        " translates calls, but [firewall].nat is false, and rejections come from an address that the caller does not"
        " know: set nat = true, and name the SBC's own addresses in [network].sbc"
    )
    assert said(host) == [
        f"iptables: OUTPUT {out} insert `iptables -I OUTPUT -m mark --mark 0x20000000/0x20000000 -j ACCEPT`",
        f"iptables: the rule `-t nat -A {redirect}`{nat}",
        "ip6tables: what the rule `-t mangle -A FORWARD -p udp -j ACCEPT` accepts passes unfiltered: remove it, or"
        " narrow it",
        f"nft: chain outgoing of table inet host {out.removesuffix(':')}: run `nft insert rule inet host outgoing 'meta"
        " mark & 0x20000000 == 0x20000000 accept'`",
        f"nft: the rule `udp dport 5060 dnat ip to 198.51.100.7` of table inet host{nat}",
    ]
    for family in ("iptables", "ip6tables"):
        host.run("sbc", family, "-I", "OUTPUT", "-m", "mark", "--mark", "0x20000000/0x20000000", "-j", "ACCEPT")
    rule = "meta mark & 0x20000000 == 0x20000000 accept"
    host.run("sbc", "nft", "insert", "rule", "inet", "host", "outgoing", rule)
    assert [sentence.partition(":")[0] for sentence in said(host, Plan(nat=True))] == ["ip6tables"]


def test_a_bridge(host: Lab) -> None:
    host.run("sbc", "ip", "link", "add", "br0", "type", "bridge")
    for port in ("to-carrier", "to-core"):
        host.run("sbc", "ip", "link", "set", port, "master", "br0")
    for key, value in (("call-iptables", "0"), ("call-ip6tables", "0"), ("filter-vlan-tagged", "0")):
        host.sysctl("sbc", f"net/bridge/bridge-nf-{key}", value)
    (sentence,) = said(host)
    assert "net.bridge.bridge-nf-call-iptables and net.bridge.bridge-nf-call-ip6tables to 1" in sentence
    host.sysctl("sbc", "net/bridge/bridge-nf-call-iptables", "1")
    host.sysctl("sbc", "net/bridge/bridge-nf-call-ip6tables", "1")
    assert said(host) == []
    host.sysctl("sbc", "net/bridge/bridge-nf-filter-vlan-tagged", "1")
    (sentence,) = said(host)
    assert "leave without a tag" in sentence


def test_a_macvlan(host: Lab) -> None:
    try:
        host.run("sbc", "ip", "link", "add", "side", "link", "to-carrier", "type", "macvlan")
    except EnvironmentFault as fault:
        pytest.skip(f"this kernel has no macvlan: {fault}")
    (sentence,) = said(host)
    assert sentence.startswith("side is a macvlan of to-carrier: ")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_program_that_takes_sip_over_tcp(host: Lab, family: socket.AddressFamily) -> None:
    with host.inside("sbc"):
        listener = socket.socket(family, socket.SOCK_STREAM)
    with listener:
        listener.bind(("", 5061))
        assert said(host) == []
        listener.listen()
        (sentence,) = said(host)
    assert "on port 5061" in sentence


def test_without_programs_nothing_fails(host: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host.run("sbc", "iptables", "-P", "OUTPUT", "DROP")
    monkeypatch.setenv("PATH", str(tmp_path))
    with host.inside("sbc"):
        assert list(surroundings(Plan(), "iptables")) == []


def test_check_and_run_say_it(host: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And which trunks the filter never sees."""
    (tmp_path / "c.toml").write_text(
        '[network]\nsbc = ["192.0.2.1"]\n[log]\nrecords = "records"\n[control]\nsocket = "control"\n'
        '[trunks.old]\naddresses = ["192.0.2.7"]\ntransport = ["tcp"]\n'
        '[trunks.new]\naddresses = ["192.0.2.8"]\n'
    )
    host.run("sbc", "iptables", "-P", "OUTPUT", "DROP")
    sentences = [
        "warning: trunk 'old' has only TCP: its calls pass unfiltered, unless [relay].enabled is true",
        "warning: iptables: OUTPUT is closed by default, and rejections of the filter may not get out: insert"
        " `iptables -I OUTPUT -m mark --mark 0x20000000/0x20000000 -j ACCEPT`",
    ]
    with host.inside("sbc"):
        assert main(["check", "--config", str(tmp_path / "c.toml")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert all(sentence in printed for sentence in sentences)
    assert "trunk 'new'" not in printed
    with started(host, tmp_path / "c.toml") as (_, log):
        assert eventually(lambda: all(sentence in log.read_text().splitlines() for sentence in sentences))


def test_why_it_cannot_be_examined_is_said_in_one_sentence(
    host: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without iptables and rules of its own, `run` filters what queues it gets, and says what it does not know."""
    (tmp_path / "c.toml").write_text(
        '[network]\nsbc = ["192.0.2.1"]\n[firewall]\nbackend = "iptables"\n[control]\nsocket = "control"\n'
    )
    command = (sys.executable, "-P", "-m", "sbc_filter", "run", "--config")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        running = started(host, tmp_path / "c.toml", command)
        with running as (_, log):
            assert eventually(
                lambda: (
                    "warning: it is not known whether something else on this host lets calls pass unseen: iptables-save"
                    " is not installed: install the package iptables\n" in log.read_text()
                )
            )
