"""Rules of other programs that do not go with relayed connections, as iptables-save prints them."""

from pathlib import Path

import pytest

from sbc_filter.firewall.interception import RelayPlan
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.relay_surroundings import (
    closed,
    locked_setting,
    nft_refuses,
    restricted_forward,
    taken_from_relay,
)
from sbc_filter.firewall.rule_tables import IpFamily

PLAN = Plan((5060, 5080), relay=RelayPlan())
FORWARD = (
    "ip6tables: FORWARD refuses connections, but relayed ones pass INPUT and OUTPUT instead: repeat there what it"
    " demands of SIP over TCP"
)
INPUT = (
    "iptables: INPUT is closed, and relayed connections may not get in:"
    " insert `iptables -I INPUT -m mark --mark 0x10000000/0x30000000 -j ACCEPT`"
)
DROP = ":INPUT DROP [0:0]\n"


@pytest.mark.parametrize(
    ("listing", "is_named"),
    [
        ("", False),
        (":FORWARD ACCEPT [0:0]\n-A FORWARD -s 192.0.2.0/24 -j ACCEPT\n-A INPUT -j DROP\n", False),
        (":FORWARD DROP [0:0]\n", True),
        (":FORWARD ACCEPT [0:0]\n-A FORWARD ! -s 192.0.2.7/32 -p tcp -m tcp --dport 5060 -j DROP\n", True),
        ("-A FORWARD -j peers\n-A peers -s 203.0.113.0/24 -j REJECT --reject-with icmp-port-unreachable\n", True),
        ("-A FORWARD -p tcp -j SBC-FILTER\n-A SBC-FILTER -p tcp -j REJECT --reject-with tcp-reset\n", False),
    ],
)
def test_what_forward_refuses_does_not_apply_to_relayed_connections(listing: str, is_named: bool) -> None:
    assert list(restricted_forward(IpFamily.V6, listing)) == [FORWARD] * is_named


@pytest.mark.parametrize(
    ("listing", "is_named"),
    [
        ("", False),
        (":INPUT ACCEPT [0:0]\n-A INPUT -s 203.0.113.0/24 -j DROP\n", False),
        (DROP, True),
        ("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-port-unreachable\n", True),
        (f"{DROP}-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", True),
        (f"{DROP}-A INPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT\n", False),
        (f"{DROP}-A INPUT -p udp -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n-A INPUT -s 192.0.2.7/32 -j ACCEPT\n", True),
        (f"{DROP}-A INPUT -p tcp -m tcp --dport 5060 -j ACCEPT\n", True),
        (f"{DROP}-A INPUT -p tcp -m multiport --dports 5060,5080 -j ACCEPT\n", False),
        (f"{DROP}-A INPUT -j in\n-A in -m mark --mark 0x10000000/0x30000000 -j ACCEPT\n", False),
        (f"{DROP}-A INPUT -m mark --mark 0x1/0x1 -j ACCEPT\n", True),
    ],
)
def test_an_input_that_is_closed(listing: str, is_named: bool) -> None:
    assert list(closed(IpFamily.V4, listing, PLAN, "INPUT")) == [INPUT] * is_named


@pytest.mark.parametrize(
    ("more", "is_named"),
    [
        ("", True),
        ("-A OUTPUT -p udp -j ACCEPT\n", True),  # rejections get out, but not the relay's connections
        ("-A OUTPUT -m mark --mark 0x10000000/0x30000000 -j ACCEPT\n", True),
        ("-A OUTPUT -m mark --mark 0x20000000/0x20000000 -j ACCEPT\n", False),
        ("-A OUTPUT -m conntrack --ctstate NEW,RELATED,ESTABLISHED -j ACCEPT\n", False),
    ],
)
def test_an_output_that_is_closed(more: str, is_named: bool) -> None:
    assert (
        list(closed(IpFamily.V6, f":OUTPUT DROP [0:0]\n{more}", PLAN, "OUTPUT"))
        == [
            "ip6tables: OUTPUT is closed, and relayed connections may not get out:"
            " insert `ip6tables -I OUTPUT -m mark --mark 0x20000000/0x20000000 -j ACCEPT`"
        ]
        * is_named
    )


def chain(policy: str, *rules: str) -> str:
    """A chain as `nft list chain` prints it."""
    first = f"type filter hook input priority filter; policy {policy};"
    return "".join(["table inet fw {\n\tchain c {\n", *(f"\t\t{line}\n" for line in (first, *rules)), "\t}\n}\n"])


