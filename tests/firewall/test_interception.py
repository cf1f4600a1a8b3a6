"""What hands TCP to the relay, as rules, without a kernel; tests/live/test_relay_interception.py has it with one."""

import hashlib
import itertools
import re
from dataclasses import replace

import pytest

from sbc_filter.firewall import nft
from sbc_filter.firewall.handed_over import Reading
from sbc_filter.firewall.in_force import RuleState, compared
from sbc_filter.firewall.interception import RelayPlan, Unrelayed, unrelayed, unrelayed_remarks
from sbc_filter.firewall.nft import render
from sbc_filter.firewall.plan import Overload, Plan, Responses
from sbc_filter.firewall.rule_tables import IpFamily

SBC = ("192.0.2.1", "2001:db8::1")
SYN = "-m tcp --tcp-flags SYN,ACK SYN"
LEFT = f"-p tcp {SYN} -m socket --transparent -g SBC-FILTER-LOCAL"
"""For a socket in TIME-WAIT, which would keep the connection from being forwarded."""


def added(plan: Plan, family: IpFamily = IpFamily.V4) -> list[str]:
    """The commands that a relay adds to those of the same plan without one, by table and without the program."""
    plain = Plan(**{name: getattr(plan, name) for name in Plan.__dataclass_fields__ if name != "relay"})
    before = plain.commands(family, "iptables").splitlines()
    lines = plan.commands(family, "iptables").splitlines()
    assert [line for line in lines if line in before] == before  # what is there stays, in its order
    return [line.removeprefix("iptables -w -t ") for line in lines if line not in before]


def rules(plan: Plan, chain: str, table: str = "mangle") -> list[str]:
    start = f"{table} -A SBC-FILTER{chain} "
    return [line.removeprefix(start) for line in added(plan) if line.startswith(start)]


def chain_of_nft(plan: Plan, name: str) -> list[str]:
    """The rules of a chain of nft, without its hook."""
    found = re.search(rf"^\tchain {name} \{{\n(.*?)^\t\}}", render(plan), re.MULTILINE | re.DOTALL)
    assert found is not None
    return [line.strip() for line in found[1].splitlines() if not line.startswith("\t\ttype ")]


def test_without_a_relay_the_rules_are_those_of_before_byte_for_byte() -> None:
    """The digest is that of the rules of the versions without a relay."""
    digest = hashlib.sha256()
    hosts = itertools.product(((), SBC), (False, True), (False, True))
    responses: tuple[Responses, ...] = ("none", "sbc", "all")
    policies: tuple[Overload, ...] = ("accept", "drop")
    for (sbc, tracked, nat), queued, policy in itertools.product(hosts, responses, policies):
        plan = Plan(
            tuple(range(5060, 5080)),
            sbc=sbc,
            tracked=tracked,
            nat=nat,
            responses=queued,
            on_overload_inbound=policy,
            scrub_methods=("REFER",),
        )
        digest.update((plan.show() + render(plan)).encode())
    assert digest.hexdigest() == "81edeacc198fef84cb7ce7f14df7d1e393d4b58affb4291e673a5b81551a2e1e"


