"""The plan as nft and iptables list it, without a kernel; tests/live/test_rules_compared.py has it with one."""

import re

import pytest

from sbc_filter.firewall import nft
from sbc_filter.firewall.handed_over import Reading
from sbc_filter.firewall.in_force import RuleState, compared
from sbc_filter.firewall.plan import Plan

PLANS = [
    Plan(),
    Plan(sbc=("192.0.2.1", "2001:DB8::0:1"), on_overload_inbound="drop", ports=(5060, 5080)),
    Plan(tracked=True, responses="all"),
]


def listed(plan: Plan, bypass: str) -> Reading:
    """As nft 1.0 and 0.9 list what was planned."""
    text = nft.render(plan).replace("counter", "counter packets 3 bytes 900").replace("2001:DB8::0:1", "2001:db8::1")
    text = re.sub(r"queue num (\d+) bypass", bypass, text)
    return Reading(nft.handed_over(text), {("nft", "sbc-filter"): text})


@pytest.mark.parametrize("bypass", [r"queue flags bypass to \1", r"queue num \1 bypass"])
@pytest.mark.parametrize("plan", PLANS)
def test_nft_lists_queues_in_several_forms(plan: Plan, bypass: str) -> None:
    assert compared(plan, listed(plan, bypass)).state is RuleState.APPLIED


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ("queue flags bypass to 50", "queue to 50", RuleState.CHANGED),
        ("udp dport { 5060 }", "udp dport { 5061 }", RuleState.CHANGED),
        ("udp dport { 5060 }", "udp dport 5060", RuleState.APPLIED),
        ("udp dport { 5060 }", "udp dport {\n\t\t\t     5060 }", RuleState.APPLIED),
        ("jump filter", "", RuleState.CHANGED),
        ("notrack", "return", RuleState.CHANGED),
        ("queue flags bypass to 50", "queue flags bypass to 60", RuleState.FOREIGN),
        ("\tchain sip {", "\tchain added {\n\t}\n\n\tchain sip {", RuleState.CHANGED),
    ],
)
def test_changes_of_the_table_of_nft(before: str, after: str, state: RuleState) -> None:
    text = listed(Plan(), r"queue flags bypass to \1").listings["nft", "sbc-filter"]
    assert before in text
    text = text.replace(before, after, 1)
    assert compared(Plan(), Reading(nft.handed_over(text), {("nft", "sbc-filter"): text})).state is state
