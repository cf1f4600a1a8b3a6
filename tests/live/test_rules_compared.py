"""The applied rules compared with the plan: as the kernel lists them, and after what other programs do to them."""

import shutil
from dataclasses import replace

import pytest
from support.netns import LIVE
from support.waiting import LONG

from sbc_filter.firewall.handed_over import HandedOverReader
from sbc_filter.firewall.in_force import RuleState, compared
from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
SBC = ("192.0.2.1", "2001:DB8:1:0::1")
PLANS = {
    "plain": Plan(),
    "two queues": Plan(sbc=SBC, on_overload_inbound="drop", ports=tuple(range(5060, 5092)), responses="sbc"),
    "nat": Plan(sbc=SBC, nat=True),
    "tracked": Plan(sbc=SBC, tracked=True, responses="all"),
    "few harmless": Plan(sbc=SBC, scrub_methods=("OPTIONS",), mark=1, queue=7),
}
PLAN = PLANS["two queues"]
FLUSHED = "the firewall rules were changed: iptables, chain "
CHANGES = {
    "flushed": ("iptables -t mangle -F", f"{FLUSHED}SBC-FILTER-DEFRAG of table iptables mangle"),
    "one family": ("ip6tables -t mangle -F", f"{FLUSHED}SBC-FILTER-DEFRAG of table ip6tables mangle"),
    "raw": ("iptables -t raw -F", f"{FLUSHED}SBC-FILTER of table iptables raw"),
    "a jump": ("iptables -t mangle -D FORWARD -j SBC-FILTER", f"{FLUSHED}FORWARD of table iptables mangle"),
    "a jump twice": ("iptables -t mangle -A OUTPUT -j SBC-FILTER", f"{FLUSHED}OUTPUT of table iptables mangle"),
    "a port": (
        "iptables -t mangle -R SBC-FILTER 3 -p udp -m multiport --ports 5070 -j SBC-FILTER-SIP",
        f"{FLUSHED}SBC-FILTER of table iptables mangle",
    ),
    "a way out": ("ip6tables -t mangle -R SBC-FILTER 1 -j RETURN", f"{FLUSHED}SBC-FILTER of table ip6tables mangle"),
    "an exception": (
        "iptables -t mangle -I SBC-FILTER -s 10.0.0.0/255.0.255.0 -j ACCEPT",
        f"{FLUSHED}SBC-FILTER of table iptables mangle",
    ),
    "a policy": (
        "ip6tables -t mangle -R SBC-FILTER-QUEUE 3 -j NFQUEUE --queue-num 50 --queue-bypass",
        f"{FLUSHED}SBC-FILTER-QUEUE of table ip6tables mangle",
    ),
}


def seen(lab: Lab, plan: Plan) -> tuple[RuleState, str]:
    with lab.inside("sbc"):
        reader = HandedOverReader()
        reader.start()
        reading = reader.collect(LONG)
    assert reading is not None
    return compared(plan, reading)


@pytest.fixture(autouse=True)
def _without_rules(lab: Lab) -> None:
    with lab.inside("sbc"):
        Iptables().remove()


@pytest.mark.parametrize("variant", ["", "-legacy"])
@pytest.mark.parametrize("name", PLANS)
def test_what_the_kernel_lists_is_what_was_planned(lab: Lab, name: str, variant: str) -> None:
    if shutil.which(f"iptables{variant}") is None:
        pytest.skip(f"needs iptables{variant}")
    plan, program = PLANS[name], Iptables(variant)
    missing = (RuleState.MISSING, "the firewall rules are not applied")
    assert seen(lab, plan) == missing
    with lab.inside("sbc"):
        program.apply(plan)
    assert seen(lab, replace(plan, tracked=False)) == (RuleState.APPLIED, "the firewall rules are applied")
    with lab.inside("sbc"):
        program.remove()
    assert seen(lab, plan) == missing


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_seen(lab: Lab, name: str) -> None:
    command, sentence = CHANGES[name]
    with lab.inside("sbc"):
        Iptables().apply(PLAN)
    lab.run("sbc", *command.split())
    assert seen(lab, PLAN) == (RuleState.CHANGED, sentence)
    with lab.inside("sbc"):
        Iptables().apply(PLAN)
    assert seen(lab, PLAN)[0] is RuleState.APPLIED


def test_rules_of_other_programs_make_no_difference(lab: Lab) -> None:
    added = ("FORWARD", "-p", "udp", "-m", "comment", "--comment", 'no "SBC-FILTER" here', "-j", "ACCEPT")
    with lab.inside("sbc"):
        Iptables().apply(PLAN)
    lab.run("sbc", "iptables", "-t", "mangle", "-A", *added)
    assert seen(lab, PLAN)[0] is RuleState.APPLIED
    lab.run("sbc", "iptables", "-t", "mangle", "-D", *added)


def test_rules_of_another_configuration(lab: Lab) -> None:
    with lab.inside("sbc"):
        Iptables().apply(replace(PLAN, queue=60))
    assert seen(lab, PLAN) == (RuleState.FOREIGN, "the firewall rules feed queue 60, which another filter reads")
    with lab.inside("sbc"):
        Iptables().apply(replace(PLAN, ports=(5060,)))
    assert seen(lab, PLAN) == (RuleState.CHANGED, f"{FLUSHED}SBC-FILTER of table iptables mangle")


def test_rules_of_two_programs(lab: Lab) -> None:
    """Each would queue every packet again."""
    if shutil.which("iptables-legacy") is None:
        pytest.skip("needs iptables-legacy")
    with lab.inside("sbc"):
        for program in (Iptables(), Iptables("-legacy")):
            program.apply(PLAN)
        found = seen(lab, PLAN)
        Iptables("-legacy").remove()
    sentence = "the firewall rules are applied twice, by iptables and iptables-legacy"
    assert found == (RuleState.CHANGED, sentence)
    assert seen(lab, PLAN)[0] is RuleState.APPLIED
