"""Rules of other programs, as iptables-save and nft print them, and what is said about them."""

import pytest

from sbc_filter.firewall.host_rules import (
    closed_output,
    nft_chains,
    nft_closed,
    nft_translates,
    translated,
)
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.rule_tables import IpFamily

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
        (f"{DROP}-A OUTPUT -p udp -m multiport --ports 5060,5080 -j ACCEPT\n", False),
        (f"{DROP}-A OUTPUT -p udp --sport 5060:5080 -j ACCEPT\n-A OUTPUT --dports 5060,5080 -j ACCEPT\n", False),
        (f"{DROP}-A OUTPUT -p udp -m udp --dport 53 -j ACCEPT\n", True),
        (f'{DROP}-A OUTPUT -j out\n-A out -p udp -m comment --comment "all of it" -j ACCEPT\n', False),
        (f"{DROP}-A INPUT -j in\n-A in -p udp -j ACCEPT\n", True),
        (f"{DROP}-A OUTPUT -j out\n-A out -j OUTPUT\n", True),
    ],
)
def test_an_output_that_is_closed(listing: str, is_named: bool) -> None:
    assert list(closed_output(V4, listing, PLAN)) == [CLOSED] * is_named


@pytest.mark.parametrize(
    ("rules", "packets"),
    [
        # Rejections to peers with another port, and packets that are sent again from the SBC.
        (["-p udp -m udp --dport 5060:5080"], "from port 5060, 5080"),
        # Packets that are sent again to the SBC.
        (["-p udp -m udp --sport 5060:5080"], "to port 5060, 5080"),
        (["-p udp -m udp --sport 5060", "-p udp -m multiport --ports 5060"], "from port 5080 and to port 5080"),
        (["-p udp -m udp --sport 5060 --dport 5060", "-p udp --dport 5060:5080"], "from port 5060, 5080"),
    ],
)
def test_an_output_that_lets_out_a_part_of_our_packets(rules: list[str], packets: str) -> None:
    listing = DROP + "".join(f"-A OUTPUT {rule} -j ACCEPT\n" for rule in rules)
    assert list(closed_output(V4, listing, PLAN)) == [
        CLOSED.replace("rejections of the filter", f"packets of the filter {packets}")
    ]


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
        (["udp dport 5060-5080 accept"], "drop", True),
        (["udp sport { 5060, 5080 } counter packets 1 bytes 60 accept"], "drop", True),
        (
            ["udp sport { 5060, 5080 } accept", 'meta l4proto udp udp dport 5000-6000 accept comment "sip"'],
            "drop",
            False,
        ),
        (["meta l4proto udp accept"], "drop", False),
        (["ip daddr 192.0.2.7 accept"], "drop", True),
        (["tcp dport 5060 accept", "udp sport 5060 accept"], "drop", True),
    ],
)
def test_a_chain_of_nft_that_is_closed(rules: list[str], policy: str, closed: bool) -> None:
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    text = (
        f"table inet host {{\n\tchain c {{\n\t\ttype filter hook output priority 0; policy {policy};\n{lines}\t}}\n}}\n"
    )
    assert nft_closed(text, policy, PLAN) is closed


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
