"""Rules of other programs in front of ours, as the programs print them, and what is said about them."""

import pytest

from sbc_filter.firewall.rule_tables import IpFamily
from sbc_filter.firewall.taken_earlier import dropped_earlier, taken_earlier

V4 = IpFamily.V4


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
    assert list(taken_earlier(V4, "mangle", listing, (5060,))) == ([] if rule is None else [said])
    assert list(taken_earlier(V4, "mangle", listing, (5060,), is_nft=True)) == []  # ends only the chain of iptables


OURS = "-A INPUT -j SBC-FILTER\n"


@pytest.mark.parametrize(
    ("listing", "rule", "what"),
    [
        ("-A INPUT -i eth0 -j in\n-A in -j more\n-A more -p udp -j ACCEPT\n", "more -p udp -j ACCEPT", "accepts"),
        ("-A INPUT -p udp -j NFQUEUE --queue-num 7\n", "INPUT -p udp -j NFQUEUE --queue-num 7", "queues"),
        ("-A INPUT -p udp --dport 5060 -j RETURN\n", "INPUT -p udp --dport 5060 -j RETURN", "passes on"),
        ("-A INPUT -p udp -g in\n-A in -j LOG\n", "INPUT -p udp -g in", "passes on"),
        ("-A INPUT -p udp -j in\n-A in -j RETURN\n", None, ""),
        ("-A INPUT -p tcp -j in\n-A in -j ACCEPT\n", None, ""),
        ("-A INPUT -j in\n-A in -j INPUT\n-A in -p udp --dport 53 -j ACCEPT\n", None, ""),
        ("-A other -j ACCEPT\n", None, ""),
    ],
)  # fmt: skip
def test_what_does_not_come_back_to_our_jump(listing: str, rule: str | None, what: str) -> None:
    said = f"iptables: what the rule `-t mangle -A {rule}` {what} passes unfiltered: remove it, or narrow it"
    assert list(taken_earlier(V4, "mangle", listing + OURS, (5060,))) == ([] if rule is None else [said])
    assert list(taken_earlier(V4, "mangle", OURS + listing, (5060,))) == []
    assert list(taken_earlier(V4, "mangle", listing, (5060,), is_nft=True)) == []


@pytest.mark.parametrize(
    ("table", "listing", "rule"),
    [
        ("raw", "-A PREROUTING -p udp --dport 5060 -j DROP\n", "PREROUTING -p udp --dport 5060 -j DROP"),
        ("mangle", f"-A INPUT -p udp -j in\n-A in -j DROP\n{OURS}", "in -j DROP"),
        ("mangle", f"{OURS}-A INPUT -j DROP\n", None),
        ("raw", "-A PREROUTING -s 203.0.113.0/24 -p udp -j DROP\n", None),  # a list of bad peers
        ("raw", "-A PREROUTING -s 203.0.113.0/24 -j bad\n-A bad -j DROP\n", None),
        ("raw", "-A PREROUTING -p udp --dport 5060 -j ACCEPT\n", None),  # ends only this table
    ],
)
def test_a_drop_is_final_wherever_it_stands(table: str, listing: str, rule: str | None) -> None:
    said = f"iptables: the rule `-t {table} -A {rule}` drops calls before they meet the filter: remove it, or narrow it"
    for is_nft in (False, True):
        assert list(taken_earlier(V4, table, listing, (5060,), is_nft=is_nft and rule is not None)) == (
            [] if rule is None else [said]
        )


NFT = """table inet host {{
\tchain bad {{
\t\tdrop
\t}}
\tchain pre {{
\t\ttype filter hook {hook} priority {priority}; policy accept;
\t\t{rule}
\t}}
}}
"""


@pytest.mark.parametrize(
    ("hook", "priority", "rule", "named"),
    [
        ("prerouting", "raw", "udp dport 5060 drop", "udp dport 5060 drop"),
        ("input", "mangle - 5", "udp dport { 53, 5000-6000 } drop", "udp dport { 53, 5000-6000 } drop"),
        ("input", "raw", "counter packets 1 bytes 60 drop", "counter packets 1 bytes 60 drop"),
        ("input", "-200", "meta l4proto udp jump bad", "drop"),
        ("input", "mangle", "udp dport 5060 drop", "udp dport 5060 drop"),
        ("input", "-149", "udp dport 5060 drop", None),
        ("input", "filter", "udp dport 5060 drop", None),
        ("postrouting", "raw", "udp dport 5060 drop", None),
        ("input", "raw", "udp dport 5060 accept", None),
        ("input", "raw", "udp dport 5060 queue num 7", None),
        ("input", "raw", "udp dport 53 drop", None),
        ("input", "raw", "ip saddr 203.0.113.0/24 drop", None),
    ],
)  # fmt: skip
def test_a_drop_by_nft(hook: str, priority: str, rule: str, named: str | None) -> None:
    listing = NFT.format(hook=hook, priority=priority, rule=rule)
    found = list(dropped_earlier("inet host", listing, (5060,)))
    assert [sentence.partition("` of chain ")[0] for sentence in found] == [f"nft: the rule `{named}"] * (
        named is not None
    )
    assert list(dropped_earlier("inet sbc-filter", listing.replace("inet host", "inet sbc-filter"), (5060,))) == []


def test_many_chains_take_no_longer_than_they_are() -> None:
    """Each chain leads to all others: they are walked once."""
    chains = [f"c{at}" for at in range(300)]
    lines = [f"-A {one} -j {other}" for one in ("INPUT", *chains) for other in chains]
    assert list(taken_earlier(V4, "mangle", "\n".join([*lines, OURS]), (5060,))) == []
