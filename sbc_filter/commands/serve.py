"""`sbc-filter serve`: a signing and verification service for other systems (ATIS-1000082)."""

import argparse

from sbc_filter.commands.shared_arguments import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `serve`."""
    parser.add_argument(
        "--listen", type=_listen, metavar="ADDRESS:PORT", help="where (default: as configured, or 127.0.0.1:8085)"
    )
    add_config(parser)


def _listen(text: str) -> tuple[str, int]:
    from sbc_filter.config.tables import parse_listen

    try:
        return parse_listen(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address with a port such as 127.0.0.1:8085") from None


def run(arguments: argparse.Namespace) -> int:
    """Answer signing and verification requests until a signal ends it."""
    from sbc_filter.commands.serve_requests import serve

    return serve(arguments)
