"""Runs the actions of `sbc-filter certificates`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from sbc_filter.certificates.source import certificate_path
from sbc_filter.commands.certificates.change import fetch, purge, put
from sbc_filter.commands.certificates.show import CommandContext, listed, shown
from sbc_filter.config.configuration_file import read_configuration, require_configuration
from sbc_filter.errors import ConfigurationError, Problem
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.shell_words import path_word
from sbc_filter.trust.trust_files import TrustFiles


def act(arguments: argparse.Namespace) -> int:
    """Run the action `arguments.what`; returns its exit code."""
    problems: list[Problem] = []
    instead = _without_configuration(arguments) if arguments.what == "import" else ""
    configuration = read_configuration(require_configuration(arguments.config, instead), problems)
    trust = TrustFiles(configuration).read(problems, [])
    if problems:
        raise ConfigurationError(problems)
    return _WHAT[arguments.what](CommandContext(configuration, trust, PlainConsole()), arguments)


def _without_configuration(arguments: argparse.Namespace) -> str:
    """How `replay` and `explain` use the file that was to be imported."""
    file, name = path_word(str(arguments.file)), certificate_path(Path(), arguments.url)
    return (
        f". Without one: `replay` and `explain` take it by --certificate {file}, or as DIR/{name} by --certificates DIR"
    )


_WHAT: dict[str, Callable[[CommandContext, argparse.Namespace], int]] = {
    "list": listed,
    "show": shown,
    "fetch": fetch,
    "import": put,
    "purge": purge,
}
