"""`sbc-filter explain`: decodes a token, an INVITE or a record, and says what is wrong and what to do about it."""

import argparse
from pathlib import Path

from sbc_filter.commands.shared_arguments import add_files, address, endpoint
from sbc_filter.commands.time_argument import moment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `explain`."""
    parser.add_argument(
        "what",
        metavar="WHAT",
        help="an INVITE, an Identity header field, a PASSporT, or records: a file, - for standard input, or the text"
        " itself; or a capture",
    )
    parser.add_argument(
        "call",
        nargs="*",
        metavar="CALL",
        help="if WHAT is a capture: the call, by its number in the list of `replay --calls`, its Call-ID, or #PACKET;"
        " in front of it further captures, as for `replay`",
    )
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--from", dest="sender", type=endpoint, metavar="ADDRESS[:PORT]", help="the peer it came from")
    ends.add_argument("--to", type=endpoint, metavar="ADDRESS[:PORT]", help="the peer it leaves to")
    parser.add_argument(
        "--at",
        default="message",
        type=moment("message"),
        metavar="TIME",
        help="judge freshness as of the Date of the INVITE or the iat of the token (default), as of now, or as of a"
        " time such as 2027-01-15T08:00:00Z",
    )
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="the certificate of the token, and its chain")
    parser.add_argument(
        "--certificates",
        type=Path,
        metavar="DIR",
        help="other parties' certificates, in place of [certificates].directory",
    )
    parser.add_argument("--anchors", type=Path, metavar="PATH", help="trust anchors: a PEM file, or a folder of them")
    parser.add_argument(
        "--fetch",
        action="store_true",
        help="fetch certificates from the network, of a capture only those of the call; never done otherwise",
    )
    _add_output(parser)
    parser.add_argument(
        "--sbc",
        action="append",
        default=[],
        type=address,
        metavar="ADDRESS",
        help="address of the SBC, in place of [network].sbc; several: all of them",
    )
    add_files(parser, where="sbc-filter.toml next to the file, then here, then in /etc/sbc-filter")


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Declare what is printed and written."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument(
        "--all",
        action="store_true",
        help="list the checks that were not reached; of several records, show the good and the unexamined ones",
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="ZIP",
        help="write the evidence of a call into this file: its INVITE, token, certificates, rule and explanation",
    )


def run(arguments: argparse.Namespace) -> int:
    """Explain; 0 if the token is valid for the call or the call is signed, 1 if not."""
    from sbc_filter.commands.explain.explain import explain

    return explain(arguments)
