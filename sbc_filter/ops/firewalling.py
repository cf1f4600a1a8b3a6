"""`sbc-filter firewall show|apply|remove`: the rules by which the kernel feeds the filter."""

import argparse

from sbc_filter.io import iptables
from sbc_filter.ops import config
from sbc_filter.ops.setup import read_plan


def firewall(arguments: argparse.Namespace) -> int:
    """Show, apply or remove the firewall rules."""
    if arguments.action == "remove":
        iptables.remove()
        print("the rules are gone")
        return 0
    plan = read_plan(config.needed(arguments.config))
    if arguments.action == "show":
        print(plan.show())
        return 0
    iptables.apply(plan)
    print(f"in force in {' and '.join(iptables.families())}; undo with `sbc-filter firewall remove`")
    return 0
