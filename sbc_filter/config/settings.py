"""The settings of the configuration file, one class for each table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sbc_filter.config.credential_settings import CredentialSettings, ObtainSettings
from sbc_filter.config.delegate_settings import RemoteSettings
from sbc_filter.firewall.backend import AUTO
from sbc_filter.numbering.numbering_plans import NANP, emergency_of
from sbc_filter.rules.model import Unreadable
from sbc_filter.rules.trunk import IpNetwork, Trunk

CACHE = Path("/var/cache/sbc-filter")
RECENT = 10_000
LAST_QUEUE = 65534  # the highest number of a queue; the one after it is a lock (`daemon.own_firewall_rules`)

Overload = Literal["accept", "drop"]
Existing = Literal["pass", "reset"]
Policy = Literal["soft", "hard"]
NetworkMode = Literal["enforce", "observe"]
ENFORCE: NetworkMode = "enforce"
OBSERVE: NetworkMode = "observe"
SCRUB_METHODS = ("INFO", "MESSAGE", "NOTIFY", "OPTIONS", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE")
"""Methods of `[network].scrub_methods`."""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """`[network]`: addresses and ports of the SBC, and its trusted peers."""

    sbc: tuple[str, ...] = ()
    ports: tuple[int, ...] = (5060,)
    trusted_peers: tuple[IpNetwork, ...] = ()
    emergency: tuple[str, ...] = emergency_of(NANP)
    numbering: str = NANP.name
    unreadable: Unreadable = Unreadable.SCRUB
    untrusted_headers: tuple[str, ...] = ()
    scrub_methods: tuple[str, ...] = ()
    mode: NetworkMode = ENFORCE
    protected_callers: tuple[str, ...] = ()  # entries of a number list, as in rules


@dataclass(frozen=True, slots=True)
class QueueConfiguration:
    """`[queue]`: the kernel's queue, and what happens to packets when the filter is overloaded or not running."""

    number: int = 50
    inbound: Overload = "accept"
    outbound: Overload = "accept"
    workers: int = 1


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """`[relay]`: SIP over TCP."""

    enabled: bool = False
    port: int = 5059
    existing: Existing = "pass"
    unfiltered_ports: tuple[int, ...] = (5061,)
    connections: int = 4096
    connections_per_peer: int = 256
    message_octets: int = 65_535
    message_seconds: int = 10
    idle_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class FirewallSettings:
    """`[firewall]`: how the firewall rules are applied."""

    backend: str = AUTO
    nat: bool = False


@dataclass(frozen=True, slots=True)
class TrustListSettings:
    """A trust list: its file or its URL, and the files of the certificates whose signature on it counts.

    `shared`: these sign every list without a `root` of its own, and CRLs for all authorities.
    """

    key: str  # of `[trust]`, for messages
    where: Path | str
    roots: tuple[Path, ...]
    shared: bool = False


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """`[trust]`: anchors, CRLs and the trust lists."""

    anchors: tuple[Path, ...] = ()
    crls: tuple[Path, ...] = ()
    crl_signers: tuple[Path, ...] = ()
    crl_policy: Policy = "soft"
    trust_lists: tuple[TrustListSettings, ...] = ()
    policies: frozenset[str] = frozenset()
    tolerate: frozenset[str] = frozenset()
    crl_urls: tuple[str, ...] = ()
    strict: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """`[certificates]`: where other parties' certificates come from."""

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
    """`[serve]`: the signing and verification service."""

    listen: tuple[str, int] = ("127.0.0.1", 8085)
    credential: str = ""
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    token: Path | None = None
    connections: int = 128
    connections_per_address: int = 64


@dataclass(frozen=True, slots=True)
class Configuration:
    """All settings of the configuration file."""

    file: str = ""
    folder: Path = Path()
    rules: Path | None = None
    network: NetworkSettings = field(default_factory=NetworkSettings)
    queue: QueueConfiguration = field(default_factory=QueueConfiguration)
    trust: TrustSettings = field(default_factory=TrustSettings)
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    credentials: dict[str, CredentialSettings | ObtainSettings] = field(default_factory=dict)
    trunks: tuple[Trunk, ...] = ()
    records: Path | None = None  # None: standard output, which systemd passes to the journal
    remote: dict[str, RemoteSettings] = field(default_factory=dict)  # credentials whose calls a delegate signs
    serve: ServeSettings = field(default_factory=ServeSettings)
    control: Path | None = None  # the control socket; None: the default path
    user: str = ""  # the user to switch to, when started as root
    verifiers: dict[str, RemoteSettings] = field(default_factory=dict)  # delegates that verify, by name
    firewall: FirewallSettings = field(default_factory=FirewallSettings)
    recent: int = RECENT  # refused or changed INVITEs that are kept in memory
    relay: RelaySettings = field(default_factory=RelaySettings)
