"""Rules of other programs, as iptables-save and nft print them, and what is said about them."""

import pytest

from sbc_filter.firewall.host_rules import (
    closed_output,
    nft_chains,
    nft_closed,
    nft_translates,
    taken_earlier,
    translated,
)
from sbc_filter.firewall.plan import IpFamily, Plan

V4, PLAN = IpFamily.V4, Plan(ports=(5060, 5080))
CLOSED = (
    "iptables: OUTPUT is closed by default, and rejections of the filter may not get out:"
    " insert `iptables -I OUTPUT -m mark --mark 0x20000000/0x20000000 -j ACCEPT`"
)
DROP = "*filter\n:OUTPUT DROP [0:0]\n"


@pytest.mark.parametrize(
    ("listing", "is_named"),
    [
        (DROP, True),
        (":OUTPUT ACCEPT [0:0]\n", False),
        ("", False),
        (
            ":OUTPUT ACCEPT [0:0]\n-A OUTPUT -o lo -j ACCEPT\n-A OUTPUT -j REJECT --reject-with icmp-port-unreachable",
            True,
        ),
        (":OUTPUT ACCEPT [0:0]\n-A OUTPUT -d 10.0.0.0/8 -j DROP\n", False),
        (f"{DROP}-A OUTPUT -m conntrack --ctstate NEW,RELATED,ESTABLISHED -j ACCEPT\n", False),
        (f"{DROP}-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", True),
        (f"{DROP}-A OUTPUT -p udp -m state --state NEW -j ACCEPT\n", False),
        (f"{DROP}-A OUTPUT -p tcp -m state --state NEW -j ACCEPT\n", True),
        (f"{DROP}-A OUTPUT -o eth1 -m conntrack --ctstate NEW -j ACCEPT\n", True),
        (f"{DROP}-A OUTPUT -p udp ! --sport 5060 -j ACCEPT\n", True),
        (f"{DROP}-A OUTPUT -m mark --mark 0x20000000/0x20000000 -j ACCEPT\n", False),
        (f"{DROP}-A OUTPUT -m mark --mark 0x1/0x1 -j ACCEPT\n", True),
        (f"{DROP}-A OUTPUT -p udp -m udp --sport 5060 -j ACCEPT\n", False),
        (f"{DROP}-A OUTPUT -p udp -m udp --dport 53 -j ACCEPT\n", True),
        (f'{DROP}-A OUTPUT -j out\n-A out -p udp -m comment --comment "all of it" -j ACCEPT\n', False),
        (f"{DROP}-A INPUT -j in\n-A in -p udp -j ACCEPT\n", True),
        (f"{DROP}-A OUTPUT -j out\n-A out -j OUTPUT\n", True),
    ],
)
def test_an_output_that_is_closed(listing: str, is_named: bool) -> None:
    assert list(closed_output(V4, listing, PLAN)) == [CLOSED] * is_named


@pytest.mark.parametrize(
    ("listing", "rule"),
    [
        (
            "-A FORWARD -p udp -m udp --dport 5060 -j ACCEPT\n-A FORWARD -j SBC-FILTER\n",
            "FORWARD -p udp -m udp --dport 5060",
        ),
        ("-A INPUT -i eth0 -j ACCEPT\n", "INPUT -i eth0"),
        ("-A FORWARD -j SBC-FILTER\n-A FORWARD -p udp -j ACCEPT\n", None),
        ("-A FORWARD -p tcp -j ACCEPT\n-A FORWARD -j SBC-FILTER\n", None),
        ("-A FORWARD -p udp -m udp --dport 53 -j ACCEPT\n-A FORWARD -j SBC-FILTER\n", None),
        (
            "-A INPUT -p udp -m multiport --sports 53,5050:5070 -j ACCEPT\n",
            "INPUT -p udp -m multiport --sports 53,5050:5070",
        ),
        ("-A FORWARD -p udp -j TOS --set-tos 0x60\n-A FORWARD -j SBC-FILTER\n", None),
        ("-A POSTROUTING -j ACCEPT\n", None),
    ],
)
def test_a_rule_in_front_of_ours_that_accepts(listing: str, rule: str | None) -> None:
    said = f"iptables: what the rule `-t mangle -A {rule} -j ACCEPT` accepts passes unfiltered: remove it, or narrow it"
    assert list(taken_earlier(V4, listing, (5060,))) == ([] if rule is None else [said])


