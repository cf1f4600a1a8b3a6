"""`sbc-filter uninstall`: remove what `sbc-filter install` made."""

import argparse

from sbc_filter.commands.install import add_host, chosen_host, follow, removing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `uninstall`."""
    parser.add_argument(
        "--purge", action="store_true", help="remove configuration, keys, cache, records and user as well"
    )
    add_host(parser)


def run(arguments: argparse.Namespace) -> int:
    """Remove what `install` made; configuration, keys and user stay unless they are to be purged."""
    host = chosen_host(arguments)
    if not follow(removing(host, purge=arguments.purge), dry=arguments.dry_run):
        print("nothing to remove")
    return 0
