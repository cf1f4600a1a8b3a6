"""`sbc-filter find`: finds calls of the past by a telephone number or a Call-ID, and the messages of those kept."""

import argparse
from pathlib import Path

from sbc_filter.commands.shared_arguments import add_socket
from sbc_filter.commands.time_argument import duration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `find`."""
    parser.add_argument(
        "what",
        metavar="NUMBER|CALL-ID",
        nargs="?",
        help="who called or was called, in any usual notation, or the Call-ID of the call",
    )
    parser.add_argument("--call-id", action="store_true", help="it is a Call-ID, even if it looks like a number")
    parser.add_argument("--since", type=duration, metavar="TIME", help="only calls of this time, such as 30m, 2h or 1d")
    parser.add_argument(
        "--message", type=int, metavar="KEPT", help="print the INVITE of the call that `find` shows with this number"
    )
    parser.add_argument(
        "--sent", action="store_true", help="with --message: what the filter sent, not what it received"
    )
    parser.add_argument(
        "--records",
        type=Path,
        metavar="FILE",
        help="file of records, or - for standard input (default: as configured, with its rotated files)",
    )
    parser.add_argument("--json", action="store_true", help="print the records as lines of JSON")
    add_socket(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; 0 if there is something, 1 if not, 3 if there was nothing to search."""
    from sbc_filter.commands.find.find import find

    return find(arguments)
