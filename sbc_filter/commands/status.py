"""`sbc-filter status`: the state of a running filter."""

import argparse

from sbc_filter.commands.shared_arguments import add_socket


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `status`."""
    parser.add_argument("--watch", action="store_true", help="a screen that is renewed every second; q ends it")
    parser.add_argument("--json", action="store_true", help="print it as one line of JSON")
    add_socket(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the state of a running filter."""
    from sbc_filter.commands.status_display import find_socket, show

    if arguments.watch and not arguments.json:
        from sbc_filter.commands.watch import watch

        return watch(find_socket(arguments))
    return show(arguments)
