"""`sbc-filter status`: the state of a running filter."""

import argparse

from sbc_filter.commands.shared_arguments import add_socket


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `status`."""
    parser.add_argument("--watch", action="store_true", help="update the display every second")
    parser.add_argument("--json", action="store_true", help="print it as one line of JSON")
    add_socket(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the state of a running filter."""
    from sbc_filter.commands.status_display import show

    return show(arguments)
