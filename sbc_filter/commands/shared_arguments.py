"""The options that several commands share: `--config`, `--rules`, `--socket`, and addresses."""

import argparse
from pathlib import Path

WHERE = "sbc-filter.toml here, then in /etc/sbc-filter"
"""Where a command looks for a configuration that is not named."""


def add_config(parser: argparse.ArgumentParser, *, where: str = WHERE, default: str | None = None) -> None:
    """Add `--config FILE`; `where` completes the sentence of its default for the reader."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=default, help=f"configuration (default: {where})"
    )


def add_files(parser: argparse.ArgumentParser, *, where: str = WHERE) -> None:
    """Add `--config FILE` and `--rules DIR`."""
    add_config(parser, where=where)
    parser.add_argument(
        "--rules",
        type=Path,
        metavar="DIR",
        help="rule files (default: as configured, or rules/ next to the configuration)",
    )


def add_socket(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which running filter is meant."""
    add_config(parser)
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="control socket of the filter (default: as configured)"
    )


def address(text: str) -> str:
    """The IP address that an argument names, in the form of records."""
    from ipaddress import ip_address

    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as 192.0.2.7 or 2001:db8::7") from None


def endpoint(text: str) -> tuple[str, int]:
    """The (address, port) that an argument names; the port is 5060 by default."""
    from sbc_filter.rules.trunk_options import parse_endpoint

    try:
        return parse_endpoint(text, 5060)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as 192.0.2.7 or 192.0.2.7:5080") from None
