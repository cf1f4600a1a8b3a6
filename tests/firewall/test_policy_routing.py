"""The routes to the relay: which commands are run. The program `ip` is a script that notes its arguments."""

import os
from pathlib import Path

import pytest

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall import policy_routing
from sbc_filter.firewall.backend import Firewall, backend
from sbc_filter.firewall.interception import RelayPlan
from sbc_filter.firewall.plan import DEFAULT_MARK, Plan
from sbc_filter.firewall.rule_tables import IpFamily

RULE = "5059:\tfrom all fwmark 0x10000000/0x30000000 lookup 5059"
SHOWN = [
    "sysctl -w net.ipv4.tcp_fwmark_accept=1",
    "ip -4 rule add pref 5059 fwmark 0x10000000/0x30000000 lookup 5059",
    "ip -4 route replace local default dev lo table 5059 proto 59",
    "ip -6 rule add pref 5059 fwmark 0x10000000/0x30000000 lookup 5059",
    "ip -6 route replace local default dev lo table 5059 proto 59",
]


class Ip:
    """The program: `there` are the rules, `routes` what it prints of the table."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.setting = folder / "net" / "ipv4" / "tcp_fwmark_accept"
        self.setting.parent.mkdir(parents=True)
        self.setting.write_text("0\n")
        self.prints()

    def prints(self, rules: str = "", routes: str = "") -> None:
        """From now on."""
        (self._folder / "rules").write_text(rules)
        (self._folder / "routes").write_text(routes)
        script = f"""#!/bin/sh
