"""`sbc-filter follow`: shows the records of live calls as they happen."""

import argparse

from sbc_filter.commands.shared_arguments import add_socket


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `follow`."""
    parser.add_argument("--number", metavar="N", help="only calls from or to this number, in any usual notation")
    parser.add_argument("--call-id", metavar="ID", help="only the call with this Call-ID")
    parser.add_argument("--trunk", metavar="NAME", help="only calls from and to this trunk")
    parser.add_argument("--explain", action="store_true", help="say what is wrong with calls that fail, and what to do")
    parser.add_argument("--json", action="store_true", help="print the records as lines of JSON")
    add_socket(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show records until Ctrl-C, or until the filter stops."""
    from sbc_filter.commands.follow.follow import follow

    return follow(arguments)
