"""The two setups of `replay --diff`: with the rules of now, and with those to compare.

Without a configuration both have the network that the capture proposes. Without rules of now, calls are verified by the
defaults, as in a replay without a configuration.
"""

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

from sbc_filter.assembly.setup import Setup, prepare
from sbc_filter.calls.proposal import Proposal
from sbc_filter.commands.replay.analysis import (
    VERIFY_RULES,
    counted_rules,
    look,
    no_rule,
    proposed_configuration,
    proposed_setup,
    read_setup,
    what_is_taken,
)
from sbc_filter.commands.replay.captures import Named
from sbc_filter.config.settings import ENFORCE
from sbc_filter.errors import ConfigurationError, Problem
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
    assumed: tuple[str, ...]
    """Sentences about names that the rules use and no configuration defines."""

    @classmethod
    def read(cls, file: Path | None, arguments: argparse.Namespace, named: Named, stack: contextlib.ExitStack) -> Self:
        """Read both; `ConfigurationError` with the problems of both. Without a file, the captures are read once."""
        proposal = None
        if file is None:
            named, proposal = look(arguments, named, stack)
        setups: list[Setup] = []
        problems: list[Problem] = []
        assumed: list[str] = []
        for rules in (arguments.rules, arguments.diff):
            try:
                setup, sentences = _setup(file, arguments, rules, proposal)
                setups.append(setup)
                assumed += [each for each in sentences if each not in assumed]
            except ConfigurationError as error:
                problems += [problem for problem in error.problems if problem not in problems]
        if problems:
            raise ConfigurationError(problems)
        now, then = setups
        return cls(_enforced(now), _enforced(then), named, now.observes and proposal is None, proposal, tuple(assumed))

    def first_lines(self) -> tuple[str, ...]:
        """What is said first; nothing if there is a configuration."""
        if self.proposal is None:
            return ()
        by_defaults = not any(rule.file for rule in self.now.rules.rules)
        rules = "calls are verified by the defaults" if by_defaults else counted_rules(self.now)
        return what_is_taken(self.proposal, rules), *self.assumed

    def last_lines(self, path: Path) -> Iterator[str]:
        """What is said of the rules to compare; `path` has them."""
        observes = "; mode observe: compared as if calls were filtered" if self.observes else ""
        yield f"compared with: {path}; {counted_rules(self.then)}{observes}"
        if not self.then.rules.rules:
            yield no_rule(path)


def _setup(
    file: Path | None, arguments: argparse.Namespace, rules: Path | None, proposal: Proposal | None
) -> tuple[Setup, list[str]]:
    if proposal is None:
        return read_setup(argparse.Namespace(**{**vars(arguments), "rules": rules}), file), []
    if rules is not None:
        return proposed_setup(arguments, rules, proposal)
    problems: list[Problem] = []
    configuration = proposed_configuration(arguments, proposal, problems)
    setup = prepare(configuration, live=False, problems=problems, needs_anchors=False)
    return replace(setup, rules=load_rules({"": VERIFY_RULES}, str, [])[0]), []


def _enforced(setup: Setup) -> Setup:
    """The setup without `mode = "observe"`: what is compared is what rules do."""
    network = replace(setup.configuration.network, mode=ENFORCE)
    return replace(setup, configuration=replace(setup.configuration, network=network))
