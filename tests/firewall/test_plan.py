"""The firewall plan as rules, without a kernel; tests/live/test_firewall.py puts them in force."""

import pytest

from sbc_filter.firewall.nft import render
from sbc_filter.firewall.plan import Plan, QueueSettings
from sbc_filter.firewall.rule_tables import IpFamily


def queue_rules(plan: Plan, family: IpFamily = IpFamily.V4) -> list[str]:
    return plan.tables(family)[0].chains["SBC-FILTER-QUEUE"]


def test_the_commands_are_readable() -> None:
    shown = Plan().show().splitlines()
    assert shown[5:8] == [
        "iptables -w -t mangle -A SBC-FILTER -m mark --mark 0x20000000/0x20000000 -j RETURN",
        "iptables -w -t mangle -A SBC-FILTER -p udp -m u32 --u32 '4&0x3FFF=1:0x3FFF'"
        " -m comment --comment 'fragments not put together' -j RETURN",
        "iptables -w -t mangle -A SBC-FILTER -p udp -m multiport --ports 5060 -j SBC-FILTER-SIP",
    ]


def test_without_addresses_one_queue() -> None:
    assert Plan().queues == (QueueSettings(50, True),)
    assert queue_rules(Plan()) == ["-j NFQUEUE --queue-num 50 --queue-bypass"]
    strict = Plan(on_overload_inbound="drop", on_overload_outbound="drop")
    assert strict.queues == (QueueSettings(50, False),)
    assert queue_rules(strict) == ["-j NFQUEUE --queue-num 50"]


def test_a_policy_for_each_direction_two_queues_told_apart_by_the_address() -> None:
    plan = Plan(sbc=("192.0.2.1", "2001:db8::1"), on_overload_inbound="drop")
    inbound, outbound = plan.queues
    assert inbound == QueueSettings(50, False, direction="inbound")
    assert outbound == QueueSettings(51, True, direction="outbound")
    assert queue_rules(plan) == [
        "-d 192.0.2.1 -j NFQUEUE --queue-num 50",
        "-s 192.0.2.1 -j NFQUEUE --queue-num 51 --queue-bypass",
        "-j NFQUEUE --queue-num 50",
    ]
    assert queue_rules(plan, IpFamily.V6)[0] == "-d 2001:db8::1 -j NFQUEUE --queue-num 50"


def test_each_direction_has_a_queue_even_with_one_policy() -> None:
    """So that the counters of the rules say what passed unfiltered in each. Neither: with inbound."""
    assert queue_rules(Plan(sbc=("192.0.2.1",))) == [
        "-d 192.0.2.1 -j NFQUEUE --queue-num 50 --queue-bypass",
        "-s 192.0.2.1 -j NFQUEUE --queue-num 51 --queue-bypass",
        "-j NFQUEUE --queue-num 50 --queue-bypass",
    ]


@pytest.mark.parametrize(
    ("plan", "last"),
    [
        (Plan(sbc=("192.0.2.1",), on_overload_inbound="drop"), "queue num 50"),
        (Plan(sbc=("192.0.2.1",), on_overload_outbound="drop"), "queue num 51"),
    ],
)
def test_of_no_direction_the_stricter_policy(plan: Plan, last: str) -> None:
    """A packet to the broadcast address of the SBC's network must not pass because the queue is full."""
    assert queue_rules(plan)[-1] == f"-j NFQUEUE --{last.replace(' num', '-num')}"
    assert f"{last}\n\t}}" in render(plan)


def test_without_addresses_the_stricter_policy_holds_for_both() -> None:
    assert Plan(on_overload_inbound="drop").queues == (QueueSettings(50, False),)
    assert Plan(on_overload_outbound="drop").queues == (QueueSettings(50, False),)


def test_any_number_of_ports() -> None:
    rules = Plan(ports=range(5060, 5092)).tables(IpFamily.V4)[0].chains["SBC-FILTER"][2:]
    assert [rule.count(",") + 1 for rule in rules] == [15, 15, 2]


