"""`sbc-filter demo`: what the filter does, shown with real calls between three hosts on this machine."""

import argparse


def add_arguments(_: argparse.ArgumentParser) -> None:
    """`demo` takes no arguments."""


def run(_: argparse.Namespace) -> int:
    """Play all scenes; exit code 0 when each of them went as it should."""
    from sbc_filter.commands.demo_scenes import play

    return play()