def test_connections_of_the_sbc_are_given_to_the_listener() -> None:
    plan = Plan(sbc=SBC, relay=RelayPlan())
    to_relay = "-j TPROXY --on-port 5059 --on-ip 0.0.0.0 --tproxy-mark 0x10000000/0x30000000"
    assert rules(plan, "-RELAY") == [
        f"-p tcp {SYN} --dport 5059 -m addrtype --dst-type LOCAL -j DROP",
        "-p tcp -m tcp '!' --tcp-flags SYN,ACK SYN -m socket --transparent -g SBC-FILTER-LOCAL",
        "-p tcp -m mark --mark 0x20000000/0x20000000 -g SBC-FILTER-LOOP",
        "-i lo -p tcp -m mark --mark 0x10000000/0x30000000 -g SBC-FILTER-NEW",
        "-p tcp -m physdev --physdev-in + -j RETURN",
        "-p tcp -m multiport --dports 5061 -j RETURN",
        f"-p tcp {SYN} -m multiport --ports 5060 -j SBC-FILTER-NEW",
    ]
    assert rules(plan, "-NEW") == [
        f"-d 192.0.2.1 -p tcp {to_relay}",
        f"-s 192.0.2.1 -p tcp {to_relay}",
        LEFT,
    ]
    assert rules(plan, "-LOCAL") == ["-j MARK --set-xmark 0x10000000/0x30000000"]
    assert rules(plan, "-LOOP") == [
        f"-i lo -p tcp {SYN} -m mark --mark 0x20000000/0x30000000 -j MARK --set-xmark 0x10000000/0x30000000"
    ]
    assert [line for line in added(plan) if re.match("mangle -[AI] [A-Z]+ ", line)] == [
        "mangle -A PREROUTING -p tcp -j SBC-FILTER-RELAY",
        "mangle -A OUTPUT -p tcp -j SBC-FILTER-OUT",
    ]
    hooks = [hook.chain for hook in plan.tables(IpFamily.V4)[0].hooks if hook.name == "OUTPUT"]
    assert hooks == ["SBC-FILTER-OUT", "SBC-FILTER"]  # what is routed to the relay is not counted as unfiltered
    of_v6 = "--on-ip :: --tproxy-mark 0x10000000/0x30000000"
    assert f"mangle -A SBC-FILTER-NEW -d 2001:db8::1 -p tcp -j TPROXY --on-port 5059 {of_v6}" in added(
        plan, IpFamily.V6
    )


def test_connections_that_begin_here_are_routed_to_the_relay() -> None:
    """With connection tracking those that began with the relay; without it all that go to a SIP port."""
    before = [
        "-p tcp -m mark '!' --mark 0x0/0x30000000 -j RETURN",
        "-p tcp -m multiport --dports 5061 -j RETURN",
        "-p tcp -m addrtype --dst-type LOCAL -j RETURN",
    ]
    to_relay = "-j MARK --set-xmark 0x10000000/0x30000000"
    note = "-j CONNMARK --set-xmark 0x10000000/0x10000000"
    assert rules(Plan(sbc=SBC, relay=RelayPlan()), "-OUT") == [
        *before,
        f"-d 192.0.2.1 -p tcp -m multiport --dports 5060 {to_relay}",
        f"-s 192.0.2.1 -p tcp -m multiport --dports 5060 {to_relay}",
    ]
    assert rules(Plan(sbc=SBC, relay=RelayPlan(), tracked=True), "-OUT") == [
        *before,
        f"-d 192.0.2.1 -p tcp {SYN} -m multiport --ports 5060 {note}",
        f"-s 192.0.2.1 -p tcp {SYN} -m multiport --ports 5060 {note}",
        f"-p tcp -m connmark --mark 0x10000000/0x10000000 {to_relay}",
    ]


def test_tracked_connections_to_the_far_side_have_a_zone_and_keep_their_source() -> None:
    plan = Plan(sbc=SBC, relay=RelayPlan(), tracked=True)
    assert [line for line in added(plan) if line.startswith(("raw", "nat"))] == [
        "raw -N SBC-FILTER-ZONE",
        "raw -A SBC-FILTER -p tcp -m mark --mark 0x30000000/0x30000000 -j RETURN",
        "raw -A SBC-FILTER -p tcp -m mark --mark 0x20000000/0x30000000 -j CT --zone 5062",
        "raw -A SBC-FILTER -p tcp -m mark --mark 0x10000000/0x30000000 -j CT --zone 5062",
        "raw -A SBC-FILTER-ZONE -p tcp -m socket --transparent --restore-skmark",
        "raw -A SBC-FILTER-ZONE -p tcp -m mark --mark 0x20000000/0x30000000 -j CT --zone 5062",
        "raw -A PREROUTING -p tcp -j SBC-FILTER-ZONE",
        "nat -A SBC-FILTER -p tcp -m mark --mark 0x20000000/0x30000000 -j SNAT --to-source 0.0.0.0-255.255.255.255",
    ]
    first, *others = plan.tables(IpFamily.V4)[1].chains["SBC-FILTER"]
    assert first == "-p tcp -m mark --mark 0x30000000/0x30000000 -j RETURN"  # in front of those of UDP
    assert others[-1] == "-m mark --mark 0x20000000/0x20000000 -j CT --zone 5060"
    untracked = [line for line in added(Plan(sbc=SBC, relay=RelayPlan())) if line.startswith(("raw", "nat"))]
    assert untracked == ["raw -A SBC-FILTER -p tcp -m mark --mark 0x30000000/0x30000000 -j RETURN"]


