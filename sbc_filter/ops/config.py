"""The configuration file (DESIGN §5): read once, checked whole, frozen. Relative paths are relative to the file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, cast

from sbc_filter.errors import CERTIFICATE_TOLERABLE, ConfigurationError, Problem
from sbc_filter.io import firewalls
from sbc_filter.ops.keysettings import CredentialSettings, ObtainSettings, read_credential, read_obtained
from sbc_filter.ops.remote import RemoteSettings, read_remote
from sbc_filter.rules.schema import Table, parse_toml
from sbc_filter.rules.trunk import IpNetwork, Trunk, read_networks, read_trunks
from sbc_filter.sip.number import PROFILES
from sbc_filter.stir import x5u
from sbc_filter.stir.service import VERIFICATION

NAME = "sbc-filter.toml"
SYSTEM = Path("/etc/sbc-filter") / NAME
CACHE = Path("/var/cache/sbc-filter")
MAX_WORKERS = 64
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")

Overload = Literal["accept", "drop"]
Policy = Literal["soft", "hard"]


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """`[network]`: where the SBC is, and whom it trusts."""

    sbc: tuple[str, ...] = ()
    ports: tuple[int, ...] = (5060,)
    trusted_peers: tuple[IpNetwork, ...] = ()
    emergency: tuple[str, ...] = ("911", "112", "933", "urn:service:sos*")
    numbering: str = "nanp"
    drop_unreadable: bool = False


@dataclass(frozen=True, slots=True)
class QueueConfiguration:
    """`[queue]`: the kernel's queue, and what passes when the filter cannot keep up or does not run."""

    number: int = 50
    inbound: Overload = "accept"
    outbound: Overload = "accept"
    workers: int = 1


@dataclass(frozen=True, slots=True)
class FirewallSettings:
    """`[firewall]`: how the kernel is told what to hand over."""

    backend: str = firewalls.AUTO
    nat: bool = False


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """`[trust]`: whose certificates are believed."""

    anchors: tuple[Path, ...] = ()
    crls: tuple[Path, ...] = ()
    crl_signers: tuple[Path, ...] = ()
    crl_policy: Policy = "soft"
    trust_list: Path | None = None
    trust_list_root: tuple[Path, ...] = ()
    policies: frozenset[str] = frozenset()
    tolerate: frozenset[str] = frozenset()
    crl_urls: tuple[str, ...] = ()
    trust_list_url: str = ""


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """`[certificates]`: where the certificates of others come from."""

    directory: Path | None = None
    fetch: bool = False
    cache: Path = CACHE
    command: tuple[str, ...] = ()
    allowed_networks: tuple[IpNetwork, ...] = ()
    web_ca: Path | None = None
    tolerate: frozenset[str] = frozenset()
    socket: Path | None = None
    warm: Path | None = None
    fetch_rate: int = 10  # a second
    stale_hours: int = 72
    cache_mib: int = 400


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """`[serve]`: signing and verifying for others by HTTP."""

    listen: tuple[str, int] = ("127.0.0.1", 8085)
    credential: str = ""
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    token: Path | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that the configuration file says."""

    file: str = ""
    folder: Path = Path()
    rules: Path | None = None
    network: NetworkSettings = field(default_factory=NetworkSettings)
    queue: QueueConfiguration = field(default_factory=QueueConfiguration)
    trust: TrustSettings = field(default_factory=TrustSettings)
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    credentials: dict[str, CredentialSettings | ObtainSettings] = field(default_factory=dict)
    trunks: tuple[Trunk, ...] = ()
    records: Path | None = None  # None: the journal, by way of standard output
    remote: dict[str, RemoteSettings] = field(default_factory=dict)  # credentials with which others sign
    serve: ServeSettings = field(default_factory=ServeSettings)
    control: Path | None = None  # the socket to ask; None: where the service manager, or custom, has it
    user: str = ""  # whom to become, when started by root
    verifiers: dict[str, RemoteSettings] = field(default_factory=dict)  # who verify for rules that name them
    firewall: FirewallSettings = field(default_factory=FirewallSettings)


def find(given: Path | None, beside: Path | None = None) -> Path | None:
    """The configuration file: as given, else beside a capture, in the working folder, or the system's; None."""
    if given is not None:
        return given
    folders = [beside.parent] if beside is not None else []
    candidates = [*(folder / NAME for folder in (*folders, Path())), SYSTEM]
    return next((candidate for candidate in candidates if _is_there(candidate)), None)


def needed(given: Path | None) -> Path:
    """The configuration file; `ConfigurationError` when there is none at all."""
    path = find(given)
    if path is None:
        sentence = f"neither ./{NAME} nor {SYSTEM}; make one with `sbc-filter pki DIR`"
        raise ConfigurationError([Problem("no configuration", "", sentence)])
    return path


