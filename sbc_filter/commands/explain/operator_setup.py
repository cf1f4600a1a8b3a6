"""The operator's files as an explanation uses them: everything that is missing is said, and nothing is required."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sbc_filter.assembly.setup import Setup, prepare
from sbc_filter.calls.proposal import scout
from sbc_filter.commands.explain.judge import DEFAULTS
from sbc_filter.commands.replay.analysis import (
    counted_rules,
    judged_by_defaults,
    proposed_setup,
    supposed_setup,
    with_options,
)
from sbc_filter.commands.replay.captures import Named, folders_of, opened
from sbc_filter.config.configuration_file import find_configuration, read_configuration
from sbc_filter.errors import Problem

_SBC = "192.0.2.1"  # where the configuration does not name the SBC


def read_setup(
    arguments: argparse.Namespace, folders: Sequence[Path], sbc: Sequence[str] = (_SBC,)
) -> tuple[Setup, list[str]]:
    """The operator's files, and what is missing in them. `sbc` stands in for addresses of the SBC that are missing."""
    problems: list[Problem] = []
    file = find_configuration(arguments.config, folders)
    configuration = read_configuration(file, problems)
    missing = []
    if file is None:
        missing.append("no configuration: its SBC, trunks and numbering are the defaults (--config)")
    configuration = with_options(configuration, arguments)
    if not configuration.network.sbc:
        configuration = replace(configuration, network=replace(configuration.network, sbc=tuple(sbc)))
    setup = prepare(configuration, arguments.rules, live=False, problems=problems, needs_anchors=False)
    if not setup.rules.rules:
        missing.append(f"no rules: tokens are judged by {DEFAULTS} (--rules)")
    return setup, [*missing, *_missing(setup)]


def read_setup_of_capture(arguments: argparse.Namespace, named: Named) -> tuple[Setup, list[str]]:
    """The files with which `replay` judges the captures: without any, what the captures themselves propose.

    `named` are those of `arguments.captures`, which can be read twice.
    """
    folders = folders_of(arguments.captures)
    if find_configuration(arguments.config, folders) is not None:
        setup, missing = read_setup(arguments, folders, sbc=())
        return judged_by_defaults(setup) if arguments.rules is None else setup, missing
    proposal = scout(opened(named)).proposal(arguments.sbc)
    taken = f"the SBC is taken to be {', '.join(proposal.sbc)} (--sbc), " if proposal.sbc else ""
    if arguments.rules is None:
        setup = supposed_setup(arguments, proposal)
        return setup, [f"no configuration: {taken}calls are judged by the defaults (--config)", *_missing(setup)]
    setup, assumed = proposed_setup(arguments, arguments.rules, proposal)
    sentence = f"no configuration: {taken}calls are judged by {counted_rules(setup)} (--config)"
    return setup, [sentence, *assumed, *_missing(setup)]


def _missing(setup: Setup) -> list[str]:
    """What the trust lacks, and the remarks on the files."""
    missing = []
    if not setup.trust.anchors:
        missing.append("no trust anchors: no chain can be trusted (--anchors, or [trust].anchors)")
    elif not setup.trust.crls:
        missing.append("no CRL: revocation is not known ([trust].crls)")
    return [*missing, *map(str, setup.remarks)]
