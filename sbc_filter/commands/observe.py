"""`sbc-filter observe`: a running filter changes nothing for a time, and records what it would have done."""

import argparse
import re
import sys

from sbc_filter.commands.shared_arguments import add_socket
from sbc_filter.errors import UsageFault
from sbc_filter.system.plain_text import plain_lines

_TIME = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `observe`."""
    parser.add_argument("--trunk", metavar="NAME", help="only calls from and to this trunk (default: everything)")
    parser.add_argument("--for", dest="time", metavar="TIME", help="how long, such as 30m, 2h or 1d; at most 7d")
    parser.add_argument("--off", action="store_true", help="end it now, for one trunk or for everything")
    add_socket(parser)


def seconds(text: str) -> int:
    """The seconds of a time such as 30m, 2h or 1d; `UsageFault`."""
    from sbc_filter.daemon.observation_file import LONGEST

    found = _TIME.fullmatch(text)
    if found is None:
        raise UsageFault(f"--for {text!r} is not a time such as 30m, 2h or 1d")
    time = int(found[1]) * _SECONDS[found[2]]
    if time > LONGEST:
        raise UsageFault(f"--for {text} is longer than 7d: to observe for good, set mode in [network]")
    return time


def run(arguments: argparse.Namespace) -> int:
    """Begin or end observation. Returns 1, after printing the reasons, when the filter refuses."""
    if arguments.off == (arguments.time is not None):
        raise UsageFault("say either how long, such as --for 2h, or --off")
    time = 0 if arguments.off else seconds(arguments.time)
    from sbc_filter.commands.status_display import find_socket
    from sbc_filter.daemon import control_socket

    answer = control_socket.ask(find_socket(arguments), "observe", trunk=arguments.trunk, seconds=time)
    for problem in (*answer["problems"], *answer.get("warnings", ())):
        print(f"sbc-filter: {plain_lines(problem)}", file=sys.stderr)
    if answer["problems"]:
        return 1
    print(plain_lines(answer["observing"]))
    return 0
