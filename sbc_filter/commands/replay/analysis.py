"""A replay without a configuration: what the capture says by itself, and what is missing.

The SBC is proposed from the capture. Calls that arrive are verified by the defaults. Of calls that leave, tokens are
verified, and calls without one are signed with a key of the moment. Nothing would change: it is only observed.
"""

import argparse
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sbc_filter.assembly.setup import Setup, prepare
from sbc_filter.calls.proposal import Proposal, scout
from sbc_filter.capture.frame import CaptureError
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.commands.explain.judge import DEFAULTS, default_rules
from sbc_filter.commands.replay.assumed_names import AssumedNames, texts_of, throw_away
from sbc_filter.commands.replay.captures import Named, opened
from sbc_filter.commands.replay.spooled import read_twice, rewind
from sbc_filter.commands.replay.supposing import NotedCertificates, Supposing
from sbc_filter.commands.replay.unknown_issuers import issuers
from sbc_filter.config.configuration_file import read_configuration
from sbc_filter.config.settings import ENFORCE, OBSERVE, Configuration, NetworkMode
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import AnyAnswer, Need
from sbc_filter.errors import Problem
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.records.tally import numbered
from sbc_filter.rules.rule_file import load_rules

_CREDENTIAL = "a key of the moment"
VERIFY_RULES = """\
[[rule]]
name = "verify"
direction = "inbound"
action = "verify"

[[rule]]
name = "verify-leaving"
direction = "outbound"
has_identity = true
action = "verify"
"""
"""The rules for calls that arrive, and for those that leave with a token."""
SIGN_RULE = """\
[[rule]]
name = "sign"
direction = "outbound"
action = "sign"
[rule.sign]
credential = "NAME"
origid = "00000000-0000-4000-8000-000000000000"
"""
"""The rule for calls that leave without one. `NAME` stands for a credential."""
_DEFAULTS = f"""
[[rule]]
name = "{DEFAULTS}"
direction = "inbound"
action = "verify"

[[rule]]
name = "{DEFAULTS}, for calls that leave"
direction = "outbound"
has_identity = true
action = "verify"
"""
_MOST_URLS = 5000
ANALYSED = "configuration: none found: the capture is analysed by the defaults; nothing would change"
"""What such a replay says first."""


class Analysis:
    """See the module. It is a sink of records, too."""

    def __init__(self, arguments: argparse.Namespace, named: Named, stack: contextlib.ExitStack) -> None:
        """Read the captures once, to make a proposal. `CaptureError` if none can be read."""
        self.named, self.proposal = look(arguments, named, stack)
        self.setup = supposed_setup(arguments, self.proposal)
        self.missing: dict[str, int] = {}
        """Calls by the URL of a certificate that is missing."""
        self.only_anchor_missing = 0
        """Calls of which everything but the anchor is right."""
        self.untrusted = 0
        self._unanchored: dict[str, int] = {}  # calls by the URL of a certificate that leads to no anchor
        self._noted: NotedCertificates | None = None
        self._core: Supposing | None = None

    def __call__(self, record: Record) -> None:
        """Note what is missing for this call."""
        if record.outcome == Outcome.UNFETCHABLE and record.x5u is not None:
            _count(self.missing, record.x5u)
        elif record.outcome == Outcome.UNTRUSTED:
            self.untrusted += 1
            self.only_anchor_missing += self.supposed() is not None
            if record.detail == Detail.UNTRUSTED_CHAIN and record.x5u is not None:
                _count(self._unanchored, record.x5u)

    @property
    def unknown_issuers(self) -> list[tuple[str, int]]:
        """Where the chains lead that lead to no anchor, with their calls."""
        return issuers(self._unanchored, {} if self._noted is None else self._noted.found)

    def noting(self, source: CertificateSource) -> CertificateSource:
        """The source to ask in the place of this one, so that `core` knows what it finds."""
        self._noted = NotedCertificates(source)
        return self._noted

    def core(self, engine: Engine, ask: Callable[[Need], AnyAnswer]) -> Supposing:
        """The engine that the shells of the replay talk to in the place of this one."""
        found = {} if self._noted is None else self._noted.found
        second = self.setup.engine(b"second", nothing_waits=True)
        self._core = Supposing(engine, second, ask, found, self.setup.trust)
        return self._core

    def supposed(self) -> Record | None:
        """The record of the call that was decided last, as if the chain of its certificate led to an anchor."""
        return None if self._core is None else self._core.supposed


def look(arguments: argparse.Namespace, named: Named, stack: contextlib.ExitStack) -> tuple[Named, Proposal]:
    """Read the captures once; returns them, to be read again, and what they propose.

    `CaptureError` if none can be read.
    """
    named = named._replace(sources=read_twice(named.sources, stack))
    found = scout(opened(named)).proposal(arguments.sbc)
    rewind(named.sources)
    return named, found


def _count(calls: dict[str, int], url: str) -> None:
    """Count a call by its URL; those of a hostile capture only as far as there is room."""
    if url in calls or len(calls) < _MOST_URLS:
        calls[url] = calls.get(url, 0) + 1