def load(path: Path | None) -> Configuration:
    """Read a configuration file; without one, the defaults. `ConfigurationError` with every problem."""
    problems: list[Problem] = []
    configuration = read(path, problems)
    if problems:
        raise ConfigurationError(problems)
    return configuration


def read(path: Path | None, problems: list[Problem]) -> Configuration:
    """The same, but what is wrong is added to `problems`, and the rest is what could be read."""
    if path is None:
        return Configuration()
    try:
        text = path.read_text("utf-8-sig")  # some editors begin a file with a mark that is no part of it
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(str(path), "", f"cannot be read: {reason(error)}"))
        return Configuration(str(path), path.parent)
    return parse(str(path), text, path.parent, problems)


def parse(file: str, text: str, folder: Path, problems: list[Problem] | None = None) -> Configuration:
    """A configuration from its text; `folder` is what relative paths are relative to.

    What is wrong is added to `problems`; without such a list it is a `ConfigurationError`.
    """
    found: list[Problem] = []
    configuration = _parse(file, text, folder, found)
    if problems is not None:
        problems += found
    elif found:
        raise ConfigurationError(found)
    return configuration


def _parse(file: str, text: str, folder: Path, problems: list[Problem]) -> Configuration:
    top = Table(parse_toml(file, text, problems), file, "", problems)
    rules = top.table("rules")
    log, control, process = top.table("log"), top.table("control"), top.table("process")
    # In the order of the documentation, which is that in which problems are told.
    network, queue = _network(top.table("network")), _queue(top.table("queue"))
    trust, certificates = _trust(top.table("trust"), folder), _certificates(top.table("certificates"), folder)
    own, remote = _credentials(top.table("credentials"), folder)
    verifiers = _verifiers(top.table("verifiers"), folder)
    configuration = Configuration(
        file,
        folder,
        _path(rules, "directory", folder) or (folder / "rules" if (folder / "rules").is_dir() else None),
        network,
        queue,
        trust,
        certificates,
        own,
        tuple(read_trunks(top.table("trunks"))),
        _records(log, folder),
        remote,
        _serve(top.table("serve"), folder),
        _path(control, "socket", folder),
        process.text("user"),
        verifiers,
        _firewall(top.table("firewall")),
    )
    for table in (rules, log, control, process, top):
        table.close()
    return configuration