def test_what_passes_is_counted() -> None:
    plan = Plan(sbc=SBC[:1], relay=RelayPlan(unfiltered_ports=(5061, 8443)))
    assert rules(plan, "") == [
        "-d 192.0.2.1 -p tcp -m multiport --ports 5060,5061,8443 -g SBC-FILTER-TCP",
        "-s 192.0.2.1 -p tcp -m multiport --ports 5060,5061,8443 -g SBC-FILTER-TCP",
        f"-p tcp {SYN} -m multiport --dports 5060 -m comment --comment"
        " 'new TCP connections to SIP ports, without an address of [network].sbc' -j RETURN",
    ]
    comment = "-m comment --comment"
    assert rules(plan, "-TCP") == [
        "-p tcp -m mark '!' --mark 0x0/0x30000000 -j RETURN",
        f"-p tcp {SYN} -m multiport --dports 5061,8443 {comment}"
        " 'TCP connections on TLS and WebSocket ports' -j RETURN",
        f"-p tcp {SYN} -m multiport --ports 5060 {comment} 'new TCP connections past the relay' -j RETURN",
        f"-p tcp -m multiport --ports 5060 {comment} 'TCP packets of connections older than the relay' -j RETURN",
    ]


LISTED = """\
[7:420] -A SBC-FILTER-TCP -p tcp -m comment --comment "TCP connections on TLS and WebSocket ports" -j RETURN
[9:1] -A OTHER -p tcp -m comment --comment "TCP connections on TLS and WebSocket ports" -j RETURN
[2:99] -A SBC-FILTER-TCP -p tcp -m comment --comment "new TCP connections past the relay" -j RETURN
[5:9] -A SBC-FILTER -p tcp -m comment \
--comment "new TCP connections to SIP ports, without an address of [network].sbc" -j RETURN
"""
LISTED_BY_NFT = """\
		tcp flags ! syn,rst tcp dport 5060 counter packets 3 bytes 171 reject with tcp reset comment \
"TCP packets of connections older than the relay"
		tcp sport 5060 counter packets 4 bytes 9 return comment "TCP packets of connections older than the relay"
"""


def test_counts_are_read() -> None:
    assert unrelayed([LISTED, LISTED, LISTED_BY_NFT]) == {
        Unrelayed.ENCRYPTED: 14,
        Unrelayed.NEW: 4,
        Unrelayed.OLDER: 7,
        Unrelayed.ELSEWHERE: 10,
    }
    assert unrelayed([]) == {}
    assert list(unrelayed_remarks([LISTED])) == [
        "TCP connections on TLS and WebSocket ports: 7 passed unfiltered since the firewall rules were applied: end TLS"
        " in front of the filter: see docs/placement.md, TLS",
        "new TCP connections past the relay: 2 passed unfiltered since the firewall rules were applied: no relay"
        " listened, or they came in by a bridge: see docs/placement.md, SIP over TCP",
        "new TCP connections to SIP ports, without an address of [network].sbc: 5 passed unfiltered since the firewall"
        " rules were applied: complete [network].sbc if calls are among them",
    ]
    assert list(unrelayed_remarks([])) == []


