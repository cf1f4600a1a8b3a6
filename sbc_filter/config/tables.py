"""Reads the tables of the configuration file. Each problem is reported with its key, and reading goes on."""

import re
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from sbc_filter.config.credential_settings import CredentialSettings, ObtainSettings, read_credential, read_obtained
from sbc_filter.config.delegate_settings import RemoteSettings, read_path, read_remote
from sbc_filter.config.settings import (
    ENFORCE,
    LAST_QUEUE,
    OBSERVE,
    RECENT,
    SCRUB_METHODS,
    CertificateSettings,
    Existing,
    FirewallSettings,
    NetworkMode,
    NetworkSettings,
    Overload,
    Policy,
    QueueConfiguration,
    RelaySettings,
    ServeSettings,
    TrustSettings,
)
from sbc_filter.config.trust_lists import read_paths, read_trust_lists, read_url
from sbc_filter.firewall import backend
from sbc_filter.numbering.numbering_plans import NANP, PROFILES, Profile, emergency_of, plan_named
from sbc_filter.outcomes import CERTIFICATE_REFUSABLE, CERTIFICATE_TOLERABLE
from sbc_filter.pki import x5u
from sbc_filter.rules.model import Unreadable
from sbc_filter.rules.toml_table import TomlTable
from sbc_filter.rules.trunk_options import read_networks
from sbc_filter.sip.header import KNOWN
from sbc_filter.sip.marks import HEADERS, Marks
from sbc_filter.stir.delegation import VERIFICATION

# Processes; one for each core of a large host.
MAX_WORKERS = 64
MAX_CONNECTIONS = 100_000  # of one relay process
MIN_MESSAGE = 1500  # octets: an INVITE with Identity is as large
MAX_RECENT = 1_000_000  # calls; the octets of all of them have a limit of their own
# Header fields that may not be removed, by full and by short name: those of RFC 3261, and those that name a caller.
_REMOVED = {name.lower().encode() for name in HEADERS}
_NEEDED = sorted({(full, each.lower()) for each, full in KNOWN.items() if full not in _REMOVED})
_HEADER_PATTERN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,128}")
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")


def read_network(table: TomlTable) -> NetworkSettings:
    """`[network]`."""
    sbc = []
    for text in table.texts("sbc"):
        try:
            sbc.append(str(ip_address(text)))
        except ValueError:
            table.problem("sbc", f"{text!r} is not an address such as 203.0.113.10")
    default = NetworkSettings()
    plan = _numbering(table)
    settings = NetworkSettings(
        tuple(sbc),
        _ports(table, "ports", default.ports),
        read_networks(table, "trusted_peers"),
        table.texts("emergency", emergency_of(plan)),
        plan.name,
        Unreadable(table.choice("unreadable", list(Unreadable), default.unreadable)),
        _untrusted_headers(table),
        tuple(sorted(table.choices("scrub_methods", SCRUB_METHODS) or ())),
        cast(NetworkMode, table.choice("mode", (ENFORCE, OBSERVE), default.mode)),
        table.texts("protected_callers"),
    )
    table.close({"drop_unreadable": 'was replaced: write unreadable = "drop" for true, and "scrub" for false'})
    return settings


def _numbering(table: TomlTable) -> Profile:
    name = table.text("numbering", NANP.name)
    plan = plan_named(name)
    if plan is None:
        names = ", ".join(sorted(PROFILES))
        table.problem("numbering", f"is {name!r}; allowed are {names} and the ISO code of a region such as FR")
    return plan or NANP


def _untrusted_headers(table: TomlTable) -> tuple[str, ...]:
    """Names of header fields, with `*` for any text. A name that a call needs is refused: without it there is no
    call."""
    names = table.texts("untrusted_headers")
    for name in names:
        if _HEADER_PATTERN.fullmatch(name) is None:
            table.problem("untrusted_headers", f"{name!r} is not the name of a header field; * stands for any text")
            continue
        marks = Marks((name,))
        needed = [full.decode() for full, each in _NEEDED if marks.has(each)]
        if needed:
            table.problem("untrusted_headers", f"{name!r} would remove the header field {needed[0]}, which calls need")
    return names


def _ports(table: TomlTable, key: str, default: tuple[int, ...], *, may_be_empty: bool = False) -> tuple[int, ...]:
    ports = table.raw(key)
    if ports is None:
        return default
    if not isinstance(ports, list) or not (ports or may_be_empty):
        table.problem(key, f"has to be a list of port numbers such as [{default[0]}]")
        return default
    for port in ports:
        if type(port) is not int or not 0 < port < 65536:
            table.problem(key, f"{port!r} is not a port number from 1 to 65535")
    return tuple(port for port in ports if type(port) is int)


def read_queue(table: TomlTable) -> QueueConfiguration:
    """`[queue]`."""
    overload = table.table("on_overload", '{ inbound = "drop", outbound = "accept" }')
    allowed = ("accept", "drop")
    default = QueueConfiguration()
    workers = table.integer("workers", default.workers, 1, MAX_WORKERS)
    behind = 2 * workers if workers > 1 else 0  # the queues of the workers, at most two each
    last = LAST_QUEUE - 1 - behind  # different policies for the directions take the next number, too
    number = table.integer("number", default.number, 0, last)
    configuration = QueueConfiguration(
        number,
        cast(Overload, overload.choice("inbound", allowed, default.inbound)),
        cast(Overload, overload.choice("outbound", allowed, default.outbound)),
        workers,
    )
    overload.close()
    table.close()
    return configuration


