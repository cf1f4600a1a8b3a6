"""Builds an engine from the operator's files. Everything is read and checked before anything runs."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from sbc_filter.assembly.bypass_files import BypassFiles
from sbc_filter.assembly.credentials import read_credentials
from sbc_filter.assembly.delegates import engine_credentials
from sbc_filter.config.configuration_file import read_configuration
from sbc_filter.config.settings import OBSERVE, Configuration
from sbc_filter.engine.call.network import Network
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.state import EngineState
from sbc_filter.errors import ConfigurationError, Problem, blamed, reason
from sbc_filter.firewall.interception import RelayPlan
from sbc_filter.firewall.plan import Plan, Responses
from sbc_filter.numbering.numbering_plans import NANP, plan_named
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.model import Direction, RuleAction
from sbc_filter.rules.number_list import Entries, NumberList
from sbc_filter.rules.rule_file import read_rules
from sbc_filter.rules.ruleset import RuleSet
from sbc_filter.rules.toml_table import parse_toml
from sbc_filter.rules.trunk import Trunk, TrunkTable
from sbc_filter.shared_memory.shared_state import SharedState
from sbc_filter.stir.credential import Credential
from sbc_filter.system.files import read_text
from sbc_filter.system.near_file import near_file
from sbc_filter.trust.crl_shelf import CrlShelf
from sbc_filter.trust.trust_files import TrustFiles

_LOG = logging.getLogger(__name__)
_NONE: Mapping[str, Credential] = MappingProxyType({})
NO_SBC = "is missing: the rules tell by the SBC's addresses which calls arrive and which leave"


@dataclass(frozen=True, slots=True)
class Setup:
    """The parts of an engine."""

    configuration: Configuration
    rules: RuleSet
    trunks: tuple[Trunk, ...]
    trust_files: TrustFiles  # read once
    credentials: dict[str, Credential]
    remarks: tuple[Problem, ...] = ()  # problems that do not prevent a start
    folder: Path = Path()  # of the rules and of the files that they name
    protects: NumberList | None = None  # `protected_callers`
    read_at: float = field(default_factory=time.monotonic)  # seconds of the monotonic clock

    def engine(
        self,
        secret: bytes,
        memories: SharedState | None = None,
        state: EngineState | None = None,
        *,
        nothing_waits: bool = False,
    ) -> Engine:
        """A new engine. `secret` keys what others must not be able to predict. `memories` is shared by all workers.
        `state` is that of the engine that it replaces. `nothing_waits`: see `Engine`."""
        memories = memories or SharedState.local()
        network = self.configuration.network
        place = Network(
            network.sbc,
            network.ports,
            network.trusted_peers,
            network.emergency,
            TrunkTable(self.trunks),
            network.unreadable,
            network.untrusted_headers,
            network.scrub_methods,
            observed=self.observes,
            protects=self.protects,
        )
        certificates = CertificateMemory(self.trust, self.configuration.certificates.tolerate)
        profile = plan_named(network.numbering) or NANP
        credentials = engine_credentials(self.credentials, self.configuration.remote, self.configuration.credentials)
        rules, seen, arrivals = self.rules.counted_in(memories.rates), memories.seen, memories.arrivals
        return Engine(
            rules,
            place,
            certificates,
            credentials,
            secret,
            profile,
            seen=seen,
            arrivals=arrivals,
            state=state,
            nothing_waits=nothing_waits,
        )

    @property
    def trust(self) -> TrustStore:
        """The trust store of the last reading."""
        return self.trust_files.store

    def obtain(self, name: str) -> tuple[Credential | None, list[str]]:
        """Run the program of a credential again; returns the credential, or None and the problems. May be slow."""
        only = replace(self.configuration, credentials={name: self.configuration.credentials[name]})
        problems: list[Problem] = []
        try:
            found = dict(read_credentials(only, self.trust, problems, ()))
        except Exception as error:  # it is tried again later
            _LOG.exception("obtaining the credential %s", name)
            return None, [f"{only.file}: credentials.{name}.obtain: cannot be read: {type(error).__name__}"]
        return None if problems else found[name], [str(problem) for problem in problems]

    @property
    def expiries(self) -> list[dict[str, object]]:
        """Our certificates as objects for JSON; without those of programs, which the workers renew."""
        return [
            {"name": name, "expires": max(each.not_after for each in credential.every())}
            for name, credential in self.credentials.items()
            if not credential.refresh
        ]

    @property
    def observes(self) -> bool:
        """Whether the configuration says that nothing is changed."""
        return self.configuration.network.mode == OBSERVE

    @property
    def lacks_anchors(self) -> bool:
        """Whether rules verify, and nothing could ever verify because there is no trust anchor."""
        return not self.trust.anchors and _verifies(self.rules)

    @property
    def bypasses(self) -> BypassFiles:
        """The token files of `bypass`."""
        return BypassFiles(self.rules.rules, self.folder)

    @property
    def tells_interfaces_apart(self) -> bool:
        """Whether a trunk names its interface, so that the engine needs the interface of each packet."""
        return any(trunk.interface for trunk in self.trunks)

    @property
    def relayed_ports(self) -> frozenset[int]:
        """The SIP ports whose TCP connections are relayed."""
        relay = self.configuration.relay
        ports = self.configuration.network.ports if relay.enabled else ()
        return frozenset(ports).difference(relay.unfiltered_ports)

    def plan(self) -> Plan:
        """The firewall rules that feed it."""
        return _plan(self.configuration, self.rules)


def read_plan(file: Path | None, rules: Path | None = None) -> tuple[Configuration, Plan]:
    """The configuration and its firewall rules; `ConfigurationError` with every problem of it and of the rules.

    Keys and certificates are not read, so a user without access to them can apply the firewall rules.
    """
    problems: list[Problem] = []
    configuration = read_configuration(file, problems)
    directory = rules or configuration.rules
    files, base = rule_files(directory, problems) if directory is not None else ({}, Path())
    names = {*configuration.credentials, *configuration.remote}
    ruleset, _ = read_rules(
        files, _reader(base), problems, names, configuration.trunks, configuration.verifiers, configuration.file
    )
    if problems:
        raise ConfigurationError(problems)
    return configuration, _plan(configuration, ruleset)


def read_all(
    file: Path | None, rules: Path | None = None, *, live: bool = True, shelf: CrlShelf | None = None
) -> Setup:
    """The configuration and all files that it names; `ConfigurationError` with every problem of all of them."""
    problems: list[Problem] = []
    configuration = read_configuration(file, problems)
    return prepare(configuration, rules, live=live, problems=problems, shelf=shelf)


def prepare(
    configuration: Configuration,
    rules: Path | None = None,
    *,
    live: bool = True,
    problems: Sequence[Problem] = (),
    shelf: CrlShelf | None = None,
    needs_anchors: bool = True,
    assumed: Mapping[str, Credential] = _NONE,
) -> Setup:
    """Read all files that the configuration names; `ConfigurationError` with every problem of all of them.

    `live`: our own certificates must be valid now. The calls of a replay have times of their own, and it does not need
    our keys: what cannot be read of our credentials is only a remark. `problems` are those
    of the configuration itself. Problems that only follow from them are not reported. `shelf`: see `TrustFiles`.
    `needs_anchors`: rules that verify need a trust anchor; False where the caller says itself that there is none.
    `assumed`: credentials in addition to those of the configuration.
    """
    known, found = problems, list(problems)
    file = configuration.file or "configuration"
    remarks: list[Problem] = []
    trust_files = TrustFiles(configuration, live=live, shelf=shelf)
    trust = trust_files.read(found, remarks)
    credentials = dict(
        read_credentials(configuration, trust if live else None, found, known, None if live else remarks)
    )
    directory = rules or configuration.rules
    files, base = rule_files(directory, found) if directory is not None else ({}, Path())
    if any(problem.file == configuration.file and not problem.key for problem in known):
        # The configuration is unknown, so most references in the rules would seem to be missing.
        for name, text in files.items():
            parse_toml(name, text, found)
        raise ConfigurationError(found)
    credentials |= assumed
    names = {*configuration.credentials, *configuration.remote, *assumed}
    ruleset, trunks = read_rules(
        files, _reader(base), found, names, configuration.trunks, configuration.verifiers, configuration.file
    )
    protects = _protected(configuration, base, found)
    if needs_anchors and not trust.anchors and not blamed(known, "trust") and _verifies(ruleset):
        sentence = "there is no trust anchor, so nothing could ever verify: name the PEM files of the roots you trust"
        found.append(Problem(file, "trust.anchors", sentence))
    directed = any(conditions.direction is not None for conditions in ruleset.conditions)
    if live and directed and not configuration.network.sbc and not blamed(known, "network"):
        found.append(Problem(file, "network.sbc", NO_SBC))
    if found:
        raise ConfigurationError(found)
    return Setup(
        configuration, ruleset, tuple(trunks), trust_files, credentials, tuple(remarks), base, protects=protects
    )


def _protected(configuration: Configuration, folder: Path, problems: list[Problem]) -> NumberList | None:
    """The callers of `protected_callers`; None if there are none."""

    def report(sentence: str) -> None:
        problems.append(Problem(configuration.file or "configuration", "network.protected_callers", sentence))

    if not configuration.network.protected_callers:
        return None
    entries = Entries(configuration.network.protected_callers, _reader(folder), report)
    found = NumberList(entries, entries.report)
    if found(None):
        report("has 'anonymous', and any caller can be anonymous: name numbers")
    return found


def _verifies(ruleset: RuleSet) -> bool:
    """Whether calls are verified here, and not only by a service."""
    return any(rule.action is RuleAction.VERIFY and not rule.verify.service for rule in ruleset.rules)


def _responses(ruleset: RuleSet) -> Responses:
    """Which responses the rules need: the SBC answers inbound calls, other parties answer outbound ones."""
    if any(rule.removes_reasons for rule in ruleset.rules):
        return "all"
    rules = zip(ruleset.rules, ruleset.conditions, strict=True)
    directions = {conditions.direction for rule, conditions in rules if rule.reports}
    if not directions:
        return "none"
    return "sbc" if directions == {Direction.INBOUND} else "all"


def rule_files(path: Path, problems: list[Problem]) -> tuple[dict[str, str], Path]:
    """(text by name, folder) of the rule files in a folder, in the order of their names, or of one file.

    Hidden files are skipped: editors keep unfinished copies in them.
    """
    found: dict[str, str] = {}
    try:
        folder = path if path.is_dir() else path.parent
        # `glob` ignores folders without permission.
        paths = sorted(filter(_is_rule_file, path.iterdir())) if path.is_dir() else [path]
    except OSError as error:
        sentence = f"cannot be read: {reason(error)}; name the folder of the rules in [rules].directory, or by --rules"
        problems.append(Problem(str(path), "", sentence))
        return found, path
    for each in paths:
        try:
            found[str(each)] = read_text(each)
        except (OSError, UnicodeDecodeError) as error:
            meant = _meant(each) if isinstance(error, FileNotFoundError) else ""
            problems.append(Problem(str(each), "", f"cannot be read: {reason(error)}{meant}"))
    return found, folder


def _meant(path: Path) -> str:
    """A question about the file that was probably meant by this one, which is not there."""
    complete = Path(f"{path}.toml")
    return f"; did you mean {complete}?" if complete.is_file() else near_file(str(path))


def _is_rule_file(path: Path) -> bool:
    return path.suffix == ".toml" and not path.name.startswith(".")


def _reader(folder: Path) -> Callable[[str], str]:
    def read_list(name: str) -> str:
        return read_text(folder / name)

    return read_list


def _plan(configuration: Configuration, rules: RuleSet) -> Plan:
    network, queue, relay = configuration.network, configuration.queue, configuration.relay
    return Plan(
        network.ports,
        queue.number,
        sbc=network.sbc,
        on_overload_inbound=queue.inbound,
        on_overload_outbound=queue.outbound,
        responses=_responses(rules),
        nat=configuration.firewall.nat,
        scrub_methods=network.scrub_methods,
        relay=RelayPlan(relay.port, relay.existing, relay.unfiltered_ports) if relay.enabled else None,
    )