def sip_rules(plan: Plan, family: IpFamily) -> list[str]:
    """The rules for packets on SIP ports, and apart from them the last, which hands over the rest."""
    *rules, last = plan.tables(family)[0].chains["SBC-FILTER-SIP"]
    assert last == "-p udp -j SBC-FILTER-QUEUE"
    return rules


@pytest.mark.parametrize(("family", "at", "short"), [(IpFamily.V4, "0>>22&0x3C@8", 45), (IpFamily.V6, "48", 65)])
def test_what_is_harmless_returns_and_the_rest_is_handed_over(family: IpFamily, at: str, short: int) -> None:
    """What is too short comes first; of what is left, a BYE stays in the kernel by its first four bytes."""
    rules = sip_rules(Plan(), family)
    assert rules[0] == f"-p udp -m length --length 0:{short} -j RETURN"
    assert f'-p udp -m u32 --u32 "{at}=0x42594520" -j RETURN' in rules
    assert ('-p udp -m u32 ! --u32 "3&0xFF=17" -j SBC-FILTER-QUEUE' in rules) is (family is IpFamily.V6)
    shown = render(Plan())
    for rule in (f"meta length < {short + 1} return", "@th,64,32 0x42594520 return", "goto hand-over\n\t}"):
        assert rule in shown


# SIP/ 2.0_ 101 to 699
STATUS = {
    IpFamily.V4: "0>>22&0x3C@8=0x5349502f&&0>>22&0x3C@12=0x322e3020&&0>>22&0x3C@15&0xffffff=0x313031:0x363939",
    IpFamily.V6: "48=0x5349502f&&52=0x322e3020&&55&0xffffff=0x313031:0x363939",
}


@pytest.mark.parametrize("family", IpFamily)
def test_responses_stay_in_the_kernel_unless_a_rule_needs_them(family: IpFamily) -> None:
    """None; those of the SBC; or all. They are looked for in front of what is harmless, as all responses are."""
    sbc = ("192.0.2.1", "2001:db8::1")
    plain = sip_rules(Plan(sbc=sbc), family)
    of_sbc = sip_rules(Plan(sbc=sbc, responses="sbc"), family)
    of_all = sip_rules(Plan(sbc=sbc, responses="all"), family)
    nowhere = sip_rules(Plan(responses="sbc"), family)
    address = "192.0.2.1" if family is IpFamily.V4 else "2001:db8::1"
    match = f'-m u32 --u32 "{STATUS[family]}" -j SBC-FILTER-QUEUE'
    first = 1 if family is IpFamily.V4 else 2
    assert STATUS[family].partition("&&")[0] in plain[first]
    assert plain[first].endswith("-j RETURN")
    assert of_sbc == [*plain[:first], f"-p udp -s {address} {match}", *plain[first:]]
    assert of_all == nowhere == [*plain[:first], f"-p udp {match}", *plain[first:]]


def test_responses_are_shown() -> None:
    shown = Plan(sbc=("192.0.2.1",), responses="sbc").show().splitlines()
    command = "iptables -w -t mangle -A SBC-FILTER-SIP -p udp -s 192.0.2.1 -m u32 --u32"
    assert f"{command} '{STATUS[IpFamily.V4]}' -j SBC-FILTER-QUEUE" in shown
    assert not any("ip6tables" in line and "0x313031" in line for line in shown)  # no address of that family


def test_requests_to_scrub_are_handed_over() -> None:
    """Of the rules, only those that leave REFER and UPDATE in the kernel are gone."""
    for shown in (Plan.show, render):
        usual, scrubbing = (shown(Plan(scrub_methods=methods)).splitlines() for methods in ((), ("REFER", "UPDATE")))
        gone = [line for line in usual if line not in scrubbing]
        assert [line for line in usual if line not in gone] == scrubbing
        for start in ("52454645", "55504441"):  # REFE, UPDA
            assert any(start in line.upper() for line in gone)
        assert all("52454645" in line.upper() or "55504441" in line.upper() for line in gone)