@pytest.mark.parametrize(
    ("policies", "ends"),
    [
        (("accept", "accept"), []),
        (("drop", "accept"), ["-d 192.0.2.1 "]),
        (("accept", "drop"), ["-s 192.0.2.1 "]),
        (("drop", "drop"), ["-d 192.0.2.1 ", "-s 192.0.2.1 "]),
    ],
)
def test_while_no_relay_listens_the_policy_of_the_direction_is_that_of_udp(
    policies: tuple[Overload, Overload], ends: list[str]
) -> None:
    inbound, outbound = policies
    plan = Plan(
        sbc=SBC,
        relay=RelayPlan(listening=False, existing="reset"),
        on_overload_inbound=inbound,
        on_overload_outbound=outbound,
    )
    assert rules(plan, "-NEW") == [*(f"{end}-p tcp -j DROP" for end in ends), LEFT]
    finished = (
        "-p tcp -m tcp '!' --tcp-flags SYN,ACK SYN -m connmark --mark 0x10000000/0x10000000"
        " -j MARK --set-xmark 0x10000000/0x30000000"
    )
    tracked = replace(plan, tracked=True)
    assert rules(tracked, "-OUT")[3:] == [
        *(f"{end}-p tcp {SYN} -m multiport --ports 5060 -j DROP" for end in ends),
        finished,  # a relay that stops finishes the connections that it has
    ]
    assert rules(plan, "-OUT")[3:] == [f"{end}-p tcp {SYN} -m multiport --ports 5060 -j DROP" for end in ends]
    assert chain_of_nft(tracked, "leaving")[-1] == (
        "tcp flags & (syn | ack) != syn ct mark & 0x10000000 == 0x10000000 meta mark set meta mark & 0xdfffffff |"
        " 0x10000000"
    )
    assert not [line for line in added(plan) if "TPROXY" in line or "REJECT" in line or line.startswith("filter")]
    refused = chain_of_nft(plan, "relay-new")
    assert [line for line in refused if line.startswith("ip ")] == [
        f"ip {'d' if end.startswith('-d') else 's'}addr 192.0.2.1 drop" for end in ends
    ]
    assert "tproxy ip" not in render(plan)


def test_without_addresses_all_connections_and_the_stricter_policy() -> None:
    plan = Plan(relay=RelayPlan())
    assert rules(plan, "-NEW") == [
        "-p tcp -j TPROXY --on-port 5059 --on-ip 0.0.0.0 --tproxy-mark 0x10000000/0x30000000",
        LEFT,
    ]
    assert rules(Plan(relay=RelayPlan(listening=False)), "-NEW") == [LEFT]
    strict = Plan(relay=RelayPlan(listening=False), on_overload_outbound="drop")
    assert rules(strict, "-NEW") == ["-p tcp -j DROP", LEFT]
    assert chain_of_nft(strict, "relay-new")[:-1] == ["meta nfproto ipv4 drop", "meta nfproto ipv6 drop"]
    of_v4 = Plan(sbc=("192.0.2.1",), relay=RelayPlan())  # none of IPv6: nothing is intercepted there
    assert not [line for line in added(of_v4, IpFamily.V6) if "TPROXY" in line]


