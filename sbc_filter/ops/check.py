"""`sbc-filter check`: everything that is wrong with the operator's files, or what they amount to."""

import argparse
import time

from rich.console import Console
from rich.table import Table

from sbc_filter.ops import config
from sbc_filter.ops.doubts import doubts
from sbc_filter.ops.setup import Setup, read_all

_DAY = 86400.0
_SOON = 30.0  # days before the end of a certificate


def check(arguments: argparse.Namespace) -> int:
    """Check configuration and rules; every problem at once, exit code 1 if there is any."""
    path = config.needed(arguments.config)
    setup = read_all(path, arguments.rules)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{path}: {'it works for now, but see the end' if setup.remarks else 'good'}")
    network = setup.configuration.network
    console.print(
        f"SBC      {', '.join(network.sbc) or 'no address: no call has a direction'}; ports {list(network.ports)}"
    )
    for anchor in setup.trust.anchors:
        console.print(f"anchor   {anchor.subject.rfc4514_string()}, until {anchor.not_valid_after_utc:%Y-%m-%d}")
    for trunk in setup.trunks:
        addresses = ", ".join(map(str, trunk.addresses))
        where = f", on {trunk.interface}" if trunk.interface else ""
        console.print(f"trunk    {trunk.name}: {addresses}{where}{', trusted' if trunk.trusted else ''}")
    _credentials(console, setup)
    console.print()
    _rules(console, setup)
    for doubt in doubts(setup, arguments.rules):
        console.print(f"warning: {doubt}", markup=False)
    for remark in setup.remarks:
        console.print(f"error: {remark}", markup=False)
    return 1 if setup.remarks else 0


def _credentials(console: Console, setup: Setup) -> None:
    now = time.time()
    for name, settings in setup.configuration.remote.items():
        console.print(f"sign as  {name}: by {settings.service or settings.command[0]}", markup=False)
    for name, credential in setup.credentials.items():
        days = (credential.not_after - now) / _DAY
        console.print(f"sign as  {name}: the key fits the certificate, {days:.0f} days left; x5u {credential.x5u}")
        if days < _SOON:
            console.print(f"         warning: the certificate of {name} ends soon")


def _rules(console: Console, setup: Setup) -> None:
    table = Table("Rule", "Mode", "Action", "Insertion", "File", box=None, pad_edge=False)
    for rule, conditions in zip(setup.rules.rules, setup.rules.conditions, strict=True):
        share = f" {conditions.enforce_percent:g} %" if conditions.enforce_percent < 100 else ""
        table.add_row(rule.name, rule.mode + share, rule.action, rule.insertion, rule.file)
    console.print(table if setup.rules.rules else "no rules: every call passes")
