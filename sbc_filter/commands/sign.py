"""`sbc-filter sign`: signs one INVITE, as the rules would sign an outbound call."""

import argparse
from pathlib import Path

from sbc_filter.commands.shared_arguments import add_files, endpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `sign`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the message, or - for standard input")
    parser.add_argument(
        "--to", type=endpoint, metavar="ADDRESS[:PORT]", help="where it goes, for rules that name a trunk"
    )
    add_files(parser)


def run(arguments: argparse.Namespace) -> int:
    """Sign the INVITE in a file or on standard input and write it to standard output; 1 when it was not signed."""
    from sbc_filter.commands.sign_invite import sign

    return sign(arguments)