def test_older_connections_are_reset_in_front_of_other_rules() -> None:
    plan = Plan(sbc=SBC, relay=RelayPlan(existing="reset"))
    match = "-p tcp -m tcp --tcp-flags SYN,RST NONE -m multiport --ports 5060"
    assert [line for line in added(plan) if line.startswith("filter")] == [
        "filter -N SBC-FILTER",
        "filter -A SBC-FILTER -p tcp -m mark '!' --mark 0x0/0x30000000 -j RETURN",
        "filter -A SBC-FILTER -p tcp -m physdev --physdev-in + -j RETURN",
        f"filter -A SBC-FILTER -d 192.0.2.1 {match} -j REJECT --reject-with tcp-reset",
        f"filter -A SBC-FILTER -s 192.0.2.1 {match} -j REJECT --reject-with tcp-reset",
        "filter -I INPUT ! -i lo -p tcp -j SBC-FILTER",
        "filter -I FORWARD -p tcp -j SBC-FILTER",
        "filter -I OUTPUT -p tcp -j SBC-FILTER",
    ]
    older = [line for line in chain_of_nft(plan, "tcp-counted") if str(Unrelayed.OLDER) in line]
    assert [line.partition(" comment ")[0] for line in older] == [
        'meta iifkind "bridge" tcp dport { 5060 } counter return',
        'meta iifkind "bridge" tcp sport { 5060 } counter return',
        'meta oifkind "bridge" tcp dport { 5060 } counter return',
        'meta oifkind "bridge" tcp sport { 5060 } counter return',
        "tcp flags & (syn | rst) == 0x0 tcp dport { 5060 } counter reject with tcp reset",
        "tcp flags & (syn | rst) == 0x0 tcp sport { 5060 } counter reject with tcp reset",
    ]


def test_a_port_of_tls_is_not_intercepted_where_it_is_a_sip_port_too() -> None:
    plan = Plan(ports=(5060, 5061), sbc=SBC, relay=RelayPlan())
    assert rules(plan, "-RELAY")[-1] == f"-p tcp {SYN} -m multiport --ports 5060 -j SBC-FILTER-NEW"
    assert chain_of_nft(plan, "relay")[-1].endswith("tcp sport { 5060 } goto relay-new")
    every = Plan(sbc=SBC, relay=RelayPlan(unfiltered_ports=()))
    assert "5061" not in "".join(added(every)) + render(every)


def test_the_same_in_the_language_of_nft() -> None:
    plan = Plan(sbc=SBC[:1], relay=RelayPlan(port=5099), tracked=True)
    syn, local = "tcp flags & (syn | ack) == syn", "meta mark & 0x30000000 == 0x10000000"
    to_relay = "meta mark set meta mark & 0xdfffffff | 0x10000000"
    assert chain_of_nft(plan, "relay") == [
        f"{syn} tcp dport 5099 fib daddr type local drop",
        "tcp flags & (syn | ack) != syn socket transparent 1 goto to-relay",
        "meta l4proto tcp meta mark & 0x20000000 == 0x20000000 goto loop",
        f'iifname "lo" meta l4proto tcp {local} goto relay-new',
        'meta iifkind "bridge" return',
        "tcp dport { 5061 } return",
        f"{syn} tcp dport {{ 5060 }} goto relay-new",
        f"{syn} tcp sport {{ 5060 }} goto relay-new",
    ]
    assert chain_of_nft(plan, "relay-new") == [
        f"ip daddr 192.0.2.1 meta l4proto tcp tproxy ip to :5099 {to_relay} accept",
        f"ip saddr 192.0.2.1 meta l4proto tcp tproxy ip to :5099 {to_relay} accept",
        f'iifname "lo" {local} drop',
        f"{syn} socket transparent 1 goto to-relay",
    ]
    assert chain_of_nft(plan, "to-relay") == [to_relay]
    assert chain_of_nft(plan, "loop") == [f'iifname "lo" {syn} meta mark & 0x30000000 == 0x20000000 {to_relay}']
    assert chain_of_nft(plan, "leaving") == [
        "meta mark & 0x30000000 != 0x0 return",
        "tcp dport { 5061 } return",
        "fib daddr type local return",
        *(
            f"ip {end} 192.0.2.1 {syn} tcp {port} {{ 5060 }} ct mark set ct mark | 0x10000000"
            for end in ("daddr", "saddr")
            for port in ("dport", "sport")
        ),
        f"meta l4proto tcp ct mark & 0x10000000 == 0x10000000 {to_relay}",
    ]
    assert chain_of_nft(plan, "zone") == [
        "meta l4proto tcp socket transparent 1 socket mark & 0x30000000 == 0x20000000 ct zone set 5062"
    ]
    assert chain_of_nft(plan, "own")[:3] == [
        "meta l4proto tcp meta mark & 0x30000000 == 0x30000000 return",
        "meta l4proto tcp meta mark & 0x30000000 == 0x20000000 ct zone set 5062 return",
        f"meta l4proto tcp {local} ct zone set 5062 return",
    ]
    assert chain_of_nft(plan, "filter")[-3:] == [
        "ip daddr 192.0.2.1 meta l4proto tcp goto tcp-counted",
        "ip saddr 192.0.2.1 meta l4proto tcp goto tcp-counted",
        "tcp flags & (syn | ack) == syn tcp dport { 5060 } counter return comment"
        ' "new TCP connections to SIP ports, without an address of [network].sbc"',
    ]
    untracked = Plan(sbc=SBC[:1], relay=RelayPlan())
    assert chain_of_nft(untracked, "leaving")[3:] == [
        f"ip {end} 192.0.2.1 tcp dport {{ 5060 }} {to_relay}" for end in ("daddr", "saddr")
    ]
    assert "chain zone" not in render(untracked)
    assert "ct mark" not in render(untracked)