REDIRECT = "-A PREROUTING -p udp -m udp --dport 5080 -j REDIRECT --to-ports 5060\n"
DOCKER = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A DOCKER ! -i docker0 -p {} -m {} --dport {} -j DNAT"


@pytest.mark.parametrize(
    ("listing", "rule"),
    [
        (REDIRECT, "PREROUTING -p udp -m udp --dport 5080 -j REDIRECT --to-ports 5060"),
        (DOCKER.format("udp", "udp", 5060), "DOCKER ! -i docker0 -p udp -m udp --dport 5060 -j DNAT"),
        (DOCKER.format("udp", "udp", "5000:6000"), "DOCKER ! -i docker0 -p udp -m udp --dport 5000:6000 -j DNAT"),
        ("-A PREROUTING -d 203.0.113.10/32 -j DNAT\n", "PREROUTING -d 203.0.113.10/32 -j DNAT"),
        (DOCKER.format("tcp", "tcp", 5060), None),
        (DOCKER.format("udp", "udp", 53), None),
        ("-A OUTPUT -p udp -m udp --dport 5060 -j DNAT\n-A POSTROUTING -j MASQUERADE\n", None),
        ('-A PREROUTING -m comment --comment "open\n', None),
    ],
)  # fmt: skip
def test_a_translation_of_calls(listing: str, rule: str | None) -> None:
    found = list(translated(V4, listing, PLAN.ports))
    assert len(found) == (rule is not None)
    assert rule is None or found[0].startswith(f"iptables: the rule `-t nat -A {rule}` translates calls, but")


CHAINS = """\
table ip filter {
	chain OUTPUT {
		type filter hook output priority filter; policy drop;
	}
}
table inet host {
	chain allowed {
	}
	chain outgoing {
		type filter hook output priority filter; policy drop;
	}
	chain incoming {
		type filter hook input priority filter; policy drop;
	}
	chain pre {
		type nat hook prerouting priority dstnat; policy accept;
	}
}
"""


def test_chains_of_nft_without_those_that_iptables_lists() -> None:
    assert list(nft_chains(CHAINS, "output", "filter")) == [("inet host", "outgoing", "drop")]
    assert list(nft_chains(CHAINS, "prerouting", "nat")) == [("inet host", "pre", "accept")]
    assert list(nft_chains("", "output", "filter")) == []


@pytest.mark.parametrize(
    ("rules", "policy", "closed"),
    [
        ([], "drop", True),
        ([], "accept", False),
        (["oifname lo accept", "counter drop"], "accept", True),
        (["ip daddr 10.0.0.0/8 drop", "ct state established accept"], "accept", False),
        (["ct state established,related accept"], "drop", True),
        (["ct state established,related,new accept"], "drop", False),
        (["ct state { new, established } accept"], "drop", False),
        (["ct state new tcp dport 22 accept"], "drop", True),
        (["meta mark & 0x20000000 == 0x20000000 accept"], "drop", False),
    ],
)
def test_a_chain_of_nft_that_is_closed(rules: list[str], policy: str, closed: bool) -> None:
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    text = (
        f"table inet host {{\n\tchain c {{\n\t\ttype filter hook output priority 0; policy {policy};\n{lines}\t}}\n}}\n"
    )
    assert nft_closed(text, policy, PLAN.mark) is closed


@pytest.mark.parametrize(
    ("rule", "is_found"),
    [
        ("udp dport 5060 dnat ip to 172.17.0.2", True),
        ("udp dport { 53, 5080 } redirect to :5060", True),
        ("udp dport 5000-6000 dnat ip to 172.17.0.2", True),
        ("ip daddr 203.0.113.10 dnat to 172.17.0.2", True),
        ("tcp dport 5060 dnat to 172.17.0.2", False),
        ("udp dport 53 dnat to 172.17.0.2", False),
        ("oifname eth0 masquerade", False),
    ],
)
def test_a_translation_by_nft(rule: str, is_found: bool) -> None:
    assert nft_translates(f"table inet host {{\n\tchain pre {{\n\t\t{rule}\n\t}}\n}}\n", PLAN.ports) == rule * is_found
