"""The options that several commands share: `--config`, `--rules`, `--socket`."""

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
