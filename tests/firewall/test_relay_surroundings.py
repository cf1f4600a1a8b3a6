"""Rules of other programs that do not go with relayed connections, as iptables-save prints them."""

from pathlib import Path

import pytest

from sbc_filter.firewall.interception import RelayPlan
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.relay_surroundings import closed_input, locked_setting, restricted_forward, taken_from_relay
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
    assert list(closed_input(IpFamily.V4, listing, PLAN)) == [INPUT] * is_named


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
-A SBC-FILTER -j ACCEPT
"""


def test_rules_that_accept_tcp_in_front_of_ours() -> None:
    accepted = ["PREROUTING -p tcp -m multiport --ports 22,5080", "other -s 192.0.2.7/32", "OUTPUT -o eth1"]
    assert list(taken_from_relay(IpFamily.V4, RULES, PLAN.ports)) == [
        f"iptables: what the rule `-t mangle -A {rule} -j ACCEPT` accepts passes the relay: remove it, or narrow it"
        for rule in accepted
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