def reason(error: Exception) -> str:
    """Why a file cannot be read, without the path that stands before it already."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _is_there(candidate: Path) -> bool:
    try:
        return candidate.is_file()
    except OSError as error:  # a folder that may not be entered
        sentence = f"cannot be looked for: {reason(error)}; name a configuration with --config"
        raise ConfigurationError([Problem(str(candidate), "", sentence)]) from None


def _network(table: Table) -> NetworkSettings:
    sbc = []
    for text in table.texts("sbc"):
        try:
            sbc.append(str(ip_address(text)))
        except ValueError:
            table.problem("sbc", f"{text!r} is no address such as 203.0.113.10")
    default = NetworkSettings()
    settings = NetworkSettings(
        tuple(sbc),
        _ports(table),
        read_networks(table, "trusted_peers"),
        table.texts("emergency", default.emergency),
        table.choice("numbering", PROFILES, default.numbering),
        table.flag("drop_unreadable", default.drop_unreadable),
    )
    table.close()
    return settings


def _ports(table: Table) -> tuple[int, ...]:
    ports = table.raw("ports")
    if ports is None:
        return NetworkSettings().ports
    if not isinstance(ports, list) or not ports:
        table.problem("ports", "has to be a list of port numbers such as [5060]")
        return NetworkSettings().ports
    for port in ports:
        if type(port) is not int or not 0 < port < 65536:
            table.problem("ports", f"{port!r} is no port number from 1 to 65535")
    return tuple(port for port in ports if type(port) is int)


def _queue(table: Table) -> QueueConfiguration:
    overload = table.table("on_overload")
    allowed = ("accept", "drop")
    default = QueueConfiguration()
    workers = table.integer("workers", default.workers, 1, MAX_WORKERS)
    behind = 2 * workers if workers > 1 else 0  # theirs, at most two each
    number = table.integer("number", default.number, 0, 65534 - behind)
    configuration = QueueConfiguration(
        number,
        cast(Overload, overload.choice("inbound", allowed, default.inbound)),
        cast(Overload, overload.choice("outbound", allowed, default.outbound)),
        workers,
    )
    overload.close()
    table.close()
    return configuration


def _firewall(table: Table) -> FirewallSettings:
    default = FirewallSettings()
    settings = FirewallSettings(
        table.choice("backend", firewalls.NAMES, default.backend),
        table.flag("nat", default.nat),
    )
    table.close()
    return settings


def _trust(table: Table, folder: Path) -> TrustSettings:
    default = TrustSettings()
    settings = TrustSettings(
        _paths(table, "anchors", folder),
        _paths(table, "crls", folder),
        _paths(table, "crl_signers", folder),
        cast(Policy, table.choice("crl_policy", ("soft", "hard"), default.crl_policy)),
        _path(table, "trust_list", folder),
        _paths(table, "trust_list_root", folder),
        _policies(table),
        table.choices("tolerate", CERTIFICATE_TOLERABLE) or default.tolerate,
        tuple(_url(table, "crl_urls", text, ("http", "https")) for text in table.texts("crl_urls")),
        _url(table, "trust_list_url", table.text("trust_list_url"), ("https",)),
    )
    listed = settings.trust_list is not None or settings.trust_list_url
    if listed and not settings.trust_list_root:
        table.problem("trust_list_root", "is missing: name the PEM files of those whose signature on the list counts")
    if settings.trust_list is not None and settings.trust_list_url:
        table.problem("trust_list_url", "and `trust_list` are two ways to the one list: name one of them")
    table.close()
    return settings


def _url(table: Table, key: str, text: str, schemes: Sequence[str]) -> str:
    """A URL that the operator chose: where it leads to is his to say."""
    if text and re.fullmatch(rf"(?:{'|'.join(schemes)})://[!-~]+", text) is None:
        table.problem(key, f"{text!r} is no URL that begins with {' or '.join(f'{each}://' for each in schemes)}")
    return text


def _policies(table: Table) -> frozenset[str]:
    policies = frozenset(table.texts("policies"))
    for text in sorted(policies):
        if not _OID.fullmatch(text):
            table.problem("policies", f"{text!r} is no object identifier such as 2.16.840.1.114569.1.1.4")
    return policies


def _certificates(table: Table, folder: Path) -> CertificateSettings:
    default = CertificateSettings()
    settings = CertificateSettings(
        _path(table, "directory", folder),
        table.flag("fetch", default.fetch),
        _path(table, "cache", folder) or default.cache,
        table.texts("command"),
        read_networks(table, "allowed_networks"),
        _path(table, "web_ca", folder),
        table.choices("tolerate", x5u.TOLERABLE) or default.tolerate,
        _path(table, "socket", folder),
        _path(table, "warm", folder),
        table.integer("fetch_rate", default.fetch_rate, 1, 1000),
        table.integer("stale_hours", default.stale_hours, 0, 720),
        table.integer("cache_mib", default.cache_mib, 1, 1 << 20),
    )
    table.close()
    return settings


def _credentials(
    table: Table, folder: Path
) -> tuple[dict[str, CredentialSettings | ObtainSettings], dict[str, RemoteSettings]]:
    """Those with a key of ours, and those with which others sign."""
    own: dict[str, CredentialSettings | ObtainSettings] = {}
    remote: dict[str, RemoteSettings] = {}
    for name in table:
        entry = table.table(name)
        if "obtain" in list(entry):
            own[name] = read_obtained(entry)
        elif {"command", "service"}.isdisjoint(entry):
            own[name] = read_credential(entry, folder)
        else:
            remote[name] = read_remote(entry, folder)
            entry.close()
    return own, remote


def _verifiers(table: Table, folder: Path) -> dict[str, RemoteSettings]:
    found = {}
    for name in table:
        entry = table.table(name)
        found[name] = read_remote(entry, folder, VERIFICATION)
        entry.close()
    return found


def _serve(table: Table, folder: Path) -> ServeSettings:
    default = ServeSettings()
    listen = default.listen
    text = table.text("listen", "127.0.0.1:8085")
    try:
        listen = parse_listen(text)
    except ValueError:
        table.problem("listen", f"{text!r} is no address with a port such as 127.0.0.1:8085")
    settings = ServeSettings(
        listen,
        table.text("credential"),
        *(_path(table, key, folder) for key in ("certificate", "key", "client_ca", "token")),
    )
    if (settings.certificate is None) != (settings.key is None):
        table.problem("certificate", "and `key` belong together")
    if settings.client_ca is not None and settings.certificate is None:
        table.problem("client_ca", "needs TLS: name `certificate` and `key`")
    table.close()
    return settings


def parse_listen(text: str) -> tuple[str, int]:
    """Address and port to listen on; `ValueError`."""
    address, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(text)
    return str(ip_address(address.removeprefix("[").removesuffix("]"))), int(port)


def _records(table: Table, folder: Path) -> Path | None:
    text = table.text("records", "journal")
    return None if text == "journal" else folder / text


def _path(table: Table, key: str, folder: Path) -> Path | None:
    text = table.text(key)
    return folder / text if text else None


def _paths(table: Table, key: str, folder: Path) -> tuple[Path, ...]:
    return tuple(folder / text for text in table.texts(key))
