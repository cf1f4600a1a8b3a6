"""`sbc-filter reload`: a running filter reads its files again."""

import argparse
import sys

from sbc_filter.commands.shared_arguments import add_socket
from sbc_filter.system.plain_text import plain_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `reload`."""
    add_socket(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make a running filter read its files again. Returns 1, after printing the reasons, when it refuses."""
    from sbc_filter.commands.status_display import find_socket
    from sbc_filter.daemon import control_socket
    from sbc_filter.daemon.reload import REFUSED

    problems = control_socket.ask(find_socket(arguments), "reload")["problems"]
    for problem in problems:
        print(f"sbc-filter: {plain_lines(problem)}", file=sys.stderr)
    if problems:
        print(f"sbc-filter: {REFUSED}", file=sys.stderr)
    else:
        print("reloaded")
    return 1 if problems else 0
