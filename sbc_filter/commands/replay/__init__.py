"""`sbc-filter replay`: shows what the rules would have done to the calls of a capture."""

import argparse
from pathlib import Path

from sbc_filter.commands.replay.call_options import add_filters
from sbc_filter.commands.shared_arguments import add_files, address
from sbc_filter.commands.time_argument import moment


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
        type=moment("capture"),
        metavar="TIME",
        help="judge freshness as of the capture (default), as of now, or as of a time such as 2027-01-15T08:00:00Z",
    )
    parser.add_argument("--out", type=Path, metavar="PCAP", help="write the packets as they would have left")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a report of all calls: one page for a browser, without a network",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON record for each INVITE, a line each; with a filter, those of the calls that match",
    )
    parser.add_argument(
        "--fetch", action="store_true", help="fetch certificates from the network; never done otherwise"
    )
    _add_material(parser)
    parser.add_argument(
        "--learn", type=Path, metavar="FILE", help="write the x5u URLs of its tokens, for [certificates].warm"
    )
    parser.add_argument(
        "--learn-translations",
        type=Path,
        metavar="FILE",
        help="write the numbers that arrived as others in the Request-URI, for `translations` of [rule.verify]",
    )
    parser.add_argument(
        "--diff",
        type=Path,
        metavar="RULES",
        help="compare with these rules, a file or a folder: which calls would be treated differently",
    )
    add_filters(parser)
    add_files(parser, where="sbc-filter.toml next to the capture, then here, then in /etc/sbc-filter")


def _add_material(parser: argparse.ArgumentParser) -> None:
    """Declare what stands in the place of a configuration."""
    parser.add_argument("--anchors", type=Path, metavar="PATH", help="trust anchors: a PEM file, or a folder of them")
    parser.add_argument(
        "--certificates",
        type=Path,
        metavar="DIR",
        help="other parties' certificates, in place of [certificates].directory",
    )
    parser.add_argument(
        "--certificate",
        type=Path,
        metavar="FILE",
        help="the certificate of all tokens, and its chain, whatever their URL",
    )
    parser.add_argument(
        "--sbc",
        action="append",
        default=[],
        type=address,
        metavar="ADDRESS",
        help="address of the SBC, in place of [network].sbc; several: all of them",
    )


def run(arguments: argparse.Namespace) -> int:
    """Replay captures through the engine, or compare two sets of rules by them."""
    if arguments.diff is not None:
        from sbc_filter.commands.replay.compare.compare import compare

        return compare(arguments)
    from sbc_filter.commands.replay.play import replay

    return replay(arguments)