def read_setup(arguments: argparse.Namespace, file: Path | None) -> Setup:
    """The operator's files, and the options in the place of what they say; `ConfigurationError` with all problems."""
    problems: list[Problem] = []
    configuration = with_options(read_configuration(file, problems), arguments)
    return prepare(configuration, arguments.rules, live=False, problems=problems, needs_anchors=False)


def with_options(configuration: Configuration, arguments: argparse.Namespace) -> Configuration:
    """The configuration with `--sbc`, `--anchors` and `--certificates` in the place of what it says."""
    network, trust, certificates = configuration.network, configuration.trust, configuration.certificates
    if arguments.sbc:
        network = replace(network, sbc=tuple(arguments.sbc))
    if arguments.anchors is not None:
        trust = replace(trust, anchors=(arguments.anchors,))
    if arguments.certificates is not None:
        if not arguments.certificates.is_dir():
            raise CaptureError(f"{arguments.certificates} is not a folder: name the one of --certificates")
        certificates = replace(certificates, directory=arguments.certificates)
    return replace(configuration, network=network, trust=trust, certificates=certificates)


def judged_by_defaults(setup: Setup) -> Setup:
    """The setup; without a rule in it, calls that arrive are verified by the defaults, and so are tokens that leave.

    That is an analysis, so the calls are only observed. Rules that are named and empty are another thing.
    """
    if setup.rules.rules:
        return setup
    network = replace(setup.configuration.network, mode=OBSERVE)
    rules = load_rules({"": _DEFAULTS}, str, [])[0] if setup.configuration.network.sbc else default_rules()
    return replace(setup, rules=rules, configuration=replace(setup.configuration, network=network))


def files_that_apply(setup: Setup) -> str:
    """The configuration and the rules with which calls are judged, in one sentence."""
    file = setup.configuration.file or "none found, the defaults"
    if any(rule.name == DEFAULTS for rule in setup.rules.rules):
        return f"{file}; no rules (--rules): calls are judged by {DEFAULTS}; nothing would change"
    observes = "; mode observe: nothing would change" if setup.observes else ""
    return f"{file}; {counted_rules(setup)}{observes}"


def no_rule(path: Path) -> str:
    """The warning about a file or folder without a rule."""
    files = texts_of(path)
    lines = [line.strip() for text in (files or {}).values() for line in text.splitlines() if line.strip()]
    if files is None:
        because = ""
    elif not files:
        because = " (no file in it ends in .toml)"
    elif not lines:
        because = f" ({'its files are' if path.is_dir() else 'it is'} empty)"
    else:
        because = " (all of its lines are comments)" if all(line.startswith("#") for line in lines) else ""
    return f"warning: {path} has no rule{because}: every call passes"


def counted_rules(setup: Setup) -> str:
    """How many rules of how many files the setup has, as in `2 rules of 1 file`."""
    files = {rule.file for rule in setup.rules.rules if rule.file}
    of = f" of {numbered(len(files), 'file')}" if files else ""
    return f"{numbered(len(setup.rules.rules), 'rule')}{of}"


def what_is_taken(proposal: Proposal, rules: str) -> str:
    """The sentence that there is no configuration, and what is taken for the SBC; `rules` says by what is judged."""
    taken = ", ".join(proposal.sbc) or "unknown, since no INVITE begins a call"
    return f"configuration: none found: the SBC is taken to be {taken} (--sbc); {rules}"


def proposed_configuration(
    arguments: argparse.Namespace, proposal: Proposal, problems: list[Problem], mode: NetworkMode = OBSERVE
) -> Configuration:
    """The defaults with the proposed network and the options; adds to `problems`."""
    configuration = read_configuration(None, problems)
    network = replace(configuration.network, sbc=proposal.sbc, ports=proposal.ports, mode=mode)
    return with_options(replace(configuration, network=network), arguments)


def proposed_setup(arguments: argparse.Namespace, rules: Path, proposal: Proposal) -> tuple[Setup, list[str]]:
    """These rules in the network that the capture proposes, and sentences about what else is assumed for them.

    `ConfigurationError` for rules that cannot be used, and if an option names what cannot be read.
    """
    problems: list[Problem] = []
    names = AssumedNames.of(rules)
    configuration = proposed_configuration(arguments, proposal, problems, ENFORCE)
    setup = prepare(
        replace(configuration, trunks=names.as_trunks()),
        rules,
        live=False,
        problems=problems,
        needs_anchors=False,
        assumed=names.as_credentials(proposal.begins or time.time()),
    )
    return names.joined(setup), list(names.sentences(proposal.peers))


def supposed_setup(arguments: argparse.Namespace, proposal: Proposal) -> Setup:
    """The defaults with the proposed network; `ConfigurationError` if an option names what cannot be read."""
    problems: list[Problem] = []
    configuration = proposed_configuration(arguments, proposal, problems)
    setup = prepare(configuration, live=False, problems=problems, needs_anchors=False)
    rules, _ = load_rules({"": VERIFY_RULES + SIGN_RULE.replace("NAME", _CREDENTIAL)}, str, [_CREDENTIAL])
    ours = throw_away(_CREDENTIAL, proposal.begins or time.time())
    return replace(setup, rules=rules, credentials={_CREDENTIAL: ours})