ROUTES = {
    ("ip", "240.0.0.1"): "local 240.0.0.1 dev lo table 5059 src 240.0.0.1 mark 0x10000000 uid 0 \n    cache <local> \n",
    ("ip", "100::1"): "local 100::1 dev lo table 5059 proto 59 src ::1 metric 1024 pref medium\n",
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("socket transparent 1 goto to-relay", "socket transparent 1"),
        ("!= syn socket transparent 1 goto", "!= syn goto"),
        ("fib daddr type local drop", "fib daddr type local"),
        ("\t\tmeta mark set meta mark & 0xdfffffff | 0x10000000\n", "\t\tmeta mark 7\n"),
        ("tproxy ip to :5059 meta mark set meta mark & 0xdfffffff | 0x10000000 accept", "accept"),
        ("tcp dport { 5061 } return", "tcp dport { 5060 } return"),
        ('iifname "lo" meta mark & 0x30000000 == 0x10000000 drop', 'iifname "lo" accept'),
        ("counter reject with tcp reset", "counter return"),
        ("counter reject with tcp reset", "counter"),
        ("\tchain loop {", "\tchain other {"),
    ],
)
def test_changes_are_seen(before: str, after: str) -> None:
    plan = Plan(sbc=SBC, relay=RelayPlan(existing="reset"))
    for text, state in ((render(plan), RuleState.APPLIED), (render(plan).replace(before, after, 1), RuleState.CHANGED)):
        reading = Reading(nft.handed_over(text), {("nft", "sbc-filter"): text, **ROUTES})
        assert compared(plan, reading).state is state


@pytest.mark.parametrize("lost", ROUTES)
@pytest.mark.parametrize(
    "instead", [None, "", "240.0.0.1 via 192.0.2.1 dev eth0 src 192.0.2.7 mark 0x10000000 uid 0\n"]
)
def test_routes_that_are_gone_are_seen_where_there_is_a_relay(lost: tuple[str, str], instead: str | None) -> None:
    for plan, state in ((Plan(relay=RelayPlan()), RuleState.CHANGED), (Plan(), RuleState.APPLIED)):
        routes = {**ROUTES, lost: instead}
        listings = {
            ("nft", "sbc-filter"): render(plan),
            **{key: text for key, text in routes.items() if text is not None},
        }
        found = compared(plan, Reading({50: 0}, listings))
        assert found.state is state
        family = "IPv4" if lost[1] == "240.0.0.1" else "IPv6"
        if plan.relay is not None:
            assert found.sentence == f"the routes to the relay were changed: table 5059 for {family}"


def test_routes_alone_say_nothing_of_the_rules() -> None:
    assert compared(Plan(relay=RelayPlan()), Reading({}, ROUTES)).state is RuleState.UNKNOWN
