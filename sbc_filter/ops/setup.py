"""From the operator's files to an engine: everything is read and checked before anything runs."""

import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from sbc_filter.engine.certificates import CertificateMemory
from sbc_filter.engine.network import Network
from sbc_filter.engine.pipeline import Engine
from sbc_filter.errors import CertificateError, ConfigurationError, Problem
from sbc_filter.io.firewall import Plan
from sbc_filter.ops.config import Configuration, reason
from sbc_filter.rules.loader import read_rules
from sbc_filter.rules.model import RuleAction
from sbc_filter.rules.ruleset import RuleSet
from sbc_filter.rules.trunk import Trunk, TrunkTable
from sbc_filter.sip.number import PROFILES, canonicaliser
from sbc_filter.stir.certificate import parse_certificates
from sbc_filter.stir.credentials import Credential, load_credential
from sbc_filter.stir.crl import RevocationList
from sbc_filter.stir.trust import TrustStore

MAX_FILE = 64 << 20  # bytes
MAX_ANCHORS = 10_000  # in one file


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that an engine is made of."""

    configuration: Configuration
    rules: RuleSet
    trunks: tuple[Trunk, ...]
    trust: TrustStore
    credentials: dict[str, Credential]

    def engine(self, secret: bytes) -> Engine:
        """A new engine; `secret` makes our To tags (the same for all that share the traffic)."""
        network = self.configuration.network
        place = Network(network.sbc, network.ports, network.trusted_peers, network.emergency, TrunkTable(self.trunks))
        canonicalise = canonicaliser(PROFILES[network.numbering])
        return Engine(self.rules, place, CertificateMemory(self.trust), self.credentials, secret, canonicalise)

    def plan(self) -> Plan:
        """The firewall rules that feed it."""
        network, queue = self.configuration.network, self.configuration.queue
        return Plan(
            network.ports,
            queue.number,
            sbc=network.sbc,
            on_overload_inbound=queue.inbound,
            on_overload_outbound=queue.outbound,
        )


def prepare(configuration: Configuration, rules: Path | None = None, *, live: bool = True) -> Setup:
    """Read all files that the configuration names; `ConfigurationError` with every problem of all of them.

    `live`: our own certificates have to be good now. The calls of a replay have times of their own.
    """
    problems: list[Problem] = []
    trust = _trust(configuration, problems)
    credentials = dict(_credentials(configuration, trust if live else None, problems))
    ruleset, trunks = RuleSet(), list(configuration.trunks)
    try:
        directory = rules or configuration.rules
        if directory is not None:
            files, base = rule_files(directory)
            ruleset, trunks = read_rules(
                files, _reader(base), problems, configuration.credentials, configuration.trunks
            )
    except ConfigurationError as error:
        problems += error.problems
    verifies = any(rule.action is RuleAction.VERIFY for rule in ruleset.rules)
    if verifies and not trust.anchors:
        sentence = "there is no trust anchor, so nothing could ever verify: name the PEM files of the roots you trust"
        problems.append(Problem(configuration.file or "configuration", "trust.anchors", sentence))
    if problems:
        raise ConfigurationError(problems)
    return Setup(configuration, ruleset, tuple(trunks), trust, credentials)


def rule_files(path: Path) -> tuple[dict[str, str], Path]:
    """(text by name, folder) of the rule files in a folder, in the order of their names, or of one file."""
    try:
        # `glob` says nothing of a folder that it may not read.
        paths = sorted(each for each in path.iterdir() if each.suffix == ".toml") if path.is_dir() else [path]
        return {str(each): each.read_text("utf-8") for each in paths}, path if path.is_dir() else path.parent
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([Problem(str(path), "", f"cannot be read: {reason(error)}")]) from None


def _reader(folder: Path) -> Callable[[str], str]:
    def read_list(name: str) -> str:
        return (folder / name).read_text("utf-8")

    return read_list


def _trust(configuration: Configuration, problems: list[Problem]) -> TrustStore:
    settings = configuration.trust
    anchors: list[x509.Certificate] = []
    crls: list[RevocationList] = []
    for path, data in _contents(configuration, "trust.anchors", settings.anchors, problems):
        try:
            anchors += parse_certificates(data, MAX_FILE, MAX_ANCHORS)
        except CertificateError as error:
            problems.append(Problem(configuration.file, "trust.anchors", f"{path}: {error}"))
    for path, data in _contents(configuration, "trust.crls", settings.crls, problems):
        try:
            crls.append(RevocationList.parse(data))
        except CertificateError as error:
            problems.append(Problem(configuration.file, "trust.crls", f"{path}: {error}"))
    return TrustStore(anchors, crls, settings.crl_policy, settings.lenient_tnauthlist)


def _contents(
    configuration: Configuration, key: str, paths: tuple[Path, ...], problems: list[Problem]
) -> Iterator[tuple[Path, bytes]]:
    def unreadable(path: Path, error: OSError) -> None:
        problems.append(Problem(configuration.file, key, f"{path} cannot be read: {reason(error)}"))

    for path in paths:
        try:
            files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
        except OSError as error:
            unreadable(path, error)
            continue
        for each in files:
            try:
                yield each, _read(each)
            except OSError as error:
                unreadable(each, error)


def _credentials(
    configuration: Configuration, trust: TrustStore | None, problems: list[Problem]
) -> Iterator[tuple[str, Credential]]:
    """Our credentials; with `trust` what keeps others from believing them is a problem (S-094)."""
    for name, settings in configuration.credentials.items():
        where = f"credentials.{name}"
        try:
            key, certificate = _read(settings.key), _read(settings.certificate)
            credential = load_credential(name, key, certificate, settings.x5u)
        except OSError as error:
            sentence = f"{error.filename} cannot be read: {reason(error)}"
            problems.append(Problem(configuration.file, where, sentence))
        except ValueError as error:
            problems.append(Problem(configuration.file, where, str(error)))
        else:
            if settings.key.stat().st_mode & stat.S_IROTH:
                sentence = f"{settings.key} can be read by everybody: run `chmod 600 {settings.key}`"
                problems.append(Problem(configuration.file, f"{where}.key", sentence))
            doubt = _doubt(credential, certificate, trust, time.time()) if trust is not None else None
            if doubt is not None:
                problems.append(Problem(configuration.file, f"{where}.certificate", doubt))
            yield name, credential


def _doubt(credential: Credential, chain: bytes, trust: TrustStore, now: float) -> str | None:
    """Why nobody would believe our certificate, as far as can be told from here: without anchors only by its dates."""
    if now > credential.not_after:
        return "has expired: put a new one in its place"
    if now < credential.not_before:
        return f"is not valid before {datetime.fromtimestamp(credential.not_before, UTC):%Y-%m-%d %H:%M} UTC"
    if trust.anchors:
        try:
            trust.validate(parse_certificates(chain), now)
        except CertificateError as error:
            return f"would not verify by your own trust anchors: {error}"
    return None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise OSError(0, "it is larger than 64 MiB", str(path))
    return data