cd {self._folder}
echo "ip $*" >> log
case "$*" in
*"rule show"*) cat rules ;;
*"route show"*) cat routes ;;
esac
"""
        (self._folder / "ip").write_text(script)
        (self._folder / "ip").chmod(0o755)

    def asked(self, changes: bool = True) -> list[str]:
        """The commands since the last call; with `changes` only those that change something."""
        log = self._folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in lines if not changes or " show " not in line]


@pytest.fixture
def ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ip:
    made = Ip(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(policy_routing, "_SYSCTL", made.setting)
    monkeypatch.setattr(policy_routing, "families", lambda: list(IpFamily))
    (tmp_path / "if_inet6").write_text("00000000000000000000000000000001 01 80 10 80       lo\n")
    monkeypatch.setattr(policy_routing, "_ADDRESSES", tmp_path / "if_inet6")
    return made


def test_the_commands_are_readable() -> None:
    assert policy_routing.show(DEFAULT_MARK) == SHOWN


@pytest.mark.parametrize(("name", "note"), [("nft", "# "), ("iptables", ""), ("iptables-legacy", "")])
def test_they_come_first_where_the_rules_are_shown(name: str, note: str) -> None:
    """The rules for nft are a file that nft reads."""
    shown = backend(name).show(Plan(relay=RelayPlan())).splitlines()
    assert shown[:5] == [note + line for line in SHOWN]
    assert "5059" not in backend(name).show(Plan())


def test_applied_in_place_of_earlier_ones(ip: Ip) -> None:
    """Rules of others that have the same number stay."""
    ip.prints(
        "5059:\tfrom all fwmark 0x10000000/0x10000001 lookup 5059\n"
        "5059:\tfrom all fwmark 0x1 lookup 5059\n5059:\tfrom all fwmark 0x10000000/0x30000000 lookup main\n"
    )
    policy_routing.apply(DEFAULT_MARK)
    assert ip.setting.read_text() == "1"
    deleted = [f"ip {family} rule del pref 5059 fwmark 0x10000000/0x10000001 lookup 5059" for family in ("-4", "-6")]
    assert ip.asked() == [SHOWN[2], deleted[0], SHOWN[1], SHOWN[4], deleted[1], SHOWN[3]]


def test_what_is_there_stays(ip: Ip) -> None:
    """So that no packet misses its route while the rules are applied again."""
    ip.setting.write_text("1")
    ip.prints(rules=RULE, routes="local default dev lo proto 59 scope host \n")
    policy_routing.apply(DEFAULT_MARK)
    assert ip.asked() == [SHOWN[2], SHOWN[4]]


def test_removed_with_the_setting(ip: Ip) -> None:
    ip.setting.write_text("1")
    ip.prints(rules=RULE, routes="local default dev lo proto 59 scope host \n")
    policy_routing.remove()
    assert ip.setting.read_text() == "0"
    assert ip.asked() == [
        f"ip {family} {change}"
        for family in ("-4", "-6")
        for change in (
            "rule del pref 5059 fwmark 0x10000000/0x30000000 lookup 5059",
            "route flush table 5059 proto 59",
            "route flush table 5059 proto 60",
        )
    ]


def test_a_setting_of_the_operator_stays(ip: Ip) -> None:
    ip.setting.write_text("1\n")
    policy_routing.apply(DEFAULT_MARK)
    assert ip.setting.read_text() == "1\n"  # not written: under systemd it may be readable alone
    assert "ip -4 route replace local default dev lo table 5059 proto 60" in ip.asked()
    ip.prints(rules=RULE, routes="local default dev lo proto 60 scope host \n")
    policy_routing.remove()
    assert ip.setting.read_text() == "1\n"


def test_rules_and_routes_of_others_stay(ip: Ip) -> None:
    ip.setting.write_text("1\n")
    ip.prints(rules="5059:\tfrom all fwmark 0x1 lookup 5059\n", routes="default via 192.0.2.9 dev eth0 \n")
    policy_routing.remove()
    assert not [line for line in ip.asked() if "rule" in line or "proto" not in line]
    assert ip.setting.read_text() == "1\n"


def test_without_addresses_of_ipv6_there_are_no_routes_of_it(ip: Ip, tmp_path: Path) -> None:
    """The kernel refuses them where disable_ipv6 is 1."""
    ip.setting.write_text("1\n")
    (tmp_path / "if_inet6").write_text("")
    policy_routing.apply(DEFAULT_MARK)
    assert [line for line in ip.asked() if " -6 " in line] == []
    assert policy_routing.readings() == [["ip", "-4", "route", "get", "mark", "0x10000000", "240.0.0.1"]]
    found = {("ip", "240.0.0.1"): "local 240.0.0.1 dev lo table 5059 src 192.0.2.1 mark 0x10000000"}
    assert policy_routing.lost(found) == ""
    (tmp_path / "if_inet6").write_text("00000000000000000000000000000001 01 80 10 80       lo\n")
    assert policy_routing.lost(found) == "table 5059 for IPv6"


def test_what_fails_is_named(ip: Ip, tmp_path: Path) -> None:
    (tmp_path / "ip").write_text('#!/bin/sh\necho "RTNETLINK answers: Operation not permitted" >&2\nexit 2\n')
    with pytest.raises(EnvironmentFault) as caught:
        policy_routing.apply(DEFAULT_MARK)
    assert str(caught.value) == (
        "ip -4 route replace local default dev lo table 5059 proto 59: RTNETLINK answers: Operation not permitted:"
        " run as root, or grant CAP_NET_ADMIN"
    )
    assert ip.setting.read_text() == "0\n"
    ip.prints()
    ip.setting.unlink()
    ip.setting.mkdir()
    with pytest.raises(EnvironmentFault) as caught:
        policy_routing.apply(DEFAULT_MARK)
    assert str(caught.value) == (
        "net.ipv4.tcp_fwmark_accept cannot be changed: Is a directory: put `net.ipv4.tcp_fwmark_accept = 1` into"
        " /etc/sysctl.d, and run `sysctl --system`"
    )


class Rules:
    """A program that notes when it applies and removes rules, in the log of `ip`."""

    name = "iptables"

    def __init__(self, folder: Path, *, fails: bool = False, in_force: bool = True) -> None:
        self._log = folder / "log"
        self._fails = fails
        self._in_force = in_force

    def _note(self, word: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{word}\n")

    def apply(self, plan: Plan) -> None:
        if self._fails:
            raise EnvironmentFault("iptables is not installed: install the package iptables")
        self._note("rules applied")

    def remove(self) -> None:
        self._note("rules removed")

    def probe(self) -> None: ...

    def is_in_force(self) -> bool:
        return self._in_force

    def queues(self) -> frozenset[int]:
        return frozenset()

    def readings(self) -> list[list[str]]:
        return [["iptables-save"]]

    def faults(self) -> list[str]:
        return []

    def show(self, plan: Plan) -> str:
        return ""


def test_routes_are_there_before_the_rules_and_after_them(ip: Ip, tmp_path: Path) -> None:
    firewall = Firewall(Rules(tmp_path), ())
    firewall.apply(Plan(relay=RelayPlan()))
    asked = ip.asked()
    assert (asked[0], asked[-1]) == (SHOWN[2], "rules applied")
    ip.prints(rules=RULE)
    assert [command[0] for command in firewall.readings()] == ["iptables-save", "ip", "ip"]
    for word in ("applied", "removed"):
        if word == "applied":
            firewall.apply(Plan())
        else:
            firewall.remove()
        asked = ip.asked()
        assert asked[0] == f"rules {word}"
        assert "ip -4 rule del pref 5059 fwmark 0x10000000/0x30000000 lookup 5059" in asked


@pytest.mark.parametrize("in_force", [True, False])
def test_routes_without_rules_do_not_stay(ip: Ip, tmp_path: Path, in_force: bool) -> None:
    """Rules that could not be replaced still need them."""
    ip.prints(rules=RULE, routes="local default dev lo proto 59 scope host \n")
    with pytest.raises(EnvironmentFault, match="iptables is not installed"):
        Firewall(Rules(tmp_path, fails=True, in_force=in_force), ()).apply(Plan(relay=RelayPlan()))
    assert ("ip -4 route flush table 5059 proto 59" in ip.asked()) is not in_force
    assert ip.setting.read_text() == ("1" if in_force else "0")


def test_the_route_is_asked_for_while_the_setting_is_on(ip: Ip) -> None:
    assert policy_routing.readings() == []
    ip.setting.write_text("1\n")
    assert policy_routing.readings() == [
        ["ip", "-4", "route", "get", "mark", "0x10000000", "240.0.0.1"],
        ["ip", "-6", "route", "get", "mark", "0x10000000", "100::1"],
    ]


def test_routing_rules_in_front_of_that_of_the_relay_are_said() -> None:
    """As `ip rule show` prints them. Those with another mark do not match what goes to the relay."""
    listing = (
        "0:\tfrom all lookup local\n50:\tfrom all lookup local\n100:\tfrom 198.51.100.0/24 lookup carrier\n"
        "200:\tfrom all fwmark 0x1 lookup 100\n"
        "201:\tfrom all fwmark 0x10000000/0x10000000 lookup 100\n202:\tfrom all fwmark 0/0x1 iif eth0 unreachable\n"
        "203:\tnot from all fwmark 0x1 lookup 51820\n300:\tfrom all oif eth1 lookup 100\n"
        "1000:\tfrom all lookup [l3mdev-table]\n"
        f"{RULE}\n32766:\tfrom all lookup main\n"
    )
    found = {
        "100": "from 198.51.100.0/24 lookup carrier",
        "201": "from all fwmark 0x10000000/0x10000000 lookup 100",
        "202": "from all fwmark 0/0x1 iif eth0 unreachable",
        "203": "not from all fwmark 0x1 lookup 51820",
    }
    assert list(policy_routing.earlier_rules(listing, IpFamily.V6)) == [
        f"ip -6 rule {number}, `{rule}`, comes before that of the relay, 5059: connections that it matches may not"
        " reach the relay: give it a higher number"
        for number, rule in found.items()
    ]
    assert list(policy_routing.earlier_rules("", IpFamily.V4)) == []


def test_a_test_of_sources_that_takes_the_mark_is_said(tmp_path: Path) -> None:
    for name, value in (("all", "0"), ("eth0", "1"), ("lo", "0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "src_valid_mark").write_text(value + "\n")
    assert list(policy_routing.valid_mark(tmp_path)) == [
        "net.ipv4.conf.eth0.src_valid_mark is 1: the kernel drops the IPv4 packets of relayed connections: set it to 0"
    ]
    (tmp_path / "eth0" / "src_valid_mark").write_text("0\n")
    assert list(policy_routing.valid_mark(tmp_path)) == []
