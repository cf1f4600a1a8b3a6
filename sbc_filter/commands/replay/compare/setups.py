"""The two setups of `replay --diff`: with the rules of now, and with those to compare.

Without a configuration both have the network that the capture proposes. Without rules of now, calls are verified by the
defaults, as in a replay without a configuration.
"""

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

from sbc_filter.assembly.setup import Setup, prepare
from sbc_filter.calls.proposal import Proposal, scout
from sbc_filter.commands.replay.analysis import VERIFY_RULES, proposed_configuration, read_setup
from sbc_filter.commands.replay.captures import Named, opened
from sbc_filter.commands.replay.spooled import read_twice, rewind
from sbc_filter.config.settings import ENFORCE
from sbc_filter.errors import ConfigurationError, Problem
from sbc_filter.records.tally import numbered
from sbc_filter.rules.rule_file import load_rules


class Setups(NamedTuple):
    """Both setups, in which calls are filtered, and the captures to read."""

    now: Setup
    then: Setup
    named: Named
    observes: bool
    """The configuration says `mode = "observe"`."""
    proposal: Proposal | None
    """What the capture proposes, if there is no configuration."""

    @classmethod
    def read(cls, file: Path | None, arguments: argparse.Namespace, named: Named, stack: contextlib.ExitStack) -> Self:
        """Read both; `ConfigurationError` with the problems of both. Without a file, the captures are read once."""
        proposal = None
        if file is None:
            named = named._replace(sources=read_twice(named.sources, stack))
            proposal = scout(opened(named)).proposal(arguments.sbc)
            rewind(named.sources)
        setups: list[Setup] = []
        problems: list[Problem] = []
        for rules in (arguments.rules, arguments.diff):
            try:
                setups.append(_setup(file, arguments, rules, proposal))
            except ConfigurationError as error:
                problems += [problem for problem in error.problems if problem not in problems]
        if problems:
            raise ConfigurationError(problems)
        now, then = setups
        return cls(_enforced(now), _enforced(then), named, now.observes and proposal is None, proposal)

    def first_line(self, otherwise: str) -> str:
        """What is said first; `otherwise` if there is a configuration."""
        if self.proposal is None:
            return otherwise
        rules = _counted(self.now) if _files(self.now) else "calls are verified by the defaults"
        taken = ", ".join(self.proposal.sbc) or "unknown, since no INVITE begins a call"
        return f"configuration: none found: the SBC is taken to be {taken} (--sbc); {rules}"

    def last_line(self, path: Path) -> str:
        """What is said of the rules to compare; `path` has them."""
        observes = "; mode observe: compared as if calls were filtered" if self.observes else ""
        return f"compared with: {path}; {_counted(self.then)}{observes}"


def _setup(file: Path | None, arguments: argparse.Namespace, rules: Path | None, proposal: Proposal | None) -> Setup:
    if proposal is None:
        return read_setup(argparse.Namespace(**{**vars(arguments), "rules": rules}), file)
    problems: list[Problem] = []
    configuration = proposed_configuration(arguments, proposal, problems)
    setup = prepare(configuration, rules, live=False, problems=problems, needs_anchors=False)
    return setup if rules is not None else replace(setup, rules=load_rules({"": VERIFY_RULES}, str, [])[0])


def _enforced(setup: Setup) -> Setup:
    """The setup without `mode = "observe"`: what is compared is what rules do."""
    network = replace(setup.configuration.network, mode=ENFORCE)
    return replace(setup, configuration=replace(setup.configuration, network=network))


def _counted(setup: Setup) -> str:
    files = _files(setup)
    of = f" of {numbered(len(files), 'file')}" if files else ": every call passes"
    return f"{numbered(len(setup.rules.rules), 'rule')}{of}"


def _files(setup: Setup) -> set[str]:
    return {rule.file for rule in setup.rules.rules if rule.file}
