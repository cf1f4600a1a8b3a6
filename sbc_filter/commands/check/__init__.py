"""`sbc-filter check`: reports every problem of the operator's files, or a summary of what they configure."""

import argparse

from sbc_filter.commands.shared_arguments import add_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `check`."""
    parser.add_argument(
        "--probe",
        action="store_true",
        help="fetch each x5u of our credentials from the network, and compare what it serves",
    )
    add_files(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check configuration and rules. Reports every problem at once; returns 1 if there is any."""
    from sbc_filter.commands.check.report import report

    return report(arguments)
