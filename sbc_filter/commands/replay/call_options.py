"""The options that choose calls of a capture: `--calls`, `--outcome`, `--caller` and so on, `--sort`."""

import argparse

FILTERS = {
    "outcome": "with this outcome or detail, such as invalid or 'unfetchable.*'",
    "caller": "from this number, such as '1215*'",
    "called": "to this number",
    "call_id": "with this Call-ID",
    "trunk": "of this trunk",
    "peer": "of this peer: an address, or the name of a trunk",
    "signer": "signed by this service provider code or subject of a certificate",
}
"""What the help says, by the option without its hyphens."""
ORDERS = ("time", "from", "to", "attestation", "signer", "outcome", "treatment", "rule", "trunk", "peer")
"""The words of `--sort`."""


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Declare the options that choose calls. Each of them asks for the list."""
    group = parser.add_argument_group(
        "the list of calls",
        "A PATTERN may have *. Several, with commas between them or in options of one name: any of them. With a"
        " PATTERN, only the list is printed.",
    )
    group.add_argument("--calls", action="store_true", help="list all calls; a small capture is listed without it")
    for name, what in FILTERS.items():
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, action="append", metavar="PATTERN", help=f"list the calls {what}")
    group.add_argument(
        "--sort",
        choices=[*ORDERS, *(f"-{each}" for each in ORDERS)],
        metavar="COLUMN",
        help=f"order of the list: {', '.join(ORDERS)}; backwards as in --sort=-time",
    )
    group.add_argument("--no-pager", action="store_true", help="show the list on a terminal without $PAGER")


def needs_signers(arguments: argparse.Namespace) -> bool:
    """Whether the choice or the order depends on the subjects of certificates."""
    return bool(arguments.signer) or "signer" in (arguments.sort or "")


def has_filter(arguments: argparse.Namespace) -> bool:
    """Whether only some of the calls are wanted."""
    return any(getattr(arguments, name) for name in FILTERS)


def wants_list(arguments: argparse.Namespace) -> bool:
    """Whether the list is asked for, however many calls there are."""
    return bool(arguments.calls or arguments.sort or has_filter(arguments))
