"""The firewall plan as rules, without a kernel; tests/live/test_firewall.py puts them in force."""

import pytest

from sbc_filter.firewall.nft import render
from sbc_filter.firewall.plan import IpFamily, Plan, QueueSettings


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


def test_one_policy_one_queue() -> None:
    assert Plan().queues == (QueueSettings(50, True),)
    assert queue_rules(Plan()) == ["-j NFQUEUE --queue-num 50 --queue-bypass"]
    strict = Plan(on_overload_inbound="drop", on_overload_outbound="drop")
    assert strict.queues == (QueueSettings(50, False),)
    assert queue_rules(strict) == ["-j NFQUEUE --queue-num 50"]


def test_a_policy_for_each_direction_two_queues_told_apart_by_the_address() -> None:
    plan = Plan(sbc=("192.0.2.1", "2001:db8::1"), on_overload_inbound="drop")
    assert plan.queues == (QueueSettings(50, False), QueueSettings(51, True))
    assert queue_rules(plan) == [
        "-d 192.0.2.1 -j NFQUEUE --queue-num 50",
        "-j NFQUEUE --queue-num 51 --queue-bypass",
    ]
    assert queue_rules(plan, IpFamily.V6)[0] == "-d 2001:db8::1 -j NFQUEUE --queue-num 50"


def test_without_addresses_the_stricter_policy_holds_for_both() -> None:
    assert Plan(on_overload_inbound="drop").queues == (QueueSettings(50, False),)
    assert Plan(on_overload_outbound="drop").queues == (QueueSettings(50, False),)


def test_any_number_of_ports() -> None:
    rules = Plan(ports=range(5060, 5092)).tables(IpFamily.V4)[0].chains["SBC-FILTER"][2:]
    assert [rule.count(",") + 1 for rule in rules] == [15, 15, 2]


@pytest.mark.parametrize(("family", "at"), [(IpFamily.V4, "0>>22&0x3C@8"), (IpFamily.V6, "48")])
def test_what_begins_invisibly_is_handed_over(family: IpFamily, at: str) -> None:
    """Bytes that SIP stacks skip in front of a request, when what follows could be one; RTP begins with 128 to 191."""
    match = f'-m length --length 80:65535 -m u32 --u32 "{at}>>24=0:32,127,192:255"'
    assert f"-p udp {match} -j SBC-FILTER-QUEUE" in Plan().tables(family)[0].chains["SBC-FILTER-SIP"]
    assert "meta l4proto udp meta length >= 80 @th,64,8 { 0-32, 127, 192-255 } goto hand-over" in render(Plan())


# SIP/ 2.0_ 101 to 699
STATUS = {
    IpFamily.V4: "0>>22&0x3C@8=0x5349502F&&0>>22&0x3C@12=0x322E3020&&0>>22&0x3C@16>>8=0x313031:0x363939",
    IpFamily.V6: "48=0x5349502F&&52=0x322E3020&&56>>8=0x313031:0x363939",
}


@pytest.mark.parametrize("family", IpFamily)
def test_responses_stay_in_the_kernel_unless_a_rule_needs_them(family: IpFamily) -> None:
    """DESIGN §3: none; those of the SBC; or all."""
    plain = Plan(sbc=("192.0.2.1", "2001:db8::1")).tables(family)[0].chains["SBC-FILTER-SIP"]
    of_sbc = Plan(sbc=("192.0.2.1", "2001:db8::1"), responses="sbc").tables(family)[0].chains["SBC-FILTER-SIP"]
    of_all = Plan(sbc=("192.0.2.1", "2001:db8::1"), responses="all").tables(family)[0].chains["SBC-FILTER-SIP"]
    nowhere = Plan(responses="sbc").tables(family)[0].chains["SBC-FILTER-SIP"]
    address = "192.0.2.1" if family is IpFamily.V4 else "2001:db8::1"
    match = f'-m u32 --u32 "{STATUS[family]}" -j SBC-FILTER-QUEUE'
    assert not any("0x5349502F" in rule for rule in plain)
    assert of_sbc == [*plain, f"-p udp -s {address} {match}"]
    assert of_all == nowhere == [*plain, f"-p udp {match}"]


def test_responses_are_shown() -> None:
    shown = Plan(sbc=("192.0.2.1",), responses="sbc").show().splitlines()
    command = "iptables -w -t mangle -A SBC-FILTER-SIP -p udp -s 192.0.2.1 -m u32 --u32"
    assert f"{command} '{STATUS[IpFamily.V4]}' -j SBC-FILTER-QUEUE" in shown
    assert not any("ip6tables" in line and "0x5349502F" in line for line in shown)  # no address of that family
