"""`sbc-filter run`: filters live traffic until a signal ends it."""

import argparse

from sbc_filter.commands.shared_arguments import add_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `run`."""
    parser.add_argument("--firewall", action="store_true", help="apply the firewall rules, and remove them at the end")
    add_files(parser)


def run(arguments: argparse.Namespace) -> int:
    """Filter live traffic."""
    from sbc_filter.commands.run.filtering import filter_traffic

    return filter_traffic(arguments)
