"""The firewall plan as rules, without a kernel; tests/live/test_firewall.py puts them in force."""

from sbc_filter.io.firewall import Family, Plan
from sbc_filter.io.netlink import QueueSettings


def queue_rules(plan: Plan, family: Family = Family.V4) -> list[str]:
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
    assert queue_rules(plan, Family.V6)[0] == "-d 2001:db8::1 -j NFQUEUE --queue-num 50"


def test_without_addresses_the_stricter_policy_holds_for_both() -> None:
    assert Plan(on_overload_inbound="drop").queues == (QueueSettings(50, False),)
    assert Plan(on_overload_outbound="drop").queues == (QueueSettings(50, False),)


def test_any_number_of_ports() -> None:
    rules = Plan(ports=range(5060, 5092)).tables(Family.V4)[0].chains["SBC-FILTER"][2:]
    assert [rule.count(",") + 1 for rule in rules] == [15, 15, 2]
