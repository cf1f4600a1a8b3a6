"""`sbc-filter replay`: shows what the rules would have done to the calls of a capture."""

import argparse
from datetime import datetime
from pathlib import Path

from sbc_filter.commands.file_arguments import add_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `replay`."""
    parser.add_argument(
        "captures",
        nargs="+",
        metavar="CAPTURE",
        help="pcap or pcapng file, also compressed; a folder of them; or - for standard input. "
        "Several are one capture in order of time",
    )
    parser.add_argument(
        "--at",
        default="capture",
        type=_time,
        metavar="TIME",
        help="judge freshness as of the capture (default), as of now, or as of a time such as 2027-01-15T08:00:00Z",
    )
    parser.add_argument("--out", type=Path, metavar="PCAP", help="write the packets as they would have left")
    parser.add_argument("--json", action="store_true", help="print one JSON record a line instead of a summary")
    parser.add_argument(
        "--fetch", action="store_true", help="fetch certificates from the network; never done otherwise"
    )
    parser.add_argument(
        "--learn", type=Path, metavar="FILE", help="write the x5u URLs of its tokens, for [certificates].warm"
    )
    parser.add_argument(
        "--learn-translations",
        type=Path,
        metavar="FILE",
        help="write the numbers that arrived as others in the Request-URI, for `translations` of [rule.verify]",
    )
    add_files(parser, where="sbc-filter.toml next to the capture, then here, then in /etc/sbc-filter")


_END = 253_402_300_800.0  # POSIX seconds: the year 10000


def _time(text: str) -> str | float:
    """`capture`, `now`, or a time in POSIX seconds; it is given so, or in ISO 8601 (local time unless it says)."""
    if text in ("capture", "now"):
        return text
    try:
        found = _seconds(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is neither capture, now nor a time") from None
    if not 0 <= found < _END:  # false for NaN
        raise argparse.ArgumentTypeError(f"{text!r} is not a time from 1970 to 9999")
    return found


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()


def run(arguments: argparse.Namespace) -> int:
    """Replay captures through the engine."""
    from sbc_filter.commands.replay.play import replay

    return replay(arguments)