@pytest.mark.parametrize(
    ("policy", "rules", "is_named"),
    [
        ("accept", [], False),
        ("accept", ["ip saddr 192.0.2.0/24 drop", "counter packets 1 bytes 2"], False),
        ("accept", ["tcp dport 22 accept", "counter packets 1 bytes 2 drop"], False),
        ("accept", ["tcp dport 22 accept", "reject"], True),
        ("drop", ["ct state established,related accept", "tcp dport 5060 accept"], True),
        ("drop", ["tcp dport { 22, 5060, 5080 } ct state new accept"], False),
        ("drop", ["ct state established,new accept"], False),
        ("drop", ["meta mark & 0x30000000 == 0x10000000 accept"], False),
        ("drop", ["meta mark & 0x30000000 == 0x10000000 counter packets 0 bytes 0 accept"], False),
        ("drop", ["meta mark & 0x20000000 == 0x20000000 accept"], True),
    ],
)
def test_an_input_of_nft_that_is_closed(policy: str, rules: list[str], is_named: bool) -> None:
    assert (
        list(nft_refuses("input", "inet fw", "c", policy, chain(policy, *rules), PLAN))
        == [
            "nft: chain c of table inet fw is closed, and relayed connections may not get in: run"
            " `nft insert rule inet fw c 'meta mark & 0x30000000 == 0x10000000 accept'`"
        ]
        * is_named
    )


def test_an_output_of_nft_that_is_closed_and_a_forward() -> None:
    rule = "meta mark & 0x20000000 == 0x20000000 accept"
    assert list(nft_refuses("output", "ip fw", "c", "drop", chain("drop"), PLAN)) == [
        f"nft: chain c of table ip fw is closed, and relayed connections may not get out: run"
        f" `nft insert rule ip fw c '{rule}'`"
    ]
    assert list(nft_refuses("output", "ip fw", "c", "drop", chain("drop", rule), PLAN)) == []
    assert list(nft_refuses("forward", "ip fw", "c", "accept", chain("accept", "iif eth0 drop"), PLAN)) == [
        FORWARD.replace("ip6tables: FORWARD", "nft: chain c of table ip fw")
    ]
    assert list(nft_refuses("forward", "ip fw", "c", "accept", chain("accept"), PLAN)) == []


RULES = """\
-A PREROUTING -p udp -j ACCEPT
-A PREROUTING -p tcp -m tcp --dport 22 -j ACCEPT
-A PREROUTING -p tcp -m multiport --ports 22,5080 -j ACCEPT
-A PREROUTING -j other
-A PREROUTING -p tcp -j SBC-FILTER-RELAY
-A PREROUTING -j ACCEPT
-A OUTPUT -j SBC-FILTER
-A OUTPUT -o eth1 -j ACCEPT
-A OUTPUT -p tcp -j SBC-FILTER-OUT
-A INPUT -j ACCEPT
-A other -s 192.0.2.7/32 -j ACCEPT
-A other -p tcp -j TPROXY --on-port 3129 --on-ip 0.0.0.0 --tproxy-mark 0x1/0xffffffff
-A SBC-FILTER -j ACCEPT
"""


def test_rules_that_take_tcp_in_front_of_ours() -> None:
    taken = [
        "PREROUTING -p tcp -m multiport --ports 22,5080 -j ACCEPT` accepts",
        "other -s 192.0.2.7/32 -j ACCEPT` accepts",
        "other -p tcp -j TPROXY --on-port 3129 --on-ip 0.0.0.0 --tproxy-mark 0x1/0xffffffff` takes",
        "OUTPUT -o eth1 -j ACCEPT` accepts",
    ]
    assert list(taken_from_relay(IpFamily.V4, RULES, PLAN.ports)) == [
        f"iptables: what the rule `-t mangle -A {rule} passes the relay: remove it, or narrow it" for rule in taken
    ]
    assert list(taken_from_relay(IpFamily.V4, "", PLAN.ports)) == []


def test_a_setting_that_the_unit_of_the_rules_may_not_change(tmp_path: Path) -> None:
    """Its `apply` would fail, and then nothing is filtered at all."""
    folders = tmp_path / "none", tmp_path
    assert list(locked_setting(is_on=False, folders=folders)) == []
    (tmp_path / "sbc-filter-firewall.service").touch()
    assert list(locked_setting(is_on=True, folders=folders)) == []
    assert list(locked_setting(is_on=False, folders=folders)) == [
        "net.ipv4.tcp_fwmark_accept is 0, which the unit sbc-filter-firewall may not change, and without it no"
        " rules are applied: put `net.ipv4.tcp_fwmark_accept = 1` into /etc/sysctl.d, and run `sysctl --system`"
    ]