def read_relay(table: TomlTable, ports: Collection[int]) -> RelaySettings:
    """`[relay]`; `ports` are those of SIP."""
    default = RelaySettings()
    settings = RelaySettings(
        table.flag("enabled", default.enabled),
        table.integer("port", default.port, 1, 65535),
        cast(Existing, table.choice("existing", ("pass", "reset"), default.existing)),
        _ports(table, "unfiltered_ports", default.unfiltered_ports, may_be_empty=True),
        table.integer("connections", default.connections, 1, MAX_CONNECTIONS),
        table.integer("connections_per_peer", default.connections_per_peer, 1, MAX_CONNECTIONS),
        table.integer("message_octets", default.message_octets, MIN_MESSAGE, default.message_octets),
        table.integer("message_seconds", default.message_seconds, 1, 3600),
        table.integer("idle_seconds", default.idle_seconds, 1, 86400),
    )
    if settings.enabled and settings.port in ports:
        table.problem("port", f"{settings.port} is a SIP port of [network].ports: choose one that is not used")
    if settings.enabled and settings.port in settings.unfiltered_ports:
        table.problem("port", f"{settings.port} is one of unfiltered_ports: choose one that is not used")
    if settings.enabled and set(ports) <= set(settings.unfiltered_ports):
        table.problem("unfiltered_ports", "has all SIP ports of [network].ports: no connection would be filtered")
    table.close()
    return settings


def read_firewall(table: TomlTable) -> FirewallSettings:
    """`[firewall]`."""
    default = FirewallSettings()
    settings = FirewallSettings(
        table.choice("backend", backend.NAMES, default.backend),
        table.flag("nat", default.nat),
    )
    table.close()
    return settings


def read_trust(table: TomlTable, folder: Path) -> TrustSettings:
    """`[trust]`."""
    default = TrustSettings()
    settings = TrustSettings(
        read_paths(table, "anchors", folder),
        read_paths(table, "crls", folder),
        read_paths(table, "crl_signers", folder),
        cast(Policy, table.choice("crl_policy", ("soft", "hard"), default.crl_policy)),
        read_trust_lists(table, folder),
        _policies(table),
        table.choices("tolerate", CERTIFICATE_TOLERABLE) or default.tolerate,
        tuple(read_url(table, "crl_urls", text, ("http", "https")) for text in table.texts("crl_urls")),
        table.choices("strict", CERTIFICATE_REFUSABLE) or default.strict,
    )
    table.close()
    return settings


def _policies(table: TomlTable) -> frozenset[str]:
    policies = frozenset(table.texts("policies"))
    for text in sorted(policies):
        if not _OID.fullmatch(text):
            table.problem("policies", f"{text!r} is not an object identifier such as 2.16.840.1.114569.1.1.4")
    return policies


def read_certificates(table: TomlTable, folder: Path) -> CertificateSettings:
    """`[certificates]`."""
    default = CertificateSettings()
    settings = CertificateSettings(
        read_path(table, "directory", folder),
        table.flag("fetch", default.fetch),
        read_path(table, "cache", folder) or default.cache,
        table.texts("command"),
        read_networks(table, "allowed_networks"),
        read_path(table, "web_ca", folder),
        table.choices("tolerate", x5u.TOLERABLE) or default.tolerate,
        read_path(table, "socket", folder),
        read_path(table, "warm", folder),
        table.integer("fetch_rate", default.fetch_rate, 1, 1000),
        table.integer("stale_hours", default.stale_hours, 0, 720),
        table.integer("cache_mib", default.cache_mib, 1, 1 << 20),
    )
    table.close()
    return settings


def read_credentials(
    table: TomlTable, folder: Path
) -> tuple[dict[str, CredentialSettings | ObtainSettings], dict[str, RemoteSettings]]:
    """`[credentials]`: returns those with a key of ours, and those with a delegate."""
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


def read_verifiers(table: TomlTable, folder: Path) -> dict[str, RemoteSettings]:
    """`[verifiers]`: delegates that verify, by name."""
    found = {}
    for name in table:
        entry = table.table(name)
        found[name] = read_remote(entry, folder, VERIFICATION)
        entry.close()
    return found


def read_serve(table: TomlTable, folder: Path) -> ServeSettings:
    """`[serve]`."""
    default = ServeSettings()
    listen = default.listen
    text = table.text("listen", "127.0.0.1:8085")
    try:
        listen = parse_listen(text)
    except ValueError:
        table.problem("listen", f"{text!r} is not an address with a port such as 127.0.0.1:8085")
    settings = ServeSettings(
        listen,
        table.text("credential"),
        read_path(table, "certificate", folder),
        read_path(table, "key", folder),
        read_path(table, "client_ca", folder),
        read_path(table, "token", folder),
        table.integer("connections", default.connections, 2, 1000),
        table.integer("connections_per_address", default.connections_per_address, 1, 1000),
    )
    if (settings.certificate is None) != (settings.key is None):
        table.problem("certificate", "and `key` belong together")
    if settings.client_ca is not None and settings.certificate is None:
        table.problem("client_ca", "needs TLS: name `certificate` and `key`")
    table.close()
    return settings


def parse_listen(text: str) -> tuple[str, int]:
    """Parse an address and port to listen on; `ValueError`."""
    address, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(text)
    return str(ip_address(address.removeprefix("[").removesuffix("]"))), int(port)


def read_records(table: TomlTable, folder: Path) -> Path | None:
    """`[log].records`: the file of records, None for the journal."""
    text = table.text("records", "journal")
    return None if text == "journal" else folder / text


def read_recent(table: TomlTable) -> int:
    """`[log].recent`: how many calls are kept for `sbc-filter find`."""
    return table.integer("recent", RECENT, 0, MAX_RECENT)
